#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/packet/flow_key.hpp"
#include "core/result.hpp"
#include "core/units.hpp"

/// What a rule may ask of a flow key. Shared by the classifier and by functions with rules
/// (firewall), so that the same words in a file mean the same in both.
namespace sluice {

/// One IP address, in the form of FlowKey: an IPv4 address stands in the first four bytes.
struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};
  std::uint8_t ip_version = 4;  ///< 4 or 6.

  /// Reads "10.0.0.1" or "2001:db8::1". The error says in words what is wrong with `text`.
  /// Decimal parts with a leading zero are refused, for some readers take them as octal.
  [[nodiscard]] static Result<IpAddress, std::string> parse(std::string_view text);
  /// As parse() reads it; IPv6 in the form of RFC 5952.
  [[nodiscard]] std::string to_string() const;
  bool operator==(const IpAddress&) const = default;
};

/// An IP prefix: the addresses whose first `length` bits are those of `address`.
struct IpPrefix {
  IpAddress address{};      ///< All bits beyond `length` are 0.
  std::uint8_t length = 0;  ///< At most 32 (IPv4) or 128 (IPv6).

  /// Reads "10.0.0.0/8" or "2001:db8::/32"; an address alone means that address. Bits beyond the
  /// length must be 0: "10.0.0.1/24" is more likely a mistake than a way to write 10.0.0.0/24.
  /// The error says in words what is wrong with `text`.
  [[nodiscard]] static Result<IpPrefix, std::string> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;
  [[nodiscard]] bool contains(std::uint8_t ip_version,
                              const std::array<std::uint8_t, 16>& bytes) const noexcept;
  bool operator==(const IpPrefix&) const = default;
};

/// Ports from `first` to `last`, both included.
struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0xffff;

  /// Reads "80" or "8000-8099". The error says in words what is wrong with `text`.
  [[nodiscard]] static Result<PortRange, std::string> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;
  [[nodiscard]] constexpr bool contains(std::uint16_t port) const noexcept {
    return first <= port && port <= last;
  }
  bool operator==(const PortRange&) const = default;
};

/// Reads an IP protocol: tcp, udp, sctp, icmp, icmpv6, or its number 0..255.
/// The error says in words what is wrong with `text`.
[[nodiscard]] Result<std::uint8_t, std::string> parse_protocol(std::string_view text);

/// Whether the ports of a key of this protocol are ports: TCP, UDP, SCTP. Those of ICMP are an
/// identifier, and a frame without IP has its EtherType there.
[[nodiscard]] constexpr bool has_ports(const FlowKey& key) noexcept {
  return key.ip_version != 0 && (key.protocol == 6 || key.protocol == 17 || key.protocol == 132);
}

/// Conditions on a flow key. One that is absent always holds; the empty match takes every packet.
struct FlowMatch {
  std::optional<std::uint8_t> protocol{};  ///< Never holds for a frame without IP.
  std::optional<IpPrefix> source{};        ///< Implies its IP version.
  std::optional<IpPrefix> destination{};
  std::optional<PortRange> source_port{};  ///< Holds only where has_ports() does.
  std::optional<PortRange> destination_port{};
  std::optional<std::uint16_t> vlan{};       ///< The outer VLAN id; 0: untagged.
  std::optional<PortId> ingress{};           ///< The port by which the packet came.
  std::optional<std::uint8_t> ip_version{};  ///< 4 or 6; 0: not IP.

  [[nodiscard]] bool matches(const FlowKey& key) const noexcept;
  bool operator==(const FlowMatch&) const = default;
};

}  // namespace sluice

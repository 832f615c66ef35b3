#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/packet/flow_key.hpp"
#include "core/packet/packet.hpp"
#include "core/packet/packet_memory.hpp"
#include "core/result.hpp"

/// Reading and rewriting of packet headers: Ethernet (802.3), VLAN x2 (802.1Q, 802.1ad), ARP (RFC
/// 826), IPv4 (RFC 791), IPv6 with extension headers (RFC 8200), TCP (RFC 9293), UDP (RFC 768),
/// SCTP (RFC 9260), ICMP (RFC 792), ICMPv6 (RFC 4443). Public: network functions of third parties
/// use it.
namespace sluice {

enum class L3 : std::uint8_t { kOther, kArp, kIpv4, kIpv6 };
enum class L4 : std::uint8_t { kNone, kTcp, kUdp, kSctp, kIcmp, kIcmpv6, kOther };

inline constexpr std::uint8_t kTcpFin = 0x01, kTcpSyn = 0x02, kTcpRst = 0x04, kTcpPsh = 0x08,
                              kTcpAck = 0x10, kTcpUrg = 0x20;

/// Why a frame is not accepted.
enum class ParseError : std::uint8_t {
  kNone,
  kShortEthernet,
  kShortVlan,
  kShortArp,
  kShortIp,
  kIpVersion,
  kIpHeaderLength,
  kIpTotalLength,  ///< Beyond the frame, or shorter than its headers.
  kIpChecksum,
  kIpv6Extension,  ///< Cut short, out of order beyond use, or more than kExtensionMax.
  kFragment,       ///< Overlong, zero-length, or a first fragment without its ports.
  kShortL4,
  kTcpOffset,
  kUdpLength,
};

/// More extension headers before the L4 header are refused: each costs time, honest packets have
/// few.
inline constexpr std::uint32_t kExtensionMax = 8;

/// Where the headers of a frame lie and what they say. Offsets count from the frame's first byte.
struct Headers {
  std::uint16_t ether_type = 0;  ///< After VLAN tags.
  std::uint16_t vlan_outer = 0;  ///< VLAN id; 0: untagged.
  std::uint16_t vlan_inner = 0;
  std::uint8_t vlan_count = 0;
  L3 l3 = L3::kOther;
  L4 l4 = L4::kNone;
  std::uint8_t protocol = 0;  ///< After extension headers.
  std::uint8_t tcp_flags = 0;
  std::uint8_t ttl = 0;         ///< TTL or hop limit.
  bool fragment = false;        ///< Any fragment, the first too.
  bool later_fragment = false;  ///< Not the first: no L4 header in it, and l4 is kNone.
  bool source_routed =
      false;  ///< Its final destination is not the header's: RFC 791, RFC 8200 4.4.
  std::uint16_t l3_offset = 0;
  std::uint16_t l4_offset = 0;       ///< 0: none.
  std::uint16_t payload_offset = 0;  ///< After the L4 header.
  std::uint16_t payload_length = 0;  ///< Without Ethernet padding.
  std::uint16_t source_port = 0;     ///< Host byte order; ICMP echo: the identifier.
  std::uint16_t destination_port = 0;
  std::uint32_t fragment_id = 0;
};

/// Reads the headers of a frame. Never reads outside `frame`, whatever its bytes.
/// Verifies the IPv4 header checksum; L4 checksums are left to those who need them.
[[nodiscard]] Result<Headers, ParseError> parse(std::span<const std::byte> frame) noexcept;

/// The flow key of a parsed frame. A later fragment has ports 0: see FragmentTracker. A frame
/// without IP has ip_version 0 and its EtherType in destination_port.
[[nodiscard]] FlowKey flow_key(std::span<const std::byte> frame, const Headers& headers,
                               PortId ingress) noexcept;

[[nodiscard]] const char* to_string(ParseError error) noexcept;

// --- Rewriting -----------------------------------------------------------------------------------
//
// In place, on a frame that parse() accepted, with its Headers, which are kept up to date.
// Checksums change by difference (RFC 1624): right ones stay right, wrong ones stay wrong by as
// much. A UDP checksum of 0 (none computed) stays 0; one that becomes 0 is written as 0xffff. No
// call reads or writes outside the frame, given the Headers of this very frame; a refused call
// changes nothing.

enum class Rewrite : std::uint8_t {
  kDone,
  kNoSuchField,  ///< The frame has no such header, address or port.
  kExpired,      ///< TTL or hop limit is 0, or 1 and so would be.
  kNoRoom,       ///< No headroom for another tag, or there are two already.
  kNotWhole,     ///< SCTP in a fragment: its CRC covers bytes that are elsewhere.
};

using MacAddress = std::array<std::uint8_t, 6>;
/// As in FlowKey: an IPv4 address stands in the first four bytes.
using IpBytes = std::array<std::uint8_t, 16>;

[[nodiscard]] MacAddress source_mac(std::span<const std::byte> frame) noexcept;
[[nodiscard]] MacAddress destination_mac(std::span<const std::byte> frame) noexcept;
void set_source_mac(std::span<std::byte> frame, const MacAddress& address) noexcept;
void set_destination_mac(std::span<std::byte> frame, const MacAddress& address) noexcept;

/// Sets the IPv4 or IPv6 address; with it the checksums of IPv4, TCP, UDP and ICMPv6. A fragment's
/// L4 checksum is in its first one, so rewrite all fragments alike.
[[nodiscard]] Rewrite set_source_address(std::span<std::byte> frame, const Headers& headers,
                                         const IpBytes& address) noexcept;
/// As above. In a source-routed packet the L4 checksum covers the final destination instead, and
/// stays.
[[nodiscard]] Rewrite set_destination_address(std::span<std::byte> frame, const Headers& headers,
                                              const IpBytes& address) noexcept;

/// Sets a port of TCP, UDP or SCTP, or the identifier of an ICMP echo (which stands for both
/// ports). Cost for SCTP: its CRC32c runs over the segment.
[[nodiscard]] Rewrite set_source_port(std::span<std::byte> frame, Headers& headers,
                                      std::uint16_t port) noexcept;
[[nodiscard]] Rewrite set_destination_port(std::span<std::byte> frame, Headers& headers,
                                           std::uint16_t port) noexcept;

/// Lowers TTL or hop limit by one. kExpired leaves it: drop as DropReason::kTtl.
[[nodiscard]] Rewrite decrement_ttl(std::span<std::byte> frame, Headers& headers) noexcept;

/// Sets the VLAN id (the low 12 bits of `vlan`) of the outer tag; priority stays.
[[nodiscard]] Rewrite set_vlan(std::span<std::byte> frame, Headers& headers,
                               std::uint16_t vlan) noexcept;

inline constexpr std::uint16_t kEtherVlan = 0x8100, kEtherServiceVlan = 0x88a8;
struct VlanTag {
  std::uint16_t tpid = kEtherVlan;  ///< kEtherVlan, or kEtherServiceVlan outside of another tag.
  std::uint16_t tci = 0;            ///< Priority (3 bits), drop eligible (1), VLAN id (12).
};
/// Puts a tag before all others, into the headroom, and moves `packet` 4 bytes down. Parse anew
/// after.
[[nodiscard]] Rewrite push_vlan(const PacketMemory& memory, Packet& packet,
                                const VlanTag& tag) noexcept;
/// Takes the outer tag off and moves `packet` 4 bytes up. Parse anew after.
[[nodiscard]] Rewrite pop_vlan(const PacketMemory& memory, Packet& packet) noexcept;

inline constexpr std::uint8_t kTcpOptionEnd = 0, kTcpOptionNop = 1, kTcpOptionMss = 2,
                              kTcpOptionWindowScale = 3, kTcpOptionSackPermitted = 4,
                              kTcpOptionSack = 5, kTcpOptionTimestamps = 8;
/// The first TCP option of `kind` with its kind and length bytes; empty when there is none, or the
/// options before it are malformed.
[[nodiscard]] std::span<const std::byte> find_tcp_option(std::span<const std::byte> frame,
                                                         const Headers& headers,
                                                         std::uint8_t kind) noexcept;
/// Lowers the maximum segment size of a SYN to at most `mss_max`. kNoSuchField without SYN or
/// option.
[[nodiscard]] Rewrite clamp_mss(std::span<std::byte> frame, const Headers& headers,
                                std::uint16_t mss_max) noexcept;

}  // namespace sluice

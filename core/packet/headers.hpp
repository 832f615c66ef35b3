#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/packet/flow_key.hpp"
#include "core/packet/packet.hpp"
#include "core/result.hpp"

/// Reading and rewriting of packet headers: Ethernet (802.3), VLAN x2 (802.1Q, 802.1ad), ARP (RFC 826),
/// IPv4 (RFC 791), IPv6 with extension headers (RFC 8200), TCP (RFC 9293), UDP (RFC 768), SCTP
/// (RFC 9260), ICMP (RFC 792), ICMPv6 (RFC 4443). Public: network functions of third parties use it.
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
  kIpTotalLength,   ///< Beyond the frame, or shorter than its headers.
  kIpChecksum,
  kIpv6Extension,   ///< Cut short, out of order beyond use, or more than kExtensionMax.
  kFragment,        ///< Overlong, zero-length, or a first fragment without its ports.
  kShortL4,
  kTcpOffset,
  kUdpLength,
};

/// Where the headers of a frame lie and what they say. Offsets count from the frame's first byte.
struct Headers {
  std::uint16_t ether_type = 0;  ///< After VLAN tags.
  std::uint16_t vlan_outer = 0;  ///< VLAN id; 0: untagged.
  std::uint16_t vlan_inner = 0;
  std::uint8_t vlan_count = 0;
  L3 l3 = L3::kOther;
  L4 l4 = L4::kNone;
  std::uint8_t protocol = 0;   ///< After extension headers.
  std::uint8_t tcp_flags = 0;
  std::uint8_t ttl = 0;        ///< TTL or hop limit.
  bool fragment = false;       ///< Any fragment, the first too.
  bool later_fragment = false; ///< Not the first: no L4 header in it.
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

/// The flow key of a parsed frame. A later fragment has ports 0: see FragmentTracker. A frame without
/// IP has ip_version 0 and its EtherType in destination_port.
[[nodiscard]] FlowKey flow_key(std::span<const std::byte> frame, const Headers& headers,
                               PortId ingress) noexcept;

[[nodiscard]] const char* to_string(ParseError error) noexcept;

}  // namespace sluice

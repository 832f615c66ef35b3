#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/packet/headers.hpp"

/// How a sender is told that his packet does not fit a tunnel (`oversize: icmp`), so that path MTU
/// discovery works through a cluster: ICMP fragmentation needed (RFC 1191), ICMPv6 packet too big
/// (RFC 8201). To be limited in rate by who calls it (RFC 1812, 4.3.2.8; RFC 4443, 2.4 f).
namespace sluice {

/// Bytes that an answer has at most: with Ethernet, two VLAN tags, and the 1,280 bytes of an IPv6
/// packet that need no path MTU.
inline constexpr std::size_t kTooBigBytesMax = 14 + 8 + 1280;

/// Whether an answer about a frame may be sent: not about an IPv4 packet that may be fragmented,
/// later fragments, ICMP errors, or packets from or to more than one (RFC 1122, 3.2.2; RFC 4443,
/// 2.4 e).
[[nodiscard]] bool may_answer_too_big(std::span<const std::byte> frame,
                                      const Headers& headers) noexcept;

/// Writes the answer about a parsed frame for which may_answer_too_big() holds: addresses and VLAN
/// tags turned round, in the name of the packet's destination, with as much of the packet as fits.
/// `mtu`: what an IP packet may have, at least 68 or 1,280 (it says no less).
/// @return Its bytes; 0 when `to` is too small.
[[nodiscard]] std::size_t write_too_big(std::span<const std::byte> frame, const Headers& headers,
                                        std::uint16_t mtu, std::span<std::byte> to) noexcept;

}  // namespace sluice

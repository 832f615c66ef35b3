#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/packet/bytes.hpp"
#include "core/packet/flow_key.hpp"

namespace sluice {

namespace plain_flow {

inline constexpr std::uint32_t kL3Offset = 14, kIpv4Length = 20, kIpv6Length = 40;
inline constexpr std::uint32_t kTcp = 6, kUdp = 17;

/// Whether the TCP or UDP header at `l4`, with `left` bytes of it and of its payload, is whole.
[[nodiscard]] inline bool l4_is_whole(const std::byte* l4, std::uint32_t protocol,
                                      std::uint32_t left) noexcept {
  if (protocol == kUdp) {
    if (left < 8) return false;
    const std::uint32_t length = load_be16(l4 + 4);
    return length >= 8 && length <= left;
  }
  if (protocol != kTcp || left < 20) return false;
  const std::uint32_t length = (load_u8(l4 + 12) >> 4) * 4u;
  return length >= 20 && length <= left;
}

/// Whether the checksum of the IPv4 header of 20 bytes at `ip` is right. Modulo 2^16 - 1 the order
/// of bytes does not matter, and all carries can wait for the end.
[[nodiscard]] inline bool ipv4_checksum_is_right(const std::byte* ip) noexcept {
  const auto first = load_native<std::uint64_t>(ip);
  const auto second = load_native<std::uint64_t>(ip + 8);
  std::uint64_t sum = (first & 0xffffffff) + (first >> 32) + (second & 0xffffffff) +
                      (second >> 32) + load_native<std::uint32_t>(ip + 16);
  sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
  return (sum & 0xffff) + (sum >> 16) == 0xffff;
}

/// A flow key as it lies in memory.
using Words = std::array<std::uint64_t, 6>;

}  // namespace plain_flow

/// Reads the flow key and the TCP flags (0 for UDP) of a plain frame: untagged IPv4 without options
/// or IPv6 without extension headers, no fragment, with TCP or UDP in it. Nearly every frame is
/// one.
///
/// The same that parse() and flow_key() find, in a fraction of the time. Writes whole words, since
/// a narrow store makes a wide load right behind it wait.
/// @return False for any other frame, and for one that parse() refuses: ask that. `key` is
/// undefined then.
[[nodiscard]] inline bool read_plain_flow(std::span<const std::byte> frame, PortId ingress,
                                          FlowKey& key, std::uint8_t& tcp_flags) noexcept {
  using namespace plain_flow;
  // The words are put together for processors with the low byte first.
  if constexpr (std::endian::native != std::endian::little) return false;
  if (frame.size() < kL3Offset + kIpv4Length + 8 || frame.size() > 0xffff) return false;
  const std::byte* ip = frame.data() + kL3Offset;
  const std::uint32_t left = static_cast<std::uint32_t>(frame.size()) - kL3Offset;
  const std::uint32_t type_and_version = load_be32(ip - 2) >> 8;
  const std::byte* l4 = ip + kIpv4Length;
  std::uint32_t protocol = 0;
  Words words;
  if (type_and_version == 0x080045) [[likely]] {
    protocol = load_u8(ip + 9);
    const std::uint32_t total_length = load_be16(ip + 2);
    if (total_length < kIpv4Length || total_length > left) return false;
    if ((load_be16(ip + 6) & 0x3fffu) != 0) return false;  // A fragment.
    if (!l4_is_whole(l4, protocol, total_length - kIpv4Length)) return false;
    if (!ipv4_checksum_is_right(ip)) return false;
    words[0] = load_native<std::uint32_t>(ip + 12);
    words[2] = load_native<std::uint32_t>(ip + 16);
    words[1] = words[3] = 0;
    words[5] = index_of(ingress) | protocol << 16 | 4u << 24;
  } else {
    if (type_and_version >> 4 != 0x86dd6 || left < kIpv6Length) return false;
    l4 = ip + kIpv6Length;
    protocol = load_u8(ip + 6);
    const std::uint32_t payload_length = load_be16(ip + 4);
    if (payload_length > left - kIpv6Length) return false;
    if (!l4_is_whole(l4, protocol, payload_length)) return false;
    for (std::size_t i = 0; i < 4; ++i) words[i] = load_native<std::uint64_t>(ip + 8 + 8 * i);
    words[5] = index_of(ingress) | protocol << 16 | 6u << 24;
  }
  words[4] = std::rotl(load_be32(l4), 16);  // The source port in the low half.
  key = std::bit_cast<FlowKey>(words);
  tcp_flags = protocol == kTcp ? load_u8(l4 + 13) : std::uint8_t{0};
  return true;
}

}  // namespace sluice

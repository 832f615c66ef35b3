#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/packet/bytes.hpp"
#include "core/packet/packed_key.hpp"

namespace sluice {
namespace plain_flow {

inline constexpr std::int32_t kL3Offset = 14, kIpv4Length = 20, kIpv6Length = 40;
inline constexpr std::uint32_t kTcp = 6, kUdp = 17;

/// Whether a TCP or UDP header at `l4`, with `left` bytes of it and its payload, is whole. 8 bytes
/// at `l4` can be read in any case.
[[nodiscard]] inline bool l4_is_whole(const std::byte* l4, std::uint32_t protocol,
                                      std::int32_t left) noexcept {
  if (protocol == kUdp) {
    const std::int32_t length = load_be16(l4 + 4);
    return length >= 8 && length <= left;
  }
  if (protocol != kTcp || left < 20) return false;
  const std::int32_t length = (load_u8(l4 + 12) >> 4) * 4;
  return length >= 20 && length <= left;
}

/// Whether the checksum of the IPv4 header of 20 bytes at `ip` is right: whether its one's
/// complement sum is 0, which is to say its sum a multiple of 2^16 - 1. The width of the words and
/// the order of their bytes make no difference to that.
[[nodiscard]] inline bool ipv4_checksum_is_right(const std::byte* ip) noexcept {
  const auto first = load_native<std::uint64_t>(ip);
  const auto last = load_native<std::uint32_t>(ip + 16);
  std::uint64_t sum = load_native<std::uint64_t>(ip + 8) + first;
  sum += sum < first ? 1 : 0;
  sum += last;
  sum += sum < last ? 1 : 0;
  return sum % 0xffff == 0;  // Not 0 itself: the version is in it.
}

}  // namespace plain_flow

/// Reads the flow key and the TCP flags (0 for UDP) of a plain frame: untagged IPv4 without options
/// or IPv6 without extension headers, no fragment, with TCP or UDP in it. Nearly every frame is
/// one. Of a key without a rest the rest is not written.
///
/// The same that parse() and flow_key() find, in a fraction of the time.
/// @return False for any other frame, and for one that parse() refuses: ask that. Nothing is
/// written then.
[[nodiscard]] inline bool read_plain_flow(std::span<const std::byte> frame, PortId ingress,
                                          PackedKey& key, std::uint8_t& tcp_flags) noexcept {
  using namespace plain_flow;
  // The words are put together for processors with the low byte first.
  if constexpr (std::endian::native != std::endian::little) return false;
  if (frame.size() < kL3Offset + kIpv4Length + 8 || frame.size() > 0xffff) return false;
  const std::byte* ip = frame.data() + kL3Offset;
  const std::int32_t left = static_cast<std::int32_t>(frame.size()) - kL3Offset;
  // EtherType, and the IP version with the length of its header.
  const std::uint32_t kind = load_native<std::uint32_t>(ip - 2) & big_endian(0xffffff00u);
  const std::byte* l4 = ip + kIpv4Length;
  std::uint32_t protocol = 0;
  if (kind == big_endian(0x08004500u)) [[likely]] {
    protocol = load_u8(ip + 9);
    const std::int32_t total_length = load_be16(ip + 2);
    if (total_length > left) return false;
    const bool fragment =
        (load_native<std::uint16_t>(ip + 6) & big_endian<std::uint16_t>(0x3fff)) != 0;
    if (fragment || !l4_is_whole(l4, protocol, total_length - kIpv4Length)) return false;
    if (!ipv4_checksum_is_right(ip)) return false;
    key.first[0] = load_native<std::uint64_t>(ip + 12);
    key.first[1] = load_native<std::uint32_t>(l4) |
                   std::uint64_t{index_of(ingress) | protocol << 16 | 4u << 24} << 32;
  } else {
    if ((kind & big_endian(0xfffff000u)) != big_endian(0x86dd6000u)) return false;
    if (left < kIpv6Length + 8) return false;
    l4 = ip + kIpv6Length;
    protocol = load_u8(ip + 6);
    const std::int32_t payload_length = load_be16(ip + 4);
    if (payload_length > left - kIpv6Length) return false;
    if (!l4_is_whole(l4, protocol, payload_length)) return false;
    const auto low = [](const std::byte* at) {
      return std::uint64_t{load_native<std::uint32_t>(at)};
    };
    key.first[0] = low(ip + 8) | low(ip + 24) << 32;
    key.rest = {load_native<std::uint64_t>(ip + 12), low(ip + 20) | low(ip + 28) << 32,
                load_native<std::uint64_t>(ip + 32), 0};
    key.first[1] = load_native<std::uint32_t>(l4) |
                   std::uint64_t{index_of(ingress) | protocol << 16 | 6u << 24} << 32;
    if ((key.rest[0] | key.rest[1] | key.rest[2]) != 0) key.first[1] |= PackedKey::kHasRest;
  }
  tcp_flags = protocol == kTcp ? load_u8(l4 + 13) : std::uint8_t{0};
  return true;
}

}  // namespace sluice

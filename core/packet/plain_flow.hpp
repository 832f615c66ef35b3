#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/packet/bytes.hpp"
#include "core/packet/packed_key.hpp"

namespace sluice {

/// Reads the flow keys of plain frames of one port: untagged IPv4 without options or IPv6 without
/// extension headers, no fragment, with TCP or UDP in it. Nearly every frame is one.
///
/// It finds what parse() and flow_key() find, in a fraction of the time.
class PlainFlowReader {
 public:
  explicit PlainFlowReader(PortId ingress) noexcept
      : ingress_(std::uint64_t{index_of(ingress)} << 32) {}

  /// Writes the key of `frame` if it is plain; of a key without a rest the rest is not written.
  /// @return The TCP flags, 0 for UDP; kNotPlain for any other frame, and for one that parse()
  /// refuses: ask that. Nothing is written then.
  [[nodiscard]] std::uint32_t read(std::span<const std::byte> frame,
                                   PackedKey& key) const noexcept {
    // The words are put together for processors with the low byte first.
    if constexpr (std::endian::native != std::endian::little) return kNotPlain;
    if (frame.size() < kL3Offset + kIpv4Length + 8 || frame.size() > 0xffff) return kNotPlain;
    const std::byte* ip = frame.data() + kL3Offset;
    const std::int32_t left = static_cast<std::int32_t>(frame.size()) - kL3Offset;
    // EtherType, and the IP version with the length of its header.
    const std::uint32_t kind = load_native<std::uint32_t>(ip - 2) & big_endian(0xffffff00u);
    if (kind == big_endian(0x08004500u)) [[likely]] {
      return read_ipv4(ip, left, key);
    }
    return (kind & big_endian(0xfffff000u)) == big_endian(0x86dd6000u) ? read_ipv6(ip, left, key)
                                                                       : kNotPlain;
  }

  static constexpr std::uint32_t kNotPlain = 0xffffffff;

 private:
  static constexpr std::int32_t kL3Offset = 14, kIpv4Length = 20, kIpv6Length = 40;
  static constexpr std::uint32_t kTcp = 6, kUdp = 17;

  [[nodiscard]] std::uint32_t read_ipv4(const std::byte* ip, std::int32_t left,
                                        PackedKey& key) const noexcept {
    const std::int32_t total_length = load_be16(ip + 2);
    if (total_length > left || !ipv4_checksum_is_right(ip)) return kNotPlain;
    const std::byte* l4 = ip + kIpv4Length;
    const std::int32_t l4_length = total_length - kIpv4Length;
    // Whether it is a fragment, and the protocol; the TTL stands between.
    const std::uint32_t kind = load_native<std::uint32_t>(ip + 6) & big_endian(0x3fff00ffu);
    if (kind == big_endian(kUdp)) {
      if (!udp_is_whole(l4, l4_length)) return kNotPlain;
      key.first[1] = load_native<std::uint32_t>(l4) | ingress_ | kIpv4Udp;
      key.first[0] = load_native<std::uint64_t>(ip + 12);
      return 0;
    }
    if (kind != big_endian(kTcp) || !tcp_is_whole(l4, l4_length)) return kNotPlain;
    key.first[1] = load_native<std::uint32_t>(l4) | ingress_ | kIpv4Tcp;
    key.first[0] = load_native<std::uint64_t>(ip + 12);
    return load_u8(l4 + 13);
  }

  [[nodiscard]] std::uint32_t read_ipv6(const std::byte* ip, std::int32_t left,
                                        PackedKey& key) const noexcept {
    if (left < kIpv6Length + 8) return kNotPlain;
    const std::byte* l4 = ip + kIpv6Length;
    const std::uint64_t protocol = load_u8(ip + 6);
    const std::int32_t payload_length = load_be16(ip + 4);
    if (payload_length > left - kIpv6Length) return kNotPlain;
    std::uint32_t flags = 0;
    if (protocol == kUdp) {
      if (!udp_is_whole(l4, payload_length)) return kNotPlain;
    } else {
      if (protocol != kTcp || !tcp_is_whole(l4, payload_length)) return kNotPlain;
      flags = load_u8(l4 + 13);
    }
    const auto word32 = [](const std::byte* from) {
      return std::uint64_t{load_native<std::uint32_t>(from)};
    };
    key.rest = {load_native<std::uint64_t>(ip + 12), word32(ip + 20) | word32(ip + 28) << 32,
                load_native<std::uint64_t>(ip + 32), 0};
    key.first[0] = word32(ip + 8) | word32(ip + 24) << 32;
    key.first[1] = word32(l4) | ingress_ | protocol << 48 | kIpv6;
    if ((key.rest[0] | key.rest[1] | key.rest[2]) != 0) key.first[1] |= PackedKey::kHasRest;
    return flags;
  }

  /// Whether the header at `l4`, with `left` bytes of it and its payload, is whole. 8 bytes at `l4`
  /// can be read in any case.
  [[nodiscard]] static bool udp_is_whole(const std::byte* l4, std::int32_t left) noexcept {
    const std::int32_t length = load_be16(l4 + 4);
    return length >= 8 && length <= left;
  }
  [[nodiscard]] static bool tcp_is_whole(const std::byte* l4, std::int32_t left) noexcept {
    if (left < 20) return false;
    const std::int32_t length = (load_u8(l4 + 12) >> 4) * 4;
    return length >= 20 && length <= left;
  }

  /// Whether the checksum of the IPv4 header of 20 bytes at `ip` is right: whether its one's
  /// complement sum is 0, which is to say its sum a multiple of 2^16 - 1. The width of the words
  /// and the order of their bytes make no difference to that.
  [[nodiscard]] static bool ipv4_checksum_is_right(const std::byte* ip) noexcept {
    const auto first = load_native<std::uint64_t>(ip);
    const auto last = load_native<std::uint32_t>(ip + 16);
    std::uint64_t sum = load_native<std::uint64_t>(ip + 8) + first;
    sum += sum < first ? 1 : 0;
    sum += last;
    sum += sum < last ? 1 : 0;
    return sum % 0xffff == 0;  // Not 0 itself: the version is in it.
  }

  // Protocol and version, where PackedKey::first has them.
  static constexpr std::uint64_t kIpv4Udp = (std::uint64_t{4} << 8 | kUdp) << 48;
  static constexpr std::uint64_t kIpv4Tcp = (std::uint64_t{4} << 8 | kTcp) << 48;
  static constexpr std::uint64_t kIpv6 = std::uint64_t{6} << 56;

  std::uint64_t ingress_;  ///< Where PackedKey::first has it.
};

}  // namespace sluice

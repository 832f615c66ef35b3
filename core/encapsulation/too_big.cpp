#include "core/encapsulation/too_big.hpp"

#include <algorithm>
#include <cstring>

#include "core/packet/bytes.hpp"
#include "core/packet/checksum.hpp"

namespace sluice {
namespace {

constexpr std::size_t kMac = 6, kIpv4 = 20, kIpv6 = 40, kIcmp = 8;
constexpr std::uint16_t kMtuMinIpv4 = 68, kMtuMinIpv6 = 1280;
constexpr std::size_t kAnswerMaxIpv4 = 576, kAnswerMaxIpv6 = 1280;

bool is_one_ipv4_host(const std::byte* address) {
  const std::uint8_t first = load_u8(address);
  // Neither "this host", loopback, multicast, reserved nor broadcast.
  return first != 0 && first != 127 && first < 224;
}

bool is_one_ipv6_host(const std::byte* address) {
  const bool multicast = load_u8(address) == 0xff;
  const bool unspecified = load_be64(address) == 0 && load_be64(address + 8) == 0;
  return !multicast && !unspecified;
}

bool is_group_mac(const std::byte* mac) {
  return (load_u8(mac) & 1) != 0;
}

/// An error message of ICMP, about which there is no other.
bool is_icmp_error(std::span<const std::byte> frame, const Headers& headers) {
  if (headers.l4_offset == 0 || headers.l4_offset >= frame.size()) return false;
  const std::uint8_t type = load_u8(frame.data() + headers.l4_offset);
  if (headers.l4 == L4::kIcmp)
    return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
  return headers.l4 == L4::kIcmpv6 && type < 128;
}

/// All of the IP packet in the frame, without padding.
std::span<const std::byte> ip_packet(std::span<const std::byte> frame, const Headers& headers) {
  const std::byte* const ip = frame.data() + headers.l3_offset;
  const std::size_t size =
      headers.l3 == L3::kIpv4 ? load_be16(ip + 2) : kIpv6 + std::size_t{load_be16(ip + 4)};
  return frame.subspan(headers.l3_offset).first(std::min(size, frame.size() - headers.l3_offset));
}

void write_ipv4(std::byte* to, const std::byte* about, std::size_t size) {
  std::memset(to, 0, kIpv4);
  store_u8(to, 0x45);
  store_be16(to + 2, static_cast<std::uint16_t>(size));
  store_u8(to + 8, 64);
  store_u8(to + 9, 1);
  std::memcpy(to + 12, about + 16, 4);
  std::memcpy(to + 16, about + 12, 4);
}

void write_ipv6(std::byte* to, const std::byte* about, std::size_t size) {
  std::memset(to, 0, kIpv6);
  store_u8(to, 0x60);
  store_be16(to + 4, static_cast<std::uint16_t>(size - kIpv6));
  store_u8(to + 6, 58);
  store_u8(to + 7, 64);
  std::memcpy(to + 8, about + 24, 16);
  std::memcpy(to + 24, about + 8, 16);
}

}  // namespace

bool may_answer_too_big(std::span<const std::byte> frame, const Headers& headers) noexcept {
  if (headers.later_fragment || is_icmp_error(frame, headers)) return false;
  if (is_group_mac(frame.data()) || is_group_mac(frame.data() + kMac)) return false;
  const std::byte* const ip = frame.data() + headers.l3_offset;
  if (headers.l3 == L3::kIpv4) {
    constexpr std::uint16_t kDontFragment = 0x4000;
    return (load_be16(ip + 6) & kDontFragment) != 0 && is_one_ipv4_host(ip + 12) &&
           is_one_ipv4_host(ip + 16);
  }
  return headers.l3 == L3::kIpv6 && is_one_ipv6_host(ip + 8) && is_one_ipv6_host(ip + 24);
}

std::size_t write_too_big(std::span<const std::byte> frame, const Headers& headers,
                          std::uint16_t mtu, std::span<std::byte> to) noexcept {
  const bool v4 = headers.l3 == L3::kIpv4;
  const std::size_t ip_size = v4 ? kIpv4 : kIpv6;
  const std::span<const std::byte> about = ip_packet(frame, headers);
  const std::size_t quoted =
      std::min(about.size(), (v4 ? kAnswerMaxIpv4 : kAnswerMaxIpv6) - ip_size - kIcmp);
  const std::size_t size = ip_size + kIcmp + quoted;
  const std::size_t l2_size = headers.l3_offset;
  if (to.size() < l2_size + size) return 0;
  std::memcpy(to.data(), frame.data() + kMac, kMac);
  std::memcpy(to.data() + kMac, frame.data(), kMac);
  std::memcpy(to.data() + 2 * kMac, frame.data() + 2 * kMac, l2_size - 2 * kMac);
  std::byte* const ip = to.data() + l2_size;
  std::byte* const icmp = ip + ip_size;
  std::memset(icmp, 0, kIcmp);
  if (v4) {
    write_ipv4(ip, about.data(), size);
    store_u8(icmp, 3);
    store_u8(icmp + 1, 4);
    store_be16(icmp + 6, std::max(mtu, kMtuMinIpv4));
  } else {
    write_ipv6(ip, about.data(), size);
    store_u8(icmp, 2);
    store_be32(icmp + 4, std::max(mtu, kMtuMinIpv6));
  }
  std::memcpy(icmp + kIcmp, about.data(), quoted);
  const std::span<std::byte> answer = to.first(l2_size + size);
  Headers made;
  made.l3 = headers.l3;
  made.l4 = v4 ? L4::kIcmp : L4::kIcmpv6;
  made.protocol = v4 ? 1 : 58;
  made.l3_offset = headers.l3_offset;
  made.l4_offset = static_cast<std::uint16_t>(l2_size + ip_size);
  made.payload_offset = static_cast<std::uint16_t>(made.l4_offset + kIcmp);
  made.payload_length = static_cast<std::uint16_t>(quoted);
  write_checksums(answer, made);
  return answer.size();
}

}  // namespace sluice

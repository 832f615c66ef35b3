#include "core/packet/checksum.hpp"

#include <array>

#include "core/packet/bytes.hpp"

namespace sluice {
namespace {

/// Adds with the carry brought round, so that the sum stays right modulo 2^64 - 1, and with it
/// modulo 2^16 - 1.
std::uint64_t add(std::uint64_t a, std::uint64_t b) {
  const std::uint64_t sum = a + b;
  return sum + (sum < a ? 1 : 0);
}

std::uint16_t fold(std::uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

/// The sum of the words as they lie in memory. The one's complement sum does not care for byte
/// order (RFC 1071, 2B): it is swapped once, at the end.
std::uint64_t sum_of(std::span<const std::byte> bytes) {
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  // Two chains of 32-bit words in 64-bit sums: no carry to bring round within 2^32 words.
  std::uint64_t even = 0;
  std::uint64_t odd = 0;
  for (; left >= 16; left -= 16, at += 16) {
    const auto first = load_native<std::uint64_t>(at);
    const auto second = load_native<std::uint64_t>(at + 8);
    even += (first & 0xffffffff) + (first >> 32);
    odd += (second & 0xffffffff) + (second >> 32);
  }
  std::uint64_t sum = add(even, odd);
  for (; left >= 4; left -= 4, at += 4) sum = add(sum, load_native<std::uint32_t>(at));
  if (left >= 2) {
    sum = add(sum, load_native<std::uint16_t>(at));
    at += 2;
    left -= 2;
  }
  if (left == 1) {
    const std::array<std::byte, 2> last{*at, std::byte{0}};
    sum = add(sum, load_native<std::uint16_t>(last.data()));
  }
  return sum;
}

constexpr std::uint32_t kCastagnoli = 0x82f63b78u;  // Reflected.

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kCastagnoli : 0);
    table[i] = crc;
  }
  return table;
}
constexpr auto kCrcTable = make_crc_table();

std::uint32_t crc_step(std::uint32_t crc, std::span<const std::byte> bytes) {
  for (const std::byte byte : bytes) {
    crc = (crc >> 8) ^ kCrcTable[(crc ^ std::to_integer<std::uint32_t>(byte)) & 0xff];
  }
  return crc;
}

/// All of L4, from its header to the end of its payload.
std::span<const std::byte> segment_of(std::span<const std::byte> frame, const Headers& headers) {
  const std::size_t end = std::size_t{headers.payload_offset} + headers.payload_length;
  return frame.subspan(headers.l4_offset, end - headers.l4_offset);
}

/// The sum, in memory order, of the pseudo header (RFC 9293, 3.1; RFC 8200, 8.1). Written as
/// big-endian words, so that it can be added to sum_of().
std::uint64_t pseudo_header_sum(std::span<const std::byte> frame, const Headers& headers,
                                std::size_t length) {
  if (headers.l4 == L4::kIcmp) return 0;
  const bool v4 = headers.l3 == L3::kIpv4;
  const std::span<const std::byte> addresses =
      v4 ? frame.subspan(headers.l3_offset + 12u, 8) : frame.subspan(headers.l3_offset + 8u, 32);
  std::array<std::byte, 8> rest{};
  store_be32(rest.data(), static_cast<std::uint32_t>(length));
  store_be32(rest.data() + 4, headers.protocol);
  return add(sum_of(addresses), sum_of(rest));
}

/// SCTP's checksum is computed with its own field as 0, and stored least significant byte first.
std::uint32_t sctp_checksum(std::span<const std::byte> segment) {
  constexpr std::array<std::byte, 4> zero{};
  std::uint32_t crc = crc_step(0xffffffff, segment.first(8));
  crc = crc_step(crc, zero);
  return ~crc_step(crc, segment.subspan(12));
}

std::uint16_t in_network_order(std::uint64_t sum) {
  return big_endian(fold(sum));
}

bool is_unverifiable(const Headers& headers) {
  return headers.fragment || headers.source_routed;
}

}  // namespace

std::uint16_t internet_checksum(std::span<const std::byte> bytes) noexcept {
  return static_cast<std::uint16_t>(~in_network_order(sum_of(bytes)));
}

std::uint32_t crc32c(std::span<const std::byte> bytes) noexcept {
  return ~crc_step(0xffffffff, bytes);
}

std::uint32_t crc32c_difference(std::span<const std::byte> change,
                                std::size_t byte_count_after) noexcept {
  std::uint32_t crc = crc_step(0, change);
  for (std::size_t i = 0; i < byte_count_after; ++i) crc = (crc >> 8) ^ kCrcTable[crc & 0xff];
  return crc;
}

std::uint16_t l4_checksum_offset(const Headers& headers) noexcept {
  switch (headers.l4) {
    case L4::kTcp:
      return static_cast<std::uint16_t>(headers.l4_offset + 16);
    case L4::kUdp:
      return static_cast<std::uint16_t>(headers.l4_offset + 6);
    case L4::kSctp:
      return static_cast<std::uint16_t>(headers.l4_offset + 8);
    case L4::kIcmp:
    case L4::kIcmpv6:
      return static_cast<std::uint16_t>(headers.l4_offset + 2);
    case L4::kNone:
    case L4::kOther:
      break;
  }
  return 0;
}

ChecksumState verify_l4_checksum(std::span<const std::byte> frame,
                                 const Headers& headers) noexcept {
  const std::uint16_t offset = l4_checksum_offset(headers);
  if (headers.later_fragment) return ChecksumState::kUnverifiable;
  if (offset == 0) return ChecksumState::kAbsent;
  if (headers.l4 == L4::kUdp && load_be16(frame.data() + offset) == 0) {
    return headers.l3 == L3::kIpv4 ? ChecksumState::kAbsent : ChecksumState::kWrong;
  }
  if (is_unverifiable(headers)) return ChecksumState::kUnverifiable;
  const auto segment = segment_of(frame, headers);
  bool right = false;
  if (headers.l4 == L4::kSctp) {
    right = load_le32(frame.data() + offset) == sctp_checksum(segment);
  } else {
    const auto sum = add(sum_of(segment), pseudo_header_sum(frame, headers, segment.size()));
    right = fold(sum) == 0xffff;
  }
  return right ? ChecksumState::kRight : ChecksumState::kWrong;
}

void write_checksums(std::span<std::byte> frame, const Headers& headers) noexcept {
  if (headers.l3 == L3::kIpv4) {
    std::byte* ip = frame.data() + headers.l3_offset;
    const std::size_t length = (load_u8(ip) & 0xfu) * 4u;
    store_be16(ip + 10, 0);
    store_be16(ip + 10, internet_checksum({ip, length}));
  }
  const std::uint16_t offset = l4_checksum_offset(headers);
  if (offset == 0 || is_unverifiable(headers)) return;
  const auto segment = segment_of(frame, headers);
  std::byte* field = frame.data() + offset;
  if (headers.l4 == L4::kSctp) {
    store_le32(field, sctp_checksum(segment));
    return;
  }
  store_be16(field, 0);
  const auto sum = add(sum_of(segment), pseudo_header_sum(frame, headers, segment.size()));
  auto checksum = static_cast<std::uint16_t>(~in_network_order(sum));
  if (checksum == 0 && headers.l4 == L4::kUdp) checksum = 0xffff;  // 0 would say: none computed.
  store_be16(field, checksum);
}

}  // namespace sluice

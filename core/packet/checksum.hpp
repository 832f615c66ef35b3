#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/packet/headers.hpp"

/// The internet checksum (RFC 1071), whole and by difference (RFC 1624), and the checksums of L4.
namespace sluice {

/// The checksum of `bytes` as it stands in a header: the complement of the one's complement sum of
/// its 16-bit words, an odd last byte padded with zero. Over bytes with a right checksum among
/// them: 0.
[[nodiscard]] std::uint16_t internet_checksum(std::span<const std::byte> bytes) noexcept;

/// The CRC32c (Castagnoli) of `bytes`, as SCTP uses it (RFC 9260, appendix A).
[[nodiscard]] std::uint32_t crc32c(std::span<const std::byte> bytes) noexcept;

/// What changes in the CRC32c of a message (exclusive or) when `change` is laid over (exclusive or)
/// some of its bytes, with `byte_count_after` bytes behind them. Cost: linear in both.
[[nodiscard]] std::uint32_t crc32c_difference(std::span<const std::byte> change,
                                              std::size_t byte_count_after) noexcept;

/// What a rewriting changes in an internet checksum: RFC 1624, equation 3, for any number of words.
///
/// A right checksum stays right, and a wrong one wrong by just as much, so that rewriting never
/// hides a damaged packet from its receiver. Values in host byte order, at even offsets of what is
/// summed.
class ChecksumDelta {
 public:
  constexpr void replace(std::uint16_t before, std::uint16_t after) noexcept {
    sum_ += std::uint32_t{static_cast<std::uint16_t>(~before)} + after;
  }
  constexpr void replace(std::uint32_t before, std::uint32_t after) noexcept {
    replace(static_cast<std::uint16_t>(before >> 16), static_cast<std::uint16_t>(after >> 16));
    replace(static_cast<std::uint16_t>(before), static_cast<std::uint16_t>(after));
  }
  /// The checksum `checksum` after all replacements.
  [[nodiscard]] constexpr std::uint16_t apply(std::uint16_t checksum) const noexcept {
    std::uint64_t sum = sum_ + static_cast<std::uint16_t>(~checksum);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
  }

 private:
  std::uint64_t sum_ = 0;
};

enum class ChecksumState : std::uint8_t {
  kRight,
  kWrong,
  kAbsent,  ///< None computed: UDP over IPv4 with 0 (RFC 768), no L4, or one without a checksum.
  kUnverifiable,  ///< Not all of what it covers is here: a fragment, or a source-routed packet.
};

/// Verifies the L4 checksum of a parsed frame: TCP, UDP, ICMP, ICMPv6, SCTP. UDP over IPv6 with
/// checksum 0 is kWrong (RFC 8200, 8.1). Cost: reads the whole payload.
[[nodiscard]] ChecksumState verify_l4_checksum(std::span<const std::byte> frame,
                                               const Headers& headers) noexcept;

/// Computes the IPv4 header checksum and the L4 checksum of a parsed frame anew, for who makes or
/// fills packets. L4 is left alone where verify_l4_checksum would say kUnverifiable, or there is
/// none.
void write_checksums(std::span<std::byte> frame, const Headers& headers) noexcept;

/// Where the L4 checksum of a parsed frame lies; 0: it has none. SCTP's is a CRC32c of 4 bytes, the
/// others are of 2.
[[nodiscard]] std::uint16_t l4_checksum_offset(const Headers& headers) noexcept;

}  // namespace sluice

// link: sluice::packet

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/check.hpp"
#include "core/packet/bytes.hpp"
#include "core/packet/checksum.hpp"

/// F16: checksums by difference against checksums anew, and both against plain loops.
namespace sluice {
namespace {

/// RFC 1071 as it stands there.
std::uint16_t plain_checksum(std::span<const std::byte> bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = std::to_integer<std::uint32_t>(bytes[i]);
    sum += i % 2 == 0 ? byte << 8 : byte;
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<std::uint16_t>(~sum);
}

std::uint32_t plain_crc32c(std::span<const std::byte> bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const std::byte byte : bytes) {
    crc ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
  }
  return ~crc;
}

/// 0 and 0xffff are the same number to one's complement arithmetic.
bool same_sum(std::uint16_t a, std::uint16_t b) {
  return a % 0xffff == b % 0xffff;
}

/// `edits`, four bytes each: a place and a new word there. The checksum follows by difference; the
/// `error` that it had before, it has after.
void edit(std::vector<std::byte> message, std::span<const std::byte> edits, std::uint16_t error) {
  if (message.size() < 2) return;
  const std::uint16_t right = internet_checksum(message);
  SLUICE_CHECK(right == plain_checksum(message));
  ChecksumDelta delta;
  std::vector<std::byte> change(message.size());
  const std::uint32_t crc_before = crc32c(message);
  SLUICE_CHECK(crc_before == plain_crc32c(message));
  for (; edits.size() >= 4; edits = edits.subspan(4)) {
    const std::size_t at = load_be16(edits.data()) % (message.size() / 2) * 2;
    const std::uint16_t before = load_be16(&message[at]);
    const std::uint16_t after = load_be16(&edits[2]);
    delta.replace(before, after);
    store_be16(&message[at], after);
    store_be16(&change[at], static_cast<std::uint16_t>(load_be16(&change[at]) ^ before ^ after));
  }
  SLUICE_CHECK(same_sum(delta.apply(right), plain_checksum(message)));
  // One's complement: a wrong checksum is wrong by just as much as before.
  const auto add = [](std::uint16_t a, std::uint16_t b) {
    const std::uint32_t sum = std::uint32_t{a} + b;
    return static_cast<std::uint16_t>((sum & 0xffff) + (sum >> 16));
  };
  SLUICE_CHECK(same_sum(delta.apply(add(right, error)), add(delta.apply(right), error)));
  // The CRC, by the part that changed and what is behind it.
  std::size_t end = change.size();
  while (end > 0 && change[end - 1] == std::byte{0}) --end;
  const std::uint32_t difference =
      crc32c_difference(std::span{change}.first(end), change.size() - end);
  SLUICE_CHECK((crc_before ^ difference) == plain_crc32c(message));
}

}  // namespace
}  // namespace sluice

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4 || size > 10000) return 0;
  const auto all = std::as_bytes(std::span{data, size});
  const std::size_t edit_bytes = std::min<std::size_t>(data[0] % 17 * 4u, size - 3);
  const auto error = sluice::load_be16(&all[1]);
  const auto edits = all.subspan(3, edit_bytes);
  const auto message = all.subspan(3 + edit_bytes);
  sluice::edit({message.begin(), message.end()}, edits, error);
  return 0;
}

#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

/// Loads and stores of header fields at any address, with the byte order in their name.
///
/// Header fields lie unaligned (two VLAN tags, an odd option), so a cast to a wider pointer is
/// undefined; memcpy of a fixed size compiles to the same one instruction. The caller has checked
/// that the bytes are there.
namespace sluice {

template <std::unsigned_integral Word>
[[nodiscard]] constexpr Word byte_swap(Word word) noexcept {
  if constexpr (sizeof(Word) == 1) return word;
  if constexpr (sizeof(Word) == 2) return __builtin_bswap16(word);
  if constexpr (sizeof(Word) == 4) return __builtin_bswap32(word);
  if constexpr (sizeof(Word) == 8) return __builtin_bswap64(word);
}

/// From host order to network order or back.
template <std::unsigned_integral Word>
[[nodiscard]] constexpr Word big_endian(Word word) noexcept {
  return std::endian::native == std::endian::big ? word : byte_swap(word);
}

/// The bytes at `from` as they lie, in host order.
template <std::unsigned_integral Word>
[[nodiscard]] inline Word load_native(const std::byte* from) noexcept {
  Word word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

[[nodiscard]] inline std::uint8_t load_u8(const std::byte* from) noexcept {
  return std::to_integer<std::uint8_t>(*from);
}
[[nodiscard]] inline std::uint16_t load_be16(const std::byte* from) noexcept {
  return big_endian(load_native<std::uint16_t>(from));
}
[[nodiscard]] inline std::uint32_t load_be32(const std::byte* from) noexcept {
  return big_endian(load_native<std::uint32_t>(from));
}
[[nodiscard]] inline std::uint64_t load_be64(const std::byte* from) noexcept {
  return big_endian(load_native<std::uint64_t>(from));
}
[[nodiscard]] inline std::uint32_t load_le32(const std::byte* from) noexcept {
  return byte_swap(load_be32(from));
}
[[nodiscard]] inline std::uint64_t load_le64(const std::byte* from) noexcept {
  return byte_swap(load_be64(from));
}

inline void store_u8(std::byte* to, std::uint8_t value) noexcept {
  *to = std::byte{value};
}
inline void store_be16(std::byte* to, std::uint16_t value) noexcept {
  value = big_endian(value);
  std::memcpy(to, &value, sizeof value);
}
inline void store_be32(std::byte* to, std::uint32_t value) noexcept {
  value = big_endian(value);
  std::memcpy(to, &value, sizeof value);
}
inline void store_be64(std::byte* to, std::uint64_t value) noexcept {
  value = big_endian(value);
  std::memcpy(to, &value, sizeof value);
}
inline void store_le32(std::byte* to, std::uint32_t value) noexcept {
  store_be32(to, byte_swap(value));
}

}  // namespace sluice

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/packet/bytes.hpp"
#include "core/packet/flow_key.hpp"
#include "core/packet/packed_key.hpp"
#include "core/units.hpp"

namespace sluice {

/// A keyed hash of flow keys, made ready for many of them.
///
/// It is NH (Black, Halevi, Krawczyk, Krovetz, Rogaway: "UMAC: Fast and Secure Message
/// Authentication", CRYPTO 1999): the sum of products of (word + key word), which for two fixed
/// inputs collides with probability 2^-64 over independent key words. The 128 bits are then folded
/// to 64 by two keyed multiplications, so that all output bits are good for an index. The key words
/// come from the two of HashKey by rotation and addition: not independent, so the bound is a
/// reason, not a proof.
class FlowHash {
 public:
  explicit FlowHash(const HashKey& key) noexcept;

  [[nodiscard]] std::uint64_t operator()(const FlowKey& key) const noexcept {
    const auto* bytes = reinterpret_cast<const std::byte*>(&key);
    const auto word = [&](std::size_t i) { return load_native<std::uint64_t>(bytes + 8 * i); };
    return finish(pair(0, word(0), word(1)) + pair(2, word(2), word(3)) +
                  pair(4, word(4), word(5)));
  }
  /// Another one than that of the same FlowKey, folded once only: enough for an index that looks at
  /// the keys themselves in the end. Does not read the rest of a key that has none.
  [[nodiscard]] std::uint64_t operator()(const PackedKey& key) const noexcept {
    Uint128 sum = pair(0, key.first[0], key.first[1]);
    if (key.has_rest()) [[unlikely]] {
      sum += pair(2, key.rest[0], key.rest[1]) + pair(4, key.rest[2], key.rest[3]);
    }
    return fold_once(sum);
  }
  /// Of the two addresses alone, and the same in both directions.
  [[nodiscard]] std::uint64_t symmetric(const FlowKey& key) const noexcept;

 private:
  /// One product of NH, with the key words `i` and `i` + 1.
  [[nodiscard]] Uint128 pair(std::size_t i, std::uint64_t a, std::uint64_t b) const noexcept {
    return static_cast<Uint128>(a + key_[i]) * (b + key_[i + 1]);
  }
  [[nodiscard]] static std::uint64_t fold(std::uint64_t a, std::uint64_t b) noexcept {
    const Uint128 wide = static_cast<Uint128>(a) * b;
    return static_cast<std::uint64_t>(wide) ^ static_cast<std::uint64_t>(wide >> 64);
  }
  [[nodiscard]] std::uint64_t fold_once(Uint128 sum) const noexcept {
    return fold(static_cast<std::uint64_t>(sum) ^ key_[3],
                static_cast<std::uint64_t>(sum >> 64) ^ fold_key_);
  }
  [[nodiscard]] std::uint64_t finish(Uint128 sum) const noexcept {
    const std::uint64_t mixed = fold_once(sum);
    return fold(mixed ^ key_[5], mixed ^ last_key_);
  }

  std::array<std::uint64_t, 6> key_;
  std::uint64_t fold_key_;
  std::uint64_t last_key_;
};

}  // namespace sluice

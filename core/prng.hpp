#pragma once

#include <array>
#include <cstdint>

#include "core/units.hpp"

namespace sluice {

/// A seeded source of random numbers: xoshiro256** (Blackman and Vigna, 2018), seeded by
/// splitmix64.
///
/// Not std::mt19937_64, because the standard's distributions differ between libraries and a result
/// must not. Not for secrets. One per user that must be independent: see fork().
class Prng {
 public:
  explicit constexpr Prng(std::uint64_t seed) {
    for (auto& word : state_) {
      seed += 0x9e3779b97f4a7c15u;
      std::uint64_t z = seed;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
      word = z ^ (z >> 31);
    }
  }

  constexpr std::uint64_t next() {
    const std::uint64_t result = rotate(state_[1] * 5, 7) * 9;
    const std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = rotate(state_[3], 45);
    return result;
  }

  /// Uniform in [0, limit); 0 when `limit` is 0. Lemire's multiplication, bias below 2^-32 for
  /// limits below 2^32.
  constexpr std::uint64_t below(std::uint64_t limit) {
    return static_cast<std::uint64_t>((static_cast<Uint128>(next()) * limit) >> 64);
  }

  /// A generator of its own stream, so that one user's draws do not shift another's.
  constexpr Prng fork(std::uint64_t stream) {
    return Prng{next() ^ (stream * 0xd1342543de82ef95u)};
  }

 private:
  static constexpr std::uint64_t rotate(std::uint64_t x, int k) {
    return (x << k) | (x >> (64 - k));
  }
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace sluice

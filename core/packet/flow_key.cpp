#include "core/packet/flow_key.hpp"

#include <cstddef>
#include <utility>

#include "core/packet/bytes.hpp"
#include "core/packet/flow_hash.hpp"

namespace sluice {
namespace {

constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15u;

constexpr std::uint64_t rotate(std::uint64_t x, int k) {
  return (x << k) | (x >> (64 - k));
}

}  // namespace

FlowHash::FlowHash(const HashKey& key) noexcept
    : key_{key.low,
           key.high,
           rotate(key.low, 23) + key.high,
           rotate(key.high, 41) ^ key.low,
           rotate(key.low, 47) - key.high,
           rotate(key.high, 11) + key.low + kGolden},
      fold_key_(key_[4] ^ 0xa0761d6478bd642fu),
      last_key_(key_[2] ^ 0xe7037ed1a0b428dbu) {}

std::uint64_t FlowHash::symmetric(const FlowKey& key) const noexcept {
  const auto* source = reinterpret_cast<const std::byte*>(key.source.data());
  const auto* destination = reinterpret_cast<const std::byte*>(key.destination.data());
  // In order of their value, both directions are the same four words, and no information is lost,
  // as it would be in a sum or exclusive or of the addresses.
  auto first = static_cast<Uint128>(load_be64(source)) << 64 | load_be64(source + 8);
  auto second = static_cast<Uint128>(load_be64(destination)) << 64 | load_be64(destination + 8);
  if (second < first) std::swap(first, second);
  const auto low = [](Uint128 x) { return static_cast<std::uint64_t>(x); };
  const auto high = [](Uint128 x) { return static_cast<std::uint64_t>(x >> 64); };
  return finish(pair(0, high(first), low(first)) + pair(2, high(second), low(second)));
}

std::uint64_t hash(const FlowKey& key, const HashKey& hash_key) noexcept {
  return FlowHash{hash_key}(key);
}

std::uint64_t hash_symmetric(const FlowKey& key, const HashKey& hash_key) noexcept {
  return FlowHash{hash_key}.symmetric(key);
}

}  // namespace sluice

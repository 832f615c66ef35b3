#include "core/chain/maglev.hpp"

#include <algorithm>

#include "core/check.hpp"

namespace sluice {
namespace {

bool is_prime(std::uint32_t number) {
  if (number < 2) return false;
  for (std::uint32_t divisor = 2; divisor * divisor <= number; ++divisor) {
    if (number % divisor == 0) return false;
  }
  return true;
}

/// A keyed hash of a member and which of its two numbers is wanted.
std::uint64_t hash_of(std::uint16_t id, std::uint32_t purpose, const HashKey& hash_key) {
  FlowKey key;
  key.source[0] = static_cast<std::uint8_t>(id);
  key.source[1] = static_cast<std::uint8_t>(id >> 8);
  key.reserved = purpose;
  return hash(key, hash_key);
}

/// Which places are taken: a bit each, so that the whole stays in the first-level cache.
class Places {
 public:
  explicit Places(std::uint32_t size) : words_(size / 64 + 1) {}
  [[nodiscard]] bool taken(std::uint32_t place) const {
    return (words_[place / 64] >> (place % 64) & 1) != 0;
  }
  void take(std::uint32_t place) { words_[place / 64] |= std::uint64_t{1} << (place % 64); }

 private:
  std::vector<std::uint64_t> words_;
};

}  // namespace

MaglevTable::MaglevTable(std::span<const MaglevMember> members, std::uint32_t size,
                         const HashKey& hash_key) {
  SLUICE_CHECK(size <= kSizeMax && is_prime(size));
  if (members.empty()) return;
  std::vector<MaglevMember> sorted(members.begin(), members.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const MaglevMember& a, const MaglevMember& b) { return a.id < b.id; });
  std::vector<Permutation> permutations;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    SLUICE_CHECK(sorted[i].id != kNoMember && (i == 0 || sorted[i - 1].id != sorted[i].id));
    const std::uint64_t offset = hash_of(sorted[i].id, 1, hash_key) % size;
    const std::uint64_t skip = hash_of(sorted[i].id, 2, hash_key) % (size - 1) + 1;
    permutations.push_back({.offset = static_cast<std::uint32_t>(offset),
                            .skip = static_cast<std::uint32_t>(skip),
                            .weight = sorted[i].weight});
  }
  table_ = populate(permutations, size);
  for (std::uint16_t& member : table_) member = sorted[member].id;
}

std::vector<std::uint16_t> MaglevTable::populate(std::span<const Permutation> members,
                                                 std::uint32_t size) {
  SLUICE_CHECK(!members.empty() && members.size() < kNoMember);
  std::uint32_t weight_max = 0;
  std::vector<std::uint32_t> next;  // The place that a member wants next.
  for (const Permutation& member : members) {
    SLUICE_CHECK(member.offset < size && member.skip >= 1 && member.skip < size);
    SLUICE_CHECK(member.weight >= 1 && member.weight <= kWeightMax);
    weight_max = std::max(weight_max, member.weight);
    next.push_back(member.offset);
  }
  std::vector<std::uint32_t> credit(members.size(), 0);
  std::vector<std::uint16_t> table(size);
  Places places{size};
  for (std::uint32_t filled = 0;;) {
    for (std::size_t i = 0; i < members.size(); ++i) {
      // The heaviest have a turn each round, the others as often as their weight allows.
      credit[i] += members[i].weight;
      if (credit[i] < weight_max) continue;
      credit[i] -= weight_max;
      const std::uint32_t skip = members[i].skip;
      std::uint32_t place = next[i];
      const auto step = [&] {
        place += skip;
        place -= place >= size ? size : 0;
      };
      while (places.taken(place)) step();
      places.take(place);
      table[place] = static_cast<std::uint16_t>(i);
      if (++filled == size) return table;
      step();
      next[i] = place;
    }
  }
}

}  // namespace sluice

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/packet/flow_key.hpp"

namespace sluice {

struct MaglevMember {
  std::uint16_t id = 0xffff;
  std::uint32_t weight = 1;  ///< 1 to MaglevTable::kWeightMax; shares are in proportion.
};

/// Consistent hashing by a lookup table: Eisenbud et al., "Maglev", NSDI 2016, section 3.4.
///
/// Each member has its own permutation of the table's places, and the members in turn take the next
/// free place of theirs. So all get nearly equal shares, and when a member comes or goes, few
/// places of the others change. Weights as in the paper: a member with half the weight has half the
/// turns. The table depends on the members' ids and weights and the hash key, not on their order.
class MaglevTable {
 public:
  /// The paper's choice: a prime at least 100 times the members, so that shares differ by about 1
  /// %.
  static constexpr std::uint32_t kSizeDefault = 65537;
  static constexpr std::uint32_t kSizeMax = 1u << 24;
  static constexpr std::uint16_t kNoMember = 0xffff;

  static constexpr std::uint32_t kWeightMax = 1u << 16;

  /// The order in which one member wants the places: offset, offset + skip, ... modulo the size.
  struct Permutation {
    std::uint32_t offset = 0;  ///< Below the size.
    std::uint32_t skip = 1;    ///< 1 to size - 1.
    std::uint32_t weight = 1;
  };

  /// A table without members.
  MaglevTable() = default;
  /// Ids are distinct and not kNoMember, `size` is a prime up to kSizeMax (checked). Hosts that
  /// must choose alike have equal hash keys. Allocates; takes about a millisecond for 1,000 members
  /// at the default size.
  explicit MaglevTable(std::span<const MaglevMember> members, std::uint32_t size = kSizeDefault,
                       const HashKey& hash_key = {});

  /// The member for a hash of what should stay together; kNoMember if there are no members.
  [[nodiscard]] std::uint16_t lookup(std::uint64_t hash) const noexcept {
    if (table_.empty()) return kNoMember;
    return table_[((hash >> 32) * table_.size()) >> 32];
  }
  /// The member of each place.
  [[nodiscard]] std::span<const std::uint16_t> table() const noexcept { return table_; }

  /// The paper's algorithm itself: which permutation, by its number, has each of `size` places.
  [[nodiscard]] static std::vector<std::uint16_t> populate(std::span<const Permutation> members,
                                                           std::uint32_t size);

 private:
  std::vector<std::uint16_t> table_;
};

}  // namespace sluice

#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/check.hpp"
#include "core/packet/flow_key.hpp"
#include "core/units.hpp"

namespace sluice {

/// A map from flow keys to a function's own state, with a fixed number of entries.
///
/// All memory is taken at construction. Entries stand in one of kListCount lists, each ordered by
/// when they were last seen, so that states with different time limits each expire in O(1) per
/// entry. Keyed hash, so that nobody outside can aim flows at one bucket. Iteration is by list,
/// then oldest first: the same on every machine.
template <class Value>
class FlowMap {
 public:
  static constexpr std::uint32_t kListCount = 4;

  struct Entry {
    FlowKey key;
    Instant seen{};
    Value value{};
    std::uint32_t list = 0;

   private:
    friend class FlowMap;
    std::uint32_t chain = kNone;  // The next entry of its bucket, or of the free list.
    std::uint32_t older = kNone;
    std::uint32_t newer = kNone;
  };

  explicit FlowMap(std::uint32_t flow_count_max)
      : entries_(flow_count_max),
        buckets_(std::bit_ceil(std::max<std::size_t>(std::size_t{flow_count_max}, 2)), kNone) {
    SLUICE_CHECK(flow_count_max < kNone);
    for (std::uint32_t i = flow_count_max; i-- > 0;) push_free(i);
  }

  /// Changes the hash key; entries stay. Costs O(capacity).
  void rekey(const HashKey& hash_key) noexcept {
    hash_key_ = hash_key;
    std::fill(buckets_.begin(), buckets_.end(), kNone);
    for (std::uint32_t list = 0; list < kListCount; ++list) {
      for (std::uint32_t i = oldest_[list]; i != kNone; i = entries_[i].newer) link_bucket(i);
    }
  }

  /// Marks all entries as seen at `now`, in their order: for states that came before any time was
  /// known.
  void restamp(Instant now) noexcept {
    for (std::uint32_t list = 0; list < kListCount; ++list) {
      for (std::uint32_t i = oldest_[list]; i != kNone; i = entries_[i].newer) {
        entries_[i].seen = now;
      }
    }
  }

  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  [[nodiscard]] std::uint32_t capacity() const noexcept {
    return static_cast<std::uint32_t>(entries_.size());
  }

  /// The entry of `key`, valid until it is erased; null if absent.
  [[nodiscard]] Entry* find(const FlowKey& key) noexcept {
    for (std::uint32_t i = buckets_[bucket_of(key)]; i != kNone; i = entries_[i].chain) {
      if (entries_[i].key == key) return &entries_[i];
    }
    return nullptr;
  }

  /// Adds `key`, which must be absent, as the newest of `list`, with a Value as constructed.
  /// @return Its entry; null when the map is full.
  Entry* insert(const FlowKey& key, std::uint32_t list, Instant now) noexcept {
    if (free_ == kNone) return nullptr;
    const std::uint32_t index = free_;
    Entry& entry = entries_[index];
    free_ = entry.chain;
    entry.key = key;
    entry.seen = now;
    entry.value = Value{};
    entry.list = list;
    link_bucket(index);
    link_newest(index);
    ++size_;
    return &entry;
  }

  /// Marks an entry as seen and makes it the newest of `list`.
  void touch(Entry& entry, std::uint32_t list, Instant now) noexcept {
    const std::uint32_t index = index_of_entry(entry);
    entry.seen = now;
    if (entry.list == list && newest_[list] == index) return;
    unlink_list(index);
    entry.list = list;
    link_newest(index);
  }

  void erase(Entry& entry) noexcept {
    const std::uint32_t index = index_of_entry(entry);
    std::uint32_t* link = &buckets_[bucket_of(entry.key)];
    while (*link != index) link = &entries_[*link].chain;
    *link = entry.chain;
    unlink_list(index);
    push_free(index);
    --size_;
  }

  /// The entry of `list` that was not seen for longest; null if the list is empty.
  [[nodiscard]] Entry* oldest(std::uint32_t list) noexcept {
    return oldest_[list] == kNone ? nullptr : &entries_[oldest_[list]];
  }

  /// Calls `visit(const Entry&)` for all: by list, then oldest first.
  template <class Visit>
  void for_each(Visit visit) const {
    for (std::uint32_t list = 0; list < kListCount; ++list) {
      for (std::uint32_t i = oldest_[list]; i != kNone; i = entries_[i].newer) visit(entries_[i]);
    }
  }

 private:
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  [[nodiscard]] std::size_t bucket_of(const FlowKey& key) const noexcept {
    return hash(key, hash_key_) & (buckets_.size() - 1);
  }
  [[nodiscard]] std::uint32_t index_of_entry(const Entry& entry) const noexcept {
    return static_cast<std::uint32_t>(&entry - entries_.data());
  }
  void push_free(std::uint32_t index) noexcept {
    entries_[index].chain = free_;
    free_ = index;
  }
  void link_bucket(std::uint32_t index) noexcept {
    std::uint32_t& head = buckets_[bucket_of(entries_[index].key)];
    entries_[index].chain = head;
    head = index;
  }
  void link_newest(std::uint32_t index) noexcept {
    Entry& entry = entries_[index];
    entry.older = newest_[entry.list];
    entry.newer = kNone;
    (entry.older == kNone ? oldest_[entry.list] : entries_[entry.older].newer) = index;
    newest_[entry.list] = index;
  }
  void unlink_list(std::uint32_t index) noexcept {
    const Entry& entry = entries_[index];
    (entry.older == kNone ? oldest_[entry.list] : entries_[entry.older].newer) = entry.newer;
    (entry.newer == kNone ? newest_[entry.list] : entries_[entry.newer].older) = entry.older;
  }

  std::vector<Entry> entries_;
  std::vector<std::uint32_t> buckets_;
  std::array<std::uint32_t, kListCount> oldest_{kNone, kNone, kNone, kNone};
  std::array<std::uint32_t, kListCount> newest_{kNone, kNone, kNone, kNone};
  HashKey hash_key_;
  std::uint32_t free_ = kNone;
  std::uint32_t size_ = 0;
};

}  // namespace sluice

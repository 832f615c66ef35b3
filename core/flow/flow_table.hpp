#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "core/flow/pin.hpp"
#include "core/packet/flow_hash.hpp"
#include "core/packet/flow_key.hpp"
#include "core/packet/packed_key.hpp"
#include "core/units.hpp"

namespace sluice {

/// No slot: the key is absent, or there is no room.
inline constexpr std::uint32_t kNoSlot = 0xffffffff;

/// What a worker remembers of a flow, beside its key and pins. The table touches only last_seen_ns.
struct FlowEntry {
  std::uint64_t last_seen_ns = 0;  ///< Of Instant; set by insert() and lookup().
  std::uint32_t sticky_tag = 0;    ///< Labels that hold for the rest of the flow.
  std::uint16_t chain = 0xffff;    ///< Index of its chain version.
  std::uint8_t flags = 0;          ///< The worker's own.
  std::uint8_t reserved = 0;
  std::uint32_t peer = kNoSlot;  ///< Slot of the other direction.
};

/// Maps a flow key to the state of its flow, for one worker.
///
/// Capacity is fixed and taken at start, so a SYN flood costs drops, never latency: a full table
/// refuses new flows and keeps the old. Slots are stable: a flow keeps its number from insert() to
/// erase(), and packets carry it. A freed slot rests, so that a packet of the old flow still under
/// way does not meet a new one.
///
/// How it is fast: an index of 64-byte buckets holds 12 signatures of 8 bits and 12 slot numbers,
/// so a lookup costs one line of the index and one of the slot, both prefetched for the whole
/// batch. The index is twice as large as the capacity; a bucket that was ever full counts what went
/// on to the next ones, so a miss seldom looks further. Idle flows are found by a wheel of lists
/// ordered by when a flow could end. A packet does not move its flow there; a flow that was seen
/// since is put back when its turn comes. `now` never goes back (checked). Not thread-safe.
class FlowTable {
 public:
  static constexpr std::uint32_t kFlowCountMax = 1u << 22;  ///< The slots that FlowId can name.
  static constexpr std::uint32_t kPinCountMax = 254;
  static constexpr std::size_t kBatchMax = 32;
  static constexpr std::size_t kAlignment = 64;

  struct Options {
    std::uint32_t flow_count_max = 1u << 16;          ///< 1 to kFlowCountMax.
    Duration idle_timeout = std::chrono::seconds{5};  ///< Unseen for so long: ends. Above 0.
    Duration closing_time = std::chrono::seconds{1};  ///< From close() to the end. Above 0.
    Duration rest_time = std::chrono::seconds{1};     ///< Before a freed slot is used again.
    std::uint32_t pin_count_max = 8;                  ///< Pins a flow; at most kPinCountMax.
    HashKey hash_key{};
  };

  /// Takes all memory now and touches it. Options out of range are our mistake (checked).
  explicit FlowTable(const Options& options);
  /// The same in memory that the caller gives and keeps, e.g. of huge pages: at least
  /// storage_bytes(options), aligned to kAlignment.
  FlowTable(const Options& options, std::span<std::byte> storage);
  FlowTable(const FlowTable&) = delete;
  FlowTable& operator=(const FlowTable&) = delete;

  [[nodiscard]] static std::size_t storage_bytes(const Options& options);

  /// Finds the slots of `keys`, kNoSlot where absent, and marks the found ones seen. `slots` has
  /// the size of `keys`. Fastest with whole batches.
  void lookup(std::span<const FlowKey> keys, std::span<std::uint32_t> slots, Instant now) noexcept;
  void lookup(std::span<const PackedKey> keys, std::span<std::uint32_t> slots,
              Instant now) noexcept;

  // The same in steps, for who has the keys packed and something to do in between: prepare() for
  // each, guess() for all, confirm() for each.

  /// A key on its way through a lookup.
  struct alignas(kAlignment) Query {
    PackedKey key;
    std::uint32_t bucket;     ///< Of the index, where the key belongs.
    std::uint32_t signature;  ///< Under which it stands there: a byte that is not 0, four times.
    std::uint32_t slot;       ///< After guess(): where it is, if anywhere and no other is like it.
    std::uint32_t note;       ///< The caller's own.
  };
  static_assert(sizeof(Query) == 64);

  /// Works out where the key belongs, and starts to fetch that.
  void prepare(Query& query) const noexcept {
    const std::uint64_t hash = hash_(query.key);
    const auto bucket = static_cast<std::uint64_t>((Uint128{hash} * bucket_count_) >> 64);
    const auto low = static_cast<std::uint8_t>(hash);
    query.bucket = static_cast<std::uint32_t>(bucket);
    query.signature = (low + std::uint32_t{low == 0}) * 0x01010101u;
    __builtin_prefetch(&buckets_[bucket]);
  }
  /// Guesses the slots of prepared queries, and starts to fetch them.
  void guess(std::span<Query> queries, Instant now) noexcept;
  /// The slot of a guessed query, if nothing was erased since; kNoSlot if it was absent then. Marks
  /// it seen at that time.
  [[nodiscard]] std::uint32_t confirm(const Query& query) noexcept {
    std::uint32_t slot = query.slot;
    if (slot == kNoSlot || !is_of(slot_at(slot), query.key)) [[unlikely]] {
      if (slot == kNoSlot && buckets_[query.bucket].passed_on == 0) return kNoSlot;
      slot = find(query);
      if (slot == kNoSlot) return kNoSlot;
    }
    slot_at(slot).entry.last_seen_ns = now_ns_;
    return slot;
  }

  /// Adds `key`, which must be absent (checked), seen now, with a fresh entry and unset pins.
  /// @return Its slot; kNoSlot when the table is full or each free slot still rests: an outcome,
  /// not an error. Drop as DropReason::kTableFull.
  [[nodiscard]] std::uint32_t insert(const FlowKey& key, Instant now) noexcept;

  /// The parts of a live flow, valid until its erase(). Slots must be below capacity(). Between two
  /// flows a slot's entry is FlowEntry{}, so that an owner who sets `chain` can tell from it alone,
  /// in the line that he reads anyhow, whether the flow that he means is still there.
  [[nodiscard]] FlowEntry& entry(std::uint32_t slot) noexcept { return slot_at(slot).entry; }
  [[nodiscard]] const FlowEntry& entry(std::uint32_t slot) const noexcept {
    return slot_at(slot).entry;
  }
  [[nodiscard]] FlowKey key(std::uint32_t slot) const noexcept;
  [[nodiscard]] std::span<Pin> pins(std::uint32_t slot) noexcept {
    return {pins_of(slot_at(slot)), pin_count_max_};
  }
  [[nodiscard]] std::span<const Pin> pins(std::uint32_t slot) const noexcept {
    return {pins_of(slot_at(slot)), pin_count_max_};
  }
  /// The first of pins(), of which there is at least one; in the line of entry().
  [[nodiscard]] Pin first_pin(std::uint32_t slot) const noexcept { return *pins_of(slot_at(slot)); }
  /// Whether `slot`, any number, is that of a flow in the table.
  [[nodiscard]] bool live(std::uint32_t slot) const noexcept {
    return slot < capacity_ && slot_at(slot).previous != kNoSlot;
  }

  /// Lets a live flow end closing_time from now, whatever it still sees (TCP RST, or FIN both
  /// ways). A second call changes nothing.
  void close(std::uint32_t slot, Instant now) noexcept;
  /// Takes a close() back: the same ports are in use again before the flow was forgotten.
  void reopen(std::uint32_t slot) noexcept;
  /// Removes a live flow. Its slot rests.
  void erase(std::uint32_t slot, Instant now) noexcept;

  /// Writes into `out` which flows have ended (idle or closed), earliest first to within
  /// granularity(), after looking at no more than `budget` flows. The caller erases them; one that
  /// it leaves is looked at first by the next call, and lives on if its last_seen_ns was moved. A
  /// flow is reported at most granularity() late while calls are that frequent and the budget
  /// suffices.
  /// @return How many it wrote.
  [[nodiscard]] std::uint32_t expire(Instant now, std::uint32_t budget,
                                     std::span<std::uint32_t> out) noexcept;
  /// 1/128 of the longer of the idle and the closing time.
  [[nodiscard]] Duration granularity() const noexcept {
    return Duration{static_cast<std::int64_t>(tick_ns_)};
  }

  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  [[nodiscard]] std::uint32_t capacity() const noexcept { return capacity_; }
  /// All memory of the table.
  [[nodiscard]] std::size_t memory_bytes() const noexcept;

 private:
  static constexpr std::uint32_t kBucketSize = 12;
  static constexpr std::uint32_t kWheelSize = 256;
  static constexpr std::uint32_t kReported = kWheelSize;  ///< The list of reported flows.
  static constexpr std::uint32_t kListFlag = 0x80000000;  ///< A link to a list's head, not a slot.

  /// One line of the index. Signature 0: the place is empty.
  struct alignas(64) Bucket {
    std::array<std::uint8_t, kBucketSize> signatures;
    std::uint32_t passed_on;  ///< How many keys that belong here lie in later buckets.
    std::array<std::uint32_t, kBucketSize> slots;
  };
  static_assert(sizeof(Bucket) == 64);

  /// A flow; its pins follow, and then the rest of its key. What each packet of a plain flow needs,
  /// up to its first two pins, is one line.
  struct Slot {
    std::array<std::uint64_t, 2> first;  ///< PackedKey::first.
    FlowEntry entry;
    std::uint64_t until_ns;  ///< Closing: its end; free: the end of its rest; else kOpen.
    std::uint32_t previous;  ///< In one of lists_; kNoSlot: free.
    std::uint32_t next;      ///< In one of lists_, or of the free slots.
  };
  static_assert(sizeof(Slot) + 2 * sizeof(Pin) == kAlignment);

  static constexpr std::uint64_t kOpen = ~std::uint64_t{0};

  struct List {
    std::uint32_t first;
    std::uint32_t last;
  };
  struct Layout;  ///< Sizes of the parts of the storage.
  struct Free {
    void operator()(std::byte* bytes) const noexcept;
  };
  using Storage = std::unique_ptr<std::byte[], Free>;

  FlowTable(const Options& options, Storage owned);

  [[nodiscard]] Slot& slot_at(std::uint32_t slot) const noexcept {
    return *reinterpret_cast<Slot*>(slots_ + std::size_t{slot} * slot_bytes_);
  }
  [[nodiscard]] static Pin* pins_of(Slot& slot) noexcept {
    return reinterpret_cast<Pin*>(reinterpret_cast<std::byte*>(&slot) + sizeof(Slot));
  }
  [[nodiscard]] std::array<std::uint64_t, 4>& rest_of(Slot& slot) const noexcept {
    return *reinterpret_cast<std::array<std::uint64_t, 4>*>(reinterpret_cast<std::byte*>(&slot) +
                                                            rest_offset_);
  }
  [[nodiscard]] bool is_of(Slot& slot, const PackedKey& key) const noexcept {
    const std::uint64_t difference =
        (slot.first[0] ^ key.first[0]) | (slot.first[1] ^ key.first[1]);
    if (difference != 0) return false;
    return !key.has_rest() || rest_of(slot) == key.rest;  // Both have a rest or neither.
  }
  [[nodiscard]] std::uint32_t next_bucket(std::uint32_t bucket) const noexcept {
    return bucket + 1 == bucket_count_ ? 0 : bucket + 1;
  }

  [[nodiscard]] std::uint32_t find(const Query& query) const noexcept;
  [[nodiscard]] std::uint32_t find_in_later_buckets(const Query& query) const noexcept;
  void index_insert(const Query& query, std::uint32_t slot) noexcept;
  void index_erase(const Query& query, std::uint32_t slot) noexcept;
  [[nodiscard]] std::uint32_t take_free_slot(std::uint64_t now_ns) noexcept;

  [[nodiscard]] std::uint64_t due_ns(const Slot& slot) const noexcept;
  void wheel_add(std::uint32_t slot, std::uint64_t due_ns) noexcept;
  void list_append(std::uint32_t index, std::uint32_t slot) noexcept;
  void list_remove(std::uint32_t slot) noexcept;
  void advance_clock(Instant now) noexcept;

  // What a lookup reads, together.
  Bucket* buckets_ = nullptr;
  std::byte* slots_ = nullptr;
  std::uint64_t bucket_count_;
  std::size_t slot_bytes_;
  std::size_t rest_offset_;  ///< In a slot, of PackedKey::rest.
  FlowHash hash_;
  std::uint64_t now_ns_ = 0;

  std::uint32_t capacity_;
  std::uint32_t pin_count_max_;
  std::uint32_t size_ = 0;
  std::uint32_t unused_first_ = 0;  ///< Slots from here on were never used.
  List free_{kNoSlot, kNoSlot};     ///< In the order in which they were freed.
  std::uint64_t idle_ns_;
  std::uint64_t closing_ns_;
  std::uint64_t rest_ns_;
  std::uint64_t tick_ns_;
  std::uint64_t tick_done_ = 0;  ///< The wheel's lists up to this tick were emptied.
  /// The wheel: list t % kWheelSize has flows that cannot end before tick t - 1. Then kReported.
  std::vector<List> lists_;
  Storage owned_;
};

}  // namespace sluice

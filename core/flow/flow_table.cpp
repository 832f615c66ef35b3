#include "core/flow/flow_table.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "core/check.hpp"

namespace sluice {
namespace {

/// Large tables start at a huge page's boundary, so that a system with transparent huge pages can
/// use them.
constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

constexpr std::size_t round_up(std::size_t value, std::size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// Bit i: whether the i-th of the 12 signatures, which 4 other bytes follow, is the byte of which
/// `wanted` is four.
std::uint32_t places_with(const std::uint8_t* signatures, std::uint32_t wanted) noexcept {
#if defined(__SSE2__)
  const __m128i line = _mm_load_si128(reinterpret_cast<const __m128i*>(signatures));
  const __m128i equal = _mm_cmpeq_epi8(line, _mm_set1_epi32(static_cast<int>(wanted)));
  return static_cast<std::uint32_t>(_mm_movemask_epi8(equal)) & 0xfffu;
#else
  std::uint32_t places = 0;
  for (std::uint32_t i = 0; i < 12; ++i) {
    places |= static_cast<std::uint32_t>(signatures[i] == (wanted & 0xff)) << i;
  }
  return places;
#endif
}

std::uint64_t positive_ns(Duration duration) {
  SLUICE_CHECK(duration > Duration{0});
  return static_cast<std::uint64_t>(duration.count());
}

}  // namespace

struct FlowTable::Layout {
  explicit Layout(const Options& options) {
    SLUICE_CHECK(options.flow_count_max >= 1 && options.flow_count_max <= kFlowCountMax);
    SLUICE_CHECK(options.pin_count_max <= kPinCountMax);
    // Half full at most: only about 1 bucket in 100 overflows then.
    bucket_count = (std::size_t{options.flow_count_max} * 2 + kBucketSize - 1) / kBucketSize;
    rest_offset = round_up(sizeof(Slot) + options.pin_count_max * sizeof(Pin), 8);
    slot_bytes = round_up(rest_offset + sizeof(PackedKey::rest), kAlignment);
    size_bytes = bucket_count * sizeof(Bucket) + options.flow_count_max * slot_bytes;
  }
  std::size_t bucket_count;
  std::size_t rest_offset;
  std::size_t slot_bytes;
  std::size_t size_bytes;
};

void FlowTable::Free::operator()(std::byte* bytes) const noexcept {
  ::operator delete (bytes, std::align_val_t{kHugePageBytes});
}

std::size_t FlowTable::storage_bytes(const Options& options) {
  return Layout{options}.size_bytes;
}

FlowTable::FlowTable(const Options& options)
    : FlowTable(options, Storage{static_cast<std::byte*>(::operator new (
                             storage_bytes(options), std::align_val_t{kHugePageBytes}))}) {}

FlowTable::FlowTable(const Options& options, Storage owned)
    : FlowTable(options, std::span{owned.get(), storage_bytes(options)}) {
  owned_ = std::move(owned);
}

FlowTable::FlowTable(const Options& options, std::span<std::byte> storage)
    : bucket_count_(Layout{options}.bucket_count),
      slot_bytes_(Layout{options}.slot_bytes),
      rest_offset_(Layout{options}.rest_offset),
      hash_(options.hash_key),
      capacity_(options.flow_count_max),
      pin_count_max_(options.pin_count_max),
      idle_ns_(positive_ns(options.idle_timeout)),
      closing_ns_(positive_ns(options.closing_time)),
      rest_ns_(static_cast<std::uint64_t>(options.rest_time.count())),
      tick_ns_(std::max(idle_ns_, closing_ns_) / 128 + 1),
      lists_(kReported + 1) {
  SLUICE_CHECK(options.rest_time >= Duration{0});
  SLUICE_CHECK(reinterpret_cast<std::uintptr_t>(storage.data()) % kAlignment == 0);
  SLUICE_CHECK(storage.size() >= storage_bytes(options));
  std::memset(storage.data(), 0, storage_bytes(options));
  buckets_ = reinterpret_cast<Bucket*>(storage.data());
  slots_ = storage.data() + bucket_count_ * sizeof(Bucket);
  for (std::uint32_t i = 0; i < capacity_; ++i) {
    slot_at(i).previous = kNoSlot;
    slot_at(i).entry = FlowEntry{};
  }
  for (std::uint32_t i = 0; i <= kReported; ++i) lists_[i] = {kListFlag | i, kListFlag | i};
}

std::size_t FlowTable::memory_bytes() const noexcept {
  return sizeof *this + lists_.capacity() * sizeof(List) + bucket_count_ * sizeof(Bucket) +
         capacity_ * slot_bytes_;
}

// --- Lookup
// ---------------------------------------------------------------------------------------

void FlowTable::lookup(std::span<const FlowKey> keys, std::span<std::uint32_t> slots,
                       Instant now) noexcept {
  SLUICE_CHECK(slots.size() == keys.size());
  std::array<PackedKey, kBatchMax> packed;
  for (std::size_t begin = 0; begin < keys.size(); begin += kBatchMax) {
    const std::size_t count = std::min(kBatchMax, keys.size() - begin);
    for (std::size_t i = 0; i < count; ++i) packed[i] = pack(keys[begin + i]);
    lookup(std::span{packed}.first(count), slots.subspan(begin, count), now);
  }
}

void FlowTable::lookup(std::span<const PackedKey> keys, std::span<std::uint32_t> slots,
                       Instant now) noexcept {
  SLUICE_CHECK(slots.size() == keys.size());
  std::array<Query, kBatchMax> queries;
  for (std::size_t begin = 0; begin < keys.size(); begin += kBatchMax) {
    const std::size_t count = std::min(kBatchMax, keys.size() - begin);
    for (std::size_t i = 0; i < count; ++i) {
      queries[i].key = keys[begin + i];
      prepare(queries[i]);
    }
    guess(std::span{queries}.first(count), now);
    for (std::size_t i = 0; i < count; ++i) slots[begin + i] = confirm(queries[i]);
  }
}

void FlowTable::guess(std::span<Query> queries, Instant now) noexcept {
  advance_clock(now);
  constexpr std::uint32_t kLastPlace = 1u << (kBucketSize - 1);
  // Copies, for the compiler cannot know that the stores below do not change the originals.
  const Bucket* const buckets = buckets_;
  const std::byte* const first_slot = slots_;
  const std::size_t slot_bytes = slot_bytes_;
  const std::size_t rest_offset = rest_offset_;
  for (Query& query : queries) {
    const Bucket& bucket = buckets[query.bucket];
    const std::uint32_t places = places_with(bucket.signatures.data(), query.signature);
    // Without a candidate this fetches the slot of the last place: harmless, and spares a branch.
    const std::uint32_t slot =
        bucket.slots[static_cast<std::uint32_t>(std::countr_zero(places | kLastPlace))];
    query.slot = places == 0 ? kNoSlot : slot;
    const std::byte* const candidate = first_slot + slot * slot_bytes;
    __builtin_prefetch(candidate, 1);
    if (query.key.has_rest()) [[unlikely]] {
      __builtin_prefetch(candidate + rest_offset);
    }
  }
}

std::uint32_t FlowTable::find_in_later_buckets(const Query& query) const noexcept {
  std::uint32_t bucket = query.bucket;
  while (buckets_[bucket].passed_on != 0) {
    bucket = next_bucket(bucket);
    if (bucket == query.bucket) break;
    const Bucket& later = buckets_[bucket];
    std::uint32_t rest = places_with(later.signatures.data(), query.signature);
    for (; rest != 0; rest &= rest - 1) {
      const std::uint32_t candidate =
          later.slots[static_cast<std::uint32_t>(std::countr_zero(rest))];
      if (is_of(slot_at(candidate), query.key)) return candidate;
    }
  }
  return kNoSlot;
}

std::uint32_t FlowTable::find(const Query& query) const noexcept {
  const Bucket& bucket = buckets_[query.bucket];
  std::uint32_t rest = places_with(bucket.signatures.data(), query.signature);
  for (; rest != 0; rest &= rest - 1) {
    const std::uint32_t candidate =
        bucket.slots[static_cast<std::uint32_t>(std::countr_zero(rest))];
    if (is_of(slot_at(candidate), query.key)) return candidate;
  }
  return bucket.passed_on == 0 ? kNoSlot : find_in_later_buckets(query);
}

FlowKey FlowTable::key(std::uint32_t slot) const noexcept {
  return unpack({slot_at(slot).first, rest_of(slot_at(slot))});
}

// --- Insert and erase
// -----------------------------------------------------------------------------

std::uint32_t FlowTable::insert(const FlowKey& key, Instant now) noexcept {
  advance_clock(now);
  Query query;
  query.key = pack(key);
  prepare(query);
  SLUICE_CHECK(find(query) == kNoSlot);
  const std::uint32_t slot = take_free_slot(now_ns_);
  if (slot == kNoSlot) return kNoSlot;
  Slot& state = slot_at(slot);
  state.first = query.key.first;
  rest_of(state) = query.key.rest;
  state.entry = FlowEntry{.last_seen_ns = now_ns_};
  state.until_ns = kOpen;
  std::fill_n(pins_of(state), pin_count_max_, Pin{});
  index_insert(query, slot);
  if (size_ == 0) tick_done_ = now_ns_ / tick_ns_;  // All lists are empty.
  wheel_add(slot, due_ns(state));
  ++size_;
  return slot;
}

/// Slots that have rested come before ones never used, since they are warm in the cache.
std::uint32_t FlowTable::take_free_slot(std::uint64_t now_ns) noexcept {
  const std::uint32_t slot = free_.first;
  if (slot != kNoSlot && slot_at(slot).until_ns <= now_ns) {
    free_.first = slot_at(slot).next;
    if (free_.first == kNoSlot) free_.last = kNoSlot;
    return slot;
  }
  return unused_first_ < capacity_ ? unused_first_++ : kNoSlot;
}

void FlowTable::index_insert(const Query& query, std::uint32_t slot) noexcept {
  std::uint32_t bucket = query.bucket;
  std::uint32_t empty = places_with(buckets_[bucket].signatures.data(), 0);
  while (empty == 0) {  // Ends: there are twice as many places as slots.
    ++buckets_[bucket].passed_on;
    bucket = next_bucket(bucket);
    empty = places_with(buckets_[bucket].signatures.data(), 0);
  }
  const auto place = static_cast<std::uint32_t>(std::countr_zero(empty));
  buckets_[bucket].signatures[place] = static_cast<std::uint8_t>(query.signature);
  buckets_[bucket].slots[place] = slot;
}

void FlowTable::index_erase(const Query& query, std::uint32_t slot) noexcept {
  for (std::uint32_t bucket = query.bucket;; bucket = next_bucket(bucket)) {
    Bucket& here = buckets_[bucket];
    std::uint32_t rest = places_with(here.signatures.data(), query.signature);
    for (; rest != 0; rest &= rest - 1) {
      const auto place = static_cast<std::uint32_t>(std::countr_zero(rest));
      if (here.slots[place] != slot) continue;
      here.signatures[place] = 0;
      return;
    }
    SLUICE_CHECK(here.passed_on > 0);
    --here.passed_on;
  }
}

void FlowTable::erase(std::uint32_t slot, Instant now) noexcept {
  advance_clock(now);
  SLUICE_CHECK(live(slot));
  Slot& state = slot_at(slot);
  Query query;
  query.key = {state.first, rest_of(state)};
  prepare(query);
  index_erase(query, slot);
  list_remove(slot);
  state.entry = FlowEntry{};
  state.previous = kNoSlot;
  state.next = kNoSlot;
  state.until_ns = now_ns_ + rest_ns_;
  if (free_.last == kNoSlot) {
    free_.first = slot;
  } else {
    slot_at(free_.last).next = slot;
  }
  free_.last = slot;
  --size_;
}

// --- Time
// -----------------------------------------------------------------------------------------

void FlowTable::advance_clock(Instant now) noexcept {
  const std::uint64_t now_ns = to_ns(now);
  SLUICE_CHECK(now_ns >= now_ns_);
  now_ns_ = now_ns;
}

std::uint64_t FlowTable::due_ns(const Slot& slot) const noexcept {
  return slot.until_ns == kOpen ? slot.entry.last_seen_ns + idle_ns_ : slot.until_ns;
}

/// Puts a flow into the list of the first tick that begins at or after `due_ns`. One too far away
/// for the wheel goes into its last list, is looked at early, and put back.
void FlowTable::wheel_add(std::uint32_t slot, std::uint64_t due_ns) noexcept {
  const std::uint64_t tick =
      std::clamp((due_ns + tick_ns_ - 1) / tick_ns_, tick_done_ + 1, tick_done_ + kWheelSize - 1);
  list_append(static_cast<std::uint32_t>(tick % kWheelSize), slot);
}

void FlowTable::list_append(std::uint32_t index, std::uint32_t slot) noexcept {
  List& list = lists_[index];
  Slot& state = slot_at(slot);
  state.previous = list.last;
  state.next = kListFlag | index;
  if ((list.last & kListFlag) != 0) {
    list.first = slot;
  } else {
    slot_at(list.last).next = slot;
  }
  list.last = slot;
}

void FlowTable::list_remove(std::uint32_t slot) noexcept {
  const std::uint32_t previous = slot_at(slot).previous;
  const std::uint32_t next = slot_at(slot).next;
  if ((previous & kListFlag) != 0) {
    lists_[previous & ~kListFlag].first = next;
  } else {
    slot_at(previous).next = next;
  }
  if ((next & kListFlag) != 0) {
    lists_[next & ~kListFlag].last = previous;
  } else {
    slot_at(next).previous = previous;
  }
}

void FlowTable::close(std::uint32_t slot, Instant now) noexcept {
  advance_clock(now);
  SLUICE_CHECK(live(slot));
  Slot& state = slot_at(slot);
  if (state.until_ns != kOpen) return;
  state.until_ns = now_ns_ + closing_ns_;
  list_remove(slot);
  wheel_add(slot, state.until_ns);
}

void FlowTable::reopen(std::uint32_t slot) noexcept {
  SLUICE_CHECK(live(slot));
  slot_at(slot).until_ns = kOpen;  // The wheel finds it too early, and puts it back.
}

std::uint32_t FlowTable::expire(Instant now, std::uint32_t budget,
                                std::span<std::uint32_t> out) noexcept {
  advance_clock(now);
  const std::uint64_t tick_now = now_ns_ / tick_ns_;
  // After a long silence everything in the wheel is late, and whole turns can be left out.
  if (tick_now - tick_done_ >= 2 * kWheelSize) {
    tick_done_ += (tick_now - tick_done_ - kWheelSize) / kWheelSize * kWheelSize;
  }
  const auto out_size = static_cast<std::uint32_t>(std::min<std::size_t>(out.size(), capacity_));
  std::uint32_t count = 0;
  // A flow seen since it was put into its list may have ended too, but after those of later lists:
  // it goes there, to keep the order.
  const auto look_at = [&](std::uint32_t slot, std::uint64_t due_max_ns) {
    --budget;
    list_remove(slot);
    const std::uint64_t due = due_ns(slot_at(slot));
    if (due <= due_max_ns) {
      out[count++] = slot;
      list_append(kReported, slot);
    } else {
      wheel_add(slot, due);
    }
  };
  // First those that an earlier call reported and the caller left.
  const std::uint32_t last_reported = lists_[kReported].last;
  for (bool more = (last_reported & kListFlag) == 0; more && budget > 0 && count < out_size;) {
    const std::uint32_t slot = lists_[kReported].first;
    more = slot != last_reported;
    look_at(slot, now_ns_);
  }
  while (tick_done_ < tick_now) {
    const std::uint32_t slot = lists_[(tick_done_ + 1) % kWheelSize].first;
    if ((slot & kListFlag) != 0) {
      ++tick_done_;
      continue;
    }
    if (budget == 0 || count == out_size) break;
    look_at(slot, (tick_done_ + 1) * tick_ns_);
  }
  return count;
}

}  // namespace sluice

#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <type_traits>

#include "core/result.hpp"

namespace sluice {

/// What stands in the memory of a ring, before its elements. Both sides may be different processes.
///
/// The indices lie 128 bytes apart: processors fetch lines in pairs, so 64 would still let one
/// side's writes disturb the other.
struct alignas(64) RingHeader {
  static constexpr std::size_t kAlignment = 64;
  static constexpr std::uint32_t kCapacityMax = 1u << 24;

  std::uint64_t magic = 0;
  std::uint32_t element_size = 0;
  std::uint32_t capacity = 0;
  std::array<std::byte, 112> padding_0{};
  std::atomic<std::uint32_t> tail{0};  ///< Counts what was put in; the producer writes it.
  std::array<std::byte, 124> padding_1{};
  std::atomic<std::uint32_t> head{0};  ///< Counts what was taken; the consumer writes it.
  std::array<std::byte, 124> padding_2{};

  static_assert(std::atomic<std::uint32_t>::is_always_lock_free);
};
static_assert(sizeof(RingHeader) == 384);

/// A ring found in memory, with the values that were checked: the memory itself may change at any
/// moment, so they are not read again.
struct RingView {
  RingHeader* header = nullptr;
  std::uint32_t capacity = 0;
  std::uint32_t head = 0;
  std::uint32_t tail = 0;

  [[nodiscard]] static std::size_t bytes_needed(std::uint32_t capacity, std::size_t element_size);
  /// Writes an empty ring's header into `bytes`, its indices at `first_index`.
  [[nodiscard]] static RingView create(std::span<std::byte> bytes, std::uint32_t capacity,
                                       std::size_t element_size, std::uint32_t first_index);
  /// Finds a ring in `bytes`. The error says in words why there is none of this element size.
  [[nodiscard]] static Result<RingView, std::string> attach(std::span<std::byte> bytes,
                                                            std::size_t element_size);
};

/// One side's handle of a ring from one producer to one consumer: first in, first out, wait-free.
///
/// All of the ring lies in memory that the caller gives and keeps, so it may be shared between
/// processes. What a side believes of its own index, and the ring's size, it keeps in its handle
/// and never reads back: a hostile peer can lose or garble what is in the ring, but cannot make
/// this side read or write outside it. At any time one thread enqueues and one dequeues, by one
/// handle or by one each. size(), empty() and capacity() may be called from any thread. A handle
/// made by default has capacity 0: nothing goes in.
template <class T>
class SpscRing {
  static_assert(std::is_trivially_copyable_v<T>);
  static_assert(alignof(T) <= RingHeader::kAlignment);

 public:
  SpscRing() = default;

  /// How much memory a ring of `capacity` elements takes. `capacity` is a power of two, at most
  /// RingHeader::kCapacityMax.
  [[nodiscard]] static std::size_t bytes_needed(std::uint32_t capacity) {
    return RingView::bytes_needed(capacity, sizeof(T));
  }
  /// Makes an empty ring in `bytes`: at least bytes_needed(capacity), aligned to 64 (checked).
  /// `first_index` is where its indices start to count; tests start them short of their wrap.
  [[nodiscard]] static SpscRing create(std::span<std::byte> bytes, std::uint32_t capacity,
                                       std::uint32_t first_index = 0) {
    return SpscRing{RingView::create(bytes, capacity, sizeof(T), first_index)};
  }
  /// A handle of the ring that create() made in `bytes`, perhaps in another process. The side that
  /// it is for must not be in use by another handle. The error says in words what is wrong.
  [[nodiscard]] static Result<SpscRing, std::string> attach(std::span<std::byte> bytes) {
    const auto view = RingView::attach(bytes, sizeof(T));
    if (!view) return unexpected<std::string>{view.error()};
    return SpscRing{*view};
  }

  /// Producer: copies in the first of `elements`, as many as there is room for. @return How many.
  std::uint32_t enqueue(std::span<const T> elements) noexcept {
    const std::uint32_t tail = producer_.own;
    std::uint32_t room = capacity_ - (tail - producer_.peer);
    if (room < elements.size()) [[unlikely]] {
      room = refresh_room();
    }
    const auto count = static_cast<std::uint32_t>(std::min<std::size_t>(room, elements.size()));
    if (count == 0) return 0;
    const std::uint32_t begin = tail & mask_;
    const std::uint32_t straight = std::min(count, capacity_ - begin);
    copy(elements_ + begin, elements.data(), straight);
    if (straight < count) copy(elements_, elements.data() + straight, count - straight);
    producer_.own = tail + count;
    header_->tail.store(tail + count, std::memory_order_release);
    return count;
  }

  /// Consumer: copies the oldest elements out, up to the size of `out`. @return How many.
  std::uint32_t dequeue(std::span<T> out) noexcept {
    const std::uint32_t head = consumer_.own;
    std::uint32_t ready = consumer_.peer - head;
    if (ready < out.size()) {
      ready = refresh_ready();
    }
    const auto count = static_cast<std::uint32_t>(std::min<std::size_t>(ready, out.size()));
    if (count == 0) return 0;
    const std::uint32_t begin = head & mask_;
    const std::uint32_t straight = std::min(count, capacity_ - begin);
    copy(out.data(), elements_ + begin, straight);
    if (straight < count) copy(out.data() + straight, elements_, count - straight);
    consumer_.own = head + count;
    header_->head.store(head + count, std::memory_order_release);
    return count;
  }

  /// How many elements were in the ring a moment ago; never above capacity().
  [[nodiscard]] std::uint32_t size() const noexcept {
    if (header_ == nullptr) return 0;
    // In this order a difference is never negative: the head cannot pass the later tail.
    const std::uint32_t head = header_->head.load(std::memory_order_acquire);
    const std::uint32_t tail = header_->tail.load(std::memory_order_acquire);
    return std::min(tail - head, capacity_);
  }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  [[nodiscard]] std::uint32_t capacity() const noexcept { return capacity_; }

  /// Whether the peer's index was ever seen at an impossible value, which no honest peer writes.
  /// Such a value counts as "no room" and "nothing there". Ask from the side's own thread.
  [[nodiscard]] bool peer_misbehaved() const noexcept {
    return producer_.peer_misbehaved || consumer_.peer_misbehaved;
  }

 private:
  /// One side's own index, and the peer's as last read, which spares fetching its line each time.
  /// Apart from the other side's, for one handle may serve two threads.
  struct alignas(128) Side {
    std::uint32_t own = 0;
    std::uint32_t peer = 0;
    bool peer_misbehaved = false;
  };

  explicit SpscRing(const RingView& view)
      : header_(view.header),
        elements_(
            reinterpret_cast<T*>(reinterpret_cast<std::byte*>(view.header) + sizeof(RingHeader))),
        capacity_(view.capacity),
        mask_(view.capacity - 1),
        producer_{.own = view.tail, .peer = view.head},
        consumer_{.own = view.head, .peer = view.head} {}

  std::uint32_t refresh_room() noexcept {
    if (header_ == nullptr) return 0;
    const std::uint32_t head = header_->head.load(std::memory_order_acquire);
    if (producer_.own - head > capacity_) [[unlikely]] {
      producer_.peer_misbehaved = true;
    } else {
      producer_.peer = head;
    }
    return capacity_ - (producer_.own - producer_.peer);
  }

  std::uint32_t refresh_ready() noexcept {
    if (header_ == nullptr) return 0;
    const std::uint32_t tail = header_->tail.load(std::memory_order_acquire);
    if (tail - consumer_.own > capacity_) [[unlikely]] {
      consumer_.peer_misbehaved = true;
    } else {
      consumer_.peer = tail;
    }
    return consumer_.peer - consumer_.own;
  }

  static void copy(T* to, const T* from, std::uint32_t count) noexcept {
    std::memcpy(static_cast<void*>(to), from, std::size_t{count} * sizeof(T));
  }

  RingHeader* header_ = nullptr;
  T* elements_ = nullptr;
  std::uint32_t capacity_ = 0;
  std::uint32_t mask_ = 0;
  Side producer_;
  Side consumer_;
};

/// A ring with its memory, for two threads of one process. Moving it keeps handles valid.
template <class T>
class OwnedSpscRing {
 public:
  explicit OwnedSpscRing(std::uint32_t capacity)
      : size_bytes_(SpscRing<T>::bytes_needed(capacity)),
        bytes_(static_cast<std::byte*>(::operator new(size_bytes_, kAlign))),
        ring_(SpscRing<T>::create({bytes_.get(), size_bytes_}, capacity)) {}

  /// The one handle, which may serve both sides.
  [[nodiscard]] SpscRing<T>& ring() noexcept { return ring_; }
  [[nodiscard]] const SpscRing<T>& ring() const noexcept { return ring_; }
  /// The memory, for a second handle by SpscRing::attach.
  [[nodiscard]] std::span<std::byte> bytes() noexcept { return {bytes_.get(), size_bytes_}; }

 private:
  static constexpr std::align_val_t kAlign{alignof(RingHeader)};
  struct Free {
    void operator()(std::byte* bytes) const noexcept { ::operator delete(bytes, kAlign); }
  };

  std::size_t size_bytes_;
  std::unique_ptr<std::byte[], Free> bytes_;
  SpscRing<T> ring_;
};

}  // namespace sluice

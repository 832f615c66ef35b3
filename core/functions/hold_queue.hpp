#pragma once

#include <cstdint>
#include <vector>

#include "core/function/network_function.hpp"
#include "core/units.hpp"

namespace sluice {

/// Packets that a function holds, in order, each with the time from which it may go on.
///
/// All memory is taken at construction. It decides nothing: the owner says what is due.
class HoldQueue {
 public:
  explicit HoldQueue(std::uint32_t packet_count_max) : slots_(packet_count_max) {}

  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] bool full() const noexcept { return size_ == slots_.size(); }

  /// When the next packet may go on; Instant::max() when there is none.
  [[nodiscard]] Instant next_due() const noexcept {
    return size_ == 0 ? Instant::max() : slots_[head_].due;
  }

  /// Holds a packet of the current batch: keeps its descriptor, gives it Verdict::kHold. There must
  /// be room, and `due` must not lie before that of the packet ahead.
  void hold(Packet& packet, Instant due) noexcept {
    SLUICE_CHECK(!full() && (empty() || due >= last_due_));
    slots_[(head_ + size_) % slots_.size()] = {packet, due};
    ++size_;
    last_due_ = due;
    packet.hold();
  }

  /// The packet that goes next. There must be one.
  [[nodiscard]] const Packet& front() const noexcept { return slots_[head_].packet; }

  /// Releases the packet that goes next to the next step.
  /// @return Whether the context had room; if not, nothing happened.
  [[nodiscard]] bool release_front(Context& context) noexcept {
    Packet packet = slots_[head_].packet;
    packet.next();
    if (!context.release(packet)) return false;
    head_ = (head_ + 1) % slots_.size();
    --size_;
    return true;
  }

  /// Releases to the next step, in order, what is due by `context.now()`, as far as the context has
  /// room; the rest follows in a later call.
  void release_due(Context& context) noexcept {
    while (size_ > 0 && slots_[head_].due <= context.now()) {
      if (!release_front(context)) return;
    }
  }

 private:
  struct Slot {
    Packet packet{};
    Instant due{};
  };
  std::vector<Slot> slots_;
  std::size_t head_ = 0;
  std::uint32_t size_ = 0;
  Instant last_due_{};
};

}  // namespace sluice

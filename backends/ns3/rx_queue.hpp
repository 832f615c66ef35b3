#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>

#include "backends/ns3/burst.hpp"
#include "backends/ns3/tag_store.hpp"
#include "core/packet/buffer_pool.hpp"
#include "core/packet/packet_batch.hpp"
#include "core/units.hpp"

namespace sluice {

/// The receive ring of a simulated port: frames that arrived and wait, still in their bursts.
class RxQueue {
 public:
  explicit RxQueue(std::uint32_t frame_count_max) : frame_count_max_(frame_count_max) {}

  /// Takes a burst. @return How many of its frames found no room and are lost.
  std::uint32_t push(BurstPtr burst);
  /// Takes a single frame, into the last burst if it is one of `pool` with room.
  /// @return Whether there was room.
  bool push(std::span<const std::byte> frame, Instant arrival, BurstPool& pool,
            const ns3::Packet* origin = nullptr);

  struct Taken {
    std::uint32_t count = 0;    ///< Frames now in the batch.
    std::uint32_t dropped = 0;  ///< Frames that no buffer was free for, or large enough.
  };
  /// Copies frames that arrived by `now` into buffers of `pool`, as far as the batch has room;
  /// their tags go to `tags`, unless it is null.
  Taken take(PacketBatch& batch, BufferPool& pool, PortId ingress, Instant now,
             TagStore* tags = nullptr) noexcept;

  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  [[nodiscard]] std::uint32_t room() const noexcept { return frame_count_max_ - size_; }
  /// How many frames have arrived by `now`.
  [[nodiscard]] std::uint32_t pending(Instant now) const noexcept;
  [[nodiscard]] std::optional<Instant> next_arrival() const noexcept;

 private:
  void pop() noexcept;
  [[nodiscard]] const BurstFrame& front() const noexcept {
    return bursts_.front()->frames()[cursor_];
  }

  std::uint32_t frame_count_max_;
  std::deque<BurstPtr> bursts_;
  std::uint32_t cursor_ = 0;  ///< The next frame of the front burst.
  std::uint32_t size_ = 0;
};

}  // namespace sluice

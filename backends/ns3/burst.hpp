#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "backends/ns3/ns3.hpp"
#include "core/check.hpp"
#include "core/units.hpp"

namespace sluice {

class BurstPool;
struct BurstReturn;

/// One frame of a burst: where its bytes lie in the burst's slab, and when its last bit arrives.
struct BurstFrame {
  Instant arrival{};
  std::uint32_t offset = 0;
  std::uint16_t length = 0;
};

/// Frames that cross a link together, in one simulator event; the bytes lie side by side in one
/// slab.
///
/// Fixed in size and recycled by its pool, so that a frame in flight costs a copy and no
/// allocation.
class Burst {
 public:
  Burst(std::uint32_t frame_count_max, std::uint32_t frame_size_max);

  [[nodiscard]] std::span<const BurstFrame> frames() const noexcept { return frames_; }
  [[nodiscard]] std::span<const std::byte> bytes(const BurstFrame& frame) const noexcept {
    return {slab_.get() + frame.offset, frame.length};
  }
  [[nodiscard]] std::uint32_t size() const noexcept {
    return static_cast<std::uint32_t>(frames_.size());
  }
  [[nodiscard]] bool empty() const noexcept { return frames_.empty(); }
  [[nodiscard]] bool full() const noexcept { return frames_.size() == frame_count_max_; }

  /// The packet of ns-3's that `frame`, one of frames(), was made of, for the sake of its tags;
  /// null when it has none.
  [[nodiscard]] const ns3::Packet* origin(const BurstFrame& frame) const noexcept {
    const auto index = static_cast<std::size_t>(&frame - frames_.data());
    return index < origins_.size() ? ns3::PeekPointer(origins_[index]) : nullptr;
  }

  /// Copies a frame in. Not when full(), nor longer than the pool's frame_size_max. Keeps `origin`
  /// alive as long as the frame.
  void append(std::span<const std::byte> frame, Instant arrival,
              const ns3::Packet* origin = nullptr) noexcept;
  /// Drops the frames that arrive after `limit`, which stand at the end. @return How many.
  std::uint32_t cut_after(Instant limit) noexcept;
  /// Drops all frames but the first `count`, or none if there are no more.
  void cut_to(std::uint32_t count) noexcept;
  void clear() noexcept;

 private:
  friend class BurstPool;
  friend struct BurstReturn;

  std::uint32_t frame_count_max_;
  std::uint32_t slab_size_;
  std::uint32_t slab_used_ = 0;
  std::vector<BurstFrame> frames_;
  std::vector<ns3::Ptr<const ns3::Packet>> origins_;  ///< By frame, up to the last that has one.
  std::unique_ptr<std::byte[]> slab_;
  std::shared_ptr<BurstPool> home_;  ///< Set while in use: a burst in flight keeps its pool.
};

/// Gives a burst back to its pool.
struct BurstReturn {
  void operator()(Burst* burst) const noexcept;
};
using BurstPtr = std::unique_ptr<Burst, BurstReturn>;

/// The recycled bursts of one sender. Grows to the number in flight at once, and no further.
class BurstPool : public std::enable_shared_from_this<BurstPool> {
 public:
  struct Options {
    std::uint32_t frame_count_max = 32;
    std::uint32_t frame_size_max = 1522;  ///< Bytes.
  };
  explicit BurstPool(const Options& options) : options_(options) {}

  [[nodiscard]] const Options& options() const noexcept { return options_; }
  /// An empty burst. Allocates only when all are in use.
  [[nodiscard]] BurstPtr acquire();
  /// How many bursts this pool ever made.
  [[nodiscard]] std::size_t made_count() const noexcept { return made_count_; }

 private:
  friend struct BurstReturn;

  Options options_;
  std::size_t made_count_ = 0;
  std::vector<std::unique_ptr<Burst>> idle_;
};

}  // namespace sluice

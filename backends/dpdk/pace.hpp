#pragma once

#include <algorithm>
#include <cstdint>

#include "core/units.hpp"

namespace sluice::dpdk {

/// Takes frames from a device that never runs out no faster than a rate, evenly: at each look as
/// many as the rate has brought since the last, if they are as long as the last ones. Frames that
/// were longer are paid for later. One thread.
class Pace {
 public:
  /// No rate: as fast as they come.
  Pace() = default;
  explicit Pace(Rate rate) : rate_bps_(rate.bps) {}

  [[nodiscard]] bool holds() const noexcept { return rate_bps_ != 0; }
  /// How many frames may be taken at `now`, at most `room`.
  [[nodiscard]] std::uint16_t due(Instant now, std::uint16_t room) noexcept {
    if (rate_bps_ == 0) return room;
    if (now > filled_at_) {
      const auto elapsed_ns = (now - std::max(filled_at_, now - kRestMax)).count();
      level_ += elapsed_ns * static_cast<std::int64_t>(rate_bps_);
      // What was not taken for long is no claim: it would come as a burst.
      level_ = std::min(level_, frame_cost_ * kFramesMax);
      filled_at_ = now;
    }
    if (level_ < frame_cost_) return 0;
    return static_cast<std::uint16_t>(std::min<std::int64_t>(level_ / frame_cost_, room));
  }
  /// So many frames of `size_bytes` together were taken.
  void took(std::uint16_t count, std::uint64_t size_bytes) noexcept {
    if (rate_bps_ == 0 || count == 0) return;
    const std::int64_t cost = static_cast<std::int64_t>(size_bytes) * kUnitsPerByte;
    level_ -= cost;
    frame_cost_ = std::max<std::int64_t>(cost / count, 1);
  }

 private:
  /// It counts in billionths of a bit, of which a rate of r bits per second brings r a nanosecond.
  static constexpr std::int64_t kUnitsPerByte = 8'000'000'000;
  static constexpr std::int64_t kFramesMax = 32;
  static constexpr Duration kRestMax = std::chrono::milliseconds{1};

  std::uint64_t rate_bps_ = 0;
  std::int64_t level_ = 0;
  std::int64_t frame_cost_ = 64 * kUnitsPerByte;
  Instant filled_at_{};
};

}  // namespace sluice::dpdk

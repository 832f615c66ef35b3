#pragma once

#include <cstdint>

#include "core/check.hpp"
#include "core/units.hpp"

namespace sluice {

/// A token bucket: over any time t it lets at most rate * t + burst bytes pass.
///
/// Whole numbers only: it counts in billionths of a bit, of which a rate of r bits per second
/// brings r each nanosecond, so nothing is ever rounded in the user's favour or lost over long
/// times.
class TokenBucket {
 public:
  static constexpr std::uint64_t kBurstBytesMax = 1u << 30;

  struct Options {
    Rate rate{.bps = 100'000'000};       ///< Above 0.
    std::uint64_t burst_bytes = 64'000;  ///< 1 to kBurstBytesMax.
  };
  /// Starts full, at time 0.
  explicit TokenBucket(const Options& options)
      : rate_bps_(options.rate.bps),
        capacity_(options.burst_bytes * kUnitsPerByte),
        level_(capacity_) {
    SLUICE_CHECK(rate_bps_ > 0 && options.burst_bytes > 0 && options.burst_bytes <= kBurstBytesMax);
  }

  /// Takes `size_bytes` if they are there. A `now` before the last one counts as the last one.
  [[nodiscard]] bool take(std::uint64_t size_bytes, Instant now) noexcept {
    fill(now);
    if (size_bytes > kBurstBytesMax || size_bytes * kUnitsPerByte > level_) return false;
    level_ -= size_bytes * kUnitsPerByte;
    return true;
  }

  /// When `size_bytes` in all, be it more than the burst, will have come, if nothing else is taken;
  /// at the earliest `now`. `size_bytes` at most 2^40.
  [[nodiscard]] Instant ready_at(std::uint64_t size_bytes, Instant now) noexcept {
    fill(now);
    const Uint128 need = Uint128{size_bytes} * kUnitsPerByte;
    if (need <= level_) return now;
    const Uint128 wait_ns = (need - level_ + rate_bps_ - 1) / rate_bps_;
    constexpr std::uint64_t kWaitMax = 1ull << 62;
    if (wait_ns > kWaitMax - to_ns(now)) return Instant::max();
    return now + Duration{static_cast<std::int64_t>(wait_ns)};
  }

 private:
  static constexpr std::uint64_t kUnitsPerByte = 8'000'000'000;

  void fill(Instant now) noexcept {
    if (now <= filled_at_) return;
    const auto elapsed_ns = static_cast<std::uint64_t>((now - filled_at_).count());
    const Uint128 level = level_ + Uint128{elapsed_ns} * rate_bps_;
    level_ = level > capacity_ ? capacity_ : static_cast<std::uint64_t>(level);
    filled_at_ = now;
  }

  std::uint64_t rate_bps_;
  std::uint64_t capacity_;  // In billionths of a bit, as level_.
  std::uint64_t level_;
  Instant filled_at_{};
};

}  // namespace sluice

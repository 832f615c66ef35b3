#pragma once

#include <cstdint>
#include <vector>

#include "core/units.hpp"

namespace sluice {

/// How durations are distributed, in fixed memory and with a known error.
///
/// Log-linear, as HdrHistogram: each power of two is cut into kSubBucketCount equal buckets, so a
/// quantile is at most 1/256 (0.4 %) of itself away from the true sample, whatever its size, and
/// below 128 ns it is exact. Sorting samples would be exact, and would grow with the run. 58 KB,
/// taken by the constructor; nothing allocates after it. Negative durations count as 0. Not
/// thread-safe.
class LatencyHistogram {
 public:
  LatencyHistogram();
  /// Copying costs by how far apart the least and the largest sample are, nothing without samples:
  /// a host copies those of all its chains while packets wait.
  LatencyHistogram(const LatencyHistogram& other);
  LatencyHistogram& operator=(const LatencyHistogram& other) noexcept;
  ~LatencyHistogram() = default;

  /// Adds `count` samples of `sample`. Constant cost.
  void add(Duration sample, std::uint64_t count = 1) noexcept {
    const std::int64_t ns = sample.count();
    const std::uint64_t value = ns < 0 ? 0 : static_cast<std::uint64_t>(ns);
    if (count == 0) return;
    buckets_[bucket_of(value)] += count;
    count_ += count;
    add_to_sum(value, count);
    if (value < min_) min_ = value;
    if (value > max_) max_ = value;
  }

  /// The smallest recorded duration that at least `part` of the samples do not exceed, to within
  /// the error above; 0 without samples. Parts above 1 count as 1. Cost: one pass over the buckets.
  [[nodiscard]] Duration quantile(Ppm part) const noexcept;
  /// Exact, rounded down; 0 without samples.
  [[nodiscard]] Duration mean() const noexcept;
  /// Exact; 0 without samples.
  [[nodiscard]] Duration min() const noexcept;
  [[nodiscard]] Duration max() const noexcept;
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

  /// Adds all samples of `other`.
  void merge(const LatencyHistogram& other) noexcept;
  /// Takes away the samples of `earlier`, which are all among ours; leaves those since. min() and
  /// max() stay those of all.
  void subtract(const LatencyHistogram& earlier) noexcept;
  void reset() noexcept;

 private:
  static constexpr std::uint32_t kSubBucketBits = 7;
  static constexpr std::uint32_t kSubBucketCount = 1u << kSubBucketBits;
  static constexpr std::uint32_t kBucketCount = (63 - kSubBucketBits + 1) * kSubBucketCount;

  static std::uint32_t bucket_of(std::uint64_t value) noexcept {
    if (value < kSubBucketCount) return static_cast<std::uint32_t>(value);
    const auto bits = static_cast<std::uint32_t>(63 - __builtin_clzll(value));
    const std::uint32_t shift = bits - kSubBucketBits;
    const auto in_octave = static_cast<std::uint32_t>(value >> shift) - kSubBucketCount;
    return (shift + 1) * kSubBucketCount + in_octave;
  }
  static std::uint64_t middle_of(std::uint32_t bucket) noexcept;
  /// Outside of them all buckets are 0. Only with samples.
  [[nodiscard]] std::uint32_t first_used() const noexcept { return bucket_of(min_); }
  [[nodiscard]] std::uint32_t end_used() const noexcept { return bucket_of(max_) + 1; }
  void add_to_sum(std::uint64_t value, std::uint64_t count) noexcept;

  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  std::uint64_t sum_low_ = 0;  ///< The sum of all samples needs 128 bits: 10^10 samples of 2 s.
  std::uint64_t sum_high_ = 0;
  std::uint64_t min_ = ~std::uint64_t{0};
  std::uint64_t max_ = 0;
};

}  // namespace sluice

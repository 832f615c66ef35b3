#include "core/host/latency_histogram.hpp"

#include <algorithm>

namespace sluice {
namespace {

__extension__ using Wide = unsigned __int128;

Duration from_ns(std::uint64_t ns) {
  return Duration{static_cast<std::int64_t>(ns)};
}

}  // namespace

LatencyHistogram::LatencyHistogram() : buckets_(kBucketCount, 0) {}

LatencyHistogram::LatencyHistogram(const LatencyHistogram& other) : LatencyHistogram() {
  *this = other;
}

LatencyHistogram& LatencyHistogram::operator=(const LatencyHistogram& other) noexcept {
  if (this == &other) return *this;
  reset();
  merge(other);
  return *this;
}

std::uint64_t LatencyHistogram::middle_of(std::uint32_t bucket) noexcept {
  if (bucket < 2 * kSubBucketCount) return bucket;  // Buckets of one value.
  const std::uint32_t shift = bucket / kSubBucketCount - 1;
  const std::uint64_t low = std::uint64_t{kSubBucketCount + bucket % kSubBucketCount} << shift;
  return low + (std::uint64_t{1} << (shift - 1));
}

void LatencyHistogram::add_to_sum(std::uint64_t value, std::uint64_t count) noexcept {
  const Wide sum = ((Wide{sum_high_} << 64) | sum_low_) + Wide{value} * count;
  sum_low_ = static_cast<std::uint64_t>(sum);
  sum_high_ = static_cast<std::uint64_t>(sum >> 64);
}

Duration LatencyHistogram::quantile(Ppm part) const noexcept {
  if (count_ == 0) return Duration::zero();
  const std::uint64_t ppm = std::min(part.value, kPpmOne.value);
  // The rank counts from 1, and rounds up: the least sample that `part` of all do not exceed.
  const auto rank = static_cast<std::uint64_t>((Wide{count_} * ppm + 999'999) / 1'000'000);
  if (rank <= 1) return min();
  if (rank >= count_) return max();
  std::uint64_t seen = 0;
  for (std::uint32_t bucket = 0; bucket < kBucketCount; ++bucket) {
    seen += buckets_[bucket];
    if (seen >= rank) return from_ns(std::clamp(middle_of(bucket), min_, max_));
  }
  return max();
}

Duration LatencyHistogram::mean() const noexcept {
  if (count_ == 0) return Duration::zero();
  return from_ns(static_cast<std::uint64_t>(((Wide{sum_high_} << 64) | sum_low_) / count_));
}

Duration LatencyHistogram::min() const noexcept {
  return count_ == 0 ? Duration::zero() : from_ns(min_);
}

Duration LatencyHistogram::max() const noexcept {
  return from_ns(max_);
}

void LatencyHistogram::subtract(const LatencyHistogram& earlier) noexcept {
  for (std::uint32_t bucket = 0; bucket < kBucketCount; ++bucket) {
    buckets_[bucket] -= earlier.buckets_[bucket];
  }
  count_ -= earlier.count_;
  const Wide sum =
      ((Wide{sum_high_} << 64) | sum_low_) - ((Wide{earlier.sum_high_} << 64) | earlier.sum_low_);
  sum_low_ = static_cast<std::uint64_t>(sum);
  sum_high_ = static_cast<std::uint64_t>(sum >> 64);
}

void LatencyHistogram::merge(const LatencyHistogram& other) noexcept {
  if (other.count_ == 0) return;
  for (std::uint32_t bucket = other.first_used(); bucket < other.end_used(); ++bucket) {
    buckets_[bucket] += other.buckets_[bucket];
  }
  count_ += other.count_;
  const Wide sum =
      ((Wide{sum_high_} << 64) | sum_low_) + ((Wide{other.sum_high_} << 64) | other.sum_low_);
  sum_low_ = static_cast<std::uint64_t>(sum);
  sum_high_ = static_cast<std::uint64_t>(sum >> 64);
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
}

void LatencyHistogram::reset() noexcept {
  if (count_ == 0) return;
  std::fill(buckets_.begin() + first_used(), buckets_.begin() + end_used(), 0);
  count_ = sum_low_ = sum_high_ = max_ = 0;
  min_ = ~std::uint64_t{0};
}

}  // namespace sluice

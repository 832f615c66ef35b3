#include "sim/workload/rate_curve.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/check.hpp"

namespace sluice::sim {
namespace {

constexpr double kForever = std::numeric_limits<double>::infinity();

double to_double_ns(Duration duration) {
  return static_cast<double>(duration.count());
}
double to_bits_per_ns(Rate rate) {
  return static_cast<double>(rate.bps) * 1e-9;
}

}  // namespace

RateCurve::RateCurve(std::span<const RatePoint> points) {
  SLUICE_CHECK(!points.empty());
  double bits = 0;
  if (points.front().at > Duration::zero()) {
    const double length = to_double_ns(points.front().at);
    const double rate = to_bits_per_ns(points.front().rate);
    segments_.push_back({0, length, 0, rate, 0});
    bits = length * rate;
  }
  for (std::size_t i = 0; i < points.size(); ++i) {
    const double start = to_double_ns(points[i].at);
    const double rate = to_bits_per_ns(points[i].rate);
    if (i + 1 == points.size()) {
      segments_.push_back({start, kForever, bits, rate, 0});
      break;
    }
    SLUICE_CHECK(points[i].at <= points[i + 1].at);
    const double length = to_double_ns(points[i + 1].at) - start;
    if (length <= 0) continue;
    const double end_rate = to_bits_per_ns(points[i + 1].rate);
    segments_.push_back({start, length, bits, rate, (end_rate - rate) / length});
    bits += length * (rate + end_rate) / 2;
  }
}

const RateCurve::Segment& RateCurve::segment_at(double at_ns) const {
  std::size_t i = 0;
  while (i + 1 < segments_.size() && segments_[i + 1].start_ns <= at_ns) ++i;
  return segments_[i];
}

double RateCurve::bits_at(Duration at) const {
  const double at_ns = std::max(0.0, to_double_ns(at));
  const Segment& segment = segment_at(at_ns);
  const double x = at_ns - segment.start_ns;
  return segment.bits + x * (segment.rate + segment.slope * x / 2);
}

Rate RateCurve::rate_at(Duration at) const {
  const double at_ns = std::max(0.0, to_double_ns(at));
  const Segment& segment = segment_at(at_ns);
  const double rate = segment.rate + segment.slope * (at_ns - segment.start_ns);
  return Rate{static_cast<std::uint64_t>(std::max(0.0, rate) * 1e9 + 0.5)};
}

std::optional<Duration> RateCurve::time_of(double bits) {
  while (cursor_ > 0 && segments_[cursor_].bits > bits) --cursor_;
  while (cursor_ + 1 < segments_.size() && segments_[cursor_ + 1].bits <= bits) ++cursor_;
  const Segment& segment = segments_[cursor_];
  const double due = std::max(0.0, bits - segment.bits);
  double x = 0;
  if (segment.slope == 0) {
    if (segment.rate <= 0) {
      if (due > 0 || segment.length_ns == kForever) return std::nullopt;
    } else {
      x = due / segment.rate;
    }
  } else {
    // The root of rate x + slope x^2 / 2 = due, in the form that does not cancel.
    const double root =
        std::sqrt(std::max(0.0, segment.rate * segment.rate + 2 * segment.slope * due));
    if (segment.rate + root > 0) x = 2 * due / (segment.rate + root);
  }
  x = std::min(x, segment.length_ns);
  const double at_ns = segment.start_ns + x;
  if (!(at_ns < 9.2e18)) return std::nullopt;
  return Duration{static_cast<std::int64_t>(at_ns)};
}

}  // namespace sluice::sim

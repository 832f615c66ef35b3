#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/deployment/deployment.hpp"
#include "core/units.hpp"

namespace sluice::sim {

/// How many bits have been due by when: the integral of a rate that moves in straight lines between
/// points, and its inverse.
///
/// A generator that asks "when is bit n due" follows ramps and flash crowds exactly, without steps
/// and without drift, because each answer is computed from the points and not from the answer
/// before. Before the first point and after the last the rate stays. Two points at one time are a
/// jump.
class RateCurve {
 public:
  /// `points` rise in time (checked: they come from a checked file) and there is at least one.
  explicit RateCurve(std::span<const RatePoint> points);

  /// The bits due from the start of the run to `at`.
  [[nodiscard]] double bits_at(Duration at) const;
  /// When `bits` are due, rounded down; nothing when the curve never gets there. Cheapest when
  /// asked for rising numbers: it looks on from the last answer.
  [[nodiscard]] std::optional<Duration> time_of(double bits);
  /// The rate at a moment.
  [[nodiscard]] Rate rate_at(Duration at) const;

 private:
  struct Segment {
    double start_ns;
    double length_ns;  ///< Infinite for the last.
    double bits;       ///< Due at its start.
    double rate;       ///< Bits per ns at its start.
    double slope;      ///< Bits per ns per ns.
  };
  [[nodiscard]] const Segment& segment_at(double at_ns) const;

  std::vector<Segment> segments_;
  std::size_t cursor_ = 0;
};

}  // namespace sluice::sim

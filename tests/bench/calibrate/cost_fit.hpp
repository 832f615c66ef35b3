#pragma once

#include <span>

#include "core/deployment/deployment.hpp"

namespace sluice::bench {

/// How long batches of one kind took.
struct CostSample {
  double packet_count = 0;
  double size_bytes = 0;  ///< Of all its frames together.
  double cycles = 0;      ///< Above 0.
};

/// The cost that explains `samples` best: least squares of the relative deviations, no part below
/// 0, rounded to what Cost can say. At least one sample.
[[nodiscard]] Cost fit_cost(std::span<const CostSample> samples);

/// The largest relative deviation of `cost` from a sample: 0.1 is 10 %.
[[nodiscard]] double deviation_max(const Cost& cost, std::span<const CostSample> samples);

}  // namespace sluice::bench

#pragma once

#include <cstddef>
#include <span>

#include "core/check.hpp"

namespace sluice::bench {

/// The line of least squares through points.
struct Line {
  double at_zero = 0;
  double slope = 0;
};

/// `x` has at least two different values; `y` as many.
[[nodiscard]] inline Line fit_line(std::span<const double> x, std::span<const double> y) {
  SLUICE_CHECK(x.size() == y.size() && x.size() >= 2);
  double x_sum = 0;
  double y_sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    x_sum += x[i];
    y_sum += y[i];
  }
  const double x_mean = x_sum / static_cast<double>(x.size());
  const double y_mean = y_sum / static_cast<double>(x.size());
  double product_sum = 0;
  double square_sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    product_sum += (x[i] - x_mean) * (y[i] - y_mean);
    square_sum += (x[i] - x_mean) * (x[i] - x_mean);
  }
  const double slope = product_sum / square_sum;
  return {.at_zero = y_mean - slope * x_mean, .slope = slope};
}

}  // namespace sluice::bench

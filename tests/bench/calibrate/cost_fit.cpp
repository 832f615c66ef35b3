#include "tests/bench/calibrate/cost_fit.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/check.hpp"

namespace sluice::bench {
namespace {

/// Cycles per packet, per byte and per batch.
using Parts = Eigen::Vector3d;
constexpr int kPartCount = 3;

Parts parts_of(const CostSample& sample) {
  return {sample.packet_count, sample.size_bytes, 1.0};
}

/// Least squares with the parts in `chosen` (bit i: part i); the others are 0.
Parts solve(const Eigen::MatrixXd& rows, const Eigen::VectorXd& ones, unsigned chosen) {
  std::vector<int> columns;
  for (int i = 0; i < kPartCount; ++i) {
    if ((chosen >> i & 1u) != 0) columns.push_back(i);
  }
  Eigen::MatrixXd some(rows.rows(), static_cast<Eigen::Index>(columns.size()));
  for (std::size_t i = 0; i < columns.size(); ++i) {
    some.col(static_cast<Eigen::Index>(i)) = rows.col(columns[i]);
  }
  const Eigen::VectorXd found = some.colPivHouseholderQr().solve(ones);
  Parts parts = Parts::Zero();
  for (std::size_t i = 0; i < columns.size(); ++i) {
    parts[columns[i]] = found[static_cast<Eigen::Index>(i)];
  }
  return parts;
}

std::uint64_t rounded(double value) {
  return static_cast<std::uint64_t>(std::llround(value));
}

}  // namespace

Cost fit_cost(std::span<const CostSample> samples) {
  SLUICE_CHECK(!samples.empty());
  const auto count = static_cast<Eigen::Index>(samples.size());
  Eigen::MatrixXd rows(count, kPartCount);
  for (Eigen::Index i = 0; i < count; ++i) {
    const CostSample& sample = samples[static_cast<std::size_t>(i)];
    rows.row(i) = parts_of(sample).transpose() / sample.cycles;
  }
  const Eigen::VectorXd ones = Eigen::VectorXd::Ones(count);
  // With three parts, trying every choice of those that are not 0 is the whole of the method.
  Parts best = Parts::Zero();
  double best_error = ones.squaredNorm();
  for (unsigned chosen = 1; chosen < (1u << kPartCount); ++chosen) {
    const Parts parts = solve(rows, ones, chosen);
    const double error = (rows * parts - ones).squaredNorm();
    if (parts.minCoeff() >= 0 && error < best_error) {
      best = parts;
      best_error = error;
    }
  }
  return {.packet_cycles = rounded(best[0]),
          .byte_millicycles = rounded(best[1] * 1000),
          .batch_cycles = rounded(best[2])};
}

double deviation_max(const Cost& cost, std::span<const CostSample> samples) {
  double worst = 0;
  for (const CostSample& sample : samples) {
    const double said = static_cast<double>(
        cost.cycles_for(rounded(sample.packet_count), rounded(sample.size_bytes)));
    worst = std::max(worst, std::abs(said - sample.cycles) / sample.cycles);
  }
  return worst;
}

}  // namespace sluice::bench

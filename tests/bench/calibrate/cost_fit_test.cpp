#include "tests/bench/calibrate/cost_fit.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::bench {
namespace {

/// What batches of 1 and 32 packets of three sizes take at `cost`, each times `factor` in turn.
std::vector<CostSample> samples_at(const Cost& cost, const std::vector<double>& factors) {
  std::vector<CostSample> samples;
  for (const std::uint64_t count : {1u, 32u}) {
    for (const std::uint64_t size : {64u, 594u, 1514u}) {
      const double factor = factors[samples.size() % factors.size()];
      const auto cycles = static_cast<double>(cost.cycles_for(count, count * size));
      samples.push_back(
          {static_cast<double>(count), static_cast<double>(count * size), cycles * factor});
    }
  }
  return samples;
}

TEST(CostFit, FindsTheCostThatMadeTheSamples) {
  for (const Cost& cost : {Cost{300, 1500, 90}, Cost{3000, 0, 0}, Cost{0, 0, 700}, Cost{5, 8, 2}}) {
    const auto samples = samples_at(cost, {1.0});
    const Cost found = fit_cost(samples);
    EXPECT_EQ(found.packet_cycles, cost.packet_cycles);
    EXPECT_NEAR(static_cast<double>(found.byte_millicycles),
                static_cast<double>(cost.byte_millicycles), 2.0);
    EXPECT_EQ(found.batch_cycles, cost.batch_cycles);
    EXPECT_LT(deviation_max(found, samples), 0.01);
  }
}

TEST(CostFit, NeverGoesBelowZero) {
  // Large packets were faster than small ones: no cost per byte can say that.
  const std::vector<CostSample> samples{
      {1, 64, 400}, {1, 1514, 300}, {32, 2048, 9000}, {32, 48'448, 8000}};
  const Cost cost = fit_cost(samples);
  EXPECT_EQ(cost.byte_millicycles, 0u);
  EXPECT_GT(cost.packet_cycles, 200u);
  EXPECT_LT(cost.packet_cycles, 300u);
}

TEST(CostFit, WeighsSmallBatchesLikeLargeOnes) {
  const Cost cost{100, 0, 1000};
  const Cost found = fit_cost(samples_at(cost, {1.05, 0.95}));
  EXPECT_NEAR(static_cast<double>(found.packet_cycles), 100, 10);
  EXPECT_NEAR(static_cast<double>(found.batch_cycles), 1000, 100);
}

TEST(CostFit, SaysHowFarItIsOff) {
  const std::vector<CostSample> samples{{1, 0, 100}, {1, 0, 200}};
  EXPECT_DOUBLE_EQ(deviation_max(Cost{150, 0, 0}, samples), 0.5);
}

}  // namespace
}  // namespace sluice::bench

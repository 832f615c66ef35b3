#include "core/host/latency_histogram.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/prng.hpp"

namespace sluice {
namespace {

using std::chrono::microseconds;
using std::chrono::nanoseconds;

/// The plain oracle: sort, and take the sample of the rank.
std::uint64_t sorted_quantile(std::vector<std::uint64_t> samples, std::uint32_t ppm) {
  std::sort(samples.begin(), samples.end());
  const std::size_t rank = (samples.size() * ppm + 999'999) / 1'000'000;
  return samples[rank == 0 ? 0 : rank - 1];
}

std::vector<std::uint64_t> samples_of_all_sizes(std::uint64_t seed, std::size_t count) {
  Prng prng{seed};
  std::vector<std::uint64_t> samples;
  for (std::size_t i = 0; i < count; ++i) samples.push_back((prng.next() >> 1) >> prng.below(63));
  return samples;
}

LatencyHistogram filled(const std::vector<std::uint64_t>& samples) {
  LatencyHistogram histogram;
  for (const std::uint64_t ns : samples) histogram.add(nanoseconds{static_cast<std::int64_t>(ns)});
  return histogram;
}

RC_GTEST_PROP(LatencyHistogram, QuantileIsWithinOnePercentOfTheSortedSample,
              (std::uint64_t seed, std::uint32_t ppm_any)) {
  const std::uint32_t ppm = ppm_any % 1'000'001;
  const auto samples = samples_of_all_sizes(seed, 1 + seed % 400);
  const auto expected = sorted_quantile(samples, ppm);
  const auto got = static_cast<std::uint64_t>(filled(samples).quantile(Ppm{ppm}).count());
  const auto error = got > expected ? got - expected : expected - got;
  RC_ASSERT(error <= expected / 200);
}

void expect_same(const LatencyHistogram& got, const LatencyHistogram& expected) {
  RC_ASSERT(got.count() == expected.count());
  RC_ASSERT(got.mean() == expected.mean());
  RC_ASSERT(got.min() == expected.min());
  RC_ASSERT(got.max() == expected.max());
  for (std::uint32_t ppm = 0; ppm <= 1'000'000; ppm += 10'000) {
    RC_ASSERT(got.quantile(Ppm{ppm}) == expected.quantile(Ppm{ppm}));
  }
}

RC_GTEST_PROP(LatencyHistogram, ACopyIsAsTheOriginalWhateverWasThereBefore, (std::uint64_t seed)) {
  const auto before = samples_of_all_sizes(seed, seed % 50);
  const auto original = filled(samples_of_all_sizes(~seed, seed / 50 % 50));
  auto copy = filled(before);
  copy = original;
  expect_same(copy, original);
  // What was there must not come back when the range grows again.
  auto both = original;
  for (LatencyHistogram* each : {&copy, &both}) {
    each->add(Duration::zero());
    each->add(Duration::max());
  }
  expect_same(copy, both);
}

RC_GTEST_PROP(LatencyHistogram, MergeEqualsAddingAll, (std::uint64_t seed)) {
  const auto left = samples_of_all_sizes(seed, seed % 50);
  const auto right = samples_of_all_sizes(~seed, 50 - seed % 50);
  auto merged = filled(left);
  merged.merge(filled(right));
  auto together = left;
  together.insert(together.end(), right.begin(), right.end());
  const auto expected = filled(together);
  expect_same(merged, expected);
}

TEST(LatencyHistogram, EmptyGivesZeroes) {
  const LatencyHistogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.mean(), Duration::zero());
  EXPECT_EQ(histogram.min(), Duration::zero());
  EXPECT_EQ(histogram.max(), Duration::zero());
  EXPECT_EQ(histogram.quantile(kPpmOne), Duration::zero());
}

TEST(LatencyHistogram, SmallValuesAreExact) {
  LatencyHistogram histogram;
  for (int ns = 0; ns < 200; ++ns) histogram.add(nanoseconds{ns});
  EXPECT_EQ(histogram.quantile(Ppm{500'000}), nanoseconds{99});
  EXPECT_EQ(histogram.quantile(Ppm{250'000}), nanoseconds{49});
}

TEST(LatencyHistogram, CountWeighsASample) {
  LatencyHistogram histogram;
  histogram.add(microseconds{1}, 99);
  histogram.add(microseconds{100}, 1);
  histogram.add(microseconds{500}, 0);
  EXPECT_EQ(histogram.count(), 100u);
  EXPECT_EQ(histogram.mean(), nanoseconds{1990});
  EXPECT_EQ(histogram.max(), microseconds{100});
  EXPECT_LT(histogram.quantile(Ppm{990'000}), nanoseconds{1010});
  EXPECT_EQ(histogram.quantile(Ppm{990'001}), microseconds{100});
}

TEST(LatencyHistogram, MeanDoesNotOverflow) {
  LatencyHistogram histogram;
  histogram.add(Duration::max(), 1'000'000'000'000);
  histogram.add(nanoseconds{-5}, 1'000'000'000'000);
  EXPECT_EQ(histogram.mean().count(), Duration::max().count() / 2);
  EXPECT_EQ(histogram.min(), Duration::zero());
}

TEST(LatencyHistogram, ResetForgets) {
  LatencyHistogram histogram;
  histogram.add(microseconds{7});
  histogram.reset();
  histogram.add(microseconds{3});
  EXPECT_EQ(histogram.count(), 1u);
  EXPECT_EQ(histogram.min(), microseconds{3});
  EXPECT_EQ(histogram.max(), microseconds{3});
}

}  // namespace
}  // namespace sluice

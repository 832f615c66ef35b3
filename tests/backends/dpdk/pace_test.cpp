#include "backends/dpdk/pace.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::dpdk {
namespace {

using namespace std::chrono_literals;

constexpr Rate kGigabit{.bps = 1'000'000'000};  // A frame of 125 bytes a microsecond.

/// Takes all that is due, each `step` for `time`. @return How many frames at each look.
std::vector<std::uint32_t> take(Pace& pace, Duration step, Duration time,
                                std::uint64_t size_bytes) {
  std::vector<std::uint32_t> taken;
  for (Instant now{1s}; now < Instant{1s} + time; now += step) {
    const std::uint16_t count = pace.due(now, 32);
    pace.took(count, count * size_bytes);
    taken.push_back(count);
  }
  return taken;
}

std::uint32_t sum(const std::vector<std::uint32_t>& counts) {
  std::uint32_t total = 0;
  for (const std::uint32_t count : counts) total += count;
  return total;
}

TEST(Pace, WithoutARateGivesAllTheRoom) {
  Pace pace;
  EXPECT_FALSE(pace.holds());
  EXPECT_EQ(pace.due(Instant{}, 32), 32);
  pace.took(32, 1u << 30);
  EXPECT_EQ(pace.due(Instant{}, 7), 7);
}

TEST(Pace, BringsTheRateWhateverTheSize) {
  for (const std::uint64_t size : {64u, 125u, 1500u}) {
    Pace pace{kGigabit};
    EXPECT_TRUE(pace.holds());
    const std::uint64_t bytes = sum(take(pace, 200ns, 10ms, size)) * size;
    EXPECT_NEAR(static_cast<double>(bytes), 1'250'000, 2.0 * 32 * 1500) << size;
  }
}

TEST(Pace, SpreadsFramesEvenly) {
  Pace pace{kGigabit};
  (void)take(pace, 200ns, 100us, 125);  // Until it knows their size.
  std::vector<std::uint32_t> counts;
  for (Instant now{2s}; now < Instant{2s} + 10us; now += 500ns) {
    const std::uint16_t count = pace.due(now, 32);
    pace.took(count, count * 125u);
    counts.push_back(count);
  }
  counts.front() = 0;  // What it may save up.
  for (const std::uint32_t count : counts) EXPECT_LE(count, 1u);
  EXPECT_NEAR(sum(counts), 10, 1);
}

TEST(Pace, SavesNoMoreThanABatch) {
  Pace pace{kGigabit};
  (void)take(pace, 1us, 100us, 125);
  EXPECT_EQ(pace.due(Instant{60s}, 64), 32);
}

TEST(Pace, LetsNothingByUntilALongFrameIsPaid) {
  Pace pace{kGigabit};
  (void)pace.due(Instant{1s}, 32);
  pace.took(1, 125'000);  // A millisecond's worth.
  EXPECT_EQ(pace.due(Instant{1s + 500us}, 32), 0);
}

}  // namespace
}  // namespace sluice::dpdk

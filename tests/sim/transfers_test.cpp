#include "sim/workload/transfers.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace sluice::sim {
namespace {

using std::chrono::seconds;

struct Entry {
  TrafficSpec traffic;
  TcpTraffic tcp;
};

Entry entry(std::uint64_t per_second) {
  Entry made;
  made.traffic.stop = Instant{seconds{100}};
  made.tcp.arrivals = {{Duration::zero(), per_second * 1000}};
  made.tcp.transfer_sizes.points = {{1000, Ppm{500'000}}, {5000, kPpmOne}};
  return made;
}

TEST(PlanTransfers, ComeAtTheRateWithSizesOfTheDistribution) {
  const Entry made = entry(50);
  const auto transfers = plan_transfers(made.traffic, made.tcp, 1, 0);
  EXPECT_NEAR(static_cast<double>(transfers.size()), 5000, 250);
  const auto small = std::count_if(transfers.begin(), transfers.end(),
                                   [](const auto& each) { return each.size_bytes == 1000; });
  EXPECT_NEAR(static_cast<double>(small), static_cast<double>(transfers.size()) / 2, 150);
  EXPECT_TRUE(std::is_sorted(transfers.begin(), transfers.end(),
                             [](const auto& a, const auto& b) { return a.start < b.start; }));
  EXPECT_LT(transfers.back().start, made.traffic.stop);
}

TEST(PlanTransfers, FollowSeedAndPlaceInTheFile) {
  const Entry made = entry(5);
  const auto plan = [&](std::uint64_t seed, std::uint64_t number) {
    return plan_transfers(made.traffic, made.tcp, seed, number);
  };
  EXPECT_EQ(plan(7, 0), plan(7, 0));
  EXPECT_NE(plan(7, 0), plan(8, 0));
  EXPECT_NE(plan(7, 0), plan(7, 1));
}

TEST(PlanTransfers, KeepTheirTimesAndNumber) {
  Entry made = entry(50);
  made.traffic.start = Instant{seconds{90}};
  made.tcp.transfer_count_max = 20;
  const auto transfers = plan_transfers(made.traffic, made.tcp, 1, 0);
  ASSERT_EQ(transfers.size(), 20u);
  EXPECT_GE(transfers.front().start, made.traffic.start);
}

}  // namespace
}  // namespace sluice::sim

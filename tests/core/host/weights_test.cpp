#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <vector>

#include "tests/core/host/host_rig.hpp"

// Weighted Maglev hashing, from a service's weights to where its flows go.
namespace sluice {
namespace {

using namespace std::chrono_literals;
using test::RigBuilder;

constexpr std::uint32_t kSize = 65537;

struct WeightedRig : RigBuilder {
  WeightedRig(const std::vector<std::uint32_t>& weights, std::uint32_t instance_count) {
    id = service("a", test::go_on, instance_count);
    edit(id).choice = InstanceChoice::kMaglev;
    edit(id).weights = weights;
    chain("web", {id});
    options.flow_count_max = 4096;
    options.buffer_count = 4096;
  }
  ServiceId id{};
};

std::vector<std::uint16_t> table_of(const test::LoopbackHost& host) {
  const auto table = host.snapshot().services[0].maglev.table();
  return {table.begin(), table.end()};
}

std::uint32_t share_of(const test::LoopbackHost& host, InstanceId instance) {
  const auto table = table_of(host);
  return static_cast<std::uint32_t>(std::count(table.begin(), table.end(), index_of(instance)));
}

TEST(Weights, TwiceTheWeightIsTwiceTheTable) {
  const auto host = WeightedRig({2, 1}, 4).build();
  const auto instances = host->instances_of(ServiceId{0});
  ASSERT_EQ(instances.size(), 4u);
  EXPECT_NEAR(share_of(*host, instances[0]), 2 * kSize / 5.0, 8);
  // The third and fourth have the last weight that is given.
  for (int i = 1; i < 4; ++i) EXPECT_NEAR(share_of(*host, instances[i]), kSize / 5.0, 8) << i;
}

TEST(Weights, TwiceTheWeightIsAboutTwiceTheNewFlows) {
  const auto host = WeightedRig({2, 1}, 2).build();
  const auto instances = host->instances_of(ServiceId{0});
  constexpr std::uint32_t kFlowCount = 3000;
  for (std::uint32_t i = 0; i < kFlowCount; ++i) {
    host->inject(PortId{0}, frames::udp({.source_port = static_cast<std::uint16_t>(1024 + i)}));
    if (i % 256 == 255) host->settle();
  }
  host->settle();
  const std::uint32_t first = host->worker().flow_count(instances[0]);
  const std::uint32_t second = host->worker().flow_count(instances[1]);
  EXPECT_EQ(first + second, kFlowCount);
  // 26 flows are one standard deviation of the binomial distribution.
  EXPECT_NEAR(first, 2000, 130);
}

TEST(Weights, WithoutThemAllSharesAreEqual) {
  const auto host = WeightedRig({}, 3).build();
  for (const InstanceId each : host->instances_of(ServiceId{0})) {
    EXPECT_NEAR(share_of(*host, each), kSize / 3.0, 1);
  }
}

TEST(Weights, WhoReplacesAnInstanceTakesItsShare) {
  const auto host = WeightedRig({3, 1}, 3).build();
  const InstanceId heavy = host->instances_of(ServiceId{0})[0];
  const std::uint32_t share = share_of(*host, heavy);
  host->kill(heavy);
  const auto instances = host->instances_of(ServiceId{0});
  ASSERT_EQ(instances.size(), 3u);
  EXPECT_EQ(host->agent().name_of(instances[2]), "a.4");  // The number is new, the place is not.
  EXPECT_NEAR(share_of(*host, instances[2]), share, 2);
  EXPECT_NEAR(share_of(*host, instances[0]), kSize / 5.0, 8);
}

TEST(Weights, AnInstanceThatDrainsLeavesItsPlaceToTheNext) {
  const auto host = WeightedRig({3, 1}, 2).build();
  const auto before = host->instances_of(ServiceId{0});
  host->handle(ScaleRequest{ScaleRequest::Kind::kDrain, ServiceId{0}, before[0], 1, "test"});
  EXPECT_EQ(share_of(*host, before[0]), 0u);
  host->handle(ScaleRequest{ScaleRequest::Kind::kStart, ServiceId{0}, kNoInstance, 1, "test"});
  const auto after = host->instances_of(ServiceId{0});
  EXPECT_NEAR(share_of(*host, after.back()), 3 * kSize / 4.0, 4);
  EXPECT_NEAR(share_of(*host, before[1]), kSize / 4.0, 4);
}

TEST(Weights, AnInstanceThatComesTakesFromAllAndMovesNothingAmongTheOthers) {
  const auto host = WeightedRig({2, 1}, 4).build();
  const auto before = table_of(*host);
  host->handle(ScaleRequest{ScaleRequest::Kind::kStart, ServiceId{0}, kNoInstance, 1, "test"});
  const auto instances = host->instances_of(ServiceId{0});
  ASSERT_EQ(instances.size(), 5u);
  const auto after = table_of(*host);
  std::map<std::uint16_t, std::uint32_t> taken;
  std::uint32_t moved = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (after[i] == before[i]) continue;
    if (after[i] == index_of(instances[4])) {
      ++taken[before[i]];
    } else {
      ++moved;
    }
  }
  // What moves between those that stay is the price of Maglev hashing: a few places (section 5.3).
  EXPECT_LT(moved, kSize * 5 / 100);
  EXPECT_NEAR(taken[index_of(instances[0])], 2 * taken[index_of(instances[1])], kSize / 50.0);
}

TEST(Weights, ChooseAmongInstancesForAddressesToo) {
  WeightedRig rig({4, 1}, 2);
  rig.edit(rig.id).affinity = Affinity::kSource;
  const auto host = rig.build();
  const auto instances = host->instances_of(rig.id);
  constexpr std::uint32_t kAddressCount = 500;
  for (std::uint32_t i = 0; i < kAddressCount; ++i) {
    const std::string source = "10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250);
    host->inject(PortId{0}, frames::udp({}, {.source = source}));
    if (i % 250 == 249) host->settle();
  }
  host->settle();
  // Four standard deviations of 9.
  EXPECT_NEAR(host->worker().flow_count(instances[0]), 400, 36);
  EXPECT_EQ(host->worker().flow_count(instances[0]) + host->worker().flow_count(instances[1]),
            kAddressCount);
}

}  // namespace
}  // namespace sluice

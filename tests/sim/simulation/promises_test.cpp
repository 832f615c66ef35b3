#include <algorithm>
#include <chrono>
#include <string>

#include "tests/sim/simulation/instance_watch.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kRing = 512;
constexpr std::uint32_t kBatch = 32;

const char* const kStuck = R"(
name: stuck
hosts:
  h1: {cores: 5, clock: 2.6 GHz, worker_cost: 60 cycles, ports: {p0: {rate: 10 Gbps},
      p1: {rate: 10 Gbps}}}
services:
  inspect: {function: stuck, after: 20000, only: [1], cost: 10000 cycles, ring: 512,
      instances: {min: 2, max: 3}}
chains:
  udp: {from: h1.p0, to: h1.p1, match: {proto: udp}, steps: [inspect]}
traffic:
  - {into: h1.p0, kind: poisson, rate: 600 Mbps, size: 750 B, flows: 200, flow_packets: 500}
run: {duration: 2 s, seed: 1}
)";

TEST(Stuck, AnInstanceThatNeverAnswersIsReplacedWithoutAnyoneAsking) {
  // No more than two are allowed, so that a third comes for no other reason.
  std::string yaml = kStuck;
  yaml.replace(yaml.find("max: 3"), 6, "max: 2");
  InstanceWatch watch;
  const sim::SimulationResult result = watched(yaml, watch);
  expect_clean(result);
  ASSERT_EQ(watch.lives().size(), 3u);
  const InstanceWatch::Life& stuck = watch.lives()[0];
  const InstanceWatch::Life& replacement = watch.lives()[2];
  EXPECT_TRUE(stuck.died);
  EXPECT_GT(stuck.returned, 19'000u);
  EXPECT_LE(stuck.returned, 20'000u);
  // It hangs at the latest when it has taken the batch after the last one it gave back.
  EXPECT_LE(stuck.ended - stuck.last_returned, 300ms);
  EXPECT_LE(replacement.started - stuck.last_returned, 300ms);
  EXPECT_GE(replacement.started, stuck.last_returned + 200ms);  // Not before the hang limit.
  EXPECT_GT(replacement.returned, 10'000u);
  EXPECT_EQ(count_at(result, "events/instance_hung"), 1u);
  EXPECT_EQ(count_at(result, "events/instance_died"), 1u);
}

TEST(Stuck, ItsLossIsBoundedByRingBatchAndWhatCameBeforeDetection) {
  InstanceWatch watch;
  const sim::SimulationResult result = watched(kStuck, watch);
  const InstanceWatch::Life& stuck = watch.lives().at(0);
  const std::uint64_t in_its_hands = watch.drops(DropReason::kInstanceDied);
  EXPECT_GT(in_its_hands, 0u);
  EXPECT_LE(in_its_hands, kRing + kBatch);
  // 100 kpps in all; flows that lived when it hung keep half of them coming until detection.
  const auto blind_ms = static_cast<std::uint64_t>((stuck.ended - stuck.last_returned) / 1ms);
  EXPECT_LE(watch.drops(DropReason::kRingFull), blind_ms * 100);
  EXPECT_EQ(count_at(result, "dropped_packets"), in_its_hands + watch.drops(DropReason::kRingFull) +
                                                     watch.drops(DropReason::kHoldLimit) +
                                                     watch.drops(DropReason::kNoInstance));
  EXPECT_EQ(watch.drops(DropReason::kNoInstance), 0u);
}

const char* const kScaleDown = R"(
name: scale-down
hosts:
  h1: {cores: 6, clock: 2.6 GHz, worker_cost: 60 cycles, ports: {p0: {rate: 10 Gbps},
      p1: {rate: 10 Gbps}}}
services:
  fast: {function: monitor, cost: 500 cycles, instances: {min: 1, max: 4, start: 4}}
chains:
  udp: {from: h1.p0, to: h1.p1, match: {proto: udp}, steps: [fast]}
scaling: {down: {load: 0.5, for: 200 ms}, cooldown: 100 ms}
traffic:
  - {into: h1.p0, kind: poisson, rate: 100 Mbps, size: 500 B, flows: 100, flow_packets: 100}
run: {duration: 6 s, seed: 2}
)";

std::string with_idle(std::string yaml, const std::string& idle) {
  const std::string cores = "cores: 6,";
  return yaml.replace(yaml.find(cores), cores.size(), cores + " flow_idle: " + idle + ",");
}

TEST(ScaleDown, ThreeOfFourFastInstancesStopOneByOne) {
  InstanceWatch watch;
  const sim::SimulationResult result = watched(with_idle(kScaleDown, "300 ms"), watch);
  expect_clean(result);
  ASSERT_EQ(watch.lives().size(), 4u);
  const Instant end{6s};
  const auto stopped = std::count_if(watch.lives().begin(), watch.lives().end(), [&](auto& life) {
    return life.ended < end && !life.died && life.draining < life.ended;
  });
  EXPECT_EQ(stopped, 3);
  EXPECT_EQ(watch.draining_max(), 1);
  EXPECT_EQ(count_at(result, "services/fast/instances_end"), 1u);
  EXPECT_EQ(count_at(result, "events/instance_stopped"), 3u);
  EXPECT_EQ(count_at(result, "dropped_packets"), 0u);
}

TEST(ScaleDown, NoPacketOfALivingFlowChangesInstance) {
  InstanceWatch watch;
  const sim::SimulationResult result = watched(with_idle(kScaleDown, "300 ms"), watch);
  EXPECT_GT(evaluations(result, sim::Property::kAffinity), 100'000u);
  EXPECT_GT(watch.placed_packets(), 100'000u);
  EXPECT_GT(watch.flows_ended(), 500u);
  EXPECT_EQ(watch.moves(), 0u);
  EXPECT_EQ(watch.repins(), 0u);
  for (const auto& life : watch.lives()) EXPECT_EQ(life.delivered, life.returned);
}

TEST(ScaleDown, AnInstanceWhoseFlowsNeverEndIsNotStopped) {
  std::string yaml = with_idle(kScaleDown, "5 s");
  yaml.replace(yaml.find("flow_packets: 100"), 17, "flow_packets: 0");
  InstanceWatch watch;
  const sim::SimulationResult result = watched(yaml, watch);
  expect_clean(result);
  EXPECT_EQ(watch.draining_max(), 1);
  EXPECT_EQ(count_at(result, "events/instance_stopped"), 0u);
  EXPECT_EQ(watch.moves(), 0u);
}

const char* const kAutoscale = R"(
name: autoscale
hosts:
  h1: {cores: 4, clock: 1 GHz, worker_cost: 20 cycles, flow_idle: 200 ms,
      ports: {p0: {rate: 10 Gbps}, p1: {rate: 10 Gbps}}}
services:
  heavy: {function: monitor, cost: 20000 cycles, ring: 256, instances: {min: 1, max: MAX}}
chains:
  udp: {from: h1.p0, to: h1.p1, match: {proto: udp}, steps: [heavy]}
scaling: {up: {occupancy: 0.5, for: 50 ms}, down: {load: 0.5, for: 300 ms}, cooldown: 200 ms}
traffic:
  - {into: h1.p0, kind: poisson, size: 500 B, flows: 200, flow_packets: 20, rate: [[0 s,
       60 Mbps], [1 s, 480 Mbps], [2 s, 480 Mbps], [3 s, 60 Mbps]]}
run: {duration: 7 s, seed: 1}
)";

std::string autoscale_to(const std::string& max) {
  std::string yaml = kAutoscale;
  return yaml.replace(yaml.find("MAX"), 3, max);
}

TEST(Autoscale, InstancesFollowARampUpAndBackToTheMinimum) {
  InstanceWatch watch;
  const sim::SimulationResult result = watched(autoscale_to("3"), watch);
  expect_clean(result);
  EXPECT_EQ(count_at(result, "services/heavy/instances_max"), 3u);
  EXPECT_EQ(count_at(result, "services/heavy/instances_end"), 1u);
  EXPECT_EQ(watch.present_max(), 3);
  EXPECT_EQ(watch.moves(), 0u);
  // 120 kpps against 50 kpps an instance: without scaling a third of all packets would be lost.
  EXPECT_LT(count_at(result, "dropped_packets"), count_at(result, "received_packets") / 10);
  EXPECT_GT(count_at(result, "received_packets"), 300'000u);
}

TEST(Autoscale, NeverMoreThanTheMaximum) {
  InstanceWatch watch;
  const sim::SimulationResult result = watched(autoscale_to("2"), watch);
  expect_clean(result);
  EXPECT_EQ(watch.present_max(), 2);
}

TEST(Autoscale, NeverWithoutAFreeCore) {
  InstanceWatch watch;
  // Four cores, one for the worker: three are left, whatever the file allows.
  const sim::SimulationResult result = watched(autoscale_to("8"), watch);
  expect_clean(result);
  EXPECT_EQ(watch.present_max(), 3);
}

}  // namespace
}  // namespace sluice::test

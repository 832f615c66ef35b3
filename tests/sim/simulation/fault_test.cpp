#include <chrono>
#include <cstdint>
#include <string>

#include "tests/sim/simulation/instance_watch.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;
using Life = InstanceWatch::Life;

/// 50,000 packets a second of 100 flows for two instances that can have 200,000 each.
std::string with_fault(const std::string& fault) {
  return R"(
name: fault
hosts:
  h1: {cores: 6, clock: 1 GHz, worker_cost: 20 cycles, ports: {p0: {rate: 10 Gbps},
      p1: {rate: 10 Gbps}}}
services:
  work: {function: monitor, cost: 5000 cycles, instances: 2}
chains:
  udp: {from: h1.p0, to: h1.p1, match: {proto: udp}, steps: [work]}
traffic:
  - {into: h1.p0, kind: poisson, rate: 200 Mbps, size: 500 B, flows: 100, flow_packets: 200}
faults: [)" +
         fault + R"(]
run: {duration: 1 s, seed: 5}
)";
}

struct Outcome {
  InstanceWatch watch;
  sim::SimulationResult result;
};

Outcome run_with(const std::string& fault) {
  Outcome outcome;
  outcome.result = watched(with_fault(fault), outcome.watch);
  expect_clean(outcome.result);
  return outcome;
}

std::uint64_t received_without_faults() {
  return run(with_fault("")).received_packets;
}

TEST(Fault, WithoutOneNothingIsLost) {
  const Outcome outcome = run_with("");
  EXPECT_GT(outcome.result.received_packets, 45'000u);
  EXPECT_EQ(count_at(outcome.result, "dropped_packets"), 0u);
  EXPECT_FALSE(outcome.result.summary.contains("links"));
  EXPECT_EQ(outcome.watch.lives().size(), 2u);
}

TEST(Fault, FlowsOfAKilledInstanceAreSteeredAnewWithin50Ms) {
  const Outcome outcome = run_with("{at: 300 ms, kill: {service: work, instance: 1}}");
  const InstanceWatch& watch = outcome.watch;
  EXPECT_EQ(outcome.result.fault_counts.at("kill_instance"), 1u);
  const Life& killed = watch.lives().at(0);
  EXPECT_TRUE(killed.died);
  EXPECT_LE(killed.ended, Instant{350ms});
  EXPECT_GT(watch.repins(), 20u);
  EXPECT_GE(watch.last_repin(), Instant{300ms});
  EXPECT_LE(watch.last_repin(), Instant{350ms});
  EXPECT_EQ(watch.moves(), watch.repins());
  // What it had in its hands is lost and counted, and nothing else is.
  EXPECT_EQ(count_at(outcome.result, "dropped_packets"), killed.delivered - killed.returned);
  EXPECT_EQ(watch.drops(DropReason::kInstanceDied), killed.delivered - killed.returned);
}

TEST(Fault, AKilledInstanceIsStartedAgain) {
  const Outcome outcome = run_with("{at: 300 ms, kill: {service: work, instance: 1}}");
  ASSERT_EQ(outcome.watch.lives().size(), 3u);
  const Life& replacement = outcome.watch.lives()[2];
  EXPECT_LE(replacement.started, Instant{350ms});
  EXPECT_GT(replacement.returned, 1'000u);
}

TEST(Fault, KillingOneThatIsNotThereDoesNothing) {
  const Outcome outcome = run_with("{at: 300 ms, kill: {service: work, instance: 9}}");
  EXPECT_FALSE(outcome.result.fault_counts.contains("kill_instance"));
  EXPECT_EQ(count_at(outcome.result, "dropped_packets"), 0u);
}

TEST(Fault, AnInstanceThatHangsForEverIsReplaced) {
  const Outcome outcome = run_with("{at: 300 ms, hang: {service: work, instance: 2}}");
  EXPECT_EQ(outcome.result.fault_counts.at("hang_instance"), 1u);
  ASSERT_EQ(outcome.watch.lives().size(), 3u);
  const Life& hung = outcome.watch.lives()[1];
  EXPECT_TRUE(hung.died);
  EXPECT_LE(hung.last_returned, Instant{301ms});
  EXPECT_LE(hung.ended, Instant{600ms});
  EXPECT_EQ(count_at(outcome.result, "events/instance_hung"), 1u);
  EXPECT_GT(outcome.watch.lives()[2].returned, 1'000u);
}

TEST(Fault, AnInstanceThatHangsForAShortWhileGoesOnWhereItWas) {
  const Outcome outcome = run_with("{at: 300 ms, for: 100 ms, hang: {service: work, instance: 1}}");
  EXPECT_EQ(outcome.watch.lives().size(), 2u);
  EXPECT_EQ(count_at(outcome.result, "events/instance_hung"), 0u);
  const Life& life = outcome.watch.lives()[0];
  EXPECT_GT(life.last_returned, Instant{900ms});
  EXPECT_EQ(life.delivered, life.returned);  // Also what it had in its hands.
  EXPECT_EQ(outcome.watch.moves(), 0u);
  EXPECT_GT(outcome.watch.drops(DropReason::kRingFull), 0u);  // 2500 came, for 512 places.
  EXPECT_EQ(outcome.watch.drops(DropReason::kRingFull),
            count_at(outcome.result, "dropped_packets"));
}

TEST(Fault, AHangThatEndsInTheMiddleOfABatchLosesNothing) {
  // So many that some fall into a batch and end before it would have, and some after.
  for (const char* duration : {"1 us", "4 us", "40 us"}) {
    std::string faults;
    for (int i = 0; i < 200; ++i) {
      faults += "{at: " + std::to_string(300'000 + 1'001 * i) + " us, for: " + duration +
                ", hang: {service: work, instance: " + std::to_string(1 + i % 2) + "}},";
    }
    std::string yaml = with_fault(faults);
    yaml.replace(yaml.find("5000 cycles"), 11, "25000 cycles");  // So that packets wait, too.
    Outcome outcome;
    outcome.result = watched(yaml, outcome.watch);
    expect_clean(outcome.result);
    EXPECT_EQ(outcome.result.fault_counts.at("hang_instance"), 200u);
    EXPECT_EQ(count_at(outcome.result, "dropped_packets"), 0u) << duration;
    EXPECT_EQ(outcome.result.received_packets, received_without_faults());
    ASSERT_EQ(outcome.watch.lives().size(), 2u);
    for (const Life& life : outcome.watch.lives()) EXPECT_EQ(life.delivered, life.returned);
  }
}

TEST(Fault, AHangThatEndsAfterTheReplacementChangesNothing) {
  const Outcome outcome = run_with("{at: 300 ms, for: 400 ms, hang: {service: work, instance: 1}}");
  ASSERT_EQ(outcome.watch.lives().size(), 3u);
  EXPECT_LE(outcome.watch.lives()[0].last_returned, Instant{301ms});
}

TEST(Fault, ASlowInstanceFillsItsRingAndKeepsItsFlows) {
  const Outcome outcome =
      run_with("{at: 300 ms, for: 200 ms, slow: {service: work, instance: 1, factor: 20}}");
  EXPECT_EQ(outcome.result.fault_counts.at("slow_instance"), 1u);
  EXPECT_GT(outcome.watch.drops(DropReason::kRingFull), 0u);
  EXPECT_EQ(outcome.watch.drops(DropReason::kRingFull),
            count_at(outcome.result, "dropped_packets"));
  EXPECT_EQ(outcome.watch.lives().size(), 2u);
  EXPECT_EQ(outcome.watch.moves(), 0u);
  EXPECT_GT(count_at(outcome.result, "chains/udp/latency_max_ns"), 10'000'000u);
}

TEST(Fault, APausedHostGoesOnWithWhatWaited) {
  const Outcome outcome = run_with("{at: 300 ms, for: 60 ms, pause: {host: h1}}");
  EXPECT_EQ(outcome.result.fault_counts.at("pause_host"), 1u);
  EXPECT_EQ(outcome.result.received_packets, received_without_faults());
  EXPECT_EQ(outcome.watch.lives().size(), 2u);  // Nobody takes it for hung.
  const std::uint64_t latency_max = count_at(outcome.result, "chains/udp/latency_max_ns");
  EXPECT_GT(latency_max, 59'000'000u);
  EXPECT_LT(latency_max, 100'000'000u);
}

TEST(Fault, AKilledHostHandlesNothingMore) {
  const Outcome outcome = run_with("{at: 300 ms, kill: {host: h1}}");
  EXPECT_EQ(outcome.result.fault_counts.at("kill_host"), 1u);
  EXPECT_GT(outcome.result.received_packets, 14'000u);
  EXPECT_LT(outcome.result.received_packets, 16'000u);
  for (const Life& life : outcome.watch.lives()) EXPECT_EQ(life.ended, Instant{300ms});
}

TEST(Fault, WhatALinkLosesIsCountedAndNothingElseIsMissing) {
  const Outcome outcome = run_with("{at: 100 ms, for: 800 ms, link: {port: h1.p0, loss: 0.1}}");
  const std::uint64_t lost = count_at(outcome.result, "links/h1.p0/lost");
  EXPECT_NEAR(static_cast<double>(lost), 4'000, 300);
  EXPECT_EQ(outcome.result.received_packets + lost, received_without_faults());
  EXPECT_EQ(count_at(outcome.result, "dropped_packets"), 0u);
}

TEST(Fault, WhatALinkDoublesArrivesTwice) {
  const Outcome outcome = run_with("{at: 0 ms, link: {port: h1.p0, duplicate: 0.1}}");
  const std::uint64_t doubled = count_at(outcome.result, "links/h1.p0/duplicated");
  EXPECT_NEAR(static_cast<double>(doubled), 5'000, 350);
  EXPECT_EQ(outcome.result.received_packets, received_without_faults() + doubled);
}

TEST(Fault, WhatALinkReordersArrivesOnce) {
  const Outcome outcome = run_with("{at: 0 ms, link: {port: h1.p0, reorder: 0.1}}");
  EXPECT_NEAR(static_cast<double>(count_at(outcome.result, "links/h1.p0/reordered")), 5'000, 350);
  EXPECT_EQ(outcome.result.received_packets, received_without_faults());
  EXPECT_EQ(outcome.watch.moves(), 0u);
}

TEST(Fault, WhatALinkDelaysArrivesLater) {
  const Outcome outcome = run_with("{at: 300 ms, for: 100 ms, link: {port: h1.p0, delay: 20 ms}}");
  EXPECT_NEAR(static_cast<double>(count_at(outcome.result, "links/h1.p0/delayed")), 5'000, 350);
  EXPECT_EQ(outcome.result.received_packets, received_without_faults());
  EXPECT_EQ(count_at(outcome.result, "links/h1.p0/lost"), 0u);
}

TEST(Fault, ALinkOfStockNs3CannotBeDisturbed) {
  std::string yaml = with_fault("{at: 0 ms, link: {port: h1.p0, loss: 0.1}}");
  yaml += "sim: {link: csma}\n";
  const auto result = sim::simulate(deployment_of(yaml), {});
  ASSERT_FALSE(result.has_value());
  EXPECT_NE(result.error().to_string().find("cannot be disturbed"), std::string::npos);
}

TEST(Fault, SeveralAtOnceBreakNoRule) {
  const Outcome outcome = run_with(
      "{at: 100 ms, for: 50 ms, pause: {host: h1}},"
      "{at: 120 ms, kill: {service: work, instance: 1}},"
      "{at: 130 ms, for: 400 ms, hang: {service: work, instance: 2}},"
      "{at: 300 ms, kill: {service: work, instance: 2}},"
      "{at: 310 ms, for: 90 ms, slow: {service: work, instance: 3, factor: 50}},"
      "{at: 320 ms, kill: {service: work, instance: 3}},"
      "{at: 321 ms, kill: {service: work, instance: 4}},"
      "{at: 0 ms, link: {port: h1.p1, loss: 0.1, duplicate: 0.1, reorder: 0.1, delay: 1 ms}}");
  EXPECT_GT(outcome.watch.lives().size(), 4u);
  EXPECT_GT(outcome.watch.lives().back().returned, 1'000u);
}

}  // namespace
}  // namespace sluice::test

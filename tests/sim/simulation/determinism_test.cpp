#include <string>

#include "tests/sim/simulation/support.hpp"

namespace sluice::test {
namespace {

/// A bit of everything that draws from a seed: flows, sizes, choices of instances, link faults.
std::string mixed(std::uint64_t seed) {
  return R"(
name: mixed
hosts:
  h1: {cores: 8, clock: 2 GHz, workers: 2, ports: {p0: {rate: 10 Gbps}, p1: {rate: 10 Gbps}}}
services:
  watch: {function: monitor, cost: 2000 cycles, instances: {min: 1, max: 3, start: 2}}
  spread: {function: forward, cost: 900 cycles, choose: maglev, instances: 2}
chains:
  udp: {from: h1.p0, to: h1.p1, match: {proto: udp}, steps: [watch, {copy: spread}, spread]}
traffic:
  - {into: h1.p0, kind: on_off, on: 5 ms, off: 5 ms, rate: 600 Mbps, size: 300 B, flows: 50,
       flow_packets: 100}
faults:
  - {at: 50 ms, for: 50 ms, link: {port: h1.p0, loss: 0.01, duplicate: 0.01, reorder: 0.01}}
  - {at: 120 ms, kill: {service: watch, instance: 1}}
run: {duration: 300 ms, seed: )" +
         std::to_string(seed) + "}\n";
}

/// Uses what ns-3 keeps between runs: node numbers, addresses, streams of random numbers.
const char* const kTcp = R"(
name: tcp
hosts:
  h1: {cores: 3, clock: 2 GHz, ports: {p0: {rate: 100 Mbps, delay: 1 ms}, p1: {rate: 100 Mbps,
      delay: 1 ms}}}
chains:
  web: {from: h1.p0, to: h1.p1, match: {proto: tcp}, steps: [monitor]}
  back: {from: h1.p1, to: h1.p0, reverse_of: web}
traffic: [{kind: tcp, into: h1.p0, to: h1.p1, size: 50 kB, arrivals: 20/s}]
faults: [{at: 0 ms, link: {port: h1.p0, loss: 0.01}}]
run: {duration: 1 s, seed: 3}
)";

TEST(Determinism, SameSeedGivesTheSameTraceAndSummary) {
  const sim::SimulationResult first = run(mixed(7));
  const sim::SimulationResult second = run(mixed(7));
  EXPECT_EQ(first.trace_hash, second.trace_hash);
  EXPECT_EQ(first.summary.dump(), second.summary.dump());
  EXPECT_EQ(first.event_count, second.event_count);
  EXPECT_GT(first.received_packets, 10'000u);
}

TEST(Determinism, AnotherSeedGivesAnotherTrace) {
  const sim::SimulationResult one = run(mixed(7));
  const sim::SimulationResult other = run(mixed(8));
  EXPECT_NE(one.trace_hash, other.trace_hash);
  EXPECT_NE(one.summary.dump(), other.summary.dump());
}

TEST(Determinism, ARunDoesNotDependOnTheRunsBeforeIt) {
  const sim::SimulationResult before = run(kTcp);
  const sim::SimulationResult between = run(mixed(1));
  const sim::SimulationResult after = run(kTcp);
  EXPECT_NE(before.trace_hash, between.trace_hash);
  EXPECT_EQ(before.trace_hash, after.trace_hash);
  EXPECT_EQ(before.summary.dump(), after.summary.dump());
}

TEST(Determinism, WatchingDoesNotChangeARun) {
  Observer nobody;
  sim::SimulationOptions watched;
  watched.observer = &nobody;
  watched.progress = [](Instant, std::uint64_t) {};
  Deployment unchecked = deployment_of(mixed(7));
  unchecked.run.checkers = false;
  const std::string expected = run(mixed(7)).trace_hash;
  EXPECT_EQ(run(mixed(7), watched).trace_hash, expected);
  EXPECT_EQ(run(unchecked).trace_hash, expected);
}

}  // namespace
}  // namespace sluice::test

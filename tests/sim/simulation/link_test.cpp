#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sim/workload/capture.hpp"
#include "sim/workload/workload.hpp"
#include "tests/sim/simulation/support.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;
using Frame = std::string;  ///< The bytes of one.
using Flows = std::map<std::string, std::vector<Frame>>;

/// 100 flows through a chain of two services, over links of one kind. Their frames are told apart
/// by TCP sequence numbers.
std::string over(const std::string& link, const std::string& host = "",
                 const std::string& more = "") {
  return R"(
name: link
hosts:
  h1: {cores: 8, clock: 2 GHz, )" +
         host + R"( ports: {p0: {rate: 10 Gbps}, p1: {rate: 10 Gbps}}}
services:
  first: {function: forward, cost: 4000 cycles, instances: 2}
  second: {function: forward, cost: 1500 cycles}
chains:
  all: {from: h1.p0, to: h1.p1, match: {proto: tcp}, steps: [first, second]}
traffic:
  - {into: h1.p0, kind: poisson, rate: 800 Mbps, size: 250 B, proto: tcp, flows: 100,
       flow_packets: 50}
sim: {)" +
         link + "}\n" + more + R"(
run: {duration: 100 ms, seed: 11, captures: [h1.p1]}
)";
}

/// Sorts frames into flows: by all of an IPv4 header's addresses and the ports behind it.
void add(Flows& flows, const Frame& frame) {
  flows[frame.substr(26, 12)].push_back(frame);
}

Flows generated(const std::string& yaml) {
  const Deployment deployment = deployment_of(yaml);
  auto generator = sim::make_generator(deployment.traffic[0], 1522, {}, deployment.run.seed, 0);
  Flows flows;
  std::vector<std::byte> room(2048);
  while (const auto frame = (*generator)->next(room)) {
    if (frame->at >= Instant{deployment.run.duration}) break;
    add(flows, Frame{reinterpret_cast<const char*>(room.data()), frame->length});
  }
  return flows;
}

struct Outcome {
  sim::SimulationResult result;
  Flows flows;  ///< As they left by p1.
};

/// Runs it and reads the capture back from the result folder.
Outcome capture(const std::string& yaml) {
  static int number = 0;
  const auto folder =
      std::filesystem::temp_directory_path() /
      ("sluice-link-test-" + std::to_string(::getpid()) + "-" + std::to_string(++number));
  auto writer = cli::RunWriter::create(folder.string());
  Outcome outcome;
  if (!writer) {
    ADD_FAILURE() << writer.error().to_string();
    return outcome;
  }
  sim::SimulationOptions options;
  options.writer = writer->get();
  outcome.result = run(yaml, options);
  EXPECT_TRUE((*writer)->finish({}, outcome.result.summary, {}).has_value());
  const auto file = folder / "captures" / "h1.p1.pcap";
  const auto read = sim::Capture::load(file.string(), {});
  if (!read) {
    ADD_FAILURE() << read.error().to_string();
    return outcome;
  }
  for (const auto& frame : read->frames()) {
    const auto bytes = read->bytes(frame);
    add(outcome.flows, Frame{reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  std::filesystem::remove_all(folder);
  return outcome;
}

std::size_t frame_count(const Flows& flows) {
  std::size_t count = 0;
  for (const auto& [key, frames] : flows) count += frames.size();
  return count;
}

Flows cut(Flows flows, std::size_t from) {
  for (auto& [key, frames] : flows) {
    for (Frame& frame : frames) frame.erase(0, from);
  }
  return flows;
}

class EachLink : public testing::TestWithParam<const char*> {};

TEST_P(EachLink, DeliversEveryFrameByteForByteInTheOrderOfItsFlow) {
  const std::string yaml = over(GetParam());
  const Flows expected = generated(yaml);
  ASSERT_GT(frame_count(expected), 30'000u);
  ASSERT_GT(expected.size(), 300u);
  const Outcome outcome = capture(yaml);
  expect_clean(outcome.result);
  EXPECT_EQ(outcome.result.received_packets, frame_count(expected));
  const std::string_view link = GetParam();
  // PPP has no addresses: what comes out of it is the same from the EtherType on.
  const std::size_t from = link.find("point-to-point") == link.npos ? 0 : 12;
  EXPECT_TRUE(cut(outcome.flows, from) == cut(expected, from));
}

INSTANTIATE_TEST_SUITE_P(Link, EachLink,
                         testing::Values("link: burst", "link: burst, burst: 1",
                                         "link: burst, burst: 256, burst_window: 200 us",
                                         "link: point-to-point", "link: csma"),
                         [](const auto& each) { return "Kind" + std::to_string(each.index); });

/// By how much two numbers of two runs differ, as a part of the second.
double difference(const Outcome& one, const Outcome& other, const std::string& path) {
  const auto of_one = static_cast<double>(count_at(one.result, path));
  const auto of_other = static_cast<double>(count_at(other.result, path));
  EXPECT_GT(of_other, 0) << path;
  return std::abs(of_one - of_other) / of_other;
}

TEST(Link, BurstsOfOneAreAsGoodAsPacketsOneByOne) {
  const Outcome bursts = capture(over("link: burst, burst: 1"));
  const Outcome stock = capture(over("link: point-to-point"));
  for (const char* counter :
       {"received_packets", "dropped_packets", "flows_started", "chains/all/packets"}) {
    EXPECT_EQ(count_at(bursts.result, counter), count_at(stock.result, counter)) << counter;
  }
  EXPECT_LE(difference(bursts, stock, "chains/all/latency_mean_ns"), 0.01);
  EXPECT_LE(difference(bursts, stock, "chains/all/latency_p99_ns"), 0.01);
}

TEST(Link, LargerBurstsCostFewerEventsAndNoFrame) {
  const Outcome one = capture(over("link: burst, burst: 1"));
  const Outcome many = capture(over("link: burst, burst: 32"));
  EXPECT_LT(many.result.event_count, one.result.event_count);
  EXPECT_TRUE(many.flows == one.flows);
}

TEST(Link, AReorderingLinkReordersWithinFlows) {
  const std::string yaml =
      over("link: burst", "", "faults: [{at: 0 ms, link: {port: h1.p0, reorder: 0.05}}]\n");
  const Flows expected = generated(yaml);
  Outcome outcome = capture(yaml);
  EXPECT_FALSE(outcome.flows == expected);
  Flows sorted = expected;
  for (Flows* flows : {&outcome.flows, &sorted}) {
    for (auto& [key, frames] : *flows) std::sort(frames.begin(), frames.end());
  }
  EXPECT_TRUE(outcome.flows == sorted);
}

// --- Several workers -----------------------------------------------------------------------------

TEST(Workers, ThreeSendTheSameFramesAsOne) {
  const Outcome one = capture(over("link: burst"));
  const Outcome three = capture(over("link: burst", "workers: 3,"));
  expect_clean(three.result);
  EXPECT_EQ(three.result.received_packets, one.result.received_packets);
  EXPECT_EQ(count_at(three.result, "dropped_packets"), 0u);
  EXPECT_EQ(count_at(three.result, "flows_started"), count_at(one.result, "flows_started"));
  EXPECT_TRUE(three.flows == one.flows);
}

/// Transfers through a firewall that lets nothing back but replies.
std::string transfers(const std::string& host, const std::string& more = "") {
  return R"(
name: transfers
hosts:
  h1: {cores: 10, clock: 2 GHz, )" +
         host + R"( ports: {p0: {rate: 1 Gbps, delay: 100 us}, p1: {rate: 1 Gbps, delay: 100 us}}}
services:
  wall: {function: firewall, rules: [{allow: {proto: tcp, dst_port: 80}}], cost: 300 cycles,
      affinity: session, instances: 2}
  watch: {function: monitor, cost: 300 cycles, affinity: session, instances: 2}
chains:
  web: {from: h1.p0, to: h1.p1, match: {proto: tcp, dst_port: 80}, steps: [wall, watch]}
  back: {from: h1.p1, to: h1.p0, reverse_of: web}
traffic: [{kind: tcp, into: h1.p0, to: h1.p1, size: 100 kB, arrivals: 50/s, count: 40}]
)" + more +
         "run: {duration: 5 s, seed: 2}\n";
}

void expect_all_transferred(const sim::SimulationResult& result) {
  const std::string name = result.summary.at("transfers").begin().key();
  EXPECT_EQ(count_at(result, "transfers/" + name + "/started"), 40u);
  EXPECT_EQ(count_at(result, "transfers/" + name + "/finished"), 40u);
  EXPECT_EQ(count_at(result, "transfers/" + name + "/received_bytes"), 40u * 100'000u);
}

TEST(Transfers, CompleteThroughFirewallAndMonitorWithExactBytes) {
  const sim::SimulationResult result = run(transfers(""));
  expect_clean(result);
  expect_all_transferred(result);
  EXPECT_EQ(count_at(result, "dropped_packets"), 0u);
  EXPECT_GT(count_at(result, "chains/back/packets"), 1'000u);
}

TEST(Transfers, RepliesFindTheirFlowAmongThreeWorkers) {
  const sim::SimulationResult result = run(transfers("workers: 3,"));
  expect_clean(result);
  expect_all_transferred(result);
  EXPECT_EQ(count_at(result, "drops/no_chain"), 0u);
}

TEST(Transfers, CompleteOverALossyLink) {
  const sim::SimulationResult result = run(transfers(
      "",
      "faults: [{at: 0 ms, link: {port: h1.p0, loss: 0.01}}, {at: 0 ms, link: {port: h1.p1, "
      "loss: 0.01, duplicate: 0.01, reorder: 0.01}}]\n"));
  expect_clean(result);
  expect_all_transferred(result);
  EXPECT_GT(count_at(result, "links/h1.p0/lost"), 20u);
  EXPECT_GT(count_at(result, "links/h1.p1/lost"), 20u);
}

TEST(Transfers, CompleteAlthoughInstancesDie) {
  const sim::SimulationResult result = run(
      transfers("",
                "faults: [{at: 300 ms, kill: {service: watch, instance: 1}}, {at: 500 ms, kill: "
                "{service: watch, instance: 2}}]\n"));
  expect_clean(result);
  expect_all_transferred(result);
}

}  // namespace
}  // namespace sluice::test

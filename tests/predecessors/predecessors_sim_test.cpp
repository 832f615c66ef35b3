#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/results/run_writer.hpp"
#include "core/deployment/parser.hpp"
#include "core/function/registry.hpp"
#include "sim/simulation.hpp"

/// The items of DESIGN 14 that need simulated time; the others are in predecessors_test.cpp.
namespace sluice {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Json = nlohmann::ordered_json;

struct Outcome {
  Json summary;
  std::vector<Json> events;

  /// When `kind` happened for the first time at or after `from`; Instant::max() if never.
  [[nodiscard]] Instant first(const std::string& kind, Instant from) const {
    for (const Json& event : events) {
      const Instant at = instant_from_ns(event["at_ns"].get<std::uint64_t>());
      if (event["kind"] == kind && at >= from) return at;
    }
    return Instant::max();
  }
};

constexpr const char* kPorts = "ports: {p0: {rate: 10 Gbps}, p1: {rate: 10 Gbps}}";

Outcome simulate_text(const std::string& text) {
  Outcome run;
  const auto deployment =
      parse_deployment(text, "test.yaml", built_in_functions(),
                       [](const std::string&) -> Result<std::string, std::string> {
                         return unexpected(std::string("no such file"));
                       });
  if (!deployment) {
    ADD_FAILURE() << deployment.error().to_string();
    return run;
  }
  std::string name = (fs::temp_directory_path() / "sluice-predecessors-XXXXXX").string();
  const fs::path folder = ::mkdtemp(name.data());
  auto writer = cli::RunWriter::create((folder / "run").string());
  sim::SimulationOptions options;
  if (writer) options.writer = writer->get();
  const auto result = sim::simulate(*deployment, options);
  if (!result || !writer) {
    ADD_FAILURE() << "the run failed";
    return run;
  }
  EXPECT_EQ(result->violation_count, 0u);
  run.summary = result->summary;
  EXPECT_TRUE((*writer)->finish({}, result->summary, Json::object()).has_value());
  std::ifstream events(folder / "run" / "events.jsonl");
  for (std::string line; std::getline(events, line);) run.events.push_back(Json::parse(line));
  fs::remove_all(folder);
  return run;
}

std::string host(const std::string& clock, const std::string& more = "") {
  return "name: test\nhosts: {h1: {cores: 6, clock: " + clock + more + ", " + kPorts + "}}\n";
}

TEST(OpenNetVm, OneSecondControlPolls) {
  // An instance dies at 300 ms, another hangs at 600 ms, and from 1200 ms on there is too much for
  // all.
  const Outcome run = simulate_text(
      host("2 GHz") +
      "services: {work: {function: monitor, cost: 20000 cycles, instances: {min: 2, max: 5}}}\n"
      "chains: {all: {from: h1.p0, to: h1.p1, steps: [work]}}\n"
      "scaling: {cooldown: 200 ms}\n"
      "traffic:\n"
      "  - {into: h1.p0, kind: poisson, rate: 200 Mbps, size: 500 B, flows: 50,"
      " flow_packets: 100}\n"
      "  - {into: h1.p0, kind: poisson, rate: 3 Gbps, size: 500 B, flows: 50, flow_packets: 100,"
      " start: 1200 ms}\n"
      "faults:\n"
      "  - {at: 300 ms, kill: {service: work, instance: 1}}\n"
      "  - {from: 600 ms, hang: {service: work, instance: 2}}\n"
      "run: {duration: 1500 ms, seed: 1}\n");
  const auto soon = [&](const std::string& kind, Duration after, Duration limit) {
    const Instant at = run.first(kind, Instant{after});
    EXPECT_LT(at, Instant{after + limit}) << kind << " after " << after.count() << " ns";
  };
  soon("instance_died", 300ms, 20ms);
  soon("instance_started", 300ms, 50ms);
  soon("instance_hung", 600ms, 300ms);
  soon("instance_started", 600ms, 350ms);
  soon("instance_started", 1200ms, 200ms);
  soon("scale_up", 1200ms, 200ms);
}

TEST(OpenNetVm, FiveSecondStart) {
  const Outcome run =
      simulate_text(host("2 GHz") +
                    "services: {work: {function: monitor, cost: 200 cycles, instances: 3}}\n"
                    "chains: {all: {from: h1.p0, to: h1.p1, steps: [work]}}\n"
                    "traffic: [{into: h1.p0, kind: constant, rate: 100 Mbps, size: 500 B}]\n"
                    "run: {duration: 20 ms, seed: 1}\n");
  EXPECT_LE(run.first("instance_started", Instant{}), Instant{10ms});
  EXPECT_EQ(run.summary["dropped_packets"], 0);  // From the first packet on.
  EXPECT_GT(run.summary["chains"]["all"]["packets"], 400);
}

TEST(OpenNetVmFork, NoScaleIn) {
  const Outcome run =
      simulate_text(host("2 GHz", ", flow_idle: 200 ms") +
                    "services: {work: {function: monitor, cost: 200 cycles,"
                    " instances: {min: 1, max: 4, start: 4}}}\n"
                    "chains: {all: {from: h1.p0, to: h1.p1, steps: [work]}}\n"
                    "scaling: {down: {load: 0.5, for: 100 ms}, cooldown: 100 ms}\n"
                    "traffic: [{into: h1.p0, kind: poisson, rate: 20 Mbps, size: 500 B, flows: 20,"
                    " flow_packets: 5, proto: udp}]\n"
                    "run: {duration: 3 s, seed: 1}\n");
  EXPECT_EQ(run.summary["services"]["work"]["instances_max"], 4);
  EXPECT_EQ(run.summary["services"]["work"]["instances_end"], 1);
  EXPECT_EQ(run.summary["dropped_packets"], 0);
}

TEST(Bess, CyclesTakenForNanoseconds) {
  const auto latency_at = [](const std::string& clock) {
    const Outcome run =
        simulate_text(host(clock, ", worker_cost: 0 cycles") +
                      "services: {work: {function: forward, cost: 100000 cycles}}\n"
                      "chains: {all: {from: h1.p0, to: h1.p1, steps: [work]}}\n"
                      "traffic: [{into: h1.p0, kind: constant, rate: 4 Mbps, size: 500 B}]\n"
                      "run: {duration: 100 ms, seed: 1}\n");
    return Duration{run.summary["chains"]["all"]["latency_mean_ns"].get<std::int64_t>()};
  };
  const Duration at_1_ghz = latency_at("1 GHz"), at_2_ghz = latency_at("2 GHz");
  const Duration at_4_ghz = latency_at("4 GHz");
  // 100000 cycles are 100, 50 and 25 us; all else does not depend on the clock.
  EXPECT_EQ(at_1_ghz - at_2_ghz, 50us);
  EXPECT_EQ(at_2_ghz - at_4_ghz, 25us);
  EXPECT_GE(at_1_ghz, 100us);
  EXPECT_LT(at_1_ghz, 102us);
}

}  // namespace
}  // namespace sluice

// Runs a few deployments under the checkers, with a host that has one bug (see CMakeLists.txt), and
// says whether the named property was seen broken. With "none", for the host as it is: whether
// nothing was.
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/deployment/parser.hpp"
#include "core/function/registry.hpp"
#include "sim/simulation.hpp"

namespace {

using sluice::sim::SimulationResult;

struct Scenario {
  const char* name;
  const char* yaml;
};

const Scenario kScenarios[] = {
    // Scales up and down again, changes its chain, and rings overflow.
    {"load", R"(
name: load
hosts:
  h1: {cores: 6, clock: 1 GHz, worker_cost: 20 cycles, flow_idle: 200 ms,
      ports: {p0: {rate: 10 Gbps}, p1: {rate: 10 Gbps}}}
services:
  first: {function: forward, cost: 300 cycles}
  heavy: {function: monitor, cost: 20000 cycles, ring: 128, instances: {min: 1, max: 3}}
chains:
  udp: {from: h1.p0, to: h1.p1, match: {proto: udp}, steps: [first, heavy]}
scaling: {up: {occupancy: 0.5, for: 50 ms}, down: {load: 0.5, for: 200 ms}, cooldown: 100 ms}
traffic:
  - {into: h1.p0, kind: poisson, size: 500 B, flows: 200, flow_packets: 50, rate: [[0 s,
       300 Mbps], [500 ms, 300 Mbps], [700 ms, 40 Mbps]]}
changes: [{at: 400 ms, chain: udp, steps: [heavy, first]}]
run: {duration: 3 s, seed: 1}
)"},
    // Inline functions and drops, so that a buffer changes hands within a poll.
    {"inline", R"(
name: inline
hosts:
  h1: {cores: 2, clock: 1 GHz, buffers: 256, ports: {p0: {rate: 10 Gbps}, p1: {rate: 10 Gbps}}}
services:
  wall: {function: firewall, run: inline, rules: [{allow: {proto: udp, dst_port: 1-30000}}]}
chains:
  udp: {from: h1.p0, to: h1.p1, match: {proto: udp}, steps: [wall]}
traffic:
  - {into: h1.p0, kind: constant, size: 200 B, flows: 300, burst: 32, rate: 100 Mbps,
       src_port: 1024-60000, dst_port: 1024-60000}
run: {duration: 500 ms, seed: 1}
)"},
    // More flows than the table takes, and frames that are too long for the way out.
    {"flood", R"(
name: flood
hosts:
  h1: {cores: 2, clock: 1 GHz, flows: 64, ports: {p0: {rate: 10 Gbps}, p1: {rate: 10 Gbps,
      frame_max: 300 B}}}
chains:
  udp: {from: h1.p0, to: h1.p1, match: {proto: udp}, steps: [forward]}
traffic:
  - {into: h1.p0, kind: poisson, size: 200 B, flows: 500, rate: 20 Mbps, start: 20 ms}
  - {into: h1.p0, kind: poisson, size: 400 B, rate: 1 Mbps}
run: {duration: 300 ms, seed: 1}
)"},
    // A function that keeps packets for longer than it has room for them.
    {"hold", R"(
name: hold
hosts:
  h1: {cores: 2, clock: 1 GHz, ports: {p0: {rate: 10 Gbps}, p1: {rate: 10 Gbps}}}
services:
  late: {function: delay, delay: 20 ms, hold: 4096, ring: 16}
chains:
  udp: {from: h1.p0, to: h1.p1, match: {proto: udp}, steps: [late]}
traffic: [{into: h1.p0, kind: poisson, size: 200 B, flows: 10, rate: 10 Mbps}]
run: {duration: 200 ms, seed: 1}
)"},
    // So little that nothing else wakes who was forgotten.
    {"quiet", R"(
name: quiet
hosts:
  h1: {cores: 4, clock: 1 GHz, workers: 2, flow_idle: 60 s, ports: {p0: {rate: 10 Gbps},
      p1: {rate: 10 Gbps}}}
chains:
  udp: {from: h1.p0, to: h1.p1, match: {proto: udp}, steps: [forward]}
traffic: [{into: h1.p0, kind: constant, size: 1000 B, flows: 8, rate: 8 kbps, stop: 10 s}]
run: {duration: 20 s, seed: 1}
)"},
};

sluice::Result<std::string, std::string> no_file(const std::string&) {
  return sluice::unexpected(std::string{"no file is named here"});
}

/// Runs all scenarios. @return Which properties were seen broken, and where; nothing when one did
/// not run.
bool run_all(std::vector<std::pair<std::string, std::string>>& broken) {
  for (const Scenario& scenario : kScenarios) {
    const auto deployment = sluice::parse_deployment(scenario.yaml, scenario.name,
                                                     sluice::built_in_functions(), no_file);
    if (!deployment) {
      std::fprintf(stderr, "%s\n", deployment.error().to_string().c_str());
      return false;
    }
    const auto result = sluice::sim::simulate(*deployment, {});
    if (!result || result->received_packets == 0) {
      std::fprintf(stderr, "%s: did not run\n", scenario.name);
      return false;
    }
    for (const auto& each : result->violations) {
      broken.emplace_back(to_string(each.property), std::string{scenario.name} + ": " + each.text);
    }
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: bug_NAME PROPERTY|none\n", stderr);
    return 2;
  }
  const std::string_view expected = argv[1];
  std::vector<std::pair<std::string, std::string>> broken;
  if (!run_all(broken)) return 2;
  bool found = false;
  std::string_view last;
  for (const auto& [property, text] : broken) {
    if (property != last) std::printf("%s: %s\n", property.c_str(), text.c_str());
    last = property;
    found = found || property == expected;
  }
  if (expected == "none") return broken.empty() ? 0 : 1;
  if (!found) std::printf("%s was not seen broken\n", argv[1]);
  return found ? 0 : 1;
}

// `sluice bench dpdk`: the DPDK backend's host, the ring and the flow table, beside DPDK's own.
#include <sys/resource.h>

#include <array>
#include <fstream>

#include "tests/bench/dpdk/dpdk_groups.hpp"

namespace {

/// What is measured goes before the other programs of the machine, as far as the system allows it:
/// a look lasts some ten milliseconds, and each that another program interrupts is lost.
void take_precedence() {
  setpriority(PRIO_PROCESS, 0, -20);
  std::ofstream{"/proc/self/autogroup"} << -20;  // Within it alone would the priority count.
}

}  // namespace

int main(int argc, char** argv) {
  using namespace sluice::bench;
  constexpr std::array<Group, 10> kGroups{{
      {.name = "ring", .run = bench_rte_ring, .steps = 4},
      {.name = "hash", .run = bench_rte_hash, .steps = 2},
      {.name = "peers", .run = bench_peers, .steps = 4},
      {.name = "inline", .run = bench_inline, .steps = 8},
      {.name = "hop", .run = bench_hop, .steps = 8},
      {.name = "slope", .run = bench_slope, .steps = 2},
      {.name = "latency", .run = bench_latency, .steps = 2},
      {.name = "idle", .run = bench_idle, .steps = 1},
      {.name = "start", .run = bench_start, .steps = 2},
      {.name = "failures", .run = bench_failures, .steps = 1},
  }};
  take_precedence();
  return run("sluice-bench-dpdk", kGroups, argc, argv);
}

// `sluice bench dpdk`: the DPDK backend's host, the ring and the flow table, beside DPDK's own.
#include <array>

#include "tests/bench/dpdk/dpdk_groups.hpp"

int main(int argc, char** argv) {
  using namespace sluice::bench;
  constexpr std::array<Group, 8> kGroups{{
      {.name = "ring", .run = bench_rte_ring, .steps = 4},
      {.name = "hash", .run = bench_rte_hash, .steps = 2},
      {.name = "peers", .run = bench_peers, .steps = 4},
      {.name = "inline", .run = bench_inline, .steps = 8},
      {.name = "hop", .run = bench_hop, .steps = 8},
      {.name = "slope", .run = bench_slope, .steps = 2},
      {.name = "idle", .run = bench_idle, .steps = 1},
      {.name = "start", .run = bench_start, .steps = 2},
  }};
  return run("sluice-bench-dpdk", kGroups, argc, argv);
}

#include <array>

#include "tests/bench/bench_groups.hpp"

int main(int argc, char** argv) {
  using namespace sluice::bench;
  constexpr std::array<Group, 7> kGroups{{
      {.name = "flow", .run = bench_flow, .steps = 12},
      {.name = "ring", .run = bench_ring, .steps = 1},
      {.name = "maglev", .run = bench_maglev, .steps = 1},
      {.name = "chain", .run = bench_chain, .steps = 1},
      {.name = "path", .run = bench_path, .steps = 8},
      {.name = "tunnel", .run = bench_tunnel, .steps = 1},
      {.name = "ids", .run = bench_ids, .steps = 4},
  }};
  return run("sluice-bench-core", kGroups, argc, argv);
}

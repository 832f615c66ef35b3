#pragma once

#include "tests/bench/bench.hpp"

/// The groups of `sluice bench core`, one function and one file each. To add one: declare it here,
/// list it in bench_core.cpp, and add its file to CMakeLists.txt.
namespace sluice::bench {

void bench_flow(Bench& bench);
void bench_ring(Bench& bench);
void bench_maglev(Bench& bench);
void bench_chain(Bench& bench);
void bench_ids(Bench& bench);
void bench_path(Bench& bench);
void bench_tunnel(Bench& bench);

}  // namespace sluice::bench

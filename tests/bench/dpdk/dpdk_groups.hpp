#pragma once

#include "tests/bench/bench.hpp"

/// The groups of `sluice bench dpdk`.
namespace sluice::bench {

void bench_rte_ring(Bench& bench);  // bench_rte_ring.cpp
void bench_rte_hash(Bench& bench);  // bench_rte_hash.cpp
void bench_peers(Bench& bench);     // bench_forwarding.cpp
void bench_inline(Bench& bench);
void bench_hop(Bench& bench);
void bench_slope(Bench& bench);  // bench_hosts.cpp
void bench_latency(Bench& bench);
void bench_idle(Bench& bench);
void bench_start(Bench& bench);
void bench_failures(Bench& bench);  // bench_failures.cpp

}  // namespace sluice::bench

#include <cstdio>
#include <string>

#include "core/ring/spsc_ring.hpp"
#include "tests/bench/dpdk/dpdk_groups.hpp"
#include "tests/bench/dpdk/rte_peers.hpp"

namespace sluice::bench {
namespace {

RingResult spsc_between_threads(std::uint64_t lap_count) {
  OwnedSpscRing<Packet> owned{kRingCapacity};
  return between_threads<Packet>(owned.ring(), lap_count);
}

RingResult spsc_in_one_thread(std::uint64_t lap_count) {
  OwnedSpscRing<Packet> owned{kRingCapacity};
  return in_one_thread<Packet>(owned.ring(), lap_count);
}

struct Comparison {
  const char* id;
  const char* peer_name;
  RingResult (*ours)(std::uint64_t lap_count);
  RingResult (*peer)(std::uint64_t lap_count);
};

void compare(Bench& bench, const Comparison& comparison, std::uint64_t lap_count) {
  bench.progress(comparison.id);
  const auto measure = [&](RingResult (*run)(std::uint64_t)) {
    const RingResult result = run(lap_count);
    bench.keep(result.sum);
    return result.element_ns;
  };
  const Pair pair = bench.take_turns([&] { return measure(comparison.ours); },
                                     [&] { return measure(comparison.peer); });
  bench.add_lower_is_better(comparison.id, "ns/desc", comparison.peer_name, pair, {});
}

}  // namespace

/// Descriptors of 32 bytes through our ring, beside rte_ring with the same elements, and with
/// pointers of 8 bytes, which leave the packet's data where it is.
void bench_rte_ring(Bench& bench) {
  const std::uint64_t laps = bench.pick<std::uint64_t>(1, 101, 501);
  if (cache_line_bounce_ns(1000)) {
    compare(bench,
            {"ring.spsc_vs_rte_ring", "rte_ring of 32 B", spsc_between_threads,
             rte_ring_between_threads},
            laps);
    compare(bench,
            {"ring.spsc_vs_rte_ring.pointers", "rte_ring of 8 B", spsc_between_threads,
             rte_ring_of_pointers_between_threads},
            laps);
    bench.add_plain("ring.spsc_vs_rte_ring.bounce",
                    cache_line_bounce_ns(bench.pick<std::uint64_t>(1000, 200'000, 500'000)).value(),
                    "ns");
  } else {
    std::fprintf(stderr, "ring.spsc_vs_rte_ring: left out, for it needs two processors\n");
  }
  compare(bench,
          {"ring.spsc_vs_rte_ring.one_thread", "rte_ring of 32 B", spsc_in_one_thread,
           rte_ring_in_one_thread},
          laps);
  compare(bench,
          {"ring.spsc_vs_rte_ring.one_thread_pointers", "rte_ring of 8 B", spsc_in_one_thread,
           rte_ring_of_pointers_in_one_thread},
          laps);
}

}  // namespace sluice::bench

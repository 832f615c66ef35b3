#include <cstdio>

#include "core/ring/spsc_ring.hpp"
#include "tests/bench/bench_groups.hpp"
#include "tests/bench/ring_transfer.hpp"

namespace sluice::bench {

void bench_ring(Bench& bench) {
  bench.progress("ring.spsc");
  if (!cache_line_bounce_ns(1000)) {
    std::fprintf(stderr, "ring.spsc: left out, for it needs two processors\n");
    return;
  }
  const std::uint64_t laps = bench.pick<std::uint64_t>(1, 101, 1001);
  const std::uint64_t bounces = bench.pick<std::uint64_t>(1000, 100'000, 500'000);
  const auto transfer = [&] {
    OwnedSpscRing<Packet> owned{kRingCapacity};
    const RingResult result = between_threads<Packet>(owned.ring(), laps);
    bench.keep(result.sum);
    return result.element_ns;
  };
  const Pair pair =
      bench.take_turns(transfer, [&] { return cache_line_bounce_ns(bounces).value(); });
  bench.add_lower_is_better("ring.spsc", "ns/desc", "cache line bounce", pair, {});
}

}  // namespace sluice::bench

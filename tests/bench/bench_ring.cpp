#include <array>
#include <cstdio>
#include <thread>

#include "core/packet/packet.hpp"
#include "core/ring/spsc_ring.hpp"
#include "tests/bench/bench_groups.hpp"

namespace sluice::bench {
namespace {

constexpr std::size_t kBatch = 32;

/// Nanoseconds a descriptor from one pinned thread to another, in batches of 32.
double transfer_ns(std::uint64_t count, Bench& bench) {
  OwnedSpscRing<Packet> owned{1024};
  SpscRing<Packet>& ring = owned.ring();
  std::thread producer{[&] {
    (void)pin_thread(0);
    std::array<Packet, kBatch> batch{};
    for (std::uint64_t sent = 0; sent < count;) {
      for (std::size_t i = 0; i < kBatch; ++i) batch[i].arrival = sent + i;
      for (std::size_t done = 0; done < kBatch;) {
        done += ring.enqueue(std::span{batch}.subspan(done));
      }
      sent += kBatch;
    }
  }};
  std::uint64_t sum = 0;
  double total = 0;
  std::thread consumer{[&] {
    (void)pin_thread(1);
    std::array<Packet, kBatch> batch;
    total = time_ns([&] {
      for (std::uint64_t seen = 0; seen < count;) {
        const std::uint32_t taken = ring.dequeue(batch);
        for (std::uint32_t i = 0; i < taken; ++i) sum += batch[i].arrival;
        seen += taken;
      }
    });
  }};
  producer.join();
  consumer.join();
  bench.keep(sum);
  return total / static_cast<double>(count);
}

}  // namespace

void bench_ring(Bench& bench) {
  bench.progress("ring.spsc");
  if (!cache_line_bounce_ns(1000)) {
    std::fprintf(stderr, "ring.spsc: left out, for it needs two processors\n");
    return;
  }
  const std::uint64_t count = bench.pick<std::uint64_t>(kBatch * 100, 3'200'000, 32'000'000);
  const std::uint64_t bounces = bench.pick<std::uint64_t>(1000, 100'000, 500'000);
  const Pair pair = bench.take_turns([&] { return transfer_ns(count, bench); },
                                     [&] { return cache_line_bounce_ns(bounces).value(); });
  bench.add_lower_is_better("ring.spsc", "ns/desc", "cache line bounce", pair, {});
}

}  // namespace sluice::bench

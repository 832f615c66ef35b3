#include <algorithm>
#include <array>
#include <cstdio>
#include <thread>
#include <vector>

#include "core/packet/packet.hpp"
#include "core/ring/spsc_ring.hpp"
#include "tests/bench/bench_groups.hpp"

namespace sluice::bench {
namespace {

constexpr std::size_t kBatch = 32;

/// The consumer's clock ticks once in so many descriptors.
constexpr std::uint64_t kLap = kBatch * 1000;

/// Nanoseconds a descriptor from one pinned thread to another, in batches of 32: the median lap,
/// for a lap in which a thread lost its processor says nothing about the ring.
double transfer_ns(std::uint64_t lap_count, Bench& bench) {
  OwnedSpscRing<Packet> owned{1024};
  SpscRing<Packet>& ring = owned.ring();
  std::thread producer{[&] {
    (void)pin_thread(0);
    std::array<Packet, kBatch> batch{};
    for (std::uint64_t sent = 0; sent < lap_count * kLap; sent += kBatch) {
      for (std::size_t i = 0; i < kBatch; ++i) batch[i].arrival = sent + i;
      for (std::size_t done = 0; done < kBatch;) {
        done += ring.enqueue(std::span{batch}.subspan(done));
      }
    }
  }};
  std::uint64_t sum = 0;
  std::vector<double> laps;
  std::thread consumer{[&] {
    (void)pin_thread(1);
    std::array<Packet, kBatch> batch;
    for (std::uint64_t lap = 0; lap < lap_count; ++lap) {
      laps.push_back(time_ns([&] {
        for (std::uint64_t left = kLap; left > 0;) {
          const std::size_t wanted = std::min<std::uint64_t>(kBatch, left);
          const std::uint32_t taken = ring.dequeue(std::span{batch}.first(wanted));
          for (std::uint32_t i = 0; i < taken; ++i) sum += batch[i].arrival;
          left -= taken;
        }
      }));
    }
  }};
  producer.join();
  consumer.join();
  bench.keep(sum);
  return median(std::move(laps)) / kLap;
}

}  // namespace

void bench_ring(Bench& bench) {
  bench.progress("ring.spsc");
  if (!cache_line_bounce_ns(1000)) {
    std::fprintf(stderr, "ring.spsc: left out, for it needs two processors\n");
    return;
  }
  const std::uint64_t laps = bench.pick<std::uint64_t>(1, 101, 1001);
  const std::uint64_t bounces = bench.pick<std::uint64_t>(1000, 100'000, 500'000);
  const Pair pair = bench.take_turns([&] { return transfer_ns(laps, bench); },
                                     [&] { return cache_line_bounce_ns(bounces).value(); });
  bench.add_lower_is_better("ring.spsc", "ns/desc", "cache line bounce", pair, {});
}

}  // namespace sluice::bench

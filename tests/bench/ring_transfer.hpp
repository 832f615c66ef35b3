#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <thread>
#include <vector>

#include "core/packet/packet.hpp"
#include "tests/bench/bench.hpp"

/// The same loops around any ring between one producer and one consumer. A ring has `enqueue` and
/// `dequeue` as SpscRing has them.
namespace sluice::bench {

inline constexpr std::size_t kRingBatch = 32;
inline constexpr std::uint32_t kRingCapacity = 1024;
/// The consumer's clock ticks once in so many elements.
inline constexpr std::uint64_t kRingLap = kRingBatch * 1000;

inline void put_number(Packet& packet, std::uint64_t number) {
  packet.arrival = number;
}
[[nodiscard]] inline std::uint64_t number_in(const Packet& packet) {
  return packet.arrival;
}
/// Rings of pointers carry numbers in their place.
inline void put_number(void*& pointer, std::uint64_t number) {
  pointer = reinterpret_cast<void*>(number);
}
[[nodiscard]] inline std::uint64_t number_in(void* pointer) {
  return reinterpret_cast<std::uint64_t>(pointer);
}

struct RingResult {
  double element_ns = 0;
  std::uint64_t sum = 0;  ///< Of the numbers that came out.
};

/// Nanoseconds an element from one pinned thread to another, in batches of 32: the median lap, for
/// a lap in which a thread lost its processor says nothing about the ring.
template <class Element, class Ring>
RingResult between_threads(Ring& ring, std::uint64_t lap_count) {
  using Batch = std::array<Element, kRingBatch>;
  std::thread producer{[&] {
    (void)pin_thread(0);
    Batch batch{};
    for (std::uint64_t sent = 0; sent < lap_count * kRingLap; sent += kRingBatch) {
      for (std::size_t i = 0; i < kRingBatch; ++i) put_number(batch[i], sent + i);
      for (std::size_t done = 0; done < kRingBatch;) {
        done += ring.enqueue(std::span{batch}.subspan(done));
      }
    }
  }};
  RingResult result;
  std::vector<double> laps;
  std::thread consumer{[&] {
    (void)pin_thread(1);
    Batch batch;
    for (std::uint64_t lap = 0; lap < lap_count; ++lap) {
      laps.push_back(time_ns([&] {
        for (std::uint64_t left = kRingLap; left > 0;) {
          const std::size_t wanted = std::min<std::uint64_t>(kRingBatch, left);
          const std::uint32_t taken = ring.dequeue(std::span{batch}.first(wanted));
          for (std::uint32_t i = 0; i < taken; ++i) result.sum += number_in(batch[i]);
          left -= taken;
        }
      }));
    }
  }};
  producer.join();
  consumer.join();
  result.element_ns = median(std::move(laps)) / kRingLap;
  return result;
}

/// Nanoseconds an element through a ring whose both ends are the calling thread's: a batch in, a
/// batch out. The median lap, as above.
template <class Element, class Ring>
RingResult in_one_thread(Ring& ring, std::uint64_t lap_count) {
  std::array<Element, kRingBatch> batch{};
  RingResult result;
  std::vector<double> laps;
  for (std::uint64_t lap = 0; lap < lap_count; ++lap) {
    laps.push_back(time_ns([&] {
      for (std::uint64_t sent = 0; sent < kRingLap; sent += kRingBatch) {
        for (std::size_t i = 0; i < kRingBatch; ++i) put_number(batch[i], sent + i);
        (void)ring.enqueue(std::span{batch});
        const std::uint32_t taken = ring.dequeue(std::span{batch});
        for (std::uint32_t i = 0; i < taken; ++i) result.sum += number_in(batch[i]);
      }
    }));
  }
  result.element_ns = median(std::move(laps)) / kRingLap;
  return result;
}

}  // namespace sluice::bench

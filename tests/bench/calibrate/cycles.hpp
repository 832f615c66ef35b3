#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "tests/bench/bench.hpp"

namespace sluice::bench {

/// A clock that ticks with the processor: its time-stamp counter, where it has one, else
/// nanoseconds.
[[nodiscard]] inline std::uint64_t cycle_count() {
#if defined(__x86_64__)
  return __rdtsc();
#else
  return static_cast<std::uint64_t>(now_ns());
#endif
}

/// Its ticks a second, watched for 50 ms.
[[nodiscard]] inline double cycle_hz() {
#if defined(__x86_64__)
  constexpr std::int64_t kWatchNs = 50'000'000;
  const std::int64_t started_ns = now_ns();
  const std::uint64_t started = cycle_count();
  while (now_ns() - started_ns < kWatchNs) {
  }
  const auto ticks = static_cast<double>(cycle_count() - started);
  return ticks * 1e9 / static_cast<double>(now_ns() - started_ns);
#else
  return 1e9;
#endif
}

}  // namespace sluice::bench

#pragma once

#include <time.h>

#include <cstdint>

#include "core/units.hpp"

namespace sluice::sim {

/// CLOCK_MONOTONIC, which all processes of a machine share: a run's time is this less its time
/// zero.
[[nodiscard]] inline Instant monotonic_now() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return instant_from_ns(static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u +
                         static_cast<std::uint64_t>(now.tv_nsec));
}

/// Sleeps until CLOCK_MONOTONIC reaches `until`, or a signal comes.
inline void sleep_until(Instant until) noexcept {
  const std::uint64_t ns = to_ns(until);
  timespec at{};
  at.tv_sec = static_cast<time_t>(ns / 1'000'000'000);
  at.tv_nsec = static_cast<long>(ns % 1'000'000'000);
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr);
}

}  // namespace sluice::sim

#pragma once

#include <sched.h>
#include <time.h>

#include <algorithm>
#include <cstdint>

#include "core/units.hpp"

namespace sluice {

/// The time of the machine, as every part of a real host uses it: CLOCK_MONOTONIC.
[[nodiscard]] inline Instant monotonic_now() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return Instant{std::chrono::seconds{now.tv_sec} + Duration{now.tv_nsec}};
}

/// How a loop that finds nothing to do waits: it spins a while, then sleeps, from 50 us doubling to
/// `sleep_max`, so that an idle host or instance costs a few per cent of a core. One thread.
class IdleBackoff {
 public:
  struct Options {
    Duration sleep_max = std::chrono::milliseconds{1};  ///< 0: never sleep, poll on.
    bool yields = false;  ///< Another loop of ours lives on the same core: let it run at once.
  };
  explicit IdleBackoff(const Options& options) : options_(options) {}

  /// Something was done.
  void busy() noexcept {
    idle_turns_ = 0;
    sleep_ = Duration::zero();
  }
  /// Nothing was done: waits, at most until `wake_at`.
  void idle(Instant now, Instant wake_at = Instant::max()) noexcept {
    if (options_.yields) ::sched_yield();
    if (++idle_turns_ < kSpinTurns || options_.sleep_max == Duration::zero()) return;
    sleep_ = std::min(std::max(sleep_ * 2, kSleepMin), options_.sleep_max);
    const Duration wait = wake_at == Instant::max() ? sleep_ : std::min(sleep_, wake_at - now);
    if (wait <= Duration::zero()) return;
    const timespec time{.tv_sec = static_cast<time_t>(wait / std::chrono::seconds{1}),
                        .tv_nsec = static_cast<long>((wait % std::chrono::seconds{1}).count())};
    ::clock_nanosleep(CLOCK_MONOTONIC, 0, &time, nullptr);
  }

 private:
  static constexpr std::uint32_t kSpinTurns = 256;
  static constexpr Duration kSleepMin = std::chrono::microseconds{50};

  Options options_;
  std::uint32_t idle_turns_ = 0;
  Duration sleep_{};
};

}  // namespace sluice

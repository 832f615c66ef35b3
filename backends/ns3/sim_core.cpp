#include "backends/ns3/sim_core.hpp"

#include <algorithm>
#include <utility>

#include "backends/ns3/sim_time.hpp"
#include "core/check.hpp"

namespace sluice {

namespace {

__extension__ using Wide = unsigned __int128;

constexpr auto kForeverNs = static_cast<std::uint64_t>(SimCore::kForever.count());

/// Cycles at a clock in units of 1 / hz nanoseconds.
Wide work_of(std::uint64_t cycles, std::uint32_t slow_factor) {
  return Wide{cycles} * slow_factor * 1'000'000'000u;
}

}  // namespace

Duration SimCore::time_for(std::uint64_t cycles) const {
  if (clock_.hz == 0) return kForever;
  const Wide ns = (work_of(cycles, slow_factor_) + clock_.hz - 1) / clock_.hz;
  return ns >= kForeverNs ? kForever : Duration{static_cast<std::int64_t>(ns)};
}

Duration SimCore::duration_of(std::uint64_t cycles) {
  if (clock_.hz == 0) return kForever;
  const Wide work = work_of(cycles, slow_factor_) + rest_;
  const Wide ns = work / clock_.hz;
  if (ns >= kForeverNs) return kForever;
  rest_ = static_cast<std::uint64_t>(work % clock_.hz);
  return Duration{static_cast<std::int64_t>(ns)};
}

void SimCore::run(std::uint64_t cycles, std::function<void()> done) {
  SLUICE_CHECK(!busy_);
  busy_ = true;
  remaining_ = duration_of(cycles);
  since_ = simulated_now();
  done_ = std::move(done);
  if (!paused_) schedule_end();
}

void SimCore::schedule_end() {
  since_ = simulated_now();
  if (remaining_ >= kForever) return;
  event_ = ns3::Simulator::Schedule(to_time(remaining_), &SimCore::finish, this);
}

void SimCore::finish() {
  busy_time_ += remaining_;
  busy_ = false;
  ++work_count_;
  const std::function<void()> done = std::move(done_);
  done_ = nullptr;
  done();  // May run() again, or destroy the core: nothing of it is touched after this.
}

Instant SimCore::busy_until() const {
  if (!busy_) return simulated_now();
  return paused_ || remaining_ >= kForever ? Instant::max() : since_ + remaining_;
}

Duration SimCore::busy_time() const {
  if (!busy_ || paused_) return busy_time_;
  return busy_time_ + (simulated_now() - since_);
}

void SimCore::pause() {
  if (paused_) return;
  if (busy_) {
    event_.Cancel();
    const Duration spent = simulated_now() - since_;
    busy_time_ += spent;
    if (remaining_ < kForever) remaining_ -= spent;
  }
  paused_ = true;
}

void SimCore::resume() {
  if (!paused_) return;
  paused_ = false;
  if (busy_) schedule_end();
}

void SimCore::stop() {
  if (!busy_) return;
  event_.Cancel();
  busy_time_ = busy_time();
  busy_ = false;
  done_ = nullptr;
}

}  // namespace sluice

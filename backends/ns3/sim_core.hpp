#pragma once

#include <cstdint>
#include <functional>

#include "backends/ns3/ns3.hpp"
#include "core/units.hpp"

namespace sluice {

/// A core of a simulated host: a server with a clock, on which one piece of work runs at a time.
///
/// A piece of work is one simulator event, at its end; an idle core costs none. Fractions of a
/// nanosecond are carried from piece to piece, so that rounding costs no capacity. Not copied, not
/// moved: events point at it.
class SimCore {
 public:
  explicit SimCore(Frequency clock) : clock_(clock) {}
  ~SimCore() { stop(); }
  SimCore(const SimCore&) = delete;
  SimCore& operator=(const SimCore&) = delete;

  /// Works for `cycles`, then calls `done()`, at which the core is idle again. Only when idle
  /// (checked). Work that would end beyond the simulation's time (kForever) never does.
  void run(std::uint64_t cycles, std::function<void()> done);
  /// How long `cycles` take at the present slow factor, rounded up.
  [[nodiscard]] Duration time_for(std::uint64_t cycles) const;

  [[nodiscard]] bool busy() const { return busy_; }
  /// When the present work ends, if nothing happens to the core; now when idle; Instant::max() when
  /// never or paused.
  [[nodiscard]] Instant busy_until() const;
  /// Time spent at work up to now, without pauses.
  [[nodiscard]] Duration busy_time() const;
  /// Pieces of work finished.
  [[nodiscard]] std::uint64_t work_count() const { return work_count_; }
  [[nodiscard]] Frequency clock() const { return clock_; }

  /// Work that starts from now on takes `factor` times as long; 1 is normal speed, 0 counts as 1.
  void set_slow_factor(std::uint32_t factor) { slow_factor_ = factor == 0 ? 1 : factor; }
  /// Stops in the middle of the work until resume(). Twice is once.
  void pause();
  void resume();
  /// Gives up the present work: its done() is never called. The core is idle then, and can run
  /// again.
  void stop();

  /// The longest work that ends: about 146 years.
  static constexpr Duration kForever = Duration::max() / 2;

 private:
  [[nodiscard]] Duration duration_of(std::uint64_t cycles);
  void schedule_end();
  void finish();

  Frequency clock_;
  std::uint32_t slow_factor_ = 1;
  bool busy_ = false;
  bool paused_ = false;
  Duration remaining_{};    ///< Of the present work, from since_ on.
  Instant since_{};         ///< When the present work started or was resumed.
  Duration busy_time_{};    ///< Up to since_.
  std::uint64_t rest_ = 0;  ///< Part of a nanosecond not yet spent, in units of 1 / hz ns.
  std::uint64_t work_count_ = 0;
  std::function<void()> done_;
  ns3::EventId event_;
};

}  // namespace sluice

#pragma once

#include <utility>

#include "backends/ns3/ns3.hpp"
#include "core/units.hpp"

/// ns-3's time in our types and back. ns-3's default resolution of 1 ns is taken for granted, so
/// both ways are exact.
namespace sluice {

[[nodiscard]] inline Instant simulated_now() {
  return Instant{Duration{ns3::Simulator::Now().GetNanoSeconds()}};
}

[[nodiscard]] inline ns3::Time to_time(Duration duration) {
  return ns3::NanoSeconds(static_cast<std::uint64_t>(duration.count()));
}

/// The delay from now to `instant`; 0 if it has passed.
[[nodiscard]] inline ns3::Time time_until(Instant instant) {
  const Instant now = simulated_now();
  return instant <= now ? ns3::Time{0} : to_time(instant - now);
}

[[nodiscard]] inline Duration to_duration(const ns3::Time& time) {
  return Duration{time.GetNanoSeconds()};
}

/// Calls `action()` after `delay` of simulated time, unless the returned event is cancelled.
template <class Action>
ns3::EventId schedule(Duration delay, Action&& action) {
  return ns3::Simulator::Schedule(to_time(delay), std::forward<Action>(action));
}

/// Calls `action()` at `when`, or now if that has passed.
template <class Action>
ns3::EventId schedule_at(Instant when, Action&& action) {
  return ns3::Simulator::Schedule(time_until(when), std::forward<Action>(action));
}

}  // namespace sluice

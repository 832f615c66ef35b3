#include "sim/traffic/link_disturber.hpp"

#include <algorithm>

namespace sluice::sim {

LinkDisturber::LinkDisturber(std::span<const FaultSpec> faults, PortRef port, Prng prng)
    : prng_(prng) {
  for (const FaultSpec& fault : faults) {
    const auto* link = std::get_if<DisturbLink>(&fault.what);
    if (link == nullptr || link->port != port) continue;
    const Instant until = fault.duration ? fault.at + *fault.duration : Instant::max();
    windows_.push_back({fault.at, until, *link});
  }
}

LinkDisturber::Fate LinkDisturber::decide(Instant now) noexcept {
  // As in simulation: of faults that overlap, the one that began last holds.
  const auto window = std::find_if(windows_.rbegin(), windows_.rend(), [now](const Window& each) {
    return each.from <= now && now < each.until;
  });
  const DisturbLink what = window == windows_.rend() ? DisturbLink{} : window->what;
  if (happens(what.loss)) {
    ++counters_.lost;
    return {};
  }
  if (what.delay > Duration::zero()) ++counters_.delayed;
  // When an extra delay ends, what follows must not overtake: order is broken by `reorder` alone.
  const Instant arrival = std::max(now + what.delay, last_arrival_);
  Fate fate;
  if (happens(what.reorder)) {
    ++counters_.reordered;
    fate.arrival = arrival + kReorderDelay;
  } else {
    fate.arrival = last_arrival_ = arrival;
  }
  if (happens(what.duplicate)) {
    ++counters_.duplicated;
    fate.copy = last_arrival_ = arrival;
  }
  return fate;
}

bool LinkDisturber::happens(Ppm probability) noexcept {
  return probability.value != 0 && prng_.below(kPpmOne.value) < probability.value;
}

}  // namespace sluice::sim

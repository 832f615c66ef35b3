#include "sim/traffic/port_receiver.hpp"

#include <utility>

#include "sim/traffic/probe.hpp"

namespace sluice::sim {

PortReceiver::PortReceiver(Instant time_zero, LinkDisturber disturber, Watcher watcher)
    : time_zero_(time_zero), disturber_(std::move(disturber)), watcher_(std::move(watcher)) {}

void PortReceiver::receive(std::span<const WireReceiver::Frame> frames) {
  for (const WireReceiver::Frame& frame : frames) {
    if (!disturber_.active()) {
      count(frame.bytes, frame.when);
      continue;
    }
    const Instant now{frame.when - time_zero_};
    const LinkDisturber::Fate fate = disturber_.decide(now);
    for (const std::optional<Instant>& arrival : {fate.arrival, fate.copy}) {
      if (arrival) count(frame.bytes, frame.when + (*arrival - now));
    }
  }
}

void PortReceiver::count(std::span<const std::byte> frame, Instant when) {
  ++counters_.packets;
  counters_.bytes += frame.size();
  if (watcher_) watcher_(Instant{when - time_zero_}, frame);
  const auto probe = read_probe(frame);
  if (!probe) return;
  Arrived& arrived = arrived_[probe->source];
  ++arrived.packets;
  arrived.interval.add(when - probe->sent);
}

void PortReceiver::end_interval() {
  for (auto& [source, arrived] : arrived_) {
    arrived.total.merge(arrived.interval);
    arrived.interval.reset();
  }
}

void PortReceiver::reset_latencies() {
  for (auto& [source, arrived] : arrived_) {
    arrived.interval.reset();
    arrived.total.reset();
  }
}

}  // namespace sluice::sim

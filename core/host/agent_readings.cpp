#include <algorithm>
#include <utility>

#include "core/host/agent.hpp"
#include "core/host/agent_parts.hpp"

/// What an Agent makes of the readings of an interval: samples, hangs, drains, old chain versions.
namespace sluice {

void Agent::on(const Readings& event, Instant now) {
  sample_ = LoadSample{now, options_.host, cores_free(), {}};
  std::copy(event.flow_count_of_instance.begin(), event.flow_count_of_instance.end(),
            pinned_flows_.begin());
  counted_version_ = event.snapshot_version;
  for (const InstanceReading& reading : event.instances) {
    const auto found = instances_.find(reading.instance);
    if (found == instances_.end()) continue;
    Instance& instance = found->second;
    read(instance, reading, pinned_flows_[index_of(reading.instance)], now);
    if (instance.state == InstanceState::kRunning || instance.state == InstanceState::kDraining) {
      if (looks_hung(instance, reading, now)) {
        instance.state = InstanceState::kHung;
        note(Note::Kind::kInstanceHung, instance.service, reading.instance);
        commands_.push_back(TerminateInstance{reading.instance});
      }
    }
    if (instance.state == InstanceState::kDraining) advance_drain(reading.instance, instance, now);
    sample_.instances.back().state = instance.state;
  }
  // Those that have no rings yet count too: a policy must not ask twice for what is on its way.
  for (const auto& [id, instance] : instances_) {
    if (instance.channel != nullptr) continue;
    InstanceSample starting;
    starting.instance = id;
    starting.service = instance.service;
    starting.state = instance.state;
    sample_.instances.push_back(starting);
  }
  std::sort(sample_.instances.begin(), sample_.instances.end(),
            [](const auto& a, const auto& b) { return a.instance < b.instance; });
  retire_chains(event.flow_count_of_chain, now);
  advance_retirement(event);
  advance_reconfiguration(now);
}

void Agent::read(Instance& instance, const InstanceReading& reading, std::uint32_t flow_count,
                 Instant now) {
  const Service& service = options_.services[index_of(instance.service)].service;
  const Duration elapsed =
      now - (instance.last.instance == kNoInstance ? instance.running_since : instance.last_read);
  const InstanceReading& last = instance.last;
  InstanceSample sample;
  sample.instance = reading.instance;
  sample.service = instance.service;
  sample.flow_count = flow_count;
  sample.packet_count = reading.delivered_packets - last.delivered_packets;
  sample.drop_count = reading.drop_count - last.drop_count;
  const std::uint64_t busy_ns = reading.busy_ns - std::min(reading.busy_ns, last.busy_ns);
  const std::uint64_t returned = reading.returned_packets - last.returned_packets;
  sample.load = std::min(
      kPpmOne,
      Ppm::ratio(busy_ns, static_cast<std::uint64_t>(std::max<std::int64_t>(elapsed.count(), 0))));
  sample.occupancy =
      instance.occupancy.update(Ppm::ratio(reading.ring_size, service.ring_capacity), elapsed);
  if (returned > 0) sample.service_time = Duration{static_cast<std::int64_t>(busy_ns / returned)};
  if (reading.heartbeat != last.heartbeat || reading.ring_size == 0) {
    instance.heartbeat_changed = now;
  }
  instance.last = reading;
  instance.last_read = now;
  sample_.instances.push_back(sample);
}

bool Agent::looks_hung(const Instance& instance, const InstanceReading& reading,
                       Instant now) const {
  return reading.ring_size > 0 && now - instance.heartbeat_changed >= options_.hang_limit;
}

void Agent::advance_drain(InstanceId id, Instance& instance, Instant now) {
  if (instance.stop_sent || counted_version_ < instance.drain_version) return;
  if (services_[index_of(instance.service)].use == ServiceUse::kRetiring) return;
  const ScalePolicy& policy = options_.services[index_of(instance.service)].policy;
  const bool empty = pinned_flows_[index_of(id)] == 0 && instance.last.outstanding == 0;
  const bool cut = policy.drain_cut && now - instance.draining_since >= policy.drain_timeout;
  if (!empty && !cut) return;
  instance.stop_sent = true;
  commands_.push_back(StopInstance{id});
}

void Agent::retire_chains(std::span<const std::uint32_t> flow_count_of_chain, Instant now) {
  bool changed = false;
  for (std::size_t i = 0; i < flow_count_of_chain.size() && i < chains_.size(); ++i) {
    if (chains_[i] == nullptr) continue;
    if (active_[index_of(chains_[i]->chain)] == i) continue;
    // The opposite direction of a living session may still be to come.
    const std::uint16_t partner = chains_[i]->partner;
    const bool partner_lives = partner < flow_count_of_chain.size() &&
                               flow_count_of_chain[partner] > 0 && chains_[partner]->partner == i;
    if (flow_count_of_chain[i] > 0 || partner_lives) {
      chain_retired_[i] = now;
    } else if (now - chain_retired_[i] >= kChainRest) {
      chains_[i] = nullptr;
      changed = true;
    }
  }
  if (changed) publish(now);
}

void Agent::drain(InstanceId id, const std::string& reason, Instant now) {
  Instance& instance = instances_.at(id);
  note(Note::Kind::kScaleDown, instance.service, id, reason);
  instance.state = InstanceState::kDraining;
  publish(now);
  mark_draining(id, instance, now);
}

/// To be called when the published snapshot sends it no new flows.
void Agent::mark_draining(InstanceId id, Instance& instance, Instant now) {
  instance.state = InstanceState::kDraining;
  instance.draining_since = now;
  instance.drain_version = snapshot_version_;
  note(Note::Kind::kInstanceDraining, instance.service, id);
  commands_.push_back(PostMessage{id, Message{Message::Kind::kDrain, kNoFlow, {}}});
}

}  // namespace sluice

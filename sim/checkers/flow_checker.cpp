#include "sim/checkers/flow_checker.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::sim {

FlowChecker::FlowChecker(const Options& options, ViolationLog& log)
    : options_(options),
      left_as_dead_(options.instance_count_max, false),
      lives_(options.instance_count_max, Life::kNone),
      log_(log) {}

void FlowChecker::widen(std::uint32_t stride) {
  if (stride <= stride_) return;
  std::vector<std::uint16_t> wider(flows_.size() * stride, 0xffff);
  for (std::size_t slot = 0; slot < flows_.size(); ++slot) {
    std::copy_n(&pins_[slot * stride_], stride_, &wider[slot * stride]);
  }
  pins_ = std::move(wider);
  stride_ = stride;
}

void FlowChecker::published(const ChainVersion& chain) {
  if (chains_.size() <= chain.index) chains_.resize(std::size_t{chain.index} + 1);
  Chain& entry = chains_[chain.index];
  entry = {index_of(chain.chain), index_of(chain.reverse), {}};
  for (const Step& step : chain.steps) entry.services.push_back(step.service);
  widen(static_cast<std::uint32_t>(chain.steps.size()));
}

void FlowChecker::instance_started(InstanceId instance) noexcept {
  if (index_of(instance) >= lives_.size()) return;
  lives_[index_of(instance)] = Life::kRunning;
  left_as_dead_[index_of(instance)] = false;
}

void FlowChecker::instance_draining(InstanceId instance) noexcept {
  if (index_of(instance) < lives_.size()) lives_[index_of(instance)] = Life::kDraining;
}

void FlowChecker::instance_ended(InstanceId instance) noexcept {
  if (index_of(instance) < lives_.size()) lives_[index_of(instance)] = Life::kEnded;
}

FlowChecker::Flow* FlowChecker::flow_at(FlowId flow) {
  const std::size_t slot = flow & kSlotMask;
  if (slot >= flows_.size()) {
    // Doubles, so that its cost is spread; the largest slot is below the table's capacity.
    const std::size_t size =
        std::min<std::size_t>(std::max<std::size_t>(2 * slot, 1024), std::size_t{kSlotMask} + 1);
    flows_.resize(size);
    pins_.resize(size * stride_, 0xffff);
  }
  return &flows_[slot];
}

const FlowChecker::Flow* FlowChecker::live_flow(FlowId flow) const noexcept {
  if (flow == kNoFlow || (flow & kSlotMask) >= flows_.size()) return nullptr;
  const Flow& entry = flows_[flow & kSlotMask];
  return entry.live ? &entry : nullptr;
}

std::uint32_t& FlowChecker::flows_on(std::uint16_t chain_number, std::uint16_t instance) {
  const std::size_t at = std::size_t{chain_number} * options_.instance_count_max + instance;
  if (at >= flows_on_.size()) flows_on_.resize(at + options_.instance_count_max, 0);
  return flows_on_[at];
}

void FlowChecker::count_pins(FlowId flow, const Flow& entry, int by) {
  if (entry.chain >= chains_.size()) return;
  const Chain& chain = chains_[entry.chain];
  for (std::uint32_t step = 0; step < chain.services.size(); ++step) {
    const std::uint16_t instance = pin_of(flow, step);
    if (instance >= options_.instance_count_max || chain.number == 0xffff) continue;
    flows_on(chain.number, instance) += static_cast<std::uint32_t>(by);
  }
}

/// A reply of a living flow may be given to an instance that drains, and to one that just died: it
/// takes its flow's pins as they are, and is re-pinned when used.
void FlowChecker::check_new_pin(Instant now, FlowId flow, const Chain& chain,
                                std::uint16_t instance) {
  log_.evaluated(Property::kDrainRespected);
  if (instance >= lives_.size()) {
    log_.report(Property::kDrainRespected, now,
                fmt::format("flow {} is given to instance {}, which cannot exist", flow, instance));
    return;
  }
  if (lives_[instance] == Life::kRunning) return;
  if (chain.reverse_number != 0xffff && flows_on(chain.reverse_number, instance) > 0) return;
  const char* state = lives_[instance] == Life::kDraining ? "drains"
                      : lives_[instance] == Life::kEnded  ? "ended"
                                                          : "never started";
  log_.report(Property::kDrainRespected, now,
              fmt::format("new flow {} is given to instance {}, which {}", flow, instance, state));
}

void FlowChecker::flow_started(Instant now, FlowId flow, std::uint16_t chain_index,
                               std::span<const Pin> pins) {
  log_.evaluated(Property::kAffinity);
  log_.evaluated(Property::kFlowsBounded);
  Flow& entry = *flow_at(flow);
  const std::int64_t now_ns = now.time_since_epoch().count();
  if (entry.live) {
    log_.report(Property::kAffinity, now,
                fmt::format("flow {} starts, but it already lives", flow));
    count_pins(flow, entry, -1);
    --live_count_;
  } else if (entry.ended_ns != kNever && now_ns - entry.ended_ns < options_.rest_time.count()) {
    log_.report(Property::kAffinity, now,
                fmt::format("flow number {} is used again {} ns after its flow ended", flow,
                            now_ns - entry.ended_ns));
  }
  if (++live_count_ > options_.flow_count_max) {
    log_.report(
        Property::kFlowsBounded, now,
        fmt::format("{} flows live, but the capacity is {}", live_count_, options_.flow_count_max));
  }
  const bool known = chain_index < chains_.size();
  if (!known || chains_[chain_index].services.size() != pins.size()) {
    log_.report(Property::kVersionFixed, now,
                fmt::format("flow {} starts with {} pins in chain {}, which was not published so",
                            flow, pins.size(), chain_index));
  }
  entry = {now_ns, kNever, chain_index, true};
  for (std::uint32_t step = 0; step < stride_; ++step) {
    pin_of(flow, step) = step < pins.size() ? pins[step].instance : std::uint16_t{0xffff};
  }
  if (!known) return;
  const Chain& chain = chains_[chain_index];
  for (const Pin& pin : pins) {
    if (pin.is_set()) check_new_pin(now, flow, chain, pin.instance);
  }
  count_pins(flow, entry, 1);
}

void FlowChecker::flow_repinned(Instant now, FlowId flow, std::uint8_t step, Pin from, Pin to,
                                RepinCause cause) {
  log_.evaluated(Property::kAffinity);
  const Flow* entry = live_flow(flow);
  if (entry == nullptr || step >= stride_) {
    log_.report(Property::kAffinity, now,
                fmt::format("flow {} is re-pinned at step {}, but does not live", flow, step));
    return;
  }
  if (pin_of(flow, step) != from.instance) {
    log_.report(Property::kAffinity, now,
                fmt::format("flow {} is re-pinned at step {} from instance {}, but was on {}", flow,
                            step, from.instance, pin_of(flow, step)));
  }
  // The host stops using an instance before it says that the instance ended: see end().
  if (cause == RepinCause::kInstanceDied && from.instance < lives_.size()) {
    left_as_dead_[from.instance] = true;
  }
  count_pins(flow, *entry, -1);
  pin_of(flow, step) = to.instance;
  count_pins(flow, *entry, 1);
  if (to.is_set() && entry->chain < chains_.size()) {
    Chain strict = chains_[entry->chain];
    strict.reverse_number = 0xffff;
    check_new_pin(now, flow, strict, to.instance);
  }
}

void FlowChecker::flow_ended(Instant now, FlowId flow) {
  log_.evaluated(Property::kAffinity);
  Flow& entry = *flow_at(flow);
  if (!entry.live) {
    log_.report(Property::kAffinity, now, fmt::format("flow {} ends, but does not live", flow));
    return;
  }
  count_pins(flow, entry, -1);
  entry.live = false;
  entry.ended_ns = now.time_since_epoch().count();
  --live_count_;
}

/// A living flow loses nothing as ended. A packet that came before its flow number was given anew
/// is of the flow before.
void FlowChecker::dropped(Instant now, std::span<const Packet> packets,
                          DropReason reason) noexcept {
  if (reason != DropReason::kFlowEnded) return;
  log_.evaluated(Property::kAffinity, packets.size());
  for (const Packet& packet : packets) {
    const Flow* entry = live_flow(packet.flow);
    if (entry == nullptr || static_cast<std::int64_t>(packet.arrival) < entry->started_ns) continue;
    log_.report(Property::kAffinity, now,
                fmt::format("buffer {} is dropped because flow {} ended, but the flow lives",
                            packet.buffer, packet.flow));
  }
}

void FlowChecker::end(Instant now) {
  for (std::size_t i = 0; i < lives_.size(); ++i) {
    if (!left_as_dead_[i]) continue;
    log_.evaluated(Property::kAffinity);
    if (lives_[i] == Life::kEnded) continue;
    log_.report(Property::kAffinity, now,
                fmt::format("flows left instance {} as if that had ended, but it did not", i));
  }
}

void FlowChecker::classified(Instant now, std::span<const Packet> packets) noexcept {
  log_.evaluated(Property::kVersionFixed, packets.size());
  for (const Packet& packet : packets) {
    if (packet.flow == kNoFlow) continue;
    const Flow* entry = live_flow(packet.flow);
    if (entry != nullptr && entry->chain == packet.chain) [[likely]]
      continue;
    if (entry == nullptr) {
      log_.report(Property::kVersionFixed, now,
                  fmt::format("buffer {} is classified into flow {}, which does not live",
                              packet.buffer, packet.flow));
    } else {
      log_.report(Property::kVersionFixed, now,
                  fmt::format("buffer {} of flow {} is classified into chain {}, but its flow is "
                              "in {}",
                              packet.buffer, packet.flow, packet.chain, entry->chain));
    }
  }
}

void FlowChecker::delivered(Instant now, InstanceId instance,
                            std::span<const Packet> packets) noexcept {
  log_.evaluated(Property::kAffinity, packets.size());
  const std::uint16_t number = index_of(instance);
  for (const Packet& packet : packets) {
    const Flow* entry = live_flow(packet.flow);
    // A flow may end while its last packets are on their way; then nothing binds them.
    if (entry == nullptr || entry->chain != packet.chain || packet.step >= stride_) continue;
    if (pin_of(packet.flow, packet.step) == number) [[likely]]
      continue;
    check_pinned(now, *entry, packet, number);
  }
}

/// A step without a pin: its service wants none, or had no instance when the flow started, and then
/// the first one met is the flow's.
void FlowChecker::check_pinned(Instant now, const Flow& entry, const Packet& packet,
                               std::uint16_t instance) {
  std::uint16_t& pinned = pin_of(packet.flow, packet.step);
  if (pinned == 0xffff) {
    if (entry.chain >= chains_.size()) return;
    const Chain& chain = chains_[entry.chain];
    if (packet.step >= chain.services.size()) return;
    const std::size_t service = index_of(chain.services[packet.step]);
    const bool bound =
        service >= options_.affinities.size() || options_.affinities[service] != Affinity::kNone;
    if (!bound || instance >= options_.instance_count_max) return;
    pinned = instance;
    ++flows_on(chain.number, instance);
    return;
  }
  log_.report(Property::kAffinity, now,
              fmt::format("buffer {} of flow {} goes to instance {} at step {}, but the flow is "
                          "pinned to {}",
                          packet.buffer, packet.flow, instance, packet.step, pinned));
}

}  // namespace sluice::sim

#include <algorithm>
#include <cstring>

#include "core/chain/steering.hpp"
#include "core/host/worker_parts.hpp"

namespace sluice {

/// It is copied first and changed where it comes to lie: a copy right behind a narrow write waits
/// until the write has left the store buffer.
void Worker::stage(const Packet& packet, std::uint8_t step, InstanceId instance,
                   Instant now) noexcept {
  Lane& to = lane(instance);
  to.staged.push(packet);
  Packet& staged = to.staged[to.staged.size() - 1];
  staged.step = step;
  staged.verdict = Verdict::kUndecided;
  if (!to.dirty) {
    to.dirty = true;
    dirty_.push_back(instance);
  }
  if (to.staged.full()) flush_lane(instance, now);
}

/// stage() for several.
void Worker::stage_all(std::span<const Packet> packets, std::uint8_t step, InstanceId instance,
                       Instant now) noexcept {
  Lane& to = lane(instance);
  while (!packets.empty()) {
    const auto part = packets.first(std::min<std::size_t>(packets.size(), to.staged.room()));
    const std::uint32_t staged_before = to.staged.size();
    to.staged.append(part);
    for (std::uint32_t i = staged_before; i < to.staged.size(); ++i) {
      to.staged[i].step = step;
      to.staged[i].verdict = Verdict::kUndecided;
    }
    if (!to.dirty) {
      to.dirty = true;
      dirty_.push_back(instance);
    }
    if (to.staged.full()) flush_lane(instance, now);
    packets = packets.subspan(part.size());
  }
}

/// What decide() does, for all packets that an instance gave back. Most of a batch stand at the
/// same step and go on alike, so what is the same for all is looked up once a run of them.
void Worker::decide_all(std::span<const Packet> packets, Instant now) noexcept {
  while (!packets.empty()) {
    const Packet& first = packets.front();
    const ChainVersion* chain = first.verdict == Verdict::kNext ? plain_chain_at(first) : nullptr;
    std::size_t count = 0;
    if (chain != nullptr) {
      while (count < packets.size() && stands_as(packets[count], first) &&
             has_its_flow(packets[count])) {
        ++count;
      }
    }
    if (count > 0) {
      go_all(packets.first(count), way_to(*chain, chain->steps[first.step].next), now);
    } else {
      decide_at_owner(first, now);
      count = 1;
    }
    packets = packets.subspan(count);
  }
}

/// Whether the packet's flow is in this worker's table, in the chain in which the packet is.
bool Worker::has_its_flow(const Packet& packet) const noexcept {
  const std::uint32_t slot = slot_of(packet.flow);
  return slot < flows_.capacity() && flows_.entry(slot).chain == packet.chain;
}

Worker::Way Worker::way_to(const ChainVersion& chain, Hop hop) const noexcept {
  Way way{&chain, hop, kNoService};
  if (hop.kind != Hop::Kind::kStep || chain.steps[hop.step].copy) return way;
  const ServiceId wanted = chain.steps[hop.step].service;
  const Service& service = snapshot_->services[index_of(wanted)].service;
  if (service.affinity != Affinity::kNone) way.service = wanted;
  return way;
}

/// follow() for packets that all go one way, with a short cut to their flows' instances where they
/// have them.
void Worker::go_all(std::span<const Packet> packets, const Way& way, Instant now) noexcept {
  if (way.service == kNoService && way.hop.kind == Hop::Kind::kOut &&
      !is_other_host(way.chain->to_host)) {
    leave_all(packets, *way.chain, now);
    return;
  }
  while (!packets.empty()) {
    const Pin pin = way.service == kNoService ? Pin{} : pin_of(packets.front(), way);
    if (pin.is_set() && !is_local(pin) && is_alive(pin, way.service)) {
      std::size_t count = 1;  // All to one host, whichever instance there.
      const auto goes_along = [&](Pin other) {
        return other == pin || (other.host == pin.host && is_alive(other, way.service));
      };
      while (count < std::min<std::size_t>(packets.size(), PacketBatch::kCapacity) &&
             goes_along(pin_of(packets[count], way))) {
        ++count;
      }
      go_to_host_all(packets.first(count), *way.chain, way.hop.step, HostId{pin.host}, now);
      packets = packets.subspan(count);
      continue;
    }
    if (!pin.is_set() || !is_here(pin, way.service)) {
      follow(packets.front(), *way.chain, way.hop, now);
      packets = packets.subspan(1);
      continue;
    }
    std::size_t count = 1;
    while (count < packets.size() && pin_of(packets[count], way) == pin) ++count;
    stage_all(packets.first(count), way.hop.step, InstanceId{pin.instance}, now);
    packets = packets.subspan(count);
  }
}

Pin Worker::pin_of(const Packet& packet, const Way& way) const noexcept {
  return flows_.pins(slot_of(packet.flow))[way.hop.step];
}

/// Whether a pin names a living instance of `service` that belongs to this worker.
bool Worker::is_here(Pin pin, ServiceId service) const noexcept {
  return is_local(pin) && is_alive(pin, service) &&
         snapshot_->instances[pin.instance].worker == options_.index;
}

/// The chain of a packet at a step behind which nothing depends on its labels; else null.
const ChainVersion* Worker::plain_chain_at(const Packet& packet) const noexcept {
  const ChainVersion* chain = chain_of(packet);
  if (chain == nullptr || packet.step >= chain->steps.size()) return nullptr;
  const Step& step = chain->steps[packet.step];
  const Service& service = snapshot_->services[index_of(step.service)].service;
  const bool plain = !step.copy && step.branches.empty() && service.sticky_bits == 0;
  return plain ? chain : nullptr;
}

/// Lets the worker of the packet's flow do what an NF decided.
void Worker::decide_at_owner(const Packet& packet, Instant now) noexcept {
  if (is_foreign(packet)) [[unlikely]] {
    decide_transit(packet, now);
    return;
  }
  if (options_.worker_count == 1) {
    decide(packet, now);
    return;
  }
  const std::uint16_t owner = worker_of(packet.flow);
  if (owner == options_.index) {
    decide(packet, now);
    return;
  }
  Packet passed = packet;
  // Between workers an undecided packet is one that is still to be delivered.
  if (packet.verdict == Verdict::kUndecided) passed.drop(DropReason::kUndecided);
  send_to_worker(owner, passed, now);
}

/// Does what an NF decided. Only for flows of this worker.
void Worker::decide(const Packet& packet, Instant now) noexcept {
  const std::uint32_t slot = slot_of(packet.flow);
  if (!flows_.live(slot) || flows_.entry(slot).chain != packet.chain) [[unlikely]] {
    drop(packet, DropReason::kFlowEnded, now);
    return;
  }
  decide_in_chain(packet, *chain_of(packet), now);
}

void Worker::decide_in_chain(const Packet& packet, const ChainVersion& chain,
                             Instant now) noexcept {
  const Step& step = chain.steps[packet.step];
  if (step.copy) {
    drop(packet, DropReason::kCopyDone, now);
    return;
  }
  const Service& service = snapshot_->services[index_of(step.service)].service;
  // Of a flow that another host has, the function that set the label knows it, and sets it again.
  if (const std::uint32_t sticky = packet.tag & service.sticky_bits;
      sticky != 0 && !is_foreign(packet)) {
    flows_.entry(slot_of(packet.flow)).sticky_tag |= sticky;
  }
  switch (packet.verdict) {
    case Verdict::kNext:
      follow(packet, chain, hop_after(step, packet.tag), now);
      return;
    case Verdict::kToService: {
      const auto to = step_of_service(chain, packet.step, ServiceId{packet.target});
      if (to) {
        follow(packet, chain, Hop{Hop::Kind::kStep, *to}, now);
      } else {
        drop(packet, DropReason::kHopLimit, now);
      }
      return;
    }
    case Verdict::kOut:
      leave(packet, PortId{packet.target}, now);
      return;
    case Verdict::kDrop:
      drop(packet,
           packet.target < kDropReasonCount ? static_cast<DropReason>(packet.target)
                                            : DropReason::kFunction,
           now);
      return;
    case Verdict::kUndecided:
    case Verdict::kHold:
      drop(packet, DropReason::kUndecided, now);
      return;
  }
}

void Worker::follow(const Packet& packet, const ChainVersion& chain, Hop hop,
                    Instant now) noexcept {
  while (hop.kind == Hop::Kind::kStep && chain.steps[hop.step].copy) {
    copy_to(packet, chain, hop.step, now);
    hop = chain.steps[hop.step].next;
  }
  if (hop.kind == Hop::Kind::kOut) {
    if (is_other_host(chain.to_host)) {
      const auto behind_all = static_cast<std::uint8_t>(chain.steps.size());
      go_to_host(packet, chain, behind_all, chain.to_host, now);
    } else {
      leave(packet, chain.to, now);
    }
    return;
  }
  if (hop.kind == Hop::Kind::kDrop) {
    drop(packet, DropReason::kRule, now);
    return;
  }
  const Pin pin = is_foreign(packet) ? pin_of_transit(packet, chain, hop.step)
                                     : pin_at(slot_of(packet.flow), chain, hop.step, now);
  if (pin.is_set() && !is_local(pin)) {
    go_to_host(packet, chain, hop.step, HostId{pin.host}, now);
    return;
  }
  if (!pin.is_set()) {
    Packet stranded = packet;
    stranded.step = hop.step;
    drop(stranded, DropReason::kNoInstance, now);
    return;
  }
  deliver(packet, hop.step, InstanceId{pin.instance}, now);
}

void Worker::copy_to(const Packet& original, const ChainVersion& chain, std::uint8_t step,
                     Instant now) noexcept {
  const Pin pin = is_foreign(original) ? pin_of_transit(original, chain, step)
                                       : pin_at(slot_of(original.flow), chain, step, now);
  if (!pin.is_set() || spare_.empty()) {
    // No packet came to be, so none is lost in the accounts; the counter says what the service
    // missed.
    const auto reason = pin.is_set() ? DropReason::kNoBuffer : DropReason::kNoInstance;
    ++statistics_.drops[static_cast<std::size_t>(reason)];
    ++statistics_.copies_missed;
    if (options_.observer != nullptr) options_.observer->copy_missed(now, original, step);
    return;
  }
  Packet copy = original;
  copy.buffer = spare_.back();
  spare_.pop_back();
  copy.step = step;
  const auto from = options_.memory.bytes(original);
  std::memcpy(options_.memory.bytes(copy).data(), from.data(), from.size());
  ++statistics_.chains[index_of(chain.chain)].entered_packets;
  ++statistics_.copied_packets;
  if (options_.observer != nullptr) options_.observer->copied(now, original, copy);
  if (is_foreign(original)) options_.transits[copy.buffer] = options_.transits[original.buffer];
  if (is_local(pin)) {
    deliver(copy, step, InstanceId{pin.instance}, now);
  } else {
    go_to_host(copy, chain, step, HostId{pin.host}, now);
  }
}

void Worker::deliver(const Packet& packet, std::uint8_t step, InstanceId instance,
                     Instant now) noexcept {
  const InstanceRoute& route = snapshot_->instances[index_of(instance)];
  if (route.channel == nullptr) {  // It ended while the packet was on its way between workers.
    Packet late = packet;
    late.step = step;
    drop(late, DropReason::kInstanceDied, now);
    return;
  }
  if (route.worker != options_.index) {
    Packet passed = packet;
    passed.step = step;
    passed.verdict = Verdict::kUndecided;
    passed.target = index_of(instance);
    send_to_worker(route.worker, passed, now);
    return;
  }
  stage(packet, step, instance, now);
}

void Worker::leave(const Packet& packet, PortId port, Instant now) noexcept {
  if (index_of(port) >= snapshot_->ports.size()) {
    drop(packet, DropReason::kNoPort, now);
    return;
  }
  const PortRoute& route = snapshot_->ports[index_of(port)];
  if (packet.length > route.frame_size_max) {
    drop(packet, DropReason::kMtu, now);
    return;
  }
  if (packet.flow != kNoFlow && !is_foreign(packet)) {
    const ChainVersion& chain = *chain_of(packet);
    if (chain.reverse != kNoChain && !chain.is_reverse &&
        (flows_.entry(slot_of(packet.flow)).flags & kReverseKnown) == 0) {
      link_reverse(packet, now);
    }
    auto& latency = statistics_.chains[index_of(chain.chain)].latency;
    latency.add(now - instant_from_ns(packet.arrival), 1);
  }
  put_out(packet, port, now);
}

/// Lets the worker that owns a port send by it.
void Worker::put_out(const Packet& packet, PortId port, Instant now) noexcept {
  const std::uint16_t owner = snapshot_->ports[index_of(port)].worker;
  if (owner == options_.index) {
    port_output_[index_of(port)].push_back(packet);
    return;
  }
  Packet passed = packet;
  passed.target = index_of(port);
  passed.step = kStepLeaving;
  send_to_worker(owner, passed, now);
}

/// leave() by the chain's own port, for packets of flows of one chain.
void Worker::leave_all(std::span<const Packet> packets, const ChainVersion& chain,
                       Instant now) noexcept {
  const std::size_t port = index_of(chain.to);
  const std::uint64_t arrival = packets.front().arrival;
  std::uint64_t arrival_differs = 0;
  std::uint32_t length_max = 0;
  for (const Packet& packet : packets) {
    length_max = std::max<std::uint32_t>(length_max, packet.length);
    arrival_differs |= packet.arrival ^ arrival;
  }
  bool plain = port < snapshot_->ports.size() && snapshot_->ports[port].worker == options_.index &&
               length_max <= snapshot_->ports[port].frame_size_max;
  if (plain && chain.reverse != kNoChain && !chain.is_reverse) {
    for (const Packet& packet : packets) {
      plain &= (flows_.entry(slot_of(packet.flow)).flags & kReverseKnown) != 0;
    }
  }
  if (!plain) {
    for (const Packet& packet : packets) leave(packet, chain.to, now);
    return;
  }
  auto& latency = statistics_.chains[index_of(chain.chain)].latency;
  if (arrival_differs == 0) {
    latency.add(now - instant_from_ns(arrival), packets.size());
  } else {
    for (const Packet& packet : packets) latency.add(now - instant_from_ns(packet.arrival), 1);
  }
  port_output_[port].insert(port_output_[port].end(), packets.begin(), packets.end());
}

void Worker::drop(const Packet& packet, DropReason reason, Instant now) noexcept {
  ++statistics_.drops[static_cast<std::size_t>(reason)];
  if (const ChainVersion* chain = chain_of(packet); chain != nullptr) {
    ++statistics_.chains[index_of(chain->chain)].dropped_packets;
  }
  if (options_.observer != nullptr) options_.observer->dropped(now, {&packet, 1}, reason);
  to_free_.push_back(packet.buffer);
}

void Worker::count_sent(std::span<const Packet> packets, PortId port, Instant now) noexcept {
  if (packets.empty()) return;
  auto& of_port = statistics_.ports[index_of(port)];
  of_port.sent_packets += packets.size();
  for (std::size_t begin = 0, end = 0; begin < packets.size(); begin = end) {
    std::uint64_t size_bytes = 0;
    for (; end < packets.size() && packets[end].chain == packets[begin].chain; ++end) {
      size_bytes += packets[end].length;
    }
    of_port.sent_bytes += size_bytes;
    const ChainVersion* chain = chain_of(packets[begin]);
    if (chain == nullptr) continue;
    auto& of_chain = statistics_.chains[index_of(chain->chain)];
    of_chain.left_packets += end - begin;
    of_chain.left_bytes += size_bytes;
  }
  if (options_.observer != nullptr) options_.observer->sent(now, port, packets);
}

void Worker::send_to_worker(std::uint16_t worker, const Packet& packet, Instant now) noexcept {
  PacketBatch& batch = worker_output_[worker];
  batch.push(packet);
  if (batch.full()) flush_workers(now);
}

}  // namespace sluice

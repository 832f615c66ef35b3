#include <algorithm>
#include <array>

#include "core/check.hpp"
#include "core/host/worker_parts.hpp"

namespace sluice {

namespace {

constexpr std::uint8_t kFinSeen = 0x01;
constexpr std::uint8_t kClosing = 0x02;
/// FlowKey::protocol of the keys of the address table: reserved (IANA), so no packet has it.
constexpr std::uint8_t kProtocolOfAddresses = 255;

/// The key of the address table under which a service's choice for one address stands.
FlowKey address_key(const Service& service, const FlowKey& key) {
  FlowKey address;
  address.source = service.affinity == Affinity::kSource ? key.source : key.destination;
  address.source_port = index_of(service.id);
  address.protocol = kProtocolOfAddresses;
  address.ip_version = key.ip_version;
  return address;
}

}  // namespace

std::uint32_t Worker::start_flow(const FlowKey& key, std::uint16_t chain_index,
                                 Instant now) noexcept {
  const ChainVersion& chain = *snapshot_->chains[chain_index];
  SLUICE_CHECK(chain.steps.size() <= options_.flows.pin_count_max);
  const std::uint32_t slot = flows_.insert(key, now);
  if (slot == kNoSlot) return kNoSlot;
  begin_entry(slot, chain);
  pin_flow(slot, chain, now);
  announce(slot, chain, now);
  return slot;
}

void Worker::begin_entry(std::uint32_t slot, const ChainVersion& chain) noexcept {
  FlowEntry& entry = flows_.entry(slot);
  entry.sticky_tag = 0;
  entry.peer = kNoSlot;
  entry.chain = chain.index;
  entry.flags = 0;
  ++chain_flows_[chain.index];
  ++statistics_.flows_started;
}

void Worker::announce(std::uint32_t slot, const ChainVersion& chain, Instant now) noexcept {
  if (options_.observer == nullptr) return;
  options_.observer->flow_started(now, flow_of(slot), flows_.key(slot), chain.index,
                                  flows_.pins(slot).first(chain.steps.size()));
}

/// The reverse chain that a packet which no rule wants belongs to, when it answers a flow of the
/// forward chain whose first packet has not left yet: link_reverse() will be too late for it.
ChainId Worker::chain_of_reply(const FlowKey& key, Instant now) noexcept {
  for (const std::uint16_t index : snapshot_->active) {
    if (index == kChainNone) continue;
    const ChainVersion& chain = *snapshot_->chains[index];
    if (!chain.is_reverse || index_of(chain.from) != key.ingress) continue;
    const FlowKey forward = key.reversed(chain.to);
    std::uint32_t slot = kNoSlot;
    flows_.lookup({&forward, 1}, {&slot, 1}, now);
    if (slot == kNoSlot) continue;
    if (snapshot_->chains[flows_.entry(slot).chain]->chain == chain.reverse) return chain.chain;
  }
  return kNoChain;
}

/// Makes two flows the two directions of one session.
void Worker::make_peers(std::uint32_t slot, std::uint32_t other) noexcept {
  flows_.entry(slot).peer = other;
  flows_.entry(other).peer = slot;
  flows_.entry(slot).flags |= kReverseKnown;
  flows_.entry(other).flags |= kReverseKnown;
}

/// Chooses an instance for each step of a new flow, so that all pins can travel with its packets.
/// What the other direction of its session uses already, it uses too.
void Worker::pin_flow(std::uint32_t slot, const ChainVersion& chain, Instant now) noexcept {
  const FlowKey& key = flows_.key(slot);
  std::uint32_t other = kNoSlot;
  if (chain.to != kNoPort && key.ip_version != 0) {
    const FlowKey reply = key.reversed(chain.to);
    flows_.lookup({&reply, 1}, {&other, 1}, now);
  }
  const ChainVersion* opposite =
      other == kNoSlot ? nullptr : snapshot_->chains[flows_.entry(other).chain].get();
  const bool is_session = opposite != nullptr && opposite->chain == chain.reverse;
  if (is_session && flows_.entry(other).peer == kNoSlot) make_peers(slot, other);
  pin_steps(slot, chain, other, is_session, now);
}

/// @param other The flow whose pins to take over for services that want both directions together,
/// all of them when `is_session`; kNoSlot: none.
void Worker::pin_steps(std::uint32_t slot, const ChainVersion& chain, std::uint32_t other,
                       bool is_session, Instant now) noexcept {
  const std::span<Pin> pins = flows_.pins(slot);
  for (std::size_t i = 0; i < chain.steps.size(); ++i) {
    const ServiceId wanted = chain.steps[i].service;
    const ServiceRoute& service = snapshot_->services[index_of(wanted)];
    pins[i] = Pin{};
    if (service.service.affinity == Affinity::kNone) continue;
    if (other != kNoSlot && (is_session || service.service.affinity == Affinity::kSession)) {
      // From the far end, for a service that stands twice in the chain: steps are mirrored.
      const auto& steps = snapshot_->chains[flows_.entry(other).chain]->steps;
      const std::size_t mirrored = chain.steps.size() - 1 - i;
      if (is_session && mirrored < steps.size() && steps[mirrored].service == wanted) {
        pins[i] = flows_.pins(other)[mirrored];
      } else {
        for (std::size_t j = 0; j < steps.size(); ++j) {
          if (steps[j].service == wanted) pins[i] = flows_.pins(other)[j];
        }
      }
      if (pins[i].is_set() && !is_alive(pins[i], wanted)) pins[i] = Pin{};
    }
    if (!pins[i].is_set()) pins[i] = choose(service, flows_.key(slot), now);
    count_pin(pins[i], 1);
  }
}

/// Flows are counted by the instances of this host.
void Worker::count_pin(Pin pin, int by) noexcept {
  if (!pin.is_set() || !is_local(pin)) return;
  std::uint32_t& count = instance_flows_[pin.instance];
  SLUICE_CHECK(by > 0 || count > 0);
  count += static_cast<std::uint32_t>(by);
}

/// Whether a pin names a living instance of `service`.
bool Worker::is_alive(Pin pin, ServiceId service) const noexcept {
  if (!is_local(pin)) [[unlikely]] {
    if (cluster_ == nullptr || pin.host >= cluster_->peers.size()) return false;
    const PeerRoute& peer = cluster_->peers[pin.host];
    return peer.tunnel != nullptr && pin.instance < peer.services.size() &&
           peer.services[pin.instance] == service;
  }
  const InstanceRoute& route = snapshot_->instances[pin.instance];
  return route.channel != nullptr && route.service == service;
}

Pin Worker::choose(const ServiceRoute& service, const FlowKey& key, Instant now) noexcept {
  if (service.accepting.empty()) return choose_remote(service, key);
  // Each worker has its own inline instance: a flow stays on its worker.
  if (const InstanceId own = own_inline_[index_of(service.service.id)]; own != kNoInstance) {
    return Pin{index_of(snapshot_->host), index_of(own)};
  }
  const Affinity affinity = service.service.affinity;
  if (affinity == Affinity::kSource || affinity == Affinity::kDestination) {
    return choose_by_address(service, key, now);
  }
  const std::uint16_t host = index_of(snapshot_->host);
  if (service.service.choice == InstanceChoice::kMaglev) {
    const std::uint64_t hashed = affinity == Affinity::kSession
                                     ? hash_symmetric(key, options_.flows.hash_key)
                                     : hash(key, options_.flows.hash_key);
    return Pin{host, static_cast<std::uint16_t>(service.maglev.lookup(hashed))};
  }
  return Pin{host, index_of(least_loaded(service))};
}

/// All flows of one address meet one instance, as long as that takes new flows.
Pin Worker::choose_by_address(const ServiceRoute& service, const FlowKey& key,
                              Instant now) noexcept {
  const FlowKey address = address_key(service.service, key);
  std::uint32_t slot = kNoSlot;
  addresses_.lookup({&address, 1}, {&slot, 1}, now);
  if (slot != kNoSlot) {
    const Pin known = addresses_.pins(slot)[0];
    const auto& accepting = service.accepting;
    if (std::binary_search(accepting.begin(), accepting.end(), InstanceId{known.instance})) {
      ++addresses_.entry(slot).sticky_tag;  // Counts the flows that rely on it.
      return known;
    }
  } else {
    slot = addresses_.insert(address, now);
    if (slot == kNoSlot) return Pin{};
    addresses_.entry(slot).sticky_tag = 0;
  }
  const InstanceId instance =
      service.service.choice == InstanceChoice::kMaglev
          ? InstanceId{service.maglev.lookup(hash(address, options_.flows.hash_key))}
          : least_loaded(service);
  const Pin chosen{index_of(snapshot_->host), index_of(instance)};
  addresses_.pins(slot)[0] = chosen;
  ++addresses_.entry(slot).sticky_tag;
  return chosen;
}

void Worker::forget_address(const ServiceRoute& service, const FlowKey& key, Instant now) noexcept {
  const FlowKey address = address_key(service.service, key);
  std::uint32_t slot = kNoSlot;
  addresses_.lookup({&address, 1}, {&slot, 1}, now);
  if (slot != kNoSlot && addresses_.entry(slot).sticky_tag > 0) {
    --addresses_.entry(slot).sticky_tag;
  }
}

/// The instance with the least work waiting, in steps of a batch; then the fewest flows; then the
/// smallest number. Waiting work comes first because a count of flows says nothing of their size.
InstanceId Worker::least_loaded(const ServiceRoute& service) const noexcept {
  InstanceId best = service.accepting.front();
  std::uint64_t best_cost = ~std::uint64_t{0};
  for (const InstanceId candidate : service.accepting) {
    const InstanceRoute& route = snapshot_->instances[index_of(candidate)];
    const std::uint32_t waiting = route.worker == options_.index
                                      ? lanes_[index_of(candidate)].outstanding
                                      : route.channel->receive.size();
    const std::uint64_t cost = (std::uint64_t{waiting / PacketBatch::kCapacity} << 32) +
                               instance_flows_[index_of(candidate)];
    if (cost < best_cost) {
      best = candidate;
      best_cost = cost;
    }
  }
  return best;
}

/// The instance of a flow at a step; a new one when there was none or it ended.
Pin Worker::pin_at(std::uint32_t slot, const ChainVersion& chain, std::uint8_t step,
                   Instant now) noexcept {
  const ServiceId wanted = chain.steps[step].service;
  const ServiceRoute& service = snapshot_->services[index_of(wanted)];
  if (service.service.affinity == Affinity::kNone) {
    return choose(service, flows_.key(slot), now);
  }
  Pin& pin = flows_.pins(slot)[step];
  if (pin.is_set() && is_alive(pin, wanted)) [[likely]] {
    return pin;
  }
  const Pin before = pin;
  pin = choose(service, flows_.key(slot), now);
  count_pin(before, -1);
  count_pin(pin, 1);
  if (options_.observer != nullptr && pin != before) {
    options_.observer->flow_repinned(
        now, flow_of(slot), step, before, pin,
        before.is_set() ? RepinCause::kInstanceDied : RepinCause::kHadNone);
  }
  return pin;
}

void Worker::track_tcp(std::uint32_t slot, std::uint8_t tcp_flags, Instant now) noexcept {
  if ((tcp_flags & (kTcpFin | kTcpRst)) == 0) return;
  FlowEntry& entry = flows_.entry(slot);
  const std::uint32_t peer = entry.peer;
  if ((tcp_flags & kTcpFin) != 0) entry.flags |= kFinSeen;
  const bool both = peer != kNoSlot && (flows_.entry(peer).flags & kFinSeen) != 0 &&
                    (entry.flags & kFinSeen) != 0;
  if ((tcp_flags & kTcpRst) == 0 && !both) return;
  for (const std::uint32_t each : {slot, peer}) {
    if (each == kNoSlot || (flows_.entry(each).flags & kClosing) != 0) continue;
    flows_.entry(each).flags |= kClosing;
    flows_.close(each, now);
  }
}

/// A new connection on ports whose old one was not yet forgotten goes the old one's way: ending the
/// flow here would lose what instances still have of it.
void Worker::reopen(std::uint32_t slot) noexcept {
  for (const std::uint32_t each : {slot, flows_.entry(slot).peer}) {
    if (each == kNoSlot || (flows_.entry(each).flags & kClosing) == 0) continue;
    flows_.entry(each).flags &= static_cast<std::uint8_t>(~(kClosing | kFinSeen));
    flows_.reopen(each);
  }
}

/// Stores the opposite direction of a flow as it leaves, with the same instances, so that replies
/// find them also when the way has rewritten the headers.
void Worker::link_reverse(const Packet& packet, Instant now) noexcept {
  const std::uint16_t reverse_index = opposite_of(*snapshot_, *chain_of(packet));
  if (reverse_index == kChainNone) return;
  const std::uint32_t slot = slot_of(packet.flow);
  flows_.entry(slot).flags |= kReverseKnown;
  const auto bytes = options_.memory.bytes(packet);
  const auto headers = parse(bytes);
  if (!headers || headers->later_fragment || headers->l3 == L3::kOther) return;
  const ChainVersion& reverse = *snapshot_->chains[reverse_index];
  const FlowKey key = flow_key(bytes, *headers, PortId{packet.ingress}).reversed(reverse.from);
  std::uint32_t other = kNoSlot;
  flows_.lookup({&key, 1}, {&other, 1}, now);
  if (other == kNoSlot) {
    other = flows_.insert(key, now);
    if (other == kNoSlot) return;  // Full: replies will be dropped for it, and counted.
    begin_entry(other, reverse);
    make_peers(slot, other);
    pin_steps(other, reverse, slot, true, now);
    announce(other, reverse, now);
  } else if (flows_.entry(other).peer == kNoSlot) {
    make_peers(slot, other);
  }
}

void Worker::end_flow(std::uint32_t slot, Instant now) noexcept {
  FlowEntry& entry = flows_.entry(slot);
  const FlowKey& key = flows_.key(slot);
  const auto& steps = snapshot_->chains[entry.chain]->steps;
  const std::span<const Pin> pins = flows_.pins(slot);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const ServiceRoute& service = snapshot_->services[index_of(steps[i].service)];
    if (!pins[i].is_set()) continue;
    count_pin(pins[i], -1);
    if (!is_local(pins[i])) continue;  // There the function's own idle timeout ends it.
    const Affinity affinity = service.service.affinity;
    if (affinity == Affinity::kSource || affinity == Affinity::kDestination) {
      forget_address(service, key, now);
    }
    if (service.service.keeps_flow_state) {
      const Message message{Message::Kind::kFlowEnded, flow_of(slot), {}};
      // A full message ring loses it: the NF's own idle timeout is the safety net.
      (void)post(InstanceId{pins[i].instance}, message, now);
    }
  }
  if (entry.peer != kNoSlot) {
    flows_.entry(entry.peer).peer = kNoSlot;
    flows_.entry(entry.peer).flags &= static_cast<std::uint8_t>(~kReverseKnown);
  }
  SLUICE_CHECK(chain_flows_[entry.chain] > 0);
  --chain_flows_[entry.chain];
  ++statistics_.flows_ended;
  if (options_.observer != nullptr) options_.observer->flow_ended(now, flow_of(slot));
  flows_.erase(slot, now);
}

void Worker::expire(Instant now, std::uint32_t budget) noexcept {
  std::array<std::uint32_t, kExpireBudgetOfTick> slots;
  const std::uint32_t count = flows_.expire(now, budget, slots);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t slot = slots[i];
    if (!flows_.live(slot)) continue;
    FlowEntry& entry = flows_.entry(slot);
    // One direction may be silent for long while the other is busy: a session lives as a whole.
    if ((entry.flags & kClosing) == 0 && entry.peer != kNoSlot) {
      const std::uint64_t peer_seen_ns = flows_.entry(entry.peer).last_seen_ns;
      if (instant_from_ns(peer_seen_ns) + options_.flows.idle_timeout > now) {
        entry.last_seen_ns = peer_seen_ns;
        continue;
      }
    }
    end_flow(slot, now);
  }
  const std::uint32_t address_count = addresses_.expire(now, budget, slots);
  for (std::uint32_t i = 0; i < address_count; ++i) {
    FlowEntry& entry = addresses_.entry(slots[i]);
    if (entry.sticky_tag > 0) {
      entry.last_seen_ns = to_ns(now);
    } else {
      addresses_.erase(slots[i], now);
    }
  }
}

}  // namespace sluice

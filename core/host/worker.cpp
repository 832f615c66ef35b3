#include "core/host/worker.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "core/chain/steering.hpp"
#include "core/check.hpp"

namespace sluice {

namespace {

constexpr std::uint32_t kExpireBudget = 64;
constexpr std::uint32_t kExpireBudgetOfTick = 1024;
constexpr std::uint8_t kFinSeen = 0x01;
constexpr std::uint8_t kClosing = 0x02;
constexpr std::uint8_t kReverseKnown = 0x04;
/// Packet::step of a packet that another worker only has to send.
constexpr std::uint8_t kStepLeaving = 0xff;
constexpr std::uint16_t kChainNone = 0xffff;
/// FlowKey::protocol of the keys of the address table: reserved (IANA), so no packet has it.
constexpr std::uint8_t kProtocolOfAddresses = 255;

FlowTable::Options address_table_options(const Worker::Options& worker) {
  FlowTable::Options options = worker.flows;
  if (worker.address_count_max != 0) options.flow_count_max = worker.address_count_max;
  options.pin_count_max = 1;
  options.rest_time = Duration::zero();
  return options;
}

/// ARP, and the ICMPv6 messages of neighbour discovery (RFC 4861): types 133 to 137.
bool is_neighbour_discovery(const Headers& headers, std::span<const std::byte> bytes) {
  if (headers.l3 == L3::kArp) return true;
  if (headers.l4 != L4::kIcmpv6 || headers.l4_offset >= bytes.size()) return false;
  const auto type = std::to_integer<std::uint8_t>(bytes[headers.l4_offset]);
  return type >= 133 && type <= 137;
}

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

struct Worker::Fresh {
  std::array<Packet, PacketBatch::kCapacity> packets;
  std::array<FlowKey, PacketBatch::kCapacity> keys;
  std::array<std::uint8_t, PacketBatch::kCapacity> tcp_flags;
  std::array<std::uint32_t, PacketBatch::kCapacity> slots;
  std::uint32_t size = 0;
};

Worker::Worker(Options options)
    : options_(std::move(options)),
      first_slot_(options_.index * options_.flows.flow_count_max),
      flows_(options_.flows),
      addresses_(address_table_options(options_)),
      fragments_(options_.fragments),
      lanes_(options_.instance_count_max),
      own_inline_(options_.service_count_max, kNoInstance),
      port_input_(options_.port_count_max, PacketBatch{options_.memory}),
      port_output_(options_.port_count_max),
      worker_input_(options_.worker_count, PacketBatch{options_.memory}),
      worker_output_(options_.worker_count, PacketBatch{options_.memory}),
      instance_flows_(options_.instance_count_max),
      chain_flows_(options_.chain_version_count_max),
      fresh_(std::make_unique<Fresh>()),
      inline_batch_(options_.memory) {
  SLUICE_CHECK(options_.ledger != nullptr);
  SLUICE_CHECK(std::uint64_t{options_.flows.flow_count_max} * options_.worker_count <=
               (1u << kFlowSlotBits));
  SLUICE_CHECK(options_.to_workers.size() == options_.from_workers.size());
  SLUICE_CHECK(options_.worker_count == 1 || options_.to_workers.size() == options_.worker_count);
  for (Lane& each : lanes_) {
    each.input = PacketBatch{options_.memory};
    each.staged = PacketBatch{options_.memory};
  }
  const std::uint32_t buffer_count = options_.memory.buffer_count();
  for (auto& output : port_output_) output.reserve(buffer_count);
  to_free_.reserve(buffer_count);
  spare_.reserve(kSpareCount);
  own_.reserve(options_.instance_count_max);
  dirty_.reserve(options_.instance_count_max);
  quarantined_.reserve(options_.instance_count_max);
  touched_.reserve(options_.instance_count_max);
  statistics_.ports.resize(options_.port_count_max);
  statistics_.chains.resize(options_.chain_count_max);
  statistics_.instances.resize(options_.instance_count_max);
}

Worker::~Worker() = default;

void Worker::adopt(const RoutingSnapshot& snapshot) noexcept {
  SLUICE_CHECK(snapshot.ports.size() <= options_.port_count_max);
  SLUICE_CHECK(snapshot.instances.size() <= options_.instance_count_max);
  SLUICE_CHECK(snapshot.chains.size() <= options_.chain_version_count_max);
  SLUICE_CHECK(snapshot.active.size() <= options_.chain_count_max);
  SLUICE_CHECK(snapshot.services.size() <= own_inline_.size());
  snapshot_ = &snapshot;
  own_.clear();
  std::fill(own_inline_.begin(), own_inline_.end(), kNoInstance);
  for (std::uint16_t i = 0; i < snapshot.instances.size(); ++i) {
    const InstanceRoute& route = snapshot.instances[i];
    Lane& each = lanes_[i];
    const bool active = route.channel != nullptr && route.worker == options_.index;
    if (active && !each.active) {
      each.quarantined = false;
      each.outstanding_max =
          outstanding_max(snapshot.services[index_of(route.service)].service.ring_capacity);
      statistics_.instances[i] = InstanceStatistics{};
    }
    each.active = active;
    if (!active) continue;
    own_.push_back(InstanceId{i});
    if (route.channel->inline_runtime != nullptr) {
      own_inline_[index_of(route.service)] = InstanceId{i};
    }
  }
}

std::uint64_t Worker::snapshot_version() const noexcept {
  return snapshot_ == nullptr ? 0 : snapshot_->version;
}

void Worker::work(Instant now) noexcept {
  ++statistics_.polls;
  for (PacketBatch& batch : port_input_) {
    if (batch.empty()) continue;
    receive(batch, now);
    batch.clear();
  }
  for (const InstanceId instance : own_) {
    if (!lane(instance).input.empty()) take_back(instance, now);
  }
  for (PacketBatch& batch : worker_input_) {
    if (batch.empty()) continue;
    take_from_worker(batch, now);
    batch.clear();
  }
  flush_lanes(now);
  flush_workers(now);
  expire(now, kExpireBudget);
}

void Worker::tick(Instant now) noexcept {
  expire(now, kExpireBudgetOfTick);
  for (const InstanceId instance : own_) {
    const InstanceRoute& route = snapshot_->instances[index_of(instance)];
    if (snapshot_->services[index_of(route.service)].service.generates) lend(instance, now);
    if (route.channel->inline_runtime == nullptr) continue;
    route.channel->inline_runtime->tick(now);
    run_inline(instance, now);
  }
  flush_lanes(now);
  flush_workers(now);
}

// --- Input ---------------------------------------------------------------------------------------

void Worker::receive(PacketBatch& batch, Instant now) noexcept {
  Fresh& fresh = *fresh_;
  fresh.size = 0;
  auto& port = statistics_.ports[batch[0].ingress];
  port.received_packets += batch.size();
  for (Packet& packet : batch) {
    port.received_bytes += packet.length;
    if (parse_fresh(fresh, packet, now)) ++fresh.size;
  }
  steer_fresh(fresh, now);
}

/// Fills the next place of `fresh`. False when the packet needs no steering here: it was dropped,
/// passed by, or handed to the worker of its flow.
bool Worker::parse_fresh(Fresh& fresh, Packet& packet, Instant now) noexcept {
  const auto bytes = options_.memory.bytes(packet);
  const auto headers = parse(bytes);
  if (!headers) {
    drop(packet, DropReason::kParseError, now);
    return false;
  }
  if (is_neighbour_discovery(*headers, bytes) && pass_unmatched(packet, *headers, bytes, now)) {
    return false;
  }
  FlowKey key = flow_key(bytes, *headers, PortId{packet.ingress});
  if (options_.worker_count > 1) {
    const auto owner = static_cast<std::uint16_t>(hash_symmetric(key, options_.worker_hash_key) %
                                                  options_.worker_count);
    if (owner != options_.index) {
      send_to_worker(owner, packet, now);
      return false;
    }
  }
  if (headers->fragment) {
    if (!headers->later_fragment) {
      fragments_.remember(key, headers->fragment_id, now);
    } else if (!fragments_.find(key, headers->fragment_id, now)) {
      drop(packet, DropReason::kFragmentTable, now);
      return false;
    }
  }
  fresh.packets[fresh.size] = packet;
  fresh.keys[fresh.size] = key;
  fresh.tcp_flags[fresh.size] = headers->tcp_flags;
  return true;
}

/// Sends what no chain wants where the port's policy says. @return False for a port that drops it.
bool Worker::pass_unmatched(const Packet& packet, const Headers& headers,
                            std::span<const std::byte> bytes, Instant now) noexcept {
  const PortRoute& port = snapshot_->ports[packet.ingress];
  PortId to = port.unmatched == UnmatchedPolicy::kPass ? port.pass_to : kNoPort;
  if (is_neighbour_discovery(headers, bytes) && port.neighbours_to != kNoPort) {
    to = port.neighbours_to;
  }
  if (to == kNoPort) return false;
  if (options_.observer != nullptr) options_.observer->classified(now, {&packet, 1});
  leave(packet, to, now);
  return true;
}

void Worker::steer_fresh(Fresh& fresh, Instant now) noexcept {
  flows_.lookup({fresh.keys.data(), fresh.size}, {fresh.slots.data(), fresh.size}, now);
  std::uint32_t known = 0;
  for (std::uint32_t i = 0; i < fresh.size; ++i) {
    Packet& packet = fresh.packets[i];
    std::uint32_t slot = fresh.slots[i];
    const std::uint8_t tcp_flags = fresh.tcp_flags[i];
    const bool opens = (tcp_flags & (kTcpSyn | kTcpAck | kTcpRst)) == kTcpSyn;
    if (slot == kNoSlot || !flows_.live(slot)) {
      // Its first packet may stand earlier in this batch.
      flows_.lookup({&fresh.keys[i], 1}, {&slot, 1}, now);
    }
    if (slot != kNoSlot && opens) reopen(slot);
    if (slot == kNoSlot) {
      ChainId chain = snapshot_->classifier->match(fresh.keys[i]);
      if (chain == kNoChain) chain = chain_of_reply(fresh.keys[i], now);
      if (chain == kNoChain) {
        const auto bytes = options_.memory.bytes(packet);
        const auto headers = parse(bytes);
        if (!headers || !pass_unmatched(packet, *headers, bytes, now)) {
          drop(packet, DropReason::kNoChain, now);
        }
        continue;
      }
      slot = start_flow(fresh.keys[i], snapshot_->active[index_of(chain)], now);
      if (slot == kNoSlot) {
        drop(packet, DropReason::kTableFull, now);
        continue;
      }
    }
    const FlowEntry& entry = flows_.entry(slot);
    packet.flow = flow_of(slot);
    packet.tag = entry.sticky_tag;
    packet.chain = entry.chain;
    packet.step = 0;
    track_tcp(slot, tcp_flags, now);
    if (known != i) fresh.packets[known] = packet;
    ++known;
  }
  const std::span<const Packet> steered{fresh.packets.data(), known};
  if (options_.observer != nullptr && known > 0) options_.observer->classified(now, steered);
  Way way;
  for (const Packet& packet : steered) {
    if (way.chain == nullptr || way.chain->index != packet.chain) {
      way = way_to(*chain_of(packet), Hop{Hop::Kind::kStep, 0});
    }
    ++statistics_.chains[index_of(way.chain->chain)].entered_packets;
    go(packet, slot_of(packet.flow), way, now);
  }
}

void Worker::take_back(InstanceId instance, Instant now) noexcept {
  Lane& from = lane(instance);
  auto& statistics = statistics_.instances[index_of(instance)];
  PacketBatch& input = from.input;
  const auto taken = options_.ledger->take_back(instance, {input.data(), input.size()});
  const std::uint32_t refused = input.size() - taken.good;
  if (refused > 0) {
    statistics.refused_packets += refused;
    for (std::uint32_t i = taken.good; i < input.size(); ++i) {
      if (options_.observer != nullptr) options_.observer->refused(now, instance, input[i]);
    }
    quarantine(instance);
  }
  input.resize(taken.good);
  const std::uint32_t generated = taken.generated;
  const std::uint32_t returned = taken.good - generated;
  SLUICE_CHECK(from.outstanding >= returned && from.lent >= generated);
  from.outstanding -= returned;
  from.lent -= generated;
  statistics.returned_packets += returned;
  // Those that it made stand behind those that it was given.
  const std::span<Packet> packets{input.data(), returned};
  if (options_.observer != nullptr && !packets.empty()) {
    options_.observer->returned(now, instance, packets);
  }
  decide_all(packets, now);
  if (generated > 0) adopt_generated(instance, {input.data() + returned, generated}, now);
  input.clear();
}

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

/// What decide() does, for all packets that an instance gave back. Most of a batch stand at the
/// same step and go on alike, so that is looked up once a run of them.
void Worker::decide_all(std::span<const Packet> packets, Instant now) noexcept {
  Way way;
  std::uint32_t chain_and_step = ~0u;
  for (const Packet& packet : packets) {
    if (const std::uint32_t own = std::uint32_t{packet.chain} << 8 | packet.step;
        own != chain_and_step) {
      const ChainVersion* chain = plain_chain_at(packet);
      way = chain == nullptr ? Way{} : way_to(*chain, chain->steps[packet.step].next);
      chain_and_step = own;
    }
    const std::uint32_t slot = slot_of(packet.flow);
    const bool plain = way.chain != nullptr && packet.verdict == Verdict::kNext &&
                       flows_.live(slot) && flows_.entry(slot).chain == packet.chain;
    if (plain) {
      go(packet, slot, way, now);
    } else {
      decide_at_owner(packet, now);
    }
  }
}

Worker::Way Worker::way_to(const ChainVersion& chain, Hop hop) const noexcept {
  Way way{&chain, hop, kNoService};
  if (hop.kind != Hop::Kind::kStep || chain.steps[hop.step].copy) return way;
  const ServiceId wanted = chain.steps[hop.step].service;
  const Service& service = snapshot_->services[index_of(wanted)].service;
  if (service.affinity != Affinity::kNone) way.service = wanted;
  return way;
}

/// follow(), with a short cut to the flow's instance where it has one.
void Worker::go(const Packet& packet, std::uint32_t slot, const Way& way, Instant now) noexcept {
  if (way.service != kNoService) {
    const Pin pin = flows_.pins(slot)[way.hop.step];
    if (pin.is_set()) {
      const InstanceRoute& route = snapshot_->instances[pin.instance];
      if (route.channel != nullptr && route.service == way.service &&
          route.worker == options_.index) [[likely]] {
        stage(packet, way.hop.step, InstanceId{pin.instance}, now);
        return;
      }
    }
  }
  follow(packet, *way.chain, way.hop, now);
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

void Worker::take_from_worker(PacketBatch& batch, Instant now) noexcept {
  Fresh& fresh = *fresh_;
  fresh.size = 0;
  for (Packet& packet : batch) {
    if (packet.step == kStepLeaving) {
      port_output_[packet.target].push_back(packet);
    } else if (packet.verdict != Verdict::kUndecided) {
      decide(packet, now);
    } else if (packet.chain != kChainNone) {
      deliver(packet, packet.step, InstanceId{packet.target}, now);
    } else if (parse_fresh(fresh, packet, now)) {
      ++fresh.size;
    }
  }
  steer_fresh(fresh, now);
}

/// Gives packets that an instance made a flow, in the first chain that has the instance's service.
void Worker::adopt_generated(InstanceId instance, std::span<Packet> packets, Instant now) noexcept {
  const ServiceId service = snapshot_->instances[index_of(instance)].service;
  statistics_.instances[index_of(instance)].generated_packets += packets.size();
  if (options_.observer != nullptr) options_.observer->generated(now, instance, packets);
  const ChainVersion* chain = nullptr;
  std::uint8_t step = 0;
  for (const std::uint16_t index : snapshot_->active) {
    if (index == kChainNone) continue;
    const ChainVersion& candidate = *snapshot_->chains[index];
    for (std::size_t i = 0; i < candidate.steps.size() && chain == nullptr; ++i) {
      if (candidate.steps[i].service != service) continue;
      chain = &candidate;
      step = static_cast<std::uint8_t>(i);
    }
    if (chain != nullptr) break;
  }
  for (Packet& packet : packets) {
    const auto bytes = options_.memory.bytes(packet);
    const auto headers = parse(bytes);
    if (chain == nullptr || !headers) {
      drop(packet, chain == nullptr ? DropReason::kNoChain : DropReason::kParseError, now);
      continue;
    }
    const FlowKey key = flow_key(bytes, *headers, kNoPort);
    std::uint32_t slot = kNoSlot;
    flows_.lookup({&key, 1}, {&slot, 1}, now);
    if (slot == kNoSlot) slot = start_flow(key, chain->index, now);
    if (slot == kNoSlot) {
      drop(packet, DropReason::kTableFull, now);
      continue;
    }
    const FlowEntry& entry = flows_.entry(slot);
    packet.flow = flow_of(slot);
    packet.chain = entry.chain;
    packet.step = step;
    packet.arrival = to_ns(now);
    ++statistics_.chains[index_of(chain->chain)].entered_packets;
    if (options_.observer != nullptr) options_.observer->classified(now, {&packet, 1});
    decide(packet, now);
  }
}

// --- Flows ---------------------------------------------------------------------------------------

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
    if (pins[i].is_set()) ++instance_flows_[pins[i].instance];
  }
}

/// Whether a pin names a living instance of `service`.
bool Worker::is_alive(Pin pin, ServiceId service) const noexcept {
  const InstanceRoute& route = snapshot_->instances[pin.instance];
  return route.channel != nullptr && route.service == service;
}

Pin Worker::choose(const ServiceRoute& service, const FlowKey& key, Instant now) noexcept {
  if (service.accepting.empty()) return Pin{};
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
  const Pin chosen{index_of(snapshot_->host), index_of(least_loaded(service))};
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
  if (pin.is_set()) {
    const InstanceRoute& route = snapshot_->instances[pin.instance];
    if (route.channel != nullptr && route.service == wanted) [[likely]]
      return pin;
  }
  const Pin before = pin;
  pin = choose(service, flows_.key(slot), now);
  if (before.is_set()) --instance_flows_[before.instance];
  if (pin.is_set()) ++instance_flows_[pin.instance];
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
void Worker::link_reverse(const Packet& packet, ChainId reverse_chain, Instant now) noexcept {
  const std::uint16_t reverse_index = snapshot_->active[index_of(reverse_chain)];
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
    SLUICE_CHECK(instance_flows_[pins[i].instance] > 0);
    --instance_flows_[pins[i].instance];
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

// --- Steering ------------------------------------------------------------------------------------

/// Does what an NF decided. Only for flows of this worker.
void Worker::decide(const Packet& packet, Instant now) noexcept {
  const std::uint32_t slot = slot_of(packet.flow);
  if (!flows_.live(slot) || flows_.entry(slot).chain != packet.chain) [[unlikely]] {
    drop(packet, DropReason::kFlowEnded, now);
    return;
  }
  const ChainVersion& chain = *chain_of(packet);
  const Step& step = chain.steps[packet.step];
  if (step.copy) {
    drop(packet, DropReason::kCopyDone, now);
    return;
  }
  const Service& service = snapshot_->services[index_of(step.service)].service;
  if (const std::uint32_t sticky = packet.tag & service.sticky_bits; sticky != 0) {
    flows_.entry(slot).sticky_tag |= sticky;
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
    leave(packet, chain.to, now);
    return;
  }
  if (hop.kind == Hop::Kind::kDrop) {
    drop(packet, DropReason::kRule, now);
    return;
  }
  // Pins name hosts too: a pin to another host is where encapsulation starts (DESIGN 7).
  const Pin pin = pin_at(slot_of(packet.flow), chain, hop.step, now);
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
  const Pin pin = pin_at(slot_of(original.flow), chain, step, now);
  if (!pin.is_set() || spare_.empty()) {
    // No packet came to be, so none is lost in the accounts; the counter says what the service
    // missed.
    const auto reason = pin.is_set() ? DropReason::kNoBuffer : DropReason::kNoInstance;
    ++statistics_.drops[static_cast<std::size_t>(reason)];
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
  if (options_.observer != nullptr) options_.observer->copied(now, original, copy);
  deliver(copy, step, InstanceId{pin.instance}, now);
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
  if (packet.flow != kNoFlow) {
    const ChainVersion& chain = *chain_of(packet);
    if (chain.reverse != kNoChain && !chain.is_reverse &&
        (flows_.entry(slot_of(packet.flow)).flags & kReverseKnown) == 0) {
      link_reverse(packet, chain.reverse, now);
    }
    auto& latency = statistics_.chains[index_of(chain.chain)].latency;
    latency.add(now - instant_from_ns(packet.arrival), 1);
  }
  if (route.worker == options_.index) {
    port_output_[index_of(port)].push_back(packet);
    return;
  }
  Packet passed = packet;
  passed.target = index_of(port);
  passed.step = kStepLeaving;
  send_to_worker(route.worker, passed, now);
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
  for (const Packet& packet : packets) {
    of_port.sent_bytes += packet.length;
    const ChainVersion* chain = chain_of(packet);
    if (chain == nullptr) continue;
    auto& of_chain = statistics_.chains[index_of(chain->chain)];
    ++of_chain.left_packets;
    of_chain.left_bytes += packet.length;
  }
  if (options_.observer != nullptr) options_.observer->sent(now, port, packets);
}

void Worker::send_to_worker(std::uint16_t worker, const Packet& packet, Instant now) noexcept {
  PacketBatch& batch = worker_output_[worker];
  batch.push(packet);
  if (batch.full()) flush_workers(now);
}

// --- Output --------------------------------------------------------------------------------------

void Worker::flush_lanes(Instant now) noexcept {
  while (!dirty_.empty()) {  // Inline functions stage more while this runs.
    const InstanceId instance = dirty_.back();
    dirty_.pop_back();
    lane(instance).dirty = false;
    flush_lane(instance, now);
  }
}

void Worker::flush_lane(InstanceId instance, Instant now) noexcept {
  Lane& to = lane(instance);
  if (to.staged.empty()) return;
  const InstanceRoute& route = snapshot_->instances[index_of(instance)];
  SLUICE_CHECK(route.channel != nullptr);
  if (route.channel->inline_runtime != nullptr) {
    run_inline(instance, now);
    return;
  }
  auto& statistics = statistics_.instances[index_of(instance)];
  SpscRing<Packet>& ring = route.channel->receive;
  const std::uint32_t ring_room = ring.capacity() - ring.size();
  const std::uint32_t hold_room = to.outstanding_max - Context::kLentMax - to.outstanding;
  const std::span<const Packet> packets{to.staged.begin(), to.staged.size()};
  const auto accepted = packets.first(std::min({to.staged.size(), ring_room, hold_room}));
  options_.ledger->hand_over(accepted, instance);
  const std::uint32_t count = ring.enqueue(accepted);
  if (count < accepted.size()) {
    // Only this worker fills the ring, so the room that it saw is there, unless the instance plays
    // with its index.
    PacketBatch back = to.staged;
    const auto taken =
        options_.ledger->take_back(instance, {back.data() + count, accepted.size() - count});
    SLUICE_CHECK(taken.good == accepted.size() - count);
    quarantine(instance);
  }
  to.outstanding += count;
  statistics.delivered_packets += count;
  if (options_.observer != nullptr && count > 0) {
    options_.observer->delivered(now, instance, accepted.first(count));
  }
  const DropReason reason = ring_room <= hold_room ? DropReason::kRingFull : DropReason::kHoldLimit;
  for (const Packet& packet : packets.subspan(count)) {
    ++statistics.ring_full_drops;
    drop(packet, reason, now);
  }
  to.staged.clear();
  if (count > 0) touch(instance);
}

/// Runs an inline function on what is staged for it, and on as long as the whole batch goes on to
/// the next inline function together: a fused chain moves no descriptor.
void Worker::run_inline(InstanceId instance, Instant now) noexcept {
  PacketBatch batch = lane(instance).staged;
  lane(instance).staged.clear();
  do {
    FunctionRuntime& runtime = *snapshot_->instances[index_of(instance)].channel->inline_runtime;
    auto& statistics = statistics_.instances[index_of(instance)];
    if (!batch.empty()) {
      statistics.delivered_packets += batch.size();
      if (options_.observer != nullptr) {
        options_.observer->delivered(now, instance, {batch.begin(), batch.size()});
      }
      runtime.process(batch, now);
      std::uint32_t kept = 0;
      for (std::uint32_t i = 0; i < batch.size(); ++i) {
        if (batch[i].verdict != Verdict::kHold) [[likely]] {
          if (kept != i) batch[kept] = batch[i];
          ++kept;
          continue;
        }
        options_.ledger->hand_over({&batch[i], 1}, instance);
        ++lane(instance).outstanding;
      }
      batch.resize(kept);
      statistics.returned_packets += kept;
      if (options_.observer != nullptr && kept > 0) {
        options_.observer->returned(now, instance, {batch.begin(), kept});
      }
    }
    const auto outbox = runtime.outbox();
    for (std::size_t done = 0; done < outbox.size();) {
      PacketBatch& input = lane(instance).input;
      input.clear();
      while (done < outbox.size() && !input.full()) input.push(outbox[done++]);
      take_back(instance, now);
    }
    runtime.clear_outbox();
  } while (advance_inline(batch, instance));
  decide_all({batch.begin(), batch.size()}, now);
}

/// Moves a whole batch one step on when all its packets go to one inline function; else leaves it.
bool Worker::advance_inline(PacketBatch& batch, InstanceId& instance) noexcept {
  if (batch.empty()) return false;
  const Packet& first = batch[0];
  if (first.verdict != Verdict::kNext) return false;
  bool same = true;
  for (const Packet& packet : batch) {
    same &=
        packet.chain == first.chain && packet.step == first.step && packet.verdict == first.verdict;
  }
  if (!same) return false;
  const ChainVersion& chain = *chain_of(first);
  const Step& step = chain.steps[first.step];
  if (step.copy || !step.branches.empty() || step.next.kind != Hop::Kind::kStep) return false;
  const Step& next = chain.steps[step.next.step];
  const InstanceId follower = own_inline_[index_of(next.service)];
  if (next.copy || follower == kNoInstance) return false;
  const ServiceRoute& current = snapshot_->services[index_of(step.service)];
  if (current.service.sticky_bits != 0) return false;
  instance = follower;
  const std::uint8_t next_step = step.next.step;
  for (Packet& packet : batch) packet.step = next_step;
  return true;
}

void Worker::flush_workers(Instant now) noexcept {
  for (std::uint16_t i = 0; i < options_.worker_count; ++i) {
    PacketBatch& batch = worker_output_[i];
    if (batch.empty()) continue;
    const std::span<const Packet> packets{batch.begin(), batch.size()};
    const std::uint32_t count = options_.to_workers[i].enqueue(packets);
    for (const Packet& packet : packets.subspan(count)) {
      drop(packet, DropReason::kWorkerRing, now);
    }
    batch.clear();
  }
}

void Worker::lend(InstanceId instance, Instant now) noexcept {
  Lane& to = lane(instance);
  while (to.lent < Context::kLentMax && !spare_.empty()) {
    Message message{Message::Kind::kLend, kNoFlow, {}};
    const auto count = std::min<std::size_t>(
        {Message::kWordCount - 1, Context::kLentMax - to.lent, spare_.size()});
    const std::span<const std::uint32_t> buffers{spare_.data() + spare_.size() - count, count};
    message.words[0] = static_cast<std::uint32_t>(count);
    std::copy(buffers.begin(), buffers.end(), message.words.begin() + 1);
    options_.ledger->lend(buffers, instance);
    if (!post(instance, message, now)) {
      options_.ledger->unlend(buffers, instance);
      return;
    }
    if (options_.observer != nullptr) options_.observer->lent(now, instance, buffers);
    to.lent += static_cast<std::uint32_t>(count);
    spare_.resize(spare_.size() - count);
  }
}

bool Worker::post(InstanceId instance, const Message& message, Instant now) noexcept {
  const InstanceRoute& route = snapshot_->instances[index_of(instance)];
  if (route.channel == nullptr || route.worker != options_.index) return false;
  if (route.channel->inline_runtime != nullptr) {
    route.channel->inline_runtime->message(message, now);
    return true;
  }
  if (route.channel->messages.enqueue({&message, 1}) != 1) return false;
  touch(instance);
  return true;
}

void Worker::quarantine(InstanceId instance) noexcept {
  if (lane(instance).quarantined) return;
  lane(instance).quarantined = true;
  quarantined_.push_back(instance);
}

void Worker::touch(InstanceId instance) noexcept {
  if (lane(instance).touched) return;
  lane(instance).touched = true;
  touched_.push_back(instance);
}

void Worker::clear_touched() noexcept {
  for (const InstanceId instance : touched_) lane(instance).touched = false;
  touched_.clear();
}

// --- Ends ----------------------------------------------------------------------------------------

void Worker::reclaim(InstanceId instance, DropReason reason, Instant now) noexcept {
  Lane& from = lane(instance);
  auto& statistics = statistics_.instances[index_of(instance)];
  for (const Packet& packet : from.staged) drop(packet, reason, now);
  from.staged.clear();
  // What was gathered but not yet taken back is still in its name: the ledger has it too.
  from.input.clear();
  options_.ledger->reclaim(instance, [&](const Packet& packet, bool lent) {
    if (lent) {
      if (options_.observer != nullptr) {
        options_.observer->unlent(now, instance, {&packet.buffer, 1});
      }
      to_free_.push_back(packet.buffer);
      return;
    }
    ++statistics.reclaimed_packets;
    drop(packet, reason, now);
  });
  from.outstanding = 0;
  from.lent = 0;
  from.active = false;
  std::erase(own_, instance);
}

void Worker::shut_down(Instant now) noexcept {
  for (PacketBatch& batch : port_input_) {
    for (const Packet& packet : batch) drop(packet, DropReason::kShutdown, now);
    batch.clear();
  }
  while (!own_.empty()) reclaim(own_.back(), DropReason::kShutdown, now);
  for (std::uint16_t i = 0; i < options_.worker_count; ++i) {
    PacketBatch& batch = worker_input_[i];
    for (const Packet& packet : batch) drop(packet, DropReason::kShutdown, now);
    if (i == options_.index) continue;
    do {
      batch.resize(PacketBatch::kCapacity);
      batch.resize(options_.from_workers[i].dequeue({batch.data(), PacketBatch::kCapacity}));
      for (const Packet& packet : batch) drop(packet, DropReason::kShutdown, now);
    } while (!batch.empty());
  }
  to_free_.insert(to_free_.end(), spare_.begin(), spare_.end());
  spare_.clear();
}

// --- Small things --------------------------------------------------------------------------------

const ChainVersion* Worker::chain_of(const Packet& packet) const noexcept {
  if (packet.chain >= snapshot_->chains.size()) return nullptr;
  return snapshot_->chains[packet.chain].get();
}

std::uint32_t Worker::slot_of(FlowId flow) const noexcept {
  return (flow & ((1u << kFlowSlotBits) - 1)) - first_slot_;
}

std::uint16_t Worker::worker_of(FlowId flow) const noexcept {
  return static_cast<std::uint16_t>((flow & ((1u << kFlowSlotBits) - 1)) /
                                    options_.flows.flow_count_max);
}

FlowId Worker::flow_of(std::uint32_t slot) const noexcept {
  return (FlowId{index_of(options_.host)} << kFlowSlotBits) |
         (FlowId{options_.index} * options_.flows.flow_count_max + slot);
}

std::uint32_t Worker::flow_count(InstanceId instance) const noexcept {
  return instance_flows_[index_of(instance)];
}

std::uint32_t Worker::flow_count_of_chain(std::uint16_t chain_index) const noexcept {
  return chain_flows_[chain_index];
}

std::uint64_t Worker::gathered_bytes() const noexcept {
  std::uint64_t sum = 0;
  const auto add = [&](const PacketBatch& batch) {
    for (const Packet& packet : batch) sum += packet.length;
  };
  for (const PacketBatch& batch : port_input_) add(batch);
  for (const InstanceId instance : own_) add(lanes_[index_of(instance)].input);
  for (const PacketBatch& batch : worker_input_) add(batch);
  return sum;
}

bool Worker::has_input_from(std::uint16_t worker) const noexcept {
  return worker < options_.from_workers.size() && options_.from_workers[worker].size() > 0;
}

std::size_t Worker::memory_bytes() const noexcept {
  std::size_t sum = flows_.memory_bytes() + addresses_.memory_bytes() +
                    lanes_.size() * sizeof(Lane) + to_free_.capacity() * sizeof(std::uint32_t);
  for (const auto& output : port_output_) sum += output.capacity() * sizeof(Packet);
  return sum + sizeof(*this);
}

std::uint32_t Worker::outstanding(InstanceId instance) const noexcept {
  return lanes_[index_of(instance)].outstanding;
}

}  // namespace sluice

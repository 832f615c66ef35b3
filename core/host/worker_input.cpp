#include <array>
#include <bit>

#include "core/chain/steering.hpp"
#include "core/check.hpp"
#include "core/host/worker_parts.hpp"
#include "core/packet/plain_flow.hpp"

namespace sluice {

namespace {

/// ARP, and the ICMPv6 messages of neighbour discovery (RFC 4861): types 133 to 137.
bool is_neighbour_discovery(const Headers& headers, std::span<const std::byte> bytes) {
  if (headers.l3 == L3::kArp) return true;
  if (headers.l4 != L4::kIcmpv6 || headers.l4_offset >= bytes.size()) return false;
  const auto type = std::to_integer<std::uint8_t>(bytes[headers.l4_offset]);
  return type >= 133 && type <= 137;
}

}  // namespace

/// Fills `place` of what is known of the fresh packets. False when the packet needs no steering
/// here: it was dropped, passed by, or handed to the worker of its flow.
inline bool Worker::parse_fresh(const Packet& packet, std::uint32_t place, Instant now) noexcept {
  Fresh& fresh = *fresh_;
  PackedKey& key = fresh.keys[place];
  std::uint8_t tcp_flags;
  const auto bytes = options_.memory.bytes(packet);
  if (read_plain_flow(bytes, PortId{packet.ingress}, key, tcp_flags)) [[likely]] {
    if (options_.worker_count > 1 && !keep_own(unpack(key), packet, now)) return false;
    fresh.tcp_flags[place] = tcp_flags;
  } else if (!parse_odd(packet, place, now)) {
    return false;
  }
  const FlowTable::Home home = flows_.home_of(key);
  flows_.prefetch(home);
  fresh.homes[place] = home;
  return true;
}

/// parse_fresh() for what is not plain.
bool Worker::parse_odd(const Packet& packet, std::uint32_t place, Instant now) noexcept {
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
  if (options_.worker_count > 1 && !keep_own(key, packet, now)) return false;
  if (headers->fragment) {
    if (!headers->later_fragment) {
      fragments_.remember(key, headers->fragment_id, now);
    } else if (!fragments_.find(key, headers->fragment_id, now)) {
      drop(packet, DropReason::kFragmentTable, now);
      return false;
    }
  }
  fresh_->keys[place] = pack(key);
  fresh_->tcp_flags[place] = headers->tcp_flags;
  return true;
}

void Worker::receive(PacketBatch& batch, Instant now) noexcept {
  auto& port = statistics_.ports[batch[0].ingress];
  port.received_packets += batch.size();
  std::uint64_t size_bytes = 0;
  std::uint32_t kept = 0;
  for (const Packet& packet : batch) {
    size_bytes += packet.length;
    if (!parse_fresh(packet, kept, now)) [[unlikely]]
      continue;
    if (&batch[kept] != &packet) batch[kept] = packet;
    ++kept;
  }
  port.received_bytes += size_bytes;
  batch.resize(kept);
  steer_fresh(batch, now);
}

/// False when the packet's flow is another worker's, to which it is handed.
bool Worker::keep_own(const FlowKey& key, const Packet& packet, Instant now) noexcept {
  const auto owner =
      static_cast<std::uint16_t>(worker_hash_.symmetric(key) % options_.worker_count);
  if (owner == options_.index) return true;
  send_to_worker(owner, packet, now);
  return false;
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

/// Steers what parse_fresh() accepted, which fills `batch`.
void Worker::steer_fresh(PacketBatch& batch, Instant now) noexcept {
  Fresh& fresh = *fresh_;
  const std::uint32_t count = batch.size();
  flows_.guess({fresh.keys.data(), count}, {fresh.homes.data(), count}, {fresh.slots.data(), count},
               now);
  std::uint32_t known = 0;
  // Alike are those of one chain and one instance at its first step: then these two are the same.
  std::uint64_t all_of_them = ~std::uint64_t{0};
  std::uint64_t any_of_them = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    std::uint32_t slot = flows_.confirm(fresh.keys[i], fresh.homes[i], fresh.slots[i]);
    const std::uint8_t tcp_flags = fresh.tcp_flags[i];
    if (slot == kNoSlot || (tcp_flags & (kTcpFin | kTcpSyn | kTcpRst)) != 0) [[unlikely]] {
      slot = begin_or_end(batch[i], i, slot, now);
      if (slot == kNoSlot) continue;
    }
    Packet& packet = batch[known];
    if (known != i) packet = batch[i];
    ++known;
    const FlowEntry& entry = flows_.entry(slot);
    packet.flow = flow_of(slot);
    packet.tag = entry.sticky_tag;
    packet.chain = entry.chain;
    packet.step = 0;
    packet.verdict = Verdict::kUndecided;
    const std::uint64_t way =
        std::uint64_t{std::bit_cast<std::uint32_t>(flows_.first_pin(slot))} << 16 | entry.chain;
    all_of_them &= way;
    any_of_them |= way;
  }
  batch.resize(known);
  if (batch.empty()) return;
  if (options_.observer != nullptr) {
    options_.observer->classified(now, {batch.begin(), batch.size()});
  }
  if (all_of_them == any_of_them) {
    enter_alike(batch, now);
  } else {
    enter_chains({batch.begin(), batch.size()}, now);
  }
}

/// The slot of a fresh packet that begins a flow, or whose TCP flags begin or end one; `slot` is
/// that of its flow so far. kNoSlot: the packet belongs to none and has ended.
std::uint32_t Worker::begin_or_end(const Packet& packet, std::uint32_t place, std::uint32_t slot,
                                   Instant now) noexcept {
  const FlowKey key = unpack(fresh_->keys[place]);
  const std::uint8_t tcp_flags = fresh_->tcp_flags[place];
  const bool opens = (tcp_flags & (kTcpSyn | kTcpAck | kTcpRst)) == kTcpSyn;
  // Its first packet may stand earlier in this batch.
  if (slot == kNoSlot) flows_.lookup({&key, 1}, {&slot, 1}, now);
  if (slot != kNoSlot && opens) reopen(slot);
  if (slot == kNoSlot) {
    ChainId chain = snapshot_->classifier->match(key);
    if (chain == kNoChain) chain = chain_of_reply(key, now);
    if (chain == kNoChain) {
      const auto bytes = options_.memory.bytes(packet);
      const auto headers = parse(bytes);
      if (!headers || !pass_unmatched(packet, *headers, bytes, now)) {
        drop(packet, DropReason::kNoChain, now);
      }
      return kNoSlot;
    }
    slot = start_flow(key, snapshot_->active[index_of(chain)], now);
    if (slot == kNoSlot) {
      drop(packet, DropReason::kTableFull, now);
      return kNoSlot;
    }
  }
  track_tcp(slot, tcp_flags, now);
  return slot;
}

/// Sends packets with their flows known to the first steps of their chains.
void Worker::enter_chains(std::span<const Packet> packets, Instant now) noexcept {
  for (std::size_t begin = 0, end = 0; begin < packets.size(); begin = end) {
    while (end < packets.size() && packets[end].chain == packets[begin].chain) ++end;
    const ChainVersion& chain = *chain_of(packets[begin]);
    statistics_.chains[index_of(chain.chain)].entered_packets += end - begin;
    go_all(packets.subspan(begin, end - begin), way_to(chain, Hop{Hop::Kind::kStep, 0}), now);
  }
}

/// enter_chains() for packets of one chain whose flows have the same pin at its first step.
void Worker::enter_alike(PacketBatch& batch, Instant now) noexcept {
  const ChainVersion& chain = *chain_of(batch[0]);
  const Way way = way_to(chain, Hop{Hop::Kind::kStep, 0});
  const Pin pin = flows_.first_pin(slot_of(batch[0].flow));
  if (way.service == kNoService || !pin.is_set() || !is_here(pin, way.service)) {
    enter_chains({batch.begin(), batch.size()}, now);
    return;
  }
  statistics_.chains[index_of(chain.chain)].entered_packets += batch.size();
  const InstanceId instance{pin.instance};
  const bool is_inline = snapshot_->instances[pin.instance].channel->inline_runtime != nullptr;
  if (is_inline && batch.full() && lane(instance).staged.empty()) {
    // Staging them would fill the instance's batch, which would run at once.
    run_inline(batch, instance, now);
  } else {
    stage_all({batch.begin(), batch.size()}, 0, instance, now);
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

void Worker::take_from_worker(PacketBatch& batch, Instant now) noexcept {
  std::uint32_t kept = 0;
  for (const Packet& packet : batch) {
    if (packet.step == kStepLeaving) {
      port_output_[packet.target].push_back(packet);
    } else if (packet.verdict != Verdict::kUndecided) {
      decide(packet, now);
    } else if (packet.chain != kChainNone) {
      deliver(packet, packet.step, InstanceId{packet.target}, now);
    } else if (parse_fresh(packet, kept, now)) {
      if (&batch[kept] != &packet) batch[kept] = packet;
      ++kept;
    }
  }
  batch.resize(kept);
  steer_fresh(batch, now);
}

/// Gives packets that an instance made a flow, in the first chain that has the instance's service.
/// A flow that lives stays in its chain version, also when no new flow enters that any more.
void Worker::adopt_generated(InstanceId instance, std::span<Packet> packets, Instant now) noexcept {
  const ServiceId service = snapshot_->instances[index_of(instance)].service;
  statistics_.instances[index_of(instance)].generated_packets += packets.size();
  statistics_.generated_packets += packets.size();
  if (options_.observer != nullptr) options_.observer->generated(now, instance, packets);
  const ChainVersion* entry_chain = nullptr;
  for (const std::uint16_t index : snapshot_->active) {
    if (index == kChainNone || !first_step_of(*snapshot_->chains[index], service)) continue;
    entry_chain = snapshot_->chains[index].get();
    break;
  }
  for (Packet& packet : packets) {
    const auto bytes = options_.memory.bytes(packet);
    const auto headers = parse(bytes);
    if (!headers) {
      drop(packet, DropReason::kParseError, now);
      continue;
    }
    const FlowKey key = flow_key(bytes, *headers, kNoPort);
    std::uint32_t slot = kNoSlot;
    flows_.lookup({&key, 1}, {&slot, 1}, now);
    const ChainVersion* chain =
        slot == kNoSlot ? entry_chain : snapshot_->chains[flows_.entry(slot).chain].get();
    const auto step = chain == nullptr ? std::nullopt : first_step_of(*chain, service);
    if (!step) {
      drop(packet, DropReason::kNoChain, now);
      continue;
    }
    if (slot == kNoSlot) slot = start_flow(key, chain->index, now);
    if (slot == kNoSlot) {
      drop(packet, DropReason::kTableFull, now);
      continue;
    }
    packet.flow = flow_of(slot);
    packet.chain = chain->index;
    packet.step = *step;
    packet.arrival = to_ns(now);
    ++statistics_.chains[index_of(chain->chain)].entered_packets;
    if (options_.observer != nullptr) options_.observer->classified(now, {&packet, 1});
    decide(packet, now);
  }
}

}  // namespace sluice

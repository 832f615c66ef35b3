#include <array>
#include <bit>

#include "core/chain/steering.hpp"
#include "core/check.hpp"
#include "core/host/worker_parts.hpp"

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

/// Asks for the packet's flow. False when it needs no steering here: it was dropped, passed by, or
/// handed to the worker of its flow.
inline bool Worker::parse_fresh(const PlainFlowReader& reader, const Packet& packet,
                                FlowTable::Query& query, Instant now) noexcept {
  query.note = reader.read(options_.memory.bytes(packet), query.key);
  if (query.note == PlainFlowReader::kNotPlain) [[unlikely]] {
    if (!parse_odd(packet, query, now)) return false;
  } else if (options_.worker_count > 1 && !keep_own(unpack(query.key), packet, now)) {
    return false;
  }
  return true;
}

/// parse_fresh() for what is not plain.
bool Worker::parse_odd(const Packet& packet, FlowTable::Query& query, Instant now) noexcept {
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
  query.key = pack(key);
  query.note = headers->tcp_flags;
  return true;
}

void Worker::receive(PacketBatch& batch, Instant now) noexcept {
  auto& port = statistics_.ports[batch[0].ingress];
  port.received_packets += batch.size();
  if (cluster_ != nullptr && PortId{batch[0].ingress} == cluster_->underlay) {
    receive_tunnelled(batch, now);
    return;
  }
  std::uint64_t size_bytes = 0;
  const PlainFlowReader reader{PortId{batch[0].ingress}};
  FlowTable::Query* query = queries_->data();
  Packet* kept = batch.begin();
  for (const Packet& packet : batch) {
    size_bytes += packet.length;
    if (!parse_fresh(reader, packet, *query, now)) [[unlikely]] {
      continue;
    }
    ++query;
    if (kept != &packet) *kept = packet;
    ++kept;
  }
  port.received_bytes += size_bytes;
  batch.resize(static_cast<std::uint32_t>(kept - batch.begin()));
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
  const std::uint32_t count = batch.size();
  const std::span<FlowTable::Query> queries{queries_->data(), count};
  for (FlowTable::Query& query : queries) flows_.prepare(query);
  flows_.guess(queries, now);
  Packet* known = batch.begin();
  // Alike are those of one chain and one pin at its first step: then these are the same twice.
  std::uint32_t chain_of_all = ~0u, chain_of_any = 0, pin_of_all = ~0u, pin_of_any = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const FlowTable::Query& query = queries[i];
    std::uint32_t slot = flows_.confirm(query);
    if (slot == kNoSlot || (query.note & (kTcpFin | kTcpSyn | kTcpRst)) != 0) [[unlikely]] {
      slot = begin_or_end(batch[i], query, slot, now);
      if (slot == kNoSlot) continue;
    }
    if (known != &batch[i]) *known = batch[i];
    const FlowEntry& entry = flows_.entry(slot);
    known->flow = flow_of(slot);
    known->tag = entry.sticky_tag;
    known->chain = entry.chain;
    known->step = 0;
    known->verdict = Verdict::kUndecided;
    ++known;
    const auto pin = std::bit_cast<std::uint32_t>(flows_.first_pin(slot));
    chain_of_all &= entry.chain;
    chain_of_any |= entry.chain;
    pin_of_all &= pin;
    pin_of_any |= pin;
  }
  batch.resize(static_cast<std::uint32_t>(known - batch.begin()));
  if (batch.empty()) return;
  if (options_.observer != nullptr) {
    options_.observer->classified(now, {batch.begin(), batch.size()});
  }
  if (chain_of_all == chain_of_any && pin_of_all == pin_of_any) {
    enter_alike(batch, now);
  } else {
    enter_chains({batch.begin(), batch.size()}, now);
  }
}

/// The slot of a fresh packet that begins a flow, or whose TCP flags begin or end one; `slot` is
/// that of its flow so far. kNoSlot: the packet belongs to none and has ended.
std::uint32_t Worker::begin_or_end(const Packet& packet, const FlowTable::Query& query,
                                   std::uint32_t slot, Instant now) noexcept {
  const FlowKey key = unpack(query.key);
  const auto tcp_flags = static_cast<std::uint8_t>(query.note);
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
    } else if (packet.step == kStepEnded) {
      leave_with_its_flow(packet, now);
    } else if (packet.verdict != Verdict::kUndecided) {
      decide(packet, now);
    } else if (packet.chain != kChainNone) {
      deliver(packet, packet.step, InstanceId{packet.target}, now);
    } else if (parse_fresh(PlainFlowReader{PortId{packet.ingress}}, packet, (*queries_)[kept],
                           now)) {
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

#include <algorithm>
#include <array>

#include "core/check.hpp"
#include "core/host/worker_parts.hpp"

/// Packets on their way between hosts. The host that classifies a flow chooses host and instance
/// for each of its steps; the others do as the pins in the packet say, and keep nothing of the
/// flow.
namespace sluice {
namespace {

/// As what a refused frame is dropped; TunnelError has its own, finer counters.
DropReason reason_of(TunnelError error) {
  switch (error) {
    case TunnelError::kNone:
    case TunnelError::kNotTunnel:
      return DropReason::kNoChain;
    case TunnelError::kTruncated:
    case TunnelError::kMalformed:
    case TunnelError::kChecksum:
    case TunnelError::kFragment:
      return DropReason::kParseError;
    case TunnelError::kNetwork:
    case TunnelError::kUnknownPeer:
    case TunnelError::kOldEpoch:
    case TunnelError::kNewEpoch:
    case TunnelError::kCookie:
      return DropReason::kUnknownPeer;
    case TunnelError::kLooped:
    case TunnelError::kNested:
      return DropReason::kHopLimit;
  }
  return DropReason::kParseError;
}

/// The same for all packets of a flow, and spread over all of them.
std::uint16_t entropy_of(FlowId flow) {
  return static_cast<std::uint16_t>(flow * 0x9e3779b1u >> 16);
}

/// The lines into which the headers of a tunnel go are the only ones of a received packet that
/// nobody has touched yet.
void prefetch_headroom(const PacketMemory& memory, const Packet& packet, std::uint32_t size) {
  constexpr std::uint32_t kLine = 64;
  const std::byte* frame = memory.bytes(packet).data();
  for (std::uint32_t back = 1; back <= size && back <= packet.offset; back += kLine) {
    __builtin_prefetch(frame - back, 1);
  }
}

}  // namespace

void Worker::receive_tunnelled(PacketBatch& batch, Instant now) noexcept {
  std::array<TunnelError, PacketBatch::kCapacity> errors;
  std::array<Decapsulator::Arrival, PacketBatch::kCapacity> arrivals;
  auto& port = statistics_.ports[batch[0].ingress];
  for (std::uint32_t i = 0; i < batch.size(); ++i) {
    port.received_bytes += batch[i].length;
    arrivals[i].transit = &options_.transits[batch[i].buffer];
  }
  const std::span<Packet> packets{batch.begin(), batch.size()};
  (*decapsulator_)(options_.memory, packets, std::span{errors}.first(packets.size()),
                   std::span{arrivals}.first(packets.size()));
  const StoredTransit* before = nullptr;  // Most of a batch are of one chain.
  const ChainVersion* chain = nullptr;
  for (std::uint32_t i = 0; i < batch.size(); ++i) {
    ++statistics_.tunnel_frames[static_cast<std::size_t>(errors[i])];
    if (errors[i] != TunnelError::kNone) {
      drop(batch[i], reason_of(errors[i]), now);
      continue;
    }
    const StoredTransit& transit = *arrivals[i].transit;
    if (before == nullptr || transit.path != before->path ||
        transit.chain_version != before->chain_version) {
      chain = chain_on_path(*snapshot_, transit.path, transit.chain_version);
    }
    before = &transit;
    enter_transit(batch[i], chain, now);
  }
}

/// Takes a packet where its sender wants it: to an instance here, or out of a port.
/// `chain`: null when this host does not know it.
void Worker::enter_transit(Packet packet, const ChainVersion* chain, Instant now) noexcept {
  packet.ingress = 0xffff;
  packet.verdict = Verdict::kUndecided;
  if (chain == nullptr || packet.step > chain->steps.size()) {
    drop(packet, DropReason::kNoChain, now);
    return;
  }
  packet.chain = chain->index;
  ++statistics_.chains[index_of(chain->chain)].entered_packets;
  if (options_.observer != nullptr) options_.observer->classified(now, {&packet, 1});
  if (!is_foreign(packet) && worker_of(packet.flow) >= options_.worker_count) {
    drop(packet, DropReason::kFlowEnded, now);  // Never was one of ours.
    return;
  }
  if (packet.step == chain->steps.size()) {
    end_transit(packet, *chain, now);
    return;
  }
  const Pin pin = pin_of_transit(packet, *chain, packet.step);
  if (!pin.is_set() || !is_local(pin)) {
    // Who classified the flow chooses another one as soon as he knows.
    drop(packet, DropReason::kNoInstance, now);
    return;
  }
  deliver(packet, packet.step, InstanceId{pin.instance}, now);
}

/// Lets a packet leave that has its chain behind it; where its flow is ours, by the worker that has
/// it.
void Worker::end_transit(const Packet& packet, const ChainVersion& chain, Instant now) noexcept {
  if (is_other_host(chain.to_host)) {
    drop(packet, DropReason::kNoPort, now);  // Two hosts that see the chain differently.
  } else if (is_foreign(packet)) {
    leave(packet, chain.to, now);
  } else if (const std::uint16_t owner = worker_of(packet.flow); owner != options_.index) {
    Packet passed = packet;
    passed.step = kStepEnded;
    send_to_worker(owner, passed, now);
  } else {
    leave_with_its_flow(packet, now);
  }
}

/// A packet from outside may name a flow that ended, or never was.
void Worker::leave_with_its_flow(const Packet& packet, Instant now) noexcept {
  if (has_its_flow(packet)) {
    leave(packet, chain_of(packet)->to, now);
  } else {
    drop(packet, DropReason::kFlowEnded, now);
  }
}

/// Does what an NF decided for a packet whose flow another host has.
void Worker::decide_transit(const Packet& packet, Instant now) noexcept {
  const ChainVersion* chain = chain_of(packet);
  if (chain == nullptr || packet.step >= chain->steps.size() || options_.transits.empty()) {
    drop(packet, DropReason::kFlowEnded, now);
    return;
  }
  decide_in_chain(packet, *chain, now);
}

/// The pin that came with the packet. One to this host names a living instance of the step's
/// service: what a peer says is no index.
Pin Worker::pin_of_transit(const Packet& packet, const ChainVersion& chain,
                           std::uint8_t step) const noexcept {
  const StoredTransit& transit = options_.transits[packet.buffer];
  const Pin pin = step < transit.pin_count ? transit.pins[step] : Pin{};
  if (!pin.is_set() || !is_local(pin)) return pin;
  const bool known = pin.instance < snapshot_->instances.size();
  return known && is_alive(pin, chain.steps[step].service) ? pin : Pin{};
}

Transit Worker::transit_of(const Packet& packet, const ChainVersion& chain) const noexcept {
  if (is_foreign(packet)) return options_.transits[packet.buffer].view();
  const std::size_t pin_count = std::min<std::size_t>(chain.steps.size(), kTransitPinCountMax);
  return {chain.path, chain.version, entropy_of(packet.flow), kTransitTtl,
          flows_.pins(slot_of(packet.flow)).first(pin_count)};
}

void Worker::go_to_host(const Packet& packet, const ChainVersion& chain, std::uint8_t step,
                        HostId host, Instant now) noexcept {
  go_to_host_all({&packet, 1}, chain, step, host, now);
}

/// Sends packets on to `step` at another host, up to a batch; what they say of themselves goes with
/// them.
void Worker::go_to_host_all(std::span<const Packet> packets, const ChainVersion& chain,
                            std::uint8_t step, HostId host, Instant now) noexcept {
  const bool known = cluster_ != nullptr && index_of(host) < cluster_->peers.size();
  const Encapsulator* tunnel = known ? cluster_->peers[index_of(host)].tunnel.get() : nullptr;
  PacketBatch batch{options_.memory};
  std::array<Transit, PacketBatch::kCapacity> transits;
  for (const Packet& packet : packets) {
    Packet sent = packet;
    sent.step = step;
    const Transit transit = transit_of(packet, chain);
    if (tunnel == nullptr) {
      drop(sent, DropReason::kUnknownPeer, now);
    } else if (transit.ttl == 0) {
      drop(sent, DropReason::kHopLimit, now);
    } else {
      prefetch_headroom(options_.memory, sent, tunnel->overhead(0));
      transits[batch.size()] = transit;
      batch.push(sent);
    }
  }
  if (!batch.empty()) put_into_tunnel(batch, std::span{transits}.first(batch.size()), *tunnel, now);
}

void Worker::put_into_tunnel(PacketBatch& batch, std::span<const Transit> transits,
                             const Encapsulator& tunnel, Instant now) noexcept {
  const PortId underlay = cluster_->underlay;
  const std::size_t limit = snapshot_->ports[index_of(underlay)].frame_size_max;
  std::size_t done = 0;
  while (done < batch.size()) {
    const std::span<Packet> rest{batch.begin() + done, batch.size() - done};
    const std::size_t count = tunnel(options_.memory, rest, transits.subspan(done));
    for (const Packet& packet : rest.first(count)) {
      if (packet.length > limit) {
        drop(packet, DropReason::kMtu, now);
        continue;
      }
      ++statistics_.tunnelled_packets;
      put_out(packet, underlay, now);
    }
    done += count;
    if (done < batch.size()) drop(batch[static_cast<std::uint32_t>(done++)], DropReason::kMtu, now);
  }
}

Pin Worker::choose_remote(const ServiceRoute& service, const FlowKey& key) const noexcept {
  if (service.remote.empty()) return Pin{};
  const std::uint64_t hashed = service.service.affinity == Affinity::kSession
                                   ? hash_symmetric(key, options_.flows.hash_key)
                                   : hash(key, options_.flows.hash_key);
  return service.remote[hashed % service.remote.size()];
}

}  // namespace sluice

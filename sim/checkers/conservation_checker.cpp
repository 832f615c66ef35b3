#include "sim/checkers/conservation_checker.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::sim {

/// Calls `count` once a run of packets of one chain: a batch has mostly one.
template <class Count>
void ConservationChecker::for_each_chain(std::span<const Packet> packets, Count&& count) noexcept {
  for (std::size_t i = 0; i < packets.size();) {
    const std::uint16_t chain = packets[i].chain;
    std::size_t end = i + 1;
    while (end < packets.size() && packets[end].chain == chain) ++end;
    if (chain < chains_.size()) count(chains_[chain], chain, end - i);
    i = end;
  }
}

void ConservationChecker::published(const ChainVersion& chain) {
  if (chains_.size() <= chain.index) {
    chains_.resize(std::size_t{chain.index} + 1);
    chain_numbers_.resize(std::size_t{chain.index} + 1, 0xffff);
  }
  chain_numbers_[chain.index] = index_of(chain.chain);
}

void ConservationChecker::instance_started(InstanceId instance) noexcept {
  if (index_of(instance) < instances_.size()) instances_[index_of(instance)] = {};
}

void ConservationChecker::instance_ended(InstanceId instance) noexcept {
  // What it had was dropped, which names no instance: so it is settled here.
  if (index_of(instance) < instances_.size()) {
    instances_[index_of(instance)].returned = instances_[index_of(instance)].delivered;
  }
}

ConservationChecker::Port& ConservationChecker::port_at(PortId port) {
  if (index_of(port) >= ports_.size()) ports_.resize(std::size_t{index_of(port)} + 1);
  return ports_[index_of(port)];
}

void ConservationChecker::check_host(Instant now) noexcept {
  log_.evaluated(Property::kConservation);
  const std::uint64_t in = received_ + generated_ + copied_;
  if (sent_ + dropped_ <= in) [[likely]]
    return;
  log_.report(Property::kConservation, now,
              fmt::format("the host sent {} and dropped {}, but got only {} received, {} "
                          "generated, {} copied",
                          sent_, dropped_, received_, generated_, copied_));
}

void ConservationChecker::received(Instant, PortId port, std::span<const Packet> packets) noexcept {
  Port& entry = port_at(port);
  received_ += packets.size();
  entry.received += packets.size();
  for (const Packet& packet : packets) entry.received_bytes += packet.length;
}

void ConservationChecker::classified(Instant, std::span<const Packet> packets) noexcept {
  for_each_chain(packets,
                 [](Chain& chain, std::uint16_t, std::size_t count) { chain.entered += count; });
}

void ConservationChecker::copied(Instant, const Packet& copy) noexcept {
  ++copied_;
  if (copy.chain < chains_.size()) ++chains_[copy.chain].entered;
}

void ConservationChecker::delivered(Instant, InstanceId instance,
                                    std::span<const Packet> packets) noexcept {
  if (index_of(instance) < instances_.size()) {
    instances_[index_of(instance)].delivered += packets.size();
  }
}

void ConservationChecker::returned(Instant now, InstanceId instance,
                                   std::span<const Packet> packets) noexcept {
  if (index_of(instance) >= instances_.size()) return;
  Instance& entry = instances_[index_of(instance)];
  entry.returned += packets.size();
  log_.evaluated(Property::kConservation);
  if (entry.returned <= entry.delivered) [[likely]]
    return;
  log_.report(Property::kConservation, now,
              fmt::format("instance {} returned {} packets, but was given only {}",
                          index_of(instance), entry.returned, entry.delivered));
}

void ConservationChecker::generated(Instant, InstanceId instance,
                                    std::span<const Packet> packets) noexcept {
  generated_ += packets.size();
  if (index_of(instance) < instances_.size()) {
    instances_[index_of(instance)].generated += packets.size();
  }
}

void ConservationChecker::sent(Instant now, PortId port, std::span<const Packet> packets) noexcept {
  Port& entry = port_at(port);
  sent_ += packets.size();
  entry.sent += packets.size();
  for (const Packet& packet : packets) entry.sent_bytes += packet.length;
  for_each_chain(packets, [&](Chain& chain, std::uint16_t index, std::size_t count) {
    chain.sent += count;
    if (chain.sent + chain.dropped > chain.entered) [[unlikely]] {
      log_.report(Property::kConservation, now,
                  fmt::format("chain {} sent {} and dropped {}, but only {} entered", index,
                              chain.sent, chain.dropped, chain.entered));
    }
  });
  check_host(now);
}

void ConservationChecker::dropped(Instant now, std::span<const Packet> packets,
                                  DropReason reason) noexcept {
  dropped_ += packets.size();
  if (static_cast<std::size_t>(reason) < drops_.size()) {
    drops_[static_cast<std::size_t>(reason)] += packets.size();
  }
  for_each_chain(packets, [&](Chain& chain, std::uint16_t index, std::size_t count) {
    chain.dropped += count;
    if (chain.sent + chain.dropped > chain.entered) [[unlikely]] {
      log_.report(Property::kConservation, now,
                  fmt::format("chain {} sent {} and dropped {}, but only {} entered", index,
                              chain.sent, chain.dropped, chain.entered));
    }
  });
  check_host(now);
}

void ConservationChecker::end(Instant now) noexcept {
  log_.evaluated(Property::kConservation, 1 + chains_.size());
  const std::uint64_t in = received_ + generated_ + copied_;
  if (sent_ + dropped_ != in) {
    log_.report(Property::kConservation, now,
                fmt::format("{} packets unaccounted for: {} received, {} generated, {} copied, {} "
                            "sent, {} dropped",
                            static_cast<std::int64_t>(in - sent_ - dropped_), received_, generated_,
                            copied_, sent_, dropped_));
  }
  for (std::size_t i = 0; i < chains_.size(); ++i) {
    const Chain& chain = chains_[i];
    if (chain.entered == chain.sent + chain.dropped) continue;
    log_.report(Property::kConservation, now,
                fmt::format("chain {}: {} entered, {} were sent, {} dropped", i, chain.entered,
                            chain.sent, chain.dropped));
  }
}

void ConservationChecker::compare(Instant now, const char* what, std::size_t number,
                                  std::uint64_t reported, std::uint64_t seen) {
  log_.evaluated(Property::kConservation);
  if (reported == seen) return;
  log_.report(Property::kConservation, now,
              fmt::format("the host counts {} {} of number {}, but {} were seen", reported, what,
                          number, seen));
}

void ConservationChecker::audit(Instant now, std::span<const WorkerStatistics* const> workers,
                                std::uint64_t copies_missed) {
  std::size_t port_count = ports_.size();
  for (const WorkerStatistics* worker : workers) {
    port_count = std::max(port_count, worker->ports.size());
  }
  ports_.resize(port_count);
  std::uint64_t no_buffer = 0;
  for (std::size_t i = 0; i < port_count; ++i) {
    PortStatistics sum;
    for (const WorkerStatistics* worker : workers) {
      if (i >= worker->ports.size()) continue;
      sum.received_packets += worker->ports[i].received_packets;
      sum.received_bytes += worker->ports[i].received_bytes;
      sum.sent_packets += worker->ports[i].sent_packets;
      sum.sent_bytes += worker->ports[i].sent_bytes;
      sum.no_buffer += worker->ports[i].no_buffer;
    }
    no_buffer += sum.no_buffer;
    compare(now, "packets received by the port", i, sum.received_packets,
            ports_[i].received + sum.no_buffer);
    compare(now, "bytes received by the port", i, sum.received_bytes, ports_[i].received_bytes);
    compare(now, "packets sent by the port", i, sum.sent_packets, ports_[i].sent);
    compare(now, "bytes sent by the port", i, sum.sent_bytes, ports_[i].sent_bytes);
  }
  audit_chains(now, workers);
  audit_drops(now, workers, no_buffer, copies_missed);
}

void ConservationChecker::audit_chains(Instant now,
                                       std::span<const WorkerStatistics* const> workers) {
  std::size_t chain_count = 0;
  for (const WorkerStatistics* worker : workers) {
    chain_count = std::max(chain_count, worker->chains.size());
  }
  for (std::size_t number = 0; number < chain_count; ++number) {
    Chain seen;
    for (std::size_t index = 0; index < chains_.size(); ++index) {
      if (chain_numbers_[index] != number) continue;
      seen.entered += chains_[index].entered;
      seen.sent += chains_[index].sent;
      seen.dropped += chains_[index].dropped;
    }
    Chain reported;
    for (const WorkerStatistics* worker : workers) {
      if (number >= worker->chains.size()) continue;
      reported.entered += worker->chains[number].entered_packets;
      reported.sent += worker->chains[number].left_packets;
      reported.dropped += worker->chains[number].dropped_packets;
    }
    compare(now, "packets entered into the chain", number, reported.entered, seen.entered);
    compare(now, "packets that left the chain", number, reported.sent, seen.sent);
    compare(now, "packets dropped in the chain", number, reported.dropped, seen.dropped);
  }
}

void ConservationChecker::audit_drops(Instant now, std::span<const WorkerStatistics* const> workers,
                                      std::uint64_t no_buffer, std::uint64_t copies_missed) {
  DropCounts reported{};
  for (const WorkerStatistics* worker : workers) {
    for (std::size_t i = 0; i < reported.size(); ++i) reported[i] += worker->drops[i];
  }
  // Two reasons are also counted where no packet came to be: frames without a buffer, and copies
  // without buffer or instance. Which of both a copy missed is not seen, so they are compared in
  // sum.
  constexpr auto kNoBuffer = static_cast<std::size_t>(DropReason::kNoBuffer);
  constexpr auto kNoInstance = static_cast<std::size_t>(DropReason::kNoInstance);
  for (std::size_t i = 0; i < reported.size(); ++i) {
    if (i != kNoBuffer && i != kNoInstance) {
      compare(now, "drops for the reason", i, reported[i], drops_[i]);
    }
  }
  compare(now, "drops for want of buffer or instance", kNoBuffer,
          reported[kNoBuffer] + reported[kNoInstance],
          drops_[kNoBuffer] + drops_[kNoInstance] + no_buffer + copies_missed);
}

}  // namespace sluice::sim

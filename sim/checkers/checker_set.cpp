#include "sim/checkers/checker_set.hpp"

#include <fmt/format.h>

#include <utility>

namespace sluice::sim {
namespace {

constexpr std::uint32_t kBatch = 32;
constexpr std::uint32_t kLentMax = 64;

FlowChecker::Options flow_options(const CheckerSet::Options& options) {
  FlowChecker::Options flows{.instance_count_max = options.instance_count_max,
                             .flow_count_max = options.flow_count_max,
                             .rest_time = options.flow_rest_time,
                             .affinities = {}};
  for (const Service& service : options.services) flows.affinities.push_back(service.affinity);
  return flows;
}

}  // namespace

CheckerSet::CheckerSet(Options options)
    : options_(std::move(options)),
      log_(options_.violations_max),
      liveness_({.instance_count_max = options_.instance_count_max,
                 .progress_max = options_.progress_max,
                 .faults_end = options_.faults_end},
                options_.buffer_count, log_),
      conservation_(options_.instance_count_max, log_),
      ownership_(options_.buffer_count, log_),
      chains_(options_.buffer_count, options_.instance_count_max, log_),
      flows_(flow_options(options_), log_) {}

void CheckerSet::received(Instant now, PortId port, std::span<const Packet> packets) {
  liveness_.at(now);
  liveness_.received(now, packets);
  conservation_.received(now, port, packets);
  ownership_.received(now, packets);
  chains_.received(now, packets);
}

void CheckerSet::classified(Instant now, std::span<const Packet> packets) {
  liveness_.at(now);
  conservation_.classified(now, packets);
  chains_.classified(now, packets);
  flows_.classified(now, packets);
}

void CheckerSet::delivered(Instant now, InstanceId instance, std::span<const Packet> packets) {
  liveness_.at(now);
  liveness_.delivered(now, instance, packets);
  conservation_.delivered(now, instance, packets);
  ownership_.delivered(now, instance, packets);
  chains_.delivered(now, instance, packets);
  flows_.delivered(now, instance, packets);
}

void CheckerSet::returned(Instant now, InstanceId instance, std::span<const Packet> packets) {
  liveness_.at(now);
  liveness_.returned(now, instance, packets);
  conservation_.returned(now, instance, packets);
  ownership_.returned(now, instance, packets);
  chains_.returned(now, instance, packets);
}

void CheckerSet::generated(Instant now, InstanceId instance, std::span<const Packet> packets) {
  liveness_.at(now);
  liveness_.generated(now, instance, packets);
  conservation_.generated(now, instance, packets);
  ownership_.generated(now, instance, packets);
  chains_.generated(now, instance, packets);
}

void CheckerSet::copied(Instant now, const Packet& original, const Packet& copy) {
  liveness_.at(now);
  liveness_.copied(now, copy);
  conservation_.copied(now, copy);
  ownership_.copied(now, original, copy);
  chains_.copied(now, original, copy);
}

void CheckerSet::copy_missed(Instant, const Packet&, std::uint8_t) {
  ++copies_missed_;
}

void CheckerSet::sent(Instant now, PortId port, std::span<const Packet> packets) {
  liveness_.at(now);
  liveness_.sent(packets);
  conservation_.sent(now, port, packets);
  ownership_.sent(now, packets);
  chains_.sent(now, port, packets);
}

void CheckerSet::dropped(Instant now, std::span<const Packet> packets, DropReason reason) {
  liveness_.at(now);
  liveness_.dropped(packets);
  conservation_.dropped(now, packets, reason);
  ownership_.dropped(now, packets, reason);
  chains_.dropped(now, packets, reason);
  flows_.dropped(now, packets, reason);
}

void CheckerSet::lent(Instant now, InstanceId instance, std::span<const std::uint32_t> buffers) {
  liveness_.at(now);
  liveness_.lent(now, instance, buffers.size());
  ownership_.lent(now, instance, buffers);
}

void CheckerSet::unlent(Instant now, InstanceId instance, std::span<const std::uint32_t> buffers) {
  liveness_.at(now);
  liveness_.unlent(instance, buffers.size());
  ownership_.unlent(now, instance, buffers);
}

void CheckerSet::flow_started(Instant now, FlowId flow, const FlowKey&, std::uint16_t chain,
                              std::span<const Pin> pins) {
  liveness_.at(now);
  flows_.flow_started(now, flow, chain, pins);
}

void CheckerSet::flow_repinned(Instant now, FlowId flow, std::uint8_t step, Pin from, Pin to,
                               RepinCause cause) {
  liveness_.at(now);
  flows_.flow_repinned(now, flow, step, from, to, cause);
}

void CheckerSet::flow_ended(Instant now, FlowId flow) {
  liveness_.at(now);
  flows_.flow_ended(now, flow);
}

void CheckerSet::chain_published(Instant now, const ChainVersion& chain) {
  liveness_.at(now);
  conservation_.published(chain);
  chains_.published(chain);
  flows_.published(chain);
}

void CheckerSet::instance_started(Instant now, InstanceId instance, ServiceId service) {
  liveness_.at(now);
  std::uint32_t held_max = UINT32_MAX;
  if (index_of(service) < options_.services.size()) {
    const Service& entry = options_.services[index_of(service)];
    // The ring, as much again for what it holds, and a batch. An inline function has no ring: its
    // host gives it a batch at a time, and it holds within the same limit.
    held_max = 2 * entry.ring_capacity + kBatch;
  }
  liveness_.instance_started(instance, held_max, kLentMax);
  conservation_.instance_started(instance);
  chains_.instance_started(instance, service);
  flows_.instance_started(instance);
}

void CheckerSet::instance_draining(Instant now, InstanceId instance) {
  liveness_.at(now);
  flows_.instance_draining(instance);
}

void CheckerSet::instance_ended(Instant now, InstanceId instance, bool) {
  liveness_.at(now);
  liveness_.instance_ended(instance);
  conservation_.instance_ended(instance);
  flows_.instance_ended(instance);
}

void CheckerSet::end(Instant now, std::span<const WorkerStatistics* const> workers) {
  liveness_.end(now);
  ownership_.end(now);
  flows_.end(now);
  conservation_.end(now);
  if (!workers.empty()) conservation_.audit(now, workers, copies_missed_);
  if (chains_.copies_skipped() > copies_missed_) {
    log_.report(Property::kChainOrder, now,
                fmt::format("{} copy steps were passed without a copy, of which the host told {}",
                            chains_.copies_skipped(), copies_missed_));
  }
}

}  // namespace sluice::sim

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/chain/chain.hpp"
#include "core/host/observer.hpp"
#include "core/host/statistics.hpp"
#include "sim/checkers/chain_checker.hpp"
#include "sim/checkers/conservation_checker.hpp"
#include "sim/checkers/flow_checker.hpp"
#include "sim/checkers/liveness_checker.hpp"
#include "sim/checkers/ownership_checker.hpp"
#include "sim/checkers/violation_log.hpp"

namespace sluice::sim {

/// All checkers of one host, as one observer.
///
/// They keep a picture of their own, from events alone, in arrays by number, so each event costs
/// the same however long the run; memory is fixed at the start, except that the flows' array grows
/// with the highest flow number seen. Several workers of one host share one set.
class CheckerSet final : public Observer {
 public:
  struct Options {
    std::uint32_t buffer_count = 0;  ///< Of the host's packet memory.
    std::uint32_t instance_count_max = 256;
    std::uint32_t flow_count_max = 1u << 16;  ///< Of all workers of the host.
    Duration flow_rest_time = std::chrono::seconds{1};
    Duration progress_max = std::chrono::seconds{5};
    Instant faults_end{};
    std::vector<Service> services;  ///< By number: their affinity and ring capacity.
    std::size_t violations_max = 100;
  };
  explicit CheckerSet(Options options);

  void received(Instant now, PortId port, std::span<const Packet> packets) override;
  void classified(Instant now, std::span<const Packet> packets) override;
  void delivered(Instant now, InstanceId instance, std::span<const Packet> packets) override;
  void returned(Instant now, InstanceId instance, std::span<const Packet> packets) override;
  void generated(Instant now, InstanceId instance, std::span<const Packet> packets) override;
  void copied(Instant now, const Packet& original, const Packet& copy) override;
  void copy_missed(Instant now, const Packet& original, std::uint8_t step) override;
  void sent(Instant now, PortId port, std::span<const Packet> packets) override;
  void dropped(Instant now, std::span<const Packet> packets, DropReason reason) override;
  void lent(Instant now, InstanceId instance, std::span<const std::uint32_t> buffers) override;
  void unlent(Instant now, InstanceId instance, std::span<const std::uint32_t> buffers) override;
  void flow_started(Instant now, FlowId flow, const FlowKey& key, std::uint16_t chain,
                    std::span<const Pin> pins) override;
  void flow_repinned(Instant now, FlowId flow, std::uint8_t step, Pin from, Pin to,
                     RepinCause cause) override;
  void flow_ended(Instant now, FlowId flow) override;
  void chain_published(Instant now, const ChainVersion& chain) override;
  void instance_started(Instant now, InstanceId instance, ServiceId service) override;
  void instance_draining(Instant now, InstanceId instance) override;
  void instance_ended(Instant now, InstanceId instance, bool died) override;

  /// A look at a receive ring from outside, as often as the caller likes (each load sample).
  void ring_seen(Instant now, InstanceId instance, std::uint32_t entries, std::uint32_t capacity) {
    liveness_.ring_seen(now, instance, entries, capacity);
  }
  /// The final audit: nothing may be left, and the host's own counters, one set a worker, must say
  /// what was seen (no set: not compared). Call it once, after the host shut down.
  void end(Instant now, std::span<const WorkerStatistics* const> workers);

  [[nodiscard]] const ViolationLog& log() const noexcept { return log_; }

 private:
  Options options_;
  std::uint64_t copies_missed_ = 0;
  ViolationLog log_;
  LivenessChecker liveness_;
  ConservationChecker conservation_;
  OwnershipChecker ownership_;
  ChainChecker chains_;
  FlowChecker flows_;
};

}  // namespace sluice::sim

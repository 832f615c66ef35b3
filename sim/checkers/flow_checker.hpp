#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/chain/chain.hpp"
#include "core/flow/pin.hpp"
#include "core/host/observer.hpp"
#include "sim/checkers/violation_log.hpp"

namespace sluice::sim {

/// Affinity (I-6), fixed versions (I-5), drains (I-7) and the bound on flows (I-17): keeps each
/// live flow's chain and instances as announced, and compares every packet with them.
class FlowChecker {
 public:
  struct Options {
    std::uint32_t instance_count_max = 256;
    std::uint32_t flow_count_max = 1u << 16;       ///< Of the whole host: all workers together.
    Duration rest_time = std::chrono::seconds{1};  ///< A freed flow number is not used before.
    std::vector<Affinity> affinities;  ///< By service number; those not named have kFlow.
  };
  FlowChecker(const Options& options, ViolationLog& log);

  void published(const ChainVersion& chain);
  void instance_started(InstanceId instance) noexcept;
  void instance_draining(InstanceId instance) noexcept;
  void instance_ended(InstanceId instance) noexcept;

  void flow_started(Instant now, FlowId flow, std::uint16_t chain, std::span<const Pin> pins);
  void flow_repinned(Instant now, FlowId flow, std::uint8_t step, Pin from, Pin to,
                     RepinCause cause);
  void flow_ended(Instant now, FlowId flow);

  void classified(Instant now, std::span<const Packet> packets) noexcept;
  void delivered(Instant now, InstanceId instance, std::span<const Packet> packets) noexcept;
  void dropped(Instant now, std::span<const Packet> packets, DropReason reason) noexcept;
  /// An instance that flows left as dead must have ended.
  void end(Instant now);

 private:
  enum class Life : std::uint8_t { kNone, kRunning, kDraining, kEnded };
  struct Flow {
    std::int64_t started_ns = 0;
    std::int64_t ended_ns = kNever;
    std::uint16_t chain = 0xffff;
    bool live = false;
  };
  struct Chain {
    std::uint16_t number = 0xffff;
    std::uint16_t reverse_number = 0xffff;
    std::vector<ServiceId> services;  ///< By step.
  };
  static constexpr std::int64_t kNever = INT64_MIN;
  static constexpr std::uint32_t kSlotMask = (1u << kFlowSlotBits) - 1;

  [[nodiscard]] Flow* flow_at(FlowId flow);
  [[nodiscard]] const Flow* live_flow(FlowId flow) const noexcept;
  [[nodiscard]] std::uint16_t& pin_of(FlowId flow, std::uint32_t step) noexcept {
    return pins_[std::size_t{flow & kSlotMask} * stride_ + step];
  }
  [[nodiscard]] std::uint32_t& flows_on(std::uint16_t chain_number, std::uint16_t instance);
  void check_new_pin(Instant now, FlowId flow, const Chain& chain, std::uint16_t instance);
  void check_pinned(Instant now, const Flow& entry, const Packet& packet, std::uint16_t instance);
  void count_pins(FlowId flow, const Flow& entry, int by);
  void widen(std::uint32_t stride);

  Options options_;
  std::vector<Flow> flows_;          ///< By flow slot; grows with the slots seen.
  std::vector<std::uint16_t> pins_;  ///< `stride_` instances a flow slot; 0xffff: none yet.
  std::uint32_t stride_ = 4;
  std::vector<Chain> chains_;  ///< By ChainVersion::index.
  std::vector<bool>
      left_as_dead_;         ///< By instance: re-pinned away from, before it was said to end.
  std::vector<Life> lives_;  ///< By instance.
  std::vector<std::uint32_t> flows_on_;  ///< Live flows by chain number and instance.
  std::uint32_t live_count_ = 0;
  ViolationLog& log_;
};

}  // namespace sluice::sim

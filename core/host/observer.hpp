#pragma once

#include <cstdint>
#include <span>

#include "core/chain/chain.hpp"
#include "core/flow/pin.hpp"
#include "core/packet/flow_key.hpp"
#include "core/packet/packet.hpp"
#include "core/units.hpp"

namespace sluice {

/// Why a flow's pin changed after its first packet. Each other change breaks affinity.
enum class RepinCause : std::uint8_t {
  kInstanceDied,
  kMoved,
  kHadNone,  ///< No instance took flows when this one began.
};

/// Told of everything that happens to packets and flows of one host, in the order in which it
/// happens.
///
/// For checkers, traces and captures, which keep their own picture and share no code with the host.
/// Calls are per batch where the host works in batches; a host without an observer pays one branch
/// per batch. Called from the worker's thread. The default does nothing, so that a watcher
/// overrides what it wants. Buffer ownership, as it should go: free -> received (worker) ->
/// delivered (instance) -> returned (worker) -> sent (port) or dropped (free).
class Observer {
 public:
  virtual ~Observer() = default;

  // Packets.
  virtual void received(Instant, PortId, std::span<const Packet>) {}
  /// The worker knows chain, flow and step of the packets now (Packet::chain 0xffff: passes
  /// unmatched).
  virtual void classified(Instant, std::span<const Packet>) {}
  /// Put into the instance's ring (or handed to it inline). `step` of each packet is where it is.
  virtual void delivered(Instant, InstanceId, std::span<const Packet>) {}
  /// Taken back from the instance, checked, with its verdict. Holds do not come back until
  /// released.
  virtual void returned(Instant, InstanceId, std::span<const Packet>) {}
  /// First seen when the instance that made it gave it back: its buffer was lent before.
  virtual void generated(Instant, InstanceId, std::span<const Packet>) {}
  /// `copy` has a buffer of its own and starts at the worker.
  virtual void copied(Instant, const Packet& /*original*/, const Packet& /*copy*/) {}
  /// A copy step had no buffer or instance for its copy; the original goes on without.
  virtual void copy_missed(Instant, const Packet& /*original*/, std::uint8_t /*step*/) {}
  virtual void sent(Instant, PortId, std::span<const Packet>) {}
  virtual void dropped(Instant, std::span<const Packet>, DropReason) {}
  /// Free buffers given to an instance for Context::make, or taken back unused from a dead one.
  virtual void lent(Instant, InstanceId, std::span<const std::uint32_t> /*buffers*/) {}
  virtual void unlent(Instant, InstanceId, std::span<const std::uint32_t> /*buffers*/) {}
  /// A descriptor came back that the instance does not own or that points outside.
  virtual void refused(Instant, InstanceId, const Packet&) {}

  // Flows.
  virtual void flow_started(Instant, FlowId, const FlowKey&, std::uint16_t /*chain*/,
                            std::span<const Pin>) {}
  virtual void flow_repinned(Instant, FlowId, std::uint8_t /*step*/, Pin /*from*/, Pin /*to*/,
                             RepinCause) {}
  virtual void flow_ended(Instant, FlowId) {}

  // Control.
  virtual void chain_published(Instant, const ChainVersion&) {}
  virtual void instance_started(Instant, InstanceId, ServiceId) {}
  virtual void instance_draining(Instant, InstanceId) {}
  /// Stopped or dead; `died` when it did not end by itself.
  virtual void instance_ended(Instant, InstanceId, bool /*died*/) {}
};

}  // namespace sluice

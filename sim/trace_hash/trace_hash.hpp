#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/host/observer.hpp"

namespace sluice::sim {

/// A number for everything that happened, in its order: two runs that differ in one event, one
/// field of a descriptor or one nanosecond have, but for 1 in 2^64, different hashes.
///
/// It shows that a run can be repeated (I-22), and finds the commit that changed a decision. Not
/// cryptographic: nobody forges a trace. The bytes of packets are not in it; what they cause is.
class TraceHash final : public Observer {
 public:
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
  void refused(Instant now, InstanceId instance, const Packet& packet) override;
  void flow_started(Instant now, FlowId flow, const FlowKey& key, std::uint16_t chain,
                    std::span<const Pin> pins) override;
  void flow_repinned(Instant now, FlowId flow, std::uint8_t step, Pin from, Pin to,
                     RepinCause cause) override;
  void flow_ended(Instant now, FlowId flow) override;
  void chain_published(Instant now, const ChainVersion& chain) override;
  void instance_started(Instant now, InstanceId instance, ServiceId service) override;
  void instance_draining(Instant now, InstanceId instance) override;
  void instance_ended(Instant now, InstanceId instance, bool died) override;

  /// Adds something that no observer is told: a fault, a scale action, another host's hash.
  void add(std::uint64_t word) noexcept;

  [[nodiscard]] std::uint64_t value() const noexcept { return hash_; }
  /// 16 hex digits.
  [[nodiscard]] std::string to_string() const;

 private:
  void begin(Instant now, std::uint64_t kind, std::uint64_t number, std::uint64_t size) noexcept;
  void add_packets(std::span<const Packet> packets) noexcept;

  std::uint64_t hash_ = 0x6c0b3a8d52e1f497u;
};

/// The hash of a text, for "is it the same resolved file": 16 hex digits.
[[nodiscard]] std::string content_hash(std::string_view text);

}  // namespace sluice::sim

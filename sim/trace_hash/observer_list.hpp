#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "core/host/observer.hpp"

namespace sluice::sim {

/// Several watchers at one host: each is told everything, in the order of the list.
class ObserverList final : public Observer {
 public:
  /// The watchers outlive the list.
  explicit ObserverList(std::vector<Observer*> watchers) : watchers_(std::move(watchers)) {}

  void received(Instant t, PortId port, std::span<const Packet> packets) override {
    for (Observer* watcher : watchers_) watcher->received(t, port, packets);
  }
  void classified(Instant t, std::span<const Packet> packets) override {
    for (Observer* watcher : watchers_) watcher->classified(t, packets);
  }
  void delivered(Instant t, InstanceId instance, std::span<const Packet> packets) override {
    for (Observer* watcher : watchers_) watcher->delivered(t, instance, packets);
  }
  void returned(Instant t, InstanceId instance, std::span<const Packet> packets) override {
    for (Observer* watcher : watchers_) watcher->returned(t, instance, packets);
  }
  void generated(Instant t, InstanceId instance, std::span<const Packet> packets) override {
    for (Observer* watcher : watchers_) watcher->generated(t, instance, packets);
  }
  void copied(Instant t, const Packet& original, const Packet& copy) override {
    for (Observer* watcher : watchers_) watcher->copied(t, original, copy);
  }
  void sent(Instant t, PortId port, std::span<const Packet> packets) override {
    for (Observer* watcher : watchers_) watcher->sent(t, port, packets);
  }
  void dropped(Instant t, std::span<const Packet> packets, DropReason reason) override {
    for (Observer* watcher : watchers_) watcher->dropped(t, packets, reason);
  }
  void lent(Instant t, InstanceId instance, std::span<const std::uint32_t> buffers) override {
    for (Observer* watcher : watchers_) watcher->lent(t, instance, buffers);
  }
  void unlent(Instant t, InstanceId instance, std::span<const std::uint32_t> buffers) override {
    for (Observer* watcher : watchers_) watcher->unlent(t, instance, buffers);
  }
  void refused(Instant t, InstanceId instance, const Packet& packet) override {
    for (Observer* watcher : watchers_) watcher->refused(t, instance, packet);
  }
  void flow_started(Instant t, FlowId flow, const FlowKey& key, std::uint16_t chain,
                    std::span<const Pin> pins) override {
    for (Observer* watcher : watchers_) watcher->flow_started(t, flow, key, chain, pins);
  }
  void flow_repinned(Instant t, FlowId flow, std::uint8_t step, Pin from, Pin to,
                     RepinCause cause) override {
    for (Observer* watcher : watchers_) watcher->flow_repinned(t, flow, step, from, to, cause);
  }
  void flow_ended(Instant t, FlowId flow) override {
    for (Observer* watcher : watchers_) watcher->flow_ended(t, flow);
  }
  void chain_published(Instant t, const ChainVersion& chain) override {
    for (Observer* watcher : watchers_) watcher->chain_published(t, chain);
  }
  void instance_started(Instant t, InstanceId instance, ServiceId service) override {
    for (Observer* watcher : watchers_) watcher->instance_started(t, instance, service);
  }
  void instance_draining(Instant t, InstanceId instance) override {
    for (Observer* watcher : watchers_) watcher->instance_draining(t, instance);
  }
  void instance_ended(Instant t, InstanceId instance, bool died) override {
    for (Observer* watcher : watchers_) watcher->instance_ended(t, instance, died);
  }

 private:
  std::vector<Observer*> watchers_;
};

}  // namespace sluice::sim

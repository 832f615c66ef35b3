#pragma once

#include <span>
#include <utility>
#include <vector>

#include "core/host/observer.hpp"

namespace sluice::sim {

/// Several observers in the place of one, told in the order in which they were added. Owns none.
class ObserverList final : public Observer {
 public:
  ObserverList() = default;
  explicit ObserverList(std::vector<Observer*> observers) : observers_(std::move(observers)) {}
  void add(Observer* observer) { observers_.push_back(observer); }

  void received(Instant now, PortId port, std::span<const Packet> packets) override {
    for (Observer* each : observers_) each->received(now, port, packets);
  }
  void classified(Instant now, std::span<const Packet> packets) override {
    for (Observer* each : observers_) each->classified(now, packets);
  }
  void delivered(Instant now, InstanceId instance, std::span<const Packet> packets) override {
    for (Observer* each : observers_) each->delivered(now, instance, packets);
  }
  void returned(Instant now, InstanceId instance, std::span<const Packet> packets) override {
    for (Observer* each : observers_) each->returned(now, instance, packets);
  }
  void generated(Instant now, InstanceId instance, std::span<const Packet> packets) override {
    for (Observer* each : observers_) each->generated(now, instance, packets);
  }
  void copied(Instant now, const Packet& original, const Packet& copy) override {
    for (Observer* each : observers_) each->copied(now, original, copy);
  }
  void copy_missed(Instant now, const Packet& original, std::uint8_t step) override {
    for (Observer* each : observers_) each->copy_missed(now, original, step);
  }
  void sent(Instant now, PortId port, std::span<const Packet> packets) override {
    for (Observer* each : observers_) each->sent(now, port, packets);
  }
  void dropped(Instant now, std::span<const Packet> packets, DropReason reason) override {
    for (Observer* each : observers_) each->dropped(now, packets, reason);
  }
  void lent(Instant now, InstanceId instance, std::span<const std::uint32_t> buffers) override {
    for (Observer* each : observers_) each->lent(now, instance, buffers);
  }
  void unlent(Instant now, InstanceId instance, std::span<const std::uint32_t> buffers) override {
    for (Observer* each : observers_) each->unlent(now, instance, buffers);
  }
  void refused(Instant now, InstanceId instance, const Packet& packet) override {
    for (Observer* each : observers_) each->refused(now, instance, packet);
  }
  void flow_started(Instant now, FlowId flow, const FlowKey& key, std::uint16_t chain,
                    std::span<const Pin> pins) override {
    for (Observer* each : observers_) each->flow_started(now, flow, key, chain, pins);
  }
  void flow_repinned(Instant now, FlowId flow, std::uint8_t step, Pin from, Pin to,
                     RepinCause cause) override {
    for (Observer* each : observers_) each->flow_repinned(now, flow, step, from, to, cause);
  }
  void flow_ended(Instant now, FlowId flow) override {
    for (Observer* each : observers_) each->flow_ended(now, flow);
  }
  void chain_published(Instant now, const ChainVersion& chain) override {
    for (Observer* each : observers_) each->chain_published(now, chain);
  }
  void instance_started(Instant now, InstanceId instance, ServiceId service) override {
    for (Observer* each : observers_) each->instance_started(now, instance, service);
  }
  void instance_draining(Instant now, InstanceId instance) override {
    for (Observer* each : observers_) each->instance_draining(now, instance);
  }
  void instance_ended(Instant now, InstanceId instance, bool died) override {
    for (Observer* each : observers_) each->instance_ended(now, instance, died);
  }

 private:
  std::vector<Observer*> observers_;
};

}  // namespace sluice::sim

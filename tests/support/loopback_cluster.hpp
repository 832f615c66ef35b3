#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/core/host/host_rig.hpp"

/// Whole hosts on an underlay that the test carries frames over.
namespace sluice::test {

inline constexpr PortId kIn{0}, kOut{1}, kUnderlay{2};

inline Frame flow_frame(std::uint16_t flow, std::size_t payload_size = 10) {
  return frames::udp({.source_port = static_cast<std::uint16_t>(10000 + flow),
                      .payload = frames::Bytes(payload_size)});
}

/// Where the instances of a flow's steps are, as those who deliver its packets see it.
class Deliveries final : public Observer {
 public:
  void delivered(Instant, InstanceId instance, std::span<const Packet> packets) override {
    for (const Packet& packet : packets) seen[{packet.flow, packet.step}].insert(instance);
  }
  void flow_repinned(Instant, FlowId, std::uint8_t, Pin, Pin to, RepinCause cause) override {
    repinned.push_back({to, cause});
  }
  std::map<std::pair<FlowId, std::uint8_t>, std::set<InstanceId>> seen;
  std::vector<std::pair<Pin, RepinCause>> repinned;
};

/// Hosts 0, 1, ... with the same services and chains, and instances of them as each host says.
class LoopbackCluster {
 public:
  struct HostPlan {
    std::vector<std::uint32_t> instances;  ///< By service.
  };
  struct Plan {
    std::vector<HostPlan> hosts;
    std::vector<Scripted::Script> services;
    std::vector<Step> steps{};    ///< Empty: one after the other.
    std::uint16_t exit_host = 0;  ///< Of whose port kOut the chain's packets leave.
    std::uint16_t worker_count = 1;
    std::uint16_t underlay_mtu = 1700;
    Affinity affinity = Affinity::kFlow;
    RunMode run = RunMode::kProcess;
    bool by_datastore = false;  ///< The test tells hosts of each other.
  };

  explicit LoopbackCluster(const Plan& plan) {
    for (std::uint16_t i = 0; i < plan.hosts.size(); ++i) add_host(plan, i);
    if (!plan.by_datastore) share_views();
  }

  LoopbackHost& host(std::size_t number) { return *hosts_[number]; }
  Deliveries& deliveries(std::size_t number) { return *deliveries_[number]; }

  /// Lets everything move until nothing does, frames of the underlay too.
  void settle() {
    for (int round = 0; round < 40; ++round) {
      for (const auto& each : hosts_) each->settle();
      carry();
    }
  }
  void inject(std::uint16_t flow, std::size_t to = 0, std::size_t payload_size = 10) {
    hosts_[to]->inject(kIn, flow_frame(flow, payload_size));
  }
  /// All that left by a host's port so far.
  const std::vector<Frame>& sent(std::size_t number) { return host(number).io().output(kOut); }

  /// Tells each host of the instances of all others, as they are now.
  void share_views() {
    for (std::uint16_t i = 0; i < hosts_.size(); ++i) hosts_[i]->handle(view_of(i));
  }
  /// What host `number` should know.
  [[nodiscard]] ClusterView view_of(std::uint16_t number) const {
    ClusterView view;
    view.local = endpoint(number);
    view.underlay = kUnderlay;
    view.network = 42;
    view.secret = {7, 8};
    for (std::uint16_t i = 0; i < hosts_.size(); ++i) {
      if (i == number) continue;
      Member member;
      member.endpoint = endpoint(i);
      for (std::uint16_t service = 0; service < service_count_; ++service) {
        for (const InstanceId id : hosts_[i]->instances_of(ServiceId{service})) {
          member.instances.push_back({id, ServiceId{service}});
        }
      }
      view.members.push_back(member);
    }
    return view;
  }
  [[nodiscard]] TunnelEndpoint endpoint(std::uint16_t number) const {
    TunnelEndpoint end;
    end.host = HostId{number};
    end.mac = {2, 0, 0, 0, 9, static_cast<std::uint8_t>(number)};
    end.address = {10, 9, 0, static_cast<std::uint8_t>(number)};
    return end;
  }
  /// Every packet is accounted for, and every buffer comes back.
  void expect_accounts_close() {
    for (const auto& each : hosts_) {
      each->shut_down();
      std::uint64_t in = 0, out = 0;
      for (std::uint16_t i = 0; i < worker_count_; ++i) {
        const WorkerStatistics& counted = each->worker(i).statistics();
        for (const PortStatistics& port : counted.ports) {
          in += port.received_packets;
          out += port.sent_packets;
        }
        in += counted.generated_packets + counted.copied_packets + counted.copies_missed;
        for (const std::uint64_t drops : counted.drops) out += drops;
      }
      EXPECT_EQ(in, out);
      EXPECT_EQ(each->io().available(), 1024u);
    }
  }
  std::vector<Frame> crossed;  ///< All frames of the underlay, in order.
  bool lossy = false;          ///< The underlay loses everything.

 private:
  void add_host(const Plan& plan, std::uint16_t number) {
    RigBuilder rig;
    rig.options.agent.ports.resize(3);
    rig.options.agent.ports[2].frame_size_max = plan.underlay_mtu;
    rig.options.agent.host = HostId{number};
    rig.options.agent.worker_count = plan.worker_count;
    rig.options.in_cluster = true;
    std::vector<ServiceId> services;
    for (std::size_t i = 0; i < plan.services.size(); ++i) {
      services.push_back(
          rig.service("s" + std::to_string(i), plan.services[i], plan.hosts[number].instances[i]));
      rig.edit(services.back()).affinity = plan.affinity;
      rig.edit(services.back()).run = plan.run;
    }
    ChainVersion& chain = rig.chain("across", services);
    if (!plan.steps.empty()) chain.steps = plan.steps;
    chain.path = 5;
    chain.to_host = HostId{plan.exit_host};
    deliveries_.push_back(std::make_unique<Deliveries>());
    rig.options.observer = deliveries_.back().get();
    hosts_.push_back(rig.build());
    service_count_ = static_cast<std::uint16_t>(plan.services.size());
    worker_count_ = plan.worker_count;
  }
  /// The underlay: a switch that knows who has which address.
  void carry() {
    for (const auto& each : hosts_) {
      auto& frames_out = each->io().output(kUnderlay);
      for (Frame& frame : frames_out) {
        const auto to = std::to_integer<std::size_t>(frame[5]);
        crossed.push_back(frame);
        if (!lossy && to < hosts_.size()) hosts_[to]->inject(kUnderlay, std::move(frame));
      }
      frames_out.clear();
    }
  }

  std::vector<std::unique_ptr<Deliveries>> deliveries_;  // Outlive the hosts.
  std::vector<std::unique_ptr<LoopbackHost>> hosts_;
  std::uint16_t service_count_ = 0;
  std::uint16_t worker_count_ = 1;
};

}  // namespace sluice::test

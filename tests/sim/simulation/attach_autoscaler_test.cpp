#include "sim/attach_autoscaler.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "backends/ns3/burst_helper.hpp"
#include "backends/ns3/host_helper.hpp"
#include "backends/ns3/ns3.hpp"
#include "backends/ns3/sim_time.hpp"
#include "backends/ns3/tcp_transfers.hpp"

namespace sluice::sim {
namespace {

// An instance handles 1000 packets a second: 10,000 cycles each at 10 MHz.
constexpr const char* kDeployment = R"(
name: script
hosts:
  h1: {cores: 4, clock: 10 MHz, ports: {p0: {rate: 1 Gbps}, p1: {rate: 1 Gbps}}}
services:
  watch: {function: monitor, cost: 10000 cycles, ring: 64, instances: {min: 1, max: 2}}
chains:
  out: {from: h1.p0, to: h1.p1, match: {proto: udp}, steps: [watch]}
scaling: {up: {occupancy: 0.5, for: 100 ms}, down: {load: 0.5, for: 1 s}, cooldown: 200 ms}
)";

/// Offers `packets_per_s` to `server` through a socket of its own, so as a flow of its own.
void offer(ns3::Ptr<ns3::Node> client, std::uint32_t packets_per_s, Duration from, Duration until) {
  const auto socket = ns3::Socket::CreateSocket(client, ns3::UdpSocketFactory::GetTypeId());
  socket->Bind();
  const Duration step = std::chrono::nanoseconds{1'000'000'000 / packets_per_s};
  for (Duration at = from; at < until; at += step) {
    schedule(at, [socket] {
      socket->SendTo(ns3::Create<ns3::Packet>(100), 0, ns3::InetSocketAddress("10.0.0.2", 9));
    });
  }
}

/// The instances of the service each 500 ms, under a load that one instance cannot carry until 3 s
/// and hardly any from then on.
std::vector<std::uint32_t> instances_over_time(bool attach) {
  ns3::NodeContainer nodes;
  nodes.Create(3);
  const BurstHelper links;
  links.Install(nodes.Get(0), nodes.Get(1));
  links.Install(nodes.Get(1), nodes.Get(2));
  assign_address(nodes.Get(0)->GetDevice(0), "10.0.0.1", "255.255.255.0");
  assign_address(nodes.Get(2)->GetDevice(0), "10.0.0.2", "255.255.255.0");
  const auto helper = HostHelper::FromText(kDeployment);
  const auto host = helper->Install(nodes.Get(1));
  if (attach) attach_autoscaler(**host);
  for (int flow = 0; flow < 4; ++flow) {
    offer(nodes.Get(0), 400, std::chrono::milliseconds{10}, std::chrono::seconds{3});
  }
  std::vector<std::uint32_t> counts;
  for (int i = 1; i <= 24; ++i) {
    schedule(std::chrono::milliseconds{500} * i,
             [&counts, host = *host] { counts.push_back(host->GetInstanceCount("watch")); });
  }
  ns3::Simulator::Stop(ns3::Seconds(13));
  ns3::Simulator::Run();
  ns3::Simulator::Destroy();
  return counts;
}

TEST(AttachAutoscaler, AHostInAScriptFollowsItsLoad) {
  const std::vector<std::uint32_t> counts = instances_over_time(true);
  ASSERT_EQ(counts.size(), 24u);
  EXPECT_EQ(counts[5], 2u);      // At 3 s.
  EXPECT_EQ(counts.back(), 1u);  // When the last flow of the drained one is long over.
}

TEST(AttachAutoscaler, WithoutItNothingIsScaled) {
  EXPECT_EQ(instances_over_time(false), std::vector<std::uint32_t>(24, 1u));
}

TEST(AttachAutoscaler, EachRequestComesFromTheDefaultPolicy) {
  const auto helper = HostHelper::FromText(kDeployment);
  ASSERT_TRUE(helper.has_value());
  std::uint32_t blocked_count = 0;
  const SimHost::Sampler autoscaler =
      make_autoscaler(helper->GetDeployment(), HostId{0},
                      [&blocked_count](const LoadSample&, const ScaleAction&) { ++blocked_count; });
  LoadSample sample;
  sample.instances.push_back({.instance = InstanceId{0},
                              .service = ServiceId{0},
                              .state = InstanceState::kRunning,
                              .occupancy = Ppm{900'000},
                              .load = kPpmOne,
                              .packet_count = 10});
  std::vector<ScaleRequest> requests;
  const auto samples = [&](int count, std::uint32_t cores_free) {
    requests.clear();
    sample.cores_free = cores_free;
    for (int i = 0; i < count; ++i) {
      sample.when += std::chrono::milliseconds{10};
      for (const ScaleRequest& each : autoscaler(sample)) requests.push_back(each);
    }
  };
  samples(15, 0);
  EXPECT_TRUE(requests.empty());
  EXPECT_EQ(blocked_count, 1u);
  samples(15, 1);
  ASSERT_FALSE(requests.empty());
  EXPECT_EQ(requests[0].kind, ScaleRequest::Kind::kStart);
  EXPECT_EQ(requests[0].service, ServiceId{0});
  EXPECT_EQ(requests[0].reason, to_string(ScaleAction::Reason::kOccupancy));
}

}  // namespace
}  // namespace sluice::sim

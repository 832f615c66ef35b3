#include <gtest/gtest.h>

#include <set>
#include <string>

#include "core/encapsulation/encapsulator.hpp"
#include "core/encapsulation/tunnel_layout.hpp"
#include "core/packet/headers.hpp"
#include "tests/support/loopback_cluster.hpp"

// Chains across hosts.
namespace sluice {
namespace {

using test::flow_frame;
using test::Frame;
using test::kIn;
using test::kUnderlay;
using test::RigBuilder;
using Cluster = test::LoopbackCluster;
using test::go_on;

TEST(Transit, AServiceOnAnotherHostIsReachedInOneHop) {
  Cluster cluster{{.hosts = {{{0}}, {{1}}}, .services = {go_on}, .exit_host = 1}};
  cluster.inject(1);
  cluster.settle();
  ASSERT_EQ(cluster.sent(1).size(), 1u);
  EXPECT_EQ(cluster.sent(1)[0], flow_frame(1));
  EXPECT_EQ(cluster.crossed.size(), 1u);
  EXPECT_EQ(cluster.host(0).worker().statistics().tunnelled_packets, 1u);
  EXPECT_EQ(cluster.host(1).worker().statistics().tunnel_frames[0], 1u);
  cluster.expect_accounts_close();
}

TEST(Transit, ThereAndBackToTheHostWithTheExit) {
  Cluster cluster{{.hosts = {{{1, 0, 1}}, {{0, 1, 0}}}, .services = {go_on, go_on, go_on}}};
  for (std::uint16_t flow = 0; flow < 50; ++flow) cluster.inject(flow);
  cluster.settle();
  EXPECT_EQ(cluster.sent(0).size(), 50u);
  EXPECT_EQ(cluster.crossed.size(), 100u);
  EXPECT_EQ(cluster.host(0).worker().statistics().flows_started, 50u);
  EXPECT_EQ(cluster.host(1).worker().statistics().flows_started, 0u);  // It keeps no flow.
  cluster.expect_accounts_close();
}

// DESIGN 7: a packet never travels through a host that does not process it.
TEST(Transit, FromHostToHostWithoutADetour) {
  Cluster cluster{
      {.hosts = {{{0, 0}}, {{1, 0}}, {{0, 1}}}, .services = {go_on, go_on}, .exit_host = 2}};
  cluster.inject(1);
  cluster.settle();
  ASSERT_EQ(cluster.sent(2).size(), 1u);
  ASSERT_EQ(cluster.crossed.size(), 2u);
  EXPECT_EQ(std::to_integer<int>(cluster.crossed[1][11]), 1);  // From host 1 straight to 2.
  EXPECT_EQ(std::to_integer<int>(cluster.crossed[1][5]), 2);
  cluster.expect_accounts_close();
}

TEST(Transit, AFlowKeepsItsInstancesBehindAFunctionThatRewritesHeaders) {
  const auto rewrite = [](Packet& packet, std::span<std::byte> bytes, Context&) {
    auto headers = parse(bytes);
    ASSERT_TRUE(headers.has_value());
    // Another one for each packet: whoever asks a flow table again finds another flow.
    (void)set_source_port(bytes, *headers, static_cast<std::uint16_t>(bytes.size()));
    packet.next();
  };
  Cluster cluster{{.hosts = {{{0, 4}}, {{4, 0}}}, .services = {rewrite, go_on}}};
  for (std::uint16_t flow = 0; flow < 20; ++flow) {
    for (std::size_t size = 10; size < 20; ++size) cluster.inject(flow, 0, size);
  }
  cluster.settle();
  EXPECT_EQ(cluster.sent(0).size(), 200u);
  std::set<std::pair<std::size_t, InstanceId>> used;
  for (const std::size_t host : {std::size_t{0}, std::size_t{1}}) {
    EXPECT_EQ(cluster.deliveries(host).seen.size(), 20u);
    for (const auto& [where, instances] : cluster.deliveries(host).seen) {
      EXPECT_EQ(instances.size(), 1u);
      used.emplace(host, *instances.begin());
    }
  }
  EXPECT_EQ(used.size(), 8u);
  cluster.expect_accounts_close();
}

TEST(Transit, LocalInstancesComeFirst) {
  Cluster cluster{{.hosts = {{{1}}, {{1}}}, .services = {go_on}}};
  for (std::uint16_t flow = 0; flow < 50; ++flow) cluster.inject(flow);
  cluster.settle();
  EXPECT_EQ(cluster.sent(0).size(), 50u);
  EXPECT_TRUE(cluster.crossed.empty());
}

TEST(Transit, NewFlowsSpreadOverRemoteInstancesByTheirShares) {
  Cluster cluster{{.hosts = {{{0}}, {{1}}, {{1}}}, .services = {go_on}}};
  ClusterView view = cluster.view_of(0);
  view.members[1].instances[0].share = 3;
  cluster.host(0).handle(view);
  for (std::uint16_t flow = 0; flow < 400; ++flow) {
    cluster.inject(flow);
    if (flow % 50 == 49) cluster.settle();
  }
  EXPECT_EQ(cluster.sent(0).size(), 400u);
  EXPECT_NEAR(static_cast<double>(cluster.deliveries(1).seen.size()), 100, 35);
  EXPECT_NEAR(static_cast<double>(cluster.deliveries(2).seen.size()), 300, 35);
  // One that takes no new flows keeps those that it has.
  view.members[1].instances[0].accepts = false;
  cluster.host(0).handle(view);
  for (std::uint16_t flow = 300; flow < 500; ++flow) {
    cluster.inject(flow);
    if (flow % 50 == 49) cluster.settle();
  }
  EXPECT_EQ(cluster.sent(0).size(), 600u);
  EXPECT_NEAR(static_cast<double>(cluster.deliveries(2).seen.size()), 300, 35);
  cluster.expect_accounts_close();
}

TEST(Transit, FlowsOfASuspectedHostGetOtherInstances) {
  Cluster cluster{{.hosts = {{{0}}, {{1}}, {{1}}}, .services = {go_on}}};
  for (std::uint16_t flow = 0; flow < 50; ++flow) cluster.inject(flow);
  cluster.settle();
  const std::size_t of_dead = cluster.deliveries(1).seen.size();
  ASSERT_GT(of_dead, 0u);
  ClusterView view = cluster.view_of(0);
  view.members[0].is_reachable = false;
  cluster.host(0).handle(view);
  for (std::uint16_t flow = 0; flow < 50; ++flow) cluster.inject(flow);
  cluster.settle();
  EXPECT_EQ(cluster.sent(0).size(), 100u);
  EXPECT_EQ(cluster.deliveries(2).seen.size(), 50u);
  const auto& repinned = cluster.deliveries(0).repinned;
  EXPECT_EQ(repinned.size(), of_dead);
  for (const auto& [to, cause] : repinned) {
    EXPECT_EQ(to.host, 2);
    EXPECT_EQ(cause, RepinCause::kInstanceDied);
  }
  cluster.expect_accounts_close();
}

TEST(Transit, WithoutAnyInstanceThePacketIsDroppedAsThat) {
  Cluster cluster{{.hosts = {{{0}}, {{1}}}, .services = {go_on}}};
  cluster.inject(1);
  cluster.settle();
  ClusterView alone = cluster.view_of(0);
  alone.members.clear();
  cluster.host(0).handle(alone);
  cluster.inject(1);
  cluster.settle();
  EXPECT_EQ(cluster.host(0).drops(DropReason::kNoInstance), 1u);
  cluster.share_views();
  cluster.inject(1);
  cluster.settle();
  EXPECT_EQ(cluster.sent(0).size(), 2u);
  cluster.expect_accounts_close();
}

TEST(Transit, AnInstanceThatEndedMeanwhileIsNoInstance) {
  Cluster cluster{{.hosts = {{{0}}, {{1}}}, .services = {go_on}}};
  cluster.inject(1);
  cluster.settle();
  cluster.host(1).kill(cluster.host(1).instances_of(ServiceId{0})[0]);
  cluster.inject(1);  // Host 0 has not heard of it.
  cluster.settle();
  EXPECT_EQ(cluster.host(1).drops(DropReason::kNoInstance), 1u);
  cluster.host(1).pass(std::chrono::milliseconds{50});  // Until it is back.
  cluster.share_views();
  cluster.inject(1);
  cluster.settle();
  EXPECT_EQ(cluster.sent(0).size(), 2u);
  cluster.expect_accounts_close();
}

TEST(Transit, VerdictsHoldOnAnotherHostToo) {
  const auto decide = [](Packet& packet, std::span<std::byte> bytes, Context&) {
    const auto headers = parse(bytes);
    switch (headers->source_port % 5) {
      case 0:
        return packet.next();
      case 1:
        return packet.drop(DropReason::kRateLimit);
      case 2:
        return packet.to_service(ServiceId{2});
      case 3:
        return packet.to_service(ServiceId{0});  // Not behind it.
      default:
        return;  // Undecided.
    }
  };
  Cluster cluster{{.hosts = {{{0, 1, 1}}, {{1, 0, 0}}}, .services = {decide, go_on, go_on}}};
  for (std::uint16_t flow = 0; flow < 50; ++flow) cluster.inject(flow);
  cluster.settle();
  EXPECT_EQ(cluster.sent(0).size(), 20u);
  EXPECT_EQ(cluster.host(1).drops(DropReason::kRateLimit), 10u);
  EXPECT_EQ(cluster.host(1).drops(DropReason::kHopLimit), 10u);
  EXPECT_EQ(cluster.host(1).drops(DropReason::kUndecided), 10u);
  // The ten that went to service 2 passed by service 1.
  std::size_t at_one = 0, at_two = 0;
  for (const auto& [where, instances] : cluster.deliveries(0).seen) {
    at_one += where.second == 1;
    at_two += where.second == 2;
  }
  EXPECT_EQ(at_one, 10u);
  EXPECT_EQ(at_two, 20u);
  cluster.expect_accounts_close();
}

TEST(Transit, ACopyForAnotherHost) {
  std::vector<Step> steps = RigBuilder::steps_of({ServiceId{0}, ServiceId{1}});
  steps[0].copy = true;
  Cluster cluster{{.hosts = {{{0, 1}}, {{1, 0}}}, .services = {go_on, go_on}, .steps = steps}};
  for (std::uint16_t flow = 0; flow < 10; ++flow) cluster.inject(flow);
  cluster.settle();
  EXPECT_EQ(cluster.sent(0).size(), 10u);
  EXPECT_EQ(cluster.deliveries(1).seen.size(), 10u);
  EXPECT_EQ(cluster.host(1).drops(DropReason::kCopyDone), 10u);
  cluster.expect_accounts_close();
}

TEST(Transit, ACopyMadeOnAnotherHost) {
  std::vector<Step> steps = RigBuilder::steps_of({ServiceId{0}, ServiceId{1}, ServiceId{2}});
  steps[1].copy = true;
  Cluster cluster{
      {.hosts = {{{0, 1, 0}}, {{1, 0, 1}}}, .services = {go_on, go_on, go_on}, .steps = steps}};
  for (std::uint16_t flow = 0; flow < 10; ++flow) cluster.inject(flow);
  cluster.settle();
  EXPECT_EQ(cluster.sent(0).size(), 10u);
  EXPECT_EQ(cluster.host(0).drops(DropReason::kCopyDone), 10u);
  EXPECT_EQ(cluster.host(1).worker().statistics().copied_packets, 10u);
  cluster.expect_accounts_close();
}

class Workers : public testing::TestWithParam<RunMode> {};
INSTANTIATE_TEST_SUITE_P(Run, Workers, testing::Values(RunMode::kProcess, RunMode::kInline));

TEST_P(Workers, SeveralWorkersHandPacketsOnBetweenHosts) {
  Cluster cluster{{.hosts = {{{1, 0, 3}}, {{0, 3, 0}}},
                   .services = {go_on, go_on, go_on},
                   .worker_count = 3,
                   .run = GetParam()}};
  for (std::uint16_t flow = 0; flow < 300; ++flow) {
    // Other addresses, so that flows are of all workers.
    cluster.host(0).inject(kIn, frames::udp({}, {.source = "10.0." + std::to_string(flow / 200) +
                                                           "." + std::to_string(flow % 200 + 1)}));
    if (flow % 50 == 49) cluster.settle();
  }
  EXPECT_EQ(cluster.sent(0).size(), 300u);
  cluster.expect_accounts_close();
}

TEST(Transit, AFrameThatTheUnderlayCannotCarryIsDroppedForMtu) {
  Cluster cluster{{.hosts = {{{0}}, {{1}}}, .services = {go_on}, .underlay_mtu = 300}};
  const std::size_t most = 300 - tunnel::overhead(4, 1) - 42;
  cluster.inject(1, 0, most);
  cluster.inject(2, 0, most + 1);
  cluster.settle();
  EXPECT_EQ(cluster.sent(0).size(), 1u);
  EXPECT_EQ(cluster.host(0).drops(DropReason::kMtu), 1u);
  cluster.expect_accounts_close();
}

TEST(Transit, WhatTheUnderlayHasBesidesIsRefusedAndCounted) {
  Cluster cluster{{.hosts = {{{0}}, {{1}}}, .services = {go_on}}};
  cluster.host(1).inject(kUnderlay, flow_frame(1));
  cluster.host(1).inject(kUnderlay, frames::arp({}));
  cluster.lossy = true;
  cluster.inject(1);
  cluster.settle();
  Frame stolen = cluster.crossed.at(0);
  stolen.resize(stolen.size() - 1);
  cluster.host(1).inject(kUnderlay, stolen);
  // Replayed after the sender has come back.
  ClusterView view = cluster.view_of(1);
  view.members[0].endpoint.epoch = 1;
  cluster.host(1).handle(view);
  cluster.host(1).inject(kUnderlay, cluster.crossed.at(0));
  cluster.settle();
  const auto& counts = cluster.host(1).worker().statistics().tunnel_frames;
  const auto count = [&](TunnelError error) { return counts[static_cast<std::size_t>(error)]; };
  EXPECT_EQ(count(TunnelError::kNotTunnel), 2u);
  EXPECT_EQ(count(TunnelError::kTruncated) + count(TunnelError::kOldEpoch), 2u);
  EXPECT_EQ(cluster.host(1).drops(DropReason::kUnknownPeer), 1u);
  EXPECT_TRUE(cluster.deliveries(1).seen.empty());
  cluster.expect_accounts_close();
}

/// A member that says of its packets whatever it likes.
void forge(Cluster& cluster, FlowId flow, std::uint8_t step, Pin pin) {
  const Encapsulator tunnel{{.local = cluster.endpoint(1),
                             .remote = cluster.endpoint(0),
                             .network = 42,
                             .secret = {7, 8}}};
  std::vector<std::byte> bytes(2048);
  const PacketMemory memory{bytes, 2048};
  const Frame frame = flow_frame(1);
  std::copy(frame.begin(), frame.end(), bytes.begin() + kHeadroom);
  Packet packet{};
  packet.offset = kHeadroom;
  packet.length = static_cast<std::uint16_t>(frame.size());
  packet.flow = flow;
  packet.step = step;
  const Transit transit{.path = 5, .chain_version = 1, .pins = {&pin, 1}};
  ASSERT_EQ(tunnel(memory, {&packet, 1}, {&transit, 1}), 1u);
  const auto outer = memory.bytes(packet);
  cluster.host(0).inject(kUnderlay, Frame{outer.begin(), outer.end()});
}

// A peer is believed who it is, but not what it says: numbers from outside never index unchecked.
TEST(Transit, FlowNumbersThatAPeerMadeUpHarmNothing) {
  for (const std::uint16_t worker_count : {std::uint16_t{1}, std::uint16_t{3}}) {
    Cluster cluster{
        {.hosts = {{{worker_count}}, {{1}}}, .services = {go_on}, .worker_count = worker_count}};
    const Pin pin{0, index_of(cluster.host(0).instances_of(ServiceId{0})[0])};
    std::uint32_t count = 0;
    for (const FlowId flow :
         {0u, 5u, 1024u, 3u * 1024u, 0x3fffffu, 0x400000u, 0xfffffffeu, kNoFlow}) {
      for (const std::uint8_t step : {std::uint8_t{0}, std::uint8_t{1}, std::uint8_t{2},
                                      std::uint8_t{0xfe}, std::uint8_t{0xff}}) {
        forge(cluster, flow, step, pin);
        ++count;
      }
      cluster.settle();
    }
    // The two flows that are of other hosts pass, at the step and behind it; none of ours exists.
    EXPECT_EQ(cluster.sent(0).size(), 4u);
    EXPECT_EQ(
        cluster.host(0).drops(DropReason::kFlowEnded) + cluster.host(0).drops(DropReason::kNoChain),
        count - 4);
    cluster.expect_accounts_close();
  }
}

TEST(Transit, PinsThatAPeerMadeUpHarmNothing) {
  Cluster cluster{{.hosts = {{{1, 1}}, {{0, 0}}}, .services = {go_on, go_on}}};
  const std::uint16_t of_next = index_of(cluster.host(0).instances_of(ServiceId{1})[0]);
  const FlowId theirs = 1u << kFlowSlotBits;
  for (const Pin pin :
       {Pin{0, 255}, Pin{0, 256}, Pin{0, 0xfffe}, Pin{0, of_next}, Pin{1, 0}, Pin{9, 9}, Pin{}}) {
    forge(cluster, theirs, 0, pin);
  }
  cluster.settle();
  EXPECT_EQ(cluster.host(0).drops(DropReason::kNoInstance), 7u);
  EXPECT_TRUE(cluster.deliveries(0).seen.empty());
  cluster.expect_accounts_close();
}

TEST(Transit, WorkersGiveAPacketThatComesBackToTheOneWithItsFlow) {
  Cluster cluster{{.hosts = {{{0}}, {{1}}}, .services = {go_on}, .worker_count = 3}};
  for (std::uint16_t flow = 0; flow < 60; ++flow) {
    cluster.host(0).inject(kIn, frames::udp({}, {.source = "10.0.0." + std::to_string(flow + 1)}));
  }
  cluster.settle();
  EXPECT_EQ(cluster.sent(0).size(), 60u);
  cluster.expect_accounts_close();
}

TEST(Transit, AChainThatTheReceiverDoesNotKnowIsNoChain) {
  Cluster cluster{{.hosts = {{{0}}, {{1}}}, .services = {go_on}}};
  // A new version on one side only.
  cluster.host(0).handle(ChainUpdate{{{ChainId{0}, RigBuilder::steps_of({ServiceId{0}})}}});
  cluster.inject(1);
  cluster.settle();
  EXPECT_EQ(cluster.host(1).drops(DropReason::kNoChain), 1u);
  cluster.expect_accounts_close();
}

TEST(Transit, BuffersComeBackWhenAFunctionDiesWithPacketsOfOthers) {
  Cluster cluster{{.hosts = {{{0}}, {{1}}}, .services = {go_on}}};
  const InstanceId instance = cluster.host(1).instances_of(ServiceId{0})[0];
  cluster.host(1).freeze(instance);
  for (std::uint16_t flow = 0; flow < 20; ++flow) cluster.inject(flow);
  cluster.settle();
  cluster.host(1).kill(instance);
  cluster.settle();
  EXPECT_EQ(cluster.host(1).drops(DropReason::kInstanceDied), 20u);
  cluster.expect_accounts_close();
}

}  // namespace
}  // namespace sluice

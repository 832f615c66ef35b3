#include "core/host/agent.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "tests/core/host/host_rig.hpp"

namespace sluice {
namespace {

using namespace std::chrono_literals;
using test::RigBuilder;

std::size_t notes_of(const test::LoopbackHost& host, Note::Kind kind) {
  return static_cast<std::size_t>(
      std::count_if(host.notes().begin(), host.notes().end(),
                    [&](const Note& note) { return note.kind == kind; }));
}

TEST(Agent, StartsWhatTheServicesWant) {
  RigBuilder rig;
  const ServiceId a = rig.service("a", test::go_on, 3);
  rig.chain("web", {a});
  const auto host = rig.build();
  EXPECT_EQ(host->instances_of(a).size(), 3u);
  EXPECT_EQ(host->agent().cores_free(), 16u - 1 - 3);
  EXPECT_EQ(host->agent().name_of(host->instances_of(a)[2]), "a.3");
}

TEST(Agent, StartsNoMoreThanThereAreCores) {
  RigBuilder rig;
  const ServiceId a = rig.service("a", test::go_on, 1);
  rig.chain("web", {a});
  rig.options.agent.core_count = 3;
  const auto host = rig.build();
  host->handle(ScaleRequest{ScaleRequest::Kind::kStart, a, kNoInstance, 5, "test"});
  EXPECT_EQ(host->instances_of(a).size(), 2u);
  EXPECT_EQ(notes_of(*host, Note::Kind::kScaleBlocked), 1u);
  host->pass(100ms);
  EXPECT_EQ(notes_of(*host, Note::Kind::kScaleBlocked), 1u);  // Said once.
}

TEST(Agent, RestartsADeadInstanceAtOnceAndAFailingOneWithBackOff) {
  // openNetVM: a killed NF stayed "running" and kept its core.
  RigBuilder rig;
  const ServiceId a = rig.service("a");
  rig.chain("web", {a});
  const auto host = rig.build();
  host->pass(2s);
  host->kill(host->instances_of(a)[0]);
  ASSERT_EQ(host->instances_of(a).size(), 1u);
  EXPECT_EQ(host->agent().cores_free(), 14u);
  // Now it dies again and again right after its start.
  std::vector<Duration> waits;
  for (int i = 0; i < 9; ++i) {
    host->kill(host->instances_of(a)[0]);
    const Instant died = host->now;
    while (host->instances_of(a).empty()) host->pass(10ms);
    waits.push_back(host->now - died);
  }
  EXPECT_EQ(waits[0], 10ms);
  EXPECT_EQ(waits[1], 20ms);
  EXPECT_EQ(waits[2], 40ms);
  EXPECT_EQ(waits[8], 1s);
  // One second of health, and the next death is the first again.
  host->pass(1100ms);
  host->kill(host->instances_of(a)[0]);
  EXPECT_EQ(host->instances_of(a).size(), 1u);
}

TEST(Agent, ReplacesAnInstanceThatLeavesItsRingUntouched) {
  RigBuilder rig;
  const ServiceId a = rig.service("a");
  rig.chain("web", {a});
  const auto host = rig.build();
  const InstanceId stuck = host->instances_of(a)[0];
  host->pass(1s);
  EXPECT_EQ(notes_of(*host, Note::Kind::kInstanceHung), 0u);  // Idle is not hung.
  host->freeze(stuck);
  host->inject(PortId{0}, frames::udp());
  host->settle();
  host->pass(190ms);
  EXPECT_EQ(notes_of(*host, Note::Kind::kInstanceHung), 0u);
  host->pass(30ms);
  EXPECT_EQ(notes_of(*host, Note::Kind::kInstanceHung), 1u);
  ASSERT_EQ(host->instances_of(a).size(), 1u);
  EXPECT_NE(host->instances_of(a)[0], stuck);
  EXPECT_EQ(host->drops(DropReason::kInstanceDied), 1u);
}

TEST(Agent, DoesNotReuseANumberThatAFlowStillNames) {
  RigBuilder rig;
  const ServiceId a = rig.service("a");
  const ServiceId b = rig.service("b");
  rig.chain("web", {a, b});
  rig.options.agent.instance_count_max = 4;
  const auto host = rig.build();
  host->inject(PortId{0}, frames::udp());
  host->settle();
  host->sample();
  const InstanceId dead = host->instances_of(a)[0];
  std::set<InstanceId> later;
  for (int i = 0; i < 10; ++i) {
    host->kill(host->instances_of(a)[0]);
    host->pass(1s);
    if (i < 3) later.insert(host->instances_of(a)[0]);
  }
  EXPECT_FALSE(later.contains(dead));
}

TEST(Agent, KeepsAtLeastTheMinimum) {
  RigBuilder rig;
  const ServiceId a = rig.service("a", test::go_on, 2);
  rig.chain("web", {a});
  rig.options.agent.services[0].policy.instance_count_min = 2;
  const auto host = rig.build();
  host->handle(ScaleRequest{ScaleRequest::Kind::kDrain, a, host->instances_of(a)[0], 1, "test"});
  host->pass(1s);
  EXPECT_EQ(host->instances_of(a).size(), 2u);
}

TEST(Agent, CutsADrainAtItsTimeoutOnlyWhenTheFileSaysSo) {
  for (const bool cut : {false, true}) {
    RigBuilder rig;
    const ServiceId a = rig.service("a", test::go_on, 2);
    rig.chain("web", {a});
    rig.options.agent.services[0].policy.drain_timeout = 1s;
    rig.options.agent.services[0].policy.drain_cut = cut;
    const auto host = rig.build();
    const auto keep_alive = [&] {
      for (std::uint16_t port = 1; port <= 8; ++port) {
        host->inject(PortId{0}, frames::udp({.source_port = port}));
      }
      host->settle();
    };
    keep_alive();
    host->handle(ScaleRequest{ScaleRequest::Kind::kDrain, a, host->instances_of(a)[0], 1, "test"});
    for (int i = 0; i < 4; ++i) {
      host->pass(500ms);
      keep_alive();
    }
    EXPECT_EQ(host->instances_of(a).size(), cut ? 1u : 2u);
  }
}

TEST(Agent, ForgetsAnOldChainVersionLongAfterItsLastFlow) {
  RigBuilder rig;
  const ServiceId a = rig.service("a");
  rig.chain("web", {a});
  rig.options.agent.chain_version_count_max = 3;
  const auto host = rig.build();
  host->handle(ChainUpdate{{{ChainId{0}, RigBuilder::steps_of({a, a})}}});
  host->handle(ChainUpdate{{{ChainId{0}, RigBuilder::steps_of({a})}}});
  host->pass(61s);
  host->handle(ChainUpdate{{{ChainId{0}, RigBuilder::steps_of({a, a, a})}}});  // Else: no room.
  host->inject(PortId{0}, frames::udp());
  host->settle();
  EXPECT_EQ(host->io().output(PortId{1}).size(), 1u);
}

}  // namespace
}  // namespace sluice

#include "core/host/reconfiguration.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/core/host/reconfigure_rig.hpp"

// The plan alone: numbers, bits, and every refusal.
namespace sluice {
namespace {

using test::File;
using testing::ElementsAre;
using testing::IsEmpty;

/// A host on which a file runs as it stands, with the file's own numbers.
struct Running {
  explicit Running(File running) : file(std::move(running)) {
    host.services = file.services;
    host.ports = ports;
    for (const ServiceSettings& each : file.services) {
      host.uses.push_back(ServiceUse::kActive);
      host.core_counts.push_back(each.instance_count_start);
    }
    for (const ChainVersion& chain : file.chains) {
      host.active.push_back(&chain);
      host.chain_in_use.push_back(true);
    }
    host.instance_count_free = 200;
    host.chain_version_count_free = 1000;
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  [[nodiscard]] ReconfigurationPlan plan(const File& wanted) const {
    auto plan = plan_reconfiguration(host, wanted.reconfigure());
    EXPECT_TRUE(plan) << plan.error().to_string();
    return plan ? std::move(*plan) : ReconfigurationPlan{};
  }
  [[nodiscard]] std::string refusal(const Reconfigure& wanted) const {
    const auto plan = plan_reconfiguration(host, wanted);
    return plan ? "no refusal" : plan.error().to_string();
  }
  [[nodiscard]] std::string refusal(const File& wanted) const {
    return refusal(wanted.reconfigure());
  }

  File file;
  std::vector<PortSettings> ports{2};
  RunningHost host;
};

File two(const std::string& a = "1", const std::string& b = "1") {
  File file;
  file.service("a", a);
  file.service("b", b);
  file.chain("web", {"a", "b"}, 80);
  return file;
}

TEST(PlanReconfiguration, TheSameFileNeedsNothing) {
  const Running running(two());
  const ReconfigurationPlan plan = running.plan(two());
  EXPECT_THAT(plan.added, IsEmpty());
  EXPECT_THAT(plan.awaited, IsEmpty());
  EXPECT_THAT(plan.retired, IsEmpty());
  EXPECT_THAT(plan.removed, IsEmpty());
  EXPECT_THAT(chains_to_change(running.host.active, plan.chains), IsEmpty());
}

TEST(PlanReconfiguration, WhatChangedGetsTheNextNumber) {
  const Running running(two());
  const ReconfigurationPlan plan = running.plan(two("2"));
  EXPECT_THAT(plan.added, ElementsAre(ServiceId{2}));
  EXPECT_THAT(plan.awaited, ElementsAre(ServiceId{2}));
  EXPECT_THAT(plan.retired, ElementsAre(ServiceId{0}));
  EXPECT_EQ(plan.services[0].service.id, ServiceId{2});
  EXPECT_EQ(plan.services[1].service.id, ServiceId{1});
  ASSERT_EQ(plan.chains[0].steps.size(), 2u);
  EXPECT_EQ(plan.chains[0].chain, ChainId{0});
  EXPECT_EQ(plan.chains[0].steps[0].service, ServiceId{2});
  EXPECT_EQ(plan.chains[0].steps[1].service, ServiceId{1});
  EXPECT_THAT(chains_to_change(running.host.active, plan.chains), ElementsAre(0u));
}

TEST(PlanReconfiguration, NumbersInUseAreNotTakenAndFreeOnesAreLast) {
  Running running(two());
  running.host.uses = {ServiceUse::kFree, ServiceUse::kRetiring};
  running.host.service_count_max = 3;
  const ReconfigurationPlan plan = running.plan(two());
  EXPECT_THAT(plan.added, ElementsAre(ServiceId{2}, ServiceId{0}));
  EXPECT_THAT(plan.retired, IsEmpty());
}

TEST(PlanReconfiguration, AChainOfTheSameNameInTheOtherRoleIsAnother) {
  File file = two();
  file.reverse();
  const Running running(file);
  File swapped = two();
  swapped.chains[0].name = "web-back";
  const ReconfigurationPlan plan = running.plan(swapped);
  EXPECT_EQ(plan.chains[0].chain, ChainId{2});
  EXPECT_THAT(plan.removed, ElementsAre(ChainId{0}, ChainId{1}));
  EXPECT_EQ(index_of(plan.rules[0].chain), 2u);
}

TEST(PlanReconfiguration, BothDirectionsOfASessionChangeTogether) {
  File file = two();
  file.reverse();
  const Running running(file);
  File other = two();
  other.reverse();
  other.chains[1].to = PortId{1};
  const ReconfigurationPlan plan = running.plan(other);
  EXPECT_THAT(chains_to_change(running.host.active, plan.chains), ElementsAre(0u, 1u));
}

TEST(PlanReconfiguration, OldServicesKeepTheirBitsAndNewOnesGetOthers) {
  File file;
  file.service("a");
  file.label("x");
  file.label("y", true);
  file.chain("web", {"a"}, 80);
  const Running running(file);
  File wanted;
  wanted.service("new");
  wanted.label("p", true);
  wanted.label("q");
  File old = file;
  wanted.services.push_back(old.services[0]);
  wanted.services[1].service.id = ServiceId{1};
  wanted.services[1].service.label_bits = {4, 8};
  wanted.services[1].service.sticky_bits = 8;
  wanted.chain("web", {"new", "a"}, 80);
  wanted.chains[0].steps[0].branches = {{1, Hop{Hop::Kind::kDrop, 0}}, {2, Hop{}}};
  wanted.chains[0].steps[1].branches = {{8, Hop{Hop::Kind::kDrop, 0}}, {4, Hop{}}};
  const ReconfigurationPlan plan = running.plan(wanted);
  EXPECT_THAT(plan.services[1].service.label_bits, ElementsAre(1u, 2u));
  EXPECT_EQ(plan.services[1].service.sticky_bits, 2u);
  EXPECT_THAT(plan.services[0].service.label_bits, ElementsAre(4u, 8u));
  EXPECT_EQ(plan.services[0].service.sticky_bits, 4u);
  EXPECT_EQ(plan.chains[0].steps[0].branches[0].label_bits, 4u);
  EXPECT_EQ(plan.chains[0].steps[0].branches[1].label_bits, 8u);
  EXPECT_EQ(plan.chains[0].steps[1].branches[0].label_bits, 2u);
  EXPECT_EQ(plan.chains[0].steps[1].branches[1].label_bits, 1u);
}

TEST(PlanReconfiguration, ThirtyTwoLabelsFitWhateverRuns) {
  File file;
  for (const char* name : {"a", "b"}) {
    file.service(name);
    for (int i = 0; i < 16; ++i) file.label("l" + std::to_string(i));
  }
  file.chain("web", {"a", "b"}, 80);
  const Running running(file);
  File wanted = file;
  wanted.services[0].fingerprint = "2";
  std::swap(wanted.services[0].service.label_bits, wanted.services[1].service.label_bits);
  const ReconfigurationPlan plan = running.plan(wanted);
  std::uint32_t bits = 0;
  for (const ServiceSettings& each : plan.services) {
    for (const std::uint32_t bit : each.service.label_bits) bits ^= bit;
  }
  EXPECT_EQ(bits, ~0u);
}

TEST(PlanReconfiguration, AddressesAreChosenByWhereThereIsATable) {
  Running running(two());
  File wanted = two();
  wanted.services[0].service.affinity = Affinity::kSource;
  EXPECT_EQ(running.refusal(wanted), "no refusal");
  running.host.remembers_addresses = false;
  EXPECT_EQ(running.refusal(wanted),
            "new.yaml: services.a.affinity: the host has no table of addresses; got source; "
            "expected flow, session or none, or a restart of the host");
}

TEST(PlanReconfiguration, PortsStayAsTheyAre) {
  const Running running(two());
  Reconfigure wanted = two().reconfigure();
  wanted.ports.resize(3);
  EXPECT_EQ(running.refusal(wanted),
            "new.yaml: hosts.h1.ports: cannot change while the host runs; got 3; expected 2");
  wanted.ports.resize(2);
  wanted.ports[0].frame_size_max = 100;
  EXPECT_EQ(running.refusal(wanted), "no refusal");
}

TEST(PlanReconfiguration, NumbersOfServicesAndChainsHaveALimit) {
  Running running(two());
  running.host.service_count_max = 3;
  EXPECT_EQ(running.refusal(two("2")), "no refusal");
  EXPECT_EQ(running.refusal(two("2", "2")),
            "new.yaml: services.b: no number is free, since old services live while flows use "
            "them; expected at most 3 at a time");
  File chains = two();
  chains.chain("mail", {"a"}, 25);
  running.host.chain_count_max = 1;
  EXPECT_EQ(running.refusal(chains),
            "new.yaml: chains.mail: no number is free, since old chains live while flows use "
            "them; expected at most 1 at a time");
}

TEST(PlanReconfiguration, ChainsHaveNoMoreStepsThanFlowsHavePins) {
  Running running(two());
  running.host.step_count_max = 2;
  File wanted = two();
  wanted.chains[0].steps = test::RigBuilder::steps_of({ServiceId{0}, ServiceId{1}, ServiceId{0}});
  EXPECT_EQ(running.refusal(wanted),
            "new.yaml: chains.web.steps: more than the host has room for; got 3; expected at most "
            "2, or a restart of the host");
}

TEST(PlanReconfiguration, VersionsOfChainsHaveALimit) {
  Running running(two());
  running.host.chain_version_count_free = 0;
  EXPECT_EQ(running.refusal(two()), "no refusal");
  EXPECT_EQ(running.refusal(two("2")),
            "new.yaml: chains: no room for new versions, since old ones live while flows use them; "
            "got 1; expected at most 0");
}

TEST(PlanReconfiguration, WhatIsNewNeedsCoresBesideWhatStays) {
  Running running(two());
  running.host.core_counts = {1, 5};  // It has scaled up.
  File wanted = two("2");
  wanted.service("c");
  wanted.core_count = 7;
  EXPECT_EQ(running.refusal(wanted),
            "new.yaml: hosts.h1.cores: too few for what is new (a, c) beside what stays; got 7; "
            "expected 8");
  wanted.core_count = 8;
  EXPECT_EQ(running.refusal(wanted), "no refusal");
  wanted.services[2].service.run = RunMode::kInline;
  wanted.core_count = 7;
  EXPECT_EQ(running.refusal(wanted), "no refusal");
}

TEST(PlanReconfiguration, WhatIsNewNeedsNumbersForItsInstances) {
  Running running(two());
  running.host.instance_count_free = 1;
  EXPECT_EQ(running.refusal(two("2")), "no refusal");
  EXPECT_EQ(running.refusal(two("2", "2")),
            "new.yaml: hosts.h1: no room for the first instances of a, b; got 1 free numbers; "
            "expected 2");
}

}  // namespace
}  // namespace sluice

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "tests/core/host/reconfigure_rig.hpp"

// A living host changes to another deployment: what living flows keep, and what new ones get.
namespace sluice {
namespace {

using namespace std::chrono_literals;
using test::ChangingHost;
using test::File;
using testing::ElementsAre;
using testing::IsEmpty;
using Outcome = ReconfigureEnded::Outcome;

constexpr std::uint16_t kWeb = 80, kMail = 25;

/// fw and ids, one after the other, for port 80.
File web(const std::string& fw = "1", const std::string& ids = "1") {
  File file;
  file.service("fw", fw);
  file.service("ids", ids);
  file.chain("web", {"fw", "ids"}, kWeb);
  return file;
}

// --- Services that change ------------------------------------------------------------------------

TEST(Reconfigure, ChangedSettingsAreForNewFlowsOnly) {
  ChangingHost host(web());
  EXPECT_THAT(host.send(1, kWeb), ElementsAre("fw:1#1", "ids:1#1"));
  host.change_to(web("2"));
  EXPECT_THAT(host.send(1, kWeb), ElementsAre("fw:1#1", "ids:1#1"));
  EXPECT_THAT(host.send(2, kWeb), ElementsAre("fw:2#2", "ids:1#1"));
  EXPECT_EQ(host.sent_count(), 3u);
  EXPECT_THAT(host.instances(), ElementsAre("fw:1#1", "fw:2#2", "ids:1#1"));
}

TEST(Reconfigure, TheOldServiceEndsWithItsLastFlow) {
  ChangingHost host(web());
  host.send(1, kWeb);
  host.change_to(web("2"));
  for (int i = 0; i < 20; ++i) {
    host.host->pass(500ms);
    EXPECT_THAT(host.send(1, kWeb), ElementsAre("fw:1#1", "ids:1#1"));
  }
  EXPECT_EQ(host.host->agent().use_of(ServiceId{0}), ServiceUse::kRetiring);
  host.host->pass(6s);  // The flow is idle for longer than it may.
  EXPECT_THAT(host.instances(), ElementsAre("fw:2#2", "ids:1#1"));
  EXPECT_EQ(host.note_count(Note::Kind::kServiceRetired), 0u);
  host.host->pass(61s);  // The chain version that names it rested.
  EXPECT_EQ(host.note_count(Note::Kind::kServiceRetired), 1u);
  EXPECT_EQ(host.host->agent().use_of(ServiceId{0}), ServiceUse::kFree);
  EXPECT_EQ(host.host->drops(DropReason::kNoInstance), 0u);
}

TEST(Reconfigure, AnUnusedOldServiceEndsAtOnce) {
  ChangingHost host(web());
  host.change_to(web("2"));
  host.host->pass(50ms);
  EXPECT_THAT(host.instances(), ElementsAre("fw:2#2", "ids:1#1"));
}

TEST(Reconfigure, TheSameFileAgainChangesNothing) {
  ChangingHost host(web());
  host.send(1, kWeb);
  host.change_to(web());
  EXPECT_THAT(host.send(1, kWeb), ElementsAre("fw:1#1", "ids:1#1"));
  EXPECT_THAT(host.send(2, kWeb), ElementsAre("fw:1#1", "ids:1#1"));
  EXPECT_EQ(host.note_count(Note::Kind::kChainChanged), 0u);
  EXPECT_EQ(host.note_count(Note::Kind::kServiceAdded), 0u);
  EXPECT_EQ(host.host->snapshot().services.size(), 2u);
}

TEST(Reconfigure, ServicesAreMatchedByNameNotByNumber) {
  ChangingHost host(web());
  host.send(1, kWeb);
  File file;
  file.service("new");
  file.service("ids");
  file.service("fw");
  file.chain("web", {"fw", "ids"}, kWeb);
  host.change_to(file);
  EXPECT_THAT(host.send(2, kWeb), ElementsAre("fw:1#1", "ids:1#1"));
  EXPECT_EQ(host.note_count(Note::Kind::kChainChanged), 0u);
  EXPECT_THAT(host.instances(), ElementsAre("fw:1#1", "ids:1#1", "new:1#1"));
}

TEST(Reconfigure, EveryKindOfChangeMakesAnotherService) {
  using Edit = std::function<void(ServiceSettings&)>;
  const std::vector<std::pair<std::string, Edit>> edits{
      {"function", [](auto& each) { each.service.function = "other"; }},
      {"fingerprint", [](auto& each) { each.fingerprint = "2"; }},
      {"ring", [](auto& each) { each.service.ring_capacity = 128; }},
      {"run", [](auto& each) { each.service.run = RunMode::kContainer; }},
      {"affinity", [](auto& each) { each.service.affinity = Affinity::kSession; }},
      {"keeps state", [](auto& each) { each.service.keeps_flow_state = true; }},
      {"generates", [](auto& each) { each.service.generates = true; }},
  };
  for (const auto& [what, edit] : edits) {
    ChangingHost host(web());
    File file = web();
    edit(file.services[0]);
    host.change_to(file);
    EXPECT_EQ(host.note_count(Note::Kind::kServiceAdded), 1u) << what;
    EXPECT_EQ(host.host->agent().use_of(ServiceId{0}), ServiceUse::kRetiring) << what;
  }
  const std::vector<std::pair<std::string, Edit>> harmless{
      {"policy", [](auto& each) { each.policy.cooldown = 5s; }},
      {"choice", [](auto& each) { each.service.choice = InstanceChoice::kMaglev; }},
      {"weights",
       [](auto& each) {
         each.service.weights = {2, 1};
       }},
      {"start", [](auto& each) { each.instance_count_start = 2; }},
  };
  for (const auto& [what, edit] : harmless) {
    ChangingHost host(web());
    File file = web();
    edit(file.services[0]);
    host.change_to(file);
    EXPECT_EQ(host.note_count(Note::Kind::kServiceAdded), 0u) << what;
  }
}

TEST(Reconfigure, ANewPolicyStartsAndDrainsInstancesOfTheSameService) {
  File file;
  file.service("a", "1", 3);
  file.chain("web", {"a"}, kWeb);
  ChangingHost host(file);
  for (std::uint16_t flow = 1; flow <= 4; ++flow) host.send(flow, kWeb);  // a.1 has two of them.
  host.host->sample();
  file.services[0].policy.instance_count_min = 1;
  file.services[0].policy.instance_count_max = 1;
  host.change_to(file);
  host.host->pass(50ms);
  EXPECT_EQ(host.instances().size(), 3u);  // Their flows live.
  EXPECT_THAT(host.send(5, kWeb), ElementsAre("a:1#1"));
  host.host->pass(8s);
  EXPECT_THAT(host.instances(), ElementsAre("a:1#1"));
  file.services[0].policy.instance_count_min = 2;
  file.services[0].policy.instance_count_max = 4;
  host.change_to(file);
  EXPECT_THAT(host.instances(), ElementsAre("a:1#1", "a:1#4"));
}

TEST(Reconfigure, AFixedNumberOfInstancesIsThatOfTheFile) {
  File file;
  file.service("a", "1", 1);
  file.services[0].policy.enabled = false;
  file.chain("web", {"a"}, kWeb);
  ChangingHost host(file);
  file.services[0].instance_count_start = 3;
  host.change_to(file);
  EXPECT_EQ(host.instances().size(), 3u);
  file.services[0].instance_count_start = 2;
  host.change_to(file);
  host.host->pass(50ms);
  EXPECT_THAT(host.instances(), ElementsAre("a:1#1", "a:1#2"));
}

TEST(Reconfigure, ADrainTimeoutCutsNoFlowOfAnOldService) {
  File file = web();
  for (auto& each : file.services) {
    each.policy.drain_timeout = 1s;
    each.policy.drain_cut = true;
  }
  ChangingHost host(file);
  host.send(1, kWeb);
  host.change_to(web("2", "2"));
  for (int i = 0; i < 10; ++i) {
    host.host->pass(500ms);
    EXPECT_THAT(host.send(1, kWeb), ElementsAre("fw:1#1", "ids:1#1"));
  }
}

// --- Chains and rules ----------------------------------------------------------------------------

TEST(Reconfigure, AChangedChainIsForNewFlowsOnly) {
  ChangingHost host(web());
  host.send(1, kWeb);
  File file = web();
  file.chains[0].steps = test::RigBuilder::steps_of({file.id_of("ids")});
  host.change_to(file);
  EXPECT_THAT(host.send(1, kWeb), ElementsAre("fw:1#1", "ids:1#1"));
  EXPECT_THAT(host.send(2, kWeb), ElementsAre("ids:1#1"));
  const RoutingSnapshot& snapshot = host.host->snapshot();
  EXPECT_EQ(snapshot.chains[snapshot.active[0]]->version, 2u);
  host.change_to(file);
  EXPECT_EQ(host.host->snapshot().chains[host.host->snapshot().active[0]]->version, 2u);
}

TEST(Reconfigure, ARemovedChainTakesNoNewFlowsAndItsOldOnesGoOn) {
  File file = web();
  file.service("spam");
  file.chain("mail", {"spam"}, kMail);
  ChangingHost host(file);
  host.send(1, kWeb);
  host.send(1, kMail);
  host.change_to(web());
  EXPECT_THAT(host.send(1, kMail), ElementsAre("spam:1#1"));
  EXPECT_THAT(host.send(2, kMail), IsEmpty());
  EXPECT_EQ(host.host->drops(DropReason::kNoChain), 1u);
  EXPECT_EQ(host.note_count(Note::Kind::kChainRemoved), 1u);
  host.host->pass(70s);
  EXPECT_THAT(host.instances(), ElementsAre("fw:1#1", "ids:1#1"));
  EXPECT_EQ(host.host->snapshot().chains.size(), 1u);  // Its version is forgotten.
  host.change_to(file);                                // And it may come again.
  EXPECT_THAT(host.send(3, kMail), ElementsAre("spam:1#1"));
}

TEST(Reconfigure, ChangedRulesAreForNewFlowsOnly) {
  File file = web();
  file.service("spam");
  file.chain("mail", {"spam"}, kMail);
  ChangingHost host(file);
  host.send(1, kWeb);
  std::swap(file.rules[0].match, file.rules[1].match);
  host.change_to(file);
  EXPECT_THAT(host.send(1, kWeb), ElementsAre("fw:1#1", "ids:1#1"));
  EXPECT_THAT(host.send(2, kWeb), ElementsAre("spam:1#1"));
  EXPECT_THAT(host.send(2, kMail), ElementsAre("fw:1#1", "ids:1#1"));
  EXPECT_EQ(host.note_count(Note::Kind::kChainChanged), 0u);
}

TEST(Reconfigure, PortsGetTheirNewPolicies) {
  ChangingHost host(web());
  host.send(1, kMail);
  EXPECT_EQ(host.host->drops(DropReason::kNoChain), 1u);
  Reconfigure event = web().reconfigure();
  event.ports[0].unmatched = UnmatchedPolicy::kPass;
  event.ports[0].pass_to = PortId{1};
  host.host->handle(event);
  host.send(2, kMail);
  EXPECT_EQ(host.host->drops(DropReason::kNoChain), 1u);
  EXPECT_EQ(host.sent_count(), 1u);
}

// --- Labels --------------------------------------------------------------------------------------

/// Two services with a label each; the order in the file decides the file's bits.
File labelled(bool first_a, const std::string& fingerprint_of_b) {
  File file;
  for (const bool is_a : {first_a, !first_a}) {
    file.service(is_a ? "a" : "b", is_a ? "1" : fingerprint_of_b);
    file.label(is_a ? "bad" : "good");
  }
  file.chain("web", {"a", "b"}, kWeb);
  const Service& a = file.services[first_a ? 0 : 1].service;
  file.chains[0].steps[0].branches.push_back({a.label_bits[0], Hop{Hop::Kind::kDrop, 0}});
  return file;
}

TEST(Reconfigure, LabelsKeepTheirMeaningWhateverTheFilesBits) {
  for (const char* fingerprint : {"1", "2"}) {
    ChangingHost host(labelled(true, "1"));
    std::string labelling;
    host.script = [&](const std::string& made_of, Packet& packet, Context& context) {
      if (made_of.substr(0, 1) == labelling) context.set_label(packet, 0);
    };
    host.change_to(labelled(false, fingerprint));
    labelling = "a";
    EXPECT_THAT(host.send(1, kWeb), ElementsAre("a:1#1"));  // Labelled bad, and dropped.
    labelling = "b";
    EXPECT_EQ(host.send(2, kWeb).size(), 2u);
    EXPECT_EQ(host.sent_count(), 1u);
    const auto services = host.host->agent().services();
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < services.size(); ++i) {
      if (host.host->agent().use_of(ServiceId{static_cast<std::uint16_t>(i)}) !=
          ServiceUse::kActive) {
        continue;
      }
      EXPECT_EQ(bits & services[i].service.label_bits[0], 0u);
      bits |= services[i].service.label_bits[0];
    }
  }
}

TEST(Reconfigure, AStickyLabelOfALivingFlowHolds) {
  File file;
  file.service("a");
  file.label("bad", true);
  file.service("b");
  file.chain("web", {"a", "b"}, kWeb);
  file.chains[0].steps[0].branches.push_back({1, Hop{Hop::Kind::kDrop, 0}});
  ChangingHost host(file);
  bool label = true;
  host.script = [&](const std::string& made_of, Packet& packet, Context& context) {
    if (label && made_of[0] == 'a') context.set_label(packet, 0);
  };
  host.send(1, kWeb);
  label = false;
  File other;
  other.service("new");
  other.label("odd");
  for (const auto& each : file.services) {
    other.services.push_back(each);
    other.services.back().service.id =
        ServiceId{static_cast<std::uint16_t>(other.services.size() - 1)};
  }
  other.services[1].service.label_bits = {2};
  other.services[1].service.sticky_bits = 2;
  other.chain("web", {"a", "b"}, kWeb);
  other.chains[0].steps[0].branches.push_back({2, Hop{Hop::Kind::kDrop, 0}});
  host.change_to(other);
  EXPECT_THAT(host.send(1, kWeb), ElementsAre("a:1#1"));
  EXPECT_EQ(host.sent_count(), 0u);
  EXPECT_EQ(host.note_count(Note::Kind::kChainChanged), 0u);  // The chain is as it was.
}

// --- Both directions -----------------------------------------------------------------------------

TEST(Reconfigure, ASessionGoesBackTheWayItCame) {
  File file = web();
  file.reverse();
  ChangingHost host(file);
  host.send(1, kWeb);
  File other = web("2", "2");
  other.reverse();
  host.change_to(other);
  EXPECT_THAT(host.reply(1, kWeb), ElementsAre("ids:1#1", "fw:1#1"));
  host.send(2, kWeb);
  EXPECT_THAT(host.reply(2, kWeb), ElementsAre("ids:2#2", "fw:2#2"));
}

TEST(Reconfigure, ASessionThatBeginsWhileItChangesGoesBackTheWayItCame) {
  File file = web();
  file.reverse();
  ChangingHost host(file);
  host.host->freeze(host.instance("ids:1#1"));
  EXPECT_THAT(host.send(1, kWeb), ElementsAre("fw:1#1"));  // No packet of it has left yet.
  File other = web("2", "2");
  other.reverse();
  host.change_to(other);
  host.host->thaw(host.instance("ids:1#1"));
  host.host->settle();
  EXPECT_EQ(host.sent_count(), 1u);
  EXPECT_THAT(host.reply(1, kWeb), ElementsAre("ids:1#1", "fw:1#1"));
}

// --- Make before break ---------------------------------------------------------------------------

TEST(Reconfigure, NewFlowsTakeTheOldWayUntilTheNewOneIsReady) {
  ChangingHost host(web());
  host.host->hold_starts();
  host.apply(web("2", "2"));
  EXPECT_TRUE(host.host->agent().is_reconfiguring());
  EXPECT_THAT(host.send(1, kWeb), ElementsAre("fw:1#1", "ids:1#1"));
  host.host->pass(100ms);
  EXPECT_THAT(host.send(2, kWeb), ElementsAre("fw:1#1", "ids:1#1"));
  EXPECT_THAT(host.host->reconfigured(), IsEmpty());
  host.host->release_starts();
  ASSERT_EQ(host.host->reconfigured().size(), 1u);
  EXPECT_EQ(host.host->reconfigured()[0].outcome, Outcome::kDone);
  EXPECT_THAT(host.send(3, kWeb), ElementsAre("fw:2#2", "ids:2#2"));
  EXPECT_EQ(host.sent_count(), 3u);
}

TEST(Reconfigure, WhatDoesNotComeUpInTimeIsTakenBack) {
  ChangingHost host(web());
  host.send(1, kWeb);
  host.host->hold_starts();
  host.apply(web("2"));
  host.host->pass(9990ms);
  EXPECT_THAT(host.host->reconfigured(), IsEmpty());
  host.host->pass(10ms);
  ASSERT_EQ(host.host->reconfigured().size(), 1u);
  EXPECT_EQ(host.host->reconfigured()[0].outcome, Outcome::kTakenBack);
  EXPECT_EQ(host.host->reconfigured()[0].reason,
            "new.yaml: services.fw: no instance came up in time");
  EXPECT_FALSE(host.host->agent().is_reconfiguring());
  EXPECT_THAT(host.send(2, kWeb), ElementsAre("fw:1#1", "ids:1#1"));
  host.host->release_starts();  // It comes up after all, and goes.
  host.host->pass(50ms);
  EXPECT_THAT(host.instances(), ElementsAre("fw:1#1", "ids:1#1"));
  EXPECT_EQ(host.host->agent().use_of(ServiceId{2}), ServiceUse::kFree);
  host.change_to(web("3"));
  EXPECT_THAT(host.send(3, kWeb), ElementsAre("fw:3#2", "ids:1#1"));
}

TEST(Reconfigure, ANewServiceThatCrashesAtItsStartChangesNothing) {
  ChangingHost host(web());
  host.host->hold_starts();
  host.apply(web("2"));
  for (int i = 0; i < 1000 && host.host->agent().is_reconfiguring(); ++i) {
    for (std::uint16_t id = 0; id < 256; ++id) {
      if (host.host->agent().state_of(InstanceId{id}) == InstanceState::kStarting) {
        host.host->kill(InstanceId{id});
      }
    }
    host.host->pass(10ms);
  }
  ASSERT_EQ(host.host->reconfigured().size(), 1u);
  EXPECT_EQ(host.host->reconfigured()[0].outcome, Outcome::kTakenBack);
  EXPECT_THAT(host.send(1, kWeb), ElementsAre("fw:1#1", "ids:1#1"));
}

TEST(Reconfigure, AnotherChangeMeanwhileIsRefused) {
  ChangingHost host(web());
  host.host->hold_starts();
  host.apply(web("2"));
  host.host->handle(web("3").reconfigure());
  ASSERT_EQ(host.host->reconfigured().size(), 1u);
  EXPECT_EQ(host.host->reconfigured()[0].outcome, Outcome::kRefused);
  EXPECT_EQ(host.host->reconfigured()[0].reason,
            "new.yaml: another change is still under way; got new.yaml; expected one at a time");
  host.host->release_starts();
  EXPECT_THAT(host.send(1, kWeb), ElementsAre("fw:2#2", "ids:1#1"));
}

TEST(Reconfigure, AServiceThatWasNotNeededHereIsAwaitedToo) {
  File file = web();
  file.service("spam", "1", 0);
  ChangingHost host(file);
  host.host->hold_starts();
  File with_mail = web();
  with_mail.service("spam");
  with_mail.chain("mail", {"spam"}, kMail);
  host.apply(with_mail);
  EXPECT_TRUE(host.host->agent().is_reconfiguring());
  EXPECT_THAT(host.send(1, kMail), IsEmpty());
  host.host->release_starts();
  EXPECT_THAT(host.send(2, kMail), ElementsAre("spam:1#1"));
  host.change_to(file);  // Not needed any more.
  EXPECT_THAT(host.send(2, kMail), ElementsAre("spam:1#1"));
  host.host->pass(7s);
  EXPECT_THAT(host.instances(), ElementsAre("fw:1#1", "ids:1#1"));
}

// --- Refusals ------------------------------------------------------------------------------------

TEST(Reconfigure, ARefusedChangeLeavesNoTrace) {
  test::LoopbackHost::Options options;
  options.agent.service_count_max = 3;
  ChangingHost host(web(), std::move(options));
  host.send(1, kWeb);
  const std::uint64_t version = host.host->snapshot().version;
  const std::size_t notes = host.host->notes().size();
  host.apply(web("2", "2"));
  ASSERT_EQ(host.host->reconfigured().size(), 1u);
  EXPECT_EQ(host.host->reconfigured()[0].outcome, Outcome::kRefused);
  EXPECT_EQ(host.host->reconfigured()[0].reason,
            "new.yaml: services.ids: no number is free, since old services live while flows use "
            "them; expected at most 3 at a time");
  EXPECT_EQ(host.host->snapshot().version, version);
  EXPECT_EQ(host.host->notes().size(), notes);
  EXPECT_EQ(host.host->agent().services().size(), 2u);
  EXPECT_THAT(host.instances(), ElementsAre("fw:1#1", "ids:1#1"));
  EXPECT_THAT(host.send(2, kWeb), ElementsAre("fw:1#1", "ids:1#1"));
}

TEST(Reconfigure, NumbersOfWhatHasGoneAreUsedAgain) {
  test::LoopbackHost::Options options;
  options.agent.service_count_max = 4;
  ChangingHost host(web(), std::move(options));
  for (int i = 2; i < 12; ++i) {
    host.change_to(web(std::to_string(i)));
    EXPECT_EQ(host.send(static_cast<std::uint16_t>(i), kWeb)[0],
              "fw:" + std::to_string(i) + "#" + std::to_string(i));
    host.host->pass(70s);
  }
  EXPECT_EQ(host.note_count(Note::Kind::kServiceRetired), 10u);
}

// --- Cores ---------------------------------------------------------------------------------------

TEST(Reconfigure, WhatIsNewTakesTheCoresOfWhatGoes) {
  File file = web();
  file.core_count = 3;  // A worker and two instances.
  ChangingHost host(file);
  host.send(1, kWeb);
  File other = web("2", "2");
  other.core_count = 3;
  host.change_to(other);
  EXPECT_THAT(host.send(2, kWeb), ElementsAre("fw:2#2", "ids:2#2"));
  EXPECT_EQ(host.host->agent().cores_free(), 0u);
}

TEST(Reconfigure, TheNumberOfCoresIsThatOfTheFile) {
  ChangingHost host(web());
  File other = web();
  other.core_count = 5;
  host.change_to(other);
  EXPECT_EQ(host.host->agent().cores_free(), 2u);
}

// --- Old services that need care -----------------------------------------------------------------

TEST(Reconfigure, AnOldInstanceThatDiesUnderItsFlowsIsReplacedByOneOfItsKind) {
  ChangingHost host(web());
  host.send(1, kWeb);
  host.change_to(web("2"));
  host.host->sample();
  host.host->kill(host.instance("fw:1#1"));
  EXPECT_THAT(host.send(1, kWeb), ElementsAre("fw:1#3", "ids:1#1"));
  EXPECT_THAT(host.instances(), ElementsAre("fw:1#3", "fw:2#2", "ids:1#1"));
  host.host->pass(7s);
  EXPECT_THAT(host.instances(), ElementsAre("fw:2#2", "ids:1#1"));
}

TEST(Reconfigure, TheFlowsOfADeadOldInstanceGoToAnotherOldOne) {
  File file;
  file.service("a", "1", 2);
  file.chain("web", {"a"}, kWeb);
  ChangingHost host(file);
  EXPECT_THAT(host.send(1, kWeb), ElementsAre("a:1#1"));
  EXPECT_THAT(host.send(2, kWeb), ElementsAre("a:1#2"));
  host.host->sample();
  file.services[0].fingerprint = "2";
  host.change_to(file);
  host.host->kill(host.instance("a:1#1"));
  EXPECT_THAT(host.send(1, kWeb), ElementsAre("a:1#2"));
}

TEST(Reconfigure, IdleOldInstancesStopWhileOthersHaveFlows) {
  File file;
  file.service("a", "1", 4);
  file.chain("web", {"a"}, kWeb);
  ChangingHost host(file);
  host.send(1, kWeb);
  host.host->sample();
  file.services[0].fingerprint = "2";
  host.change_to(file);
  host.host->pass(50ms);
  EXPECT_THAT(host.instances(), ElementsAre("a:1#1", "a:2#5", "a:2#6", "a:2#7", "a:2#8"));
  EXPECT_THAT(host.send(1, kWeb), ElementsAre("a:1#1"));
}

TEST(Reconfigure, FlowsWithoutPinsKeepAllOldInstances) {
  File file;
  file.service("a", "1", 2).service.affinity = Affinity::kNone;
  file.chain("web", {"a"}, kWeb);
  ChangingHost host(file);
  host.send(1, kWeb);
  file.services[0].fingerprint = "2";
  host.change_to(file);
  for (int i = 0; i < 10; ++i) {
    host.host->pass(100ms);
    const auto visits = host.send(1, kWeb);
    ASSERT_EQ(visits.size(), 1u);
    EXPECT_EQ(visits[0].substr(0, 3), "a:1");
  }
  EXPECT_EQ(host.instances().size(), 4u);
  host.host->pass(7s);
  EXPECT_THAT(host.instances(), ElementsAre("a:2#3", "a:2#4"));
  EXPECT_EQ(host.host->drops(DropReason::kNoInstance), 0u);
}

TEST(Reconfigure, AHungOldInstanceIsKilledAndItsPacketsCounted) {
  ChangingHost host(web());
  host.send(1, kWeb);
  host.change_to(web("2"));
  host.host->freeze(host.instance("fw:1#1"));
  host.send(1, kWeb);
  host.host->pass(300ms);
  EXPECT_EQ(host.note_count(Note::Kind::kInstanceHung), 1u);
  EXPECT_EQ(host.host->drops(DropReason::kInstanceDied), 1u);
  EXPECT_THAT(host.send(1, kWeb), ElementsAre("fw:1#3", "ids:1#1"));
}

TEST(Reconfigure, APolicyThatHasNotHeardOfItAsksInVain) {
  ChangingHost host(web());
  host.send(1, kWeb);
  host.change_to(web("2"));
  host.host->handle(ScaleRequest{ScaleRequest::Kind::kStart, ServiceId{0}, kNoInstance, 1, "test"});
  EXPECT_THAT(host.instances(), ElementsAre("fw:1#1", "fw:2#2", "ids:1#1"));
  host.host->handle(ScaleRequest{ScaleRequest::Kind::kStart, ServiceId{9}, kNoInstance, 1, "test"});
  EXPECT_EQ(host.instances().size(), 3u);
}

TEST(Reconfigure, InlineServicesChangeOnEveryWorker) {
  File file;
  file.service("a").service.run = RunMode::kInline;
  file.service("b");
  file.chain("web", {"a", "b"}, kWeb);
  test::LoopbackHost::Options options;
  options.agent.worker_count = 2;
  ChangingHost host(file, std::move(options));
  EXPECT_THAT(host.instances(), ElementsAre("a:1#1", "a:1#2", "b:1#1"));
  for (std::uint16_t flow = 1; flow <= 8; ++flow) host.send(flow, kWeb);
  file.services[0].fingerprint = "2";
  host.change_to(file);
  EXPECT_THAT(host.instances(), ElementsAre("a:1#1", "a:1#2", "a:2#3", "a:2#4", "b:1#1"));
  for (std::uint16_t flow = 1; flow <= 16; ++flow) {
    const auto visits = host.send(flow, kWeb);
    ASSERT_EQ(visits.size(), 2u);
    EXPECT_EQ(visits[0].substr(0, 3), flow <= 8 ? "a:1" : "a:2");
  }
  host.host->pass(7s);
  EXPECT_THAT(host.instances(), ElementsAre("a:2#3", "a:2#4", "b:1#1"));
}

TEST(Reconfigure, CountsOfBeforeTheChangeStopNobody) {
  // A host whose workers are threads may hand over counts that are older than the snapshot.
  ChangingHost host(web());
  host.change_to(web("2"));
  std::vector<std::uint32_t> by_instance(256), by_chain(1024);
  Readings old{{}, by_instance, by_chain, host.host->snapshot().version - 1};
  for (int i = 0; i < 10; ++i) host.host->handle(old);
  EXPECT_THAT(host.instances(), ElementsAre("fw:1#1", "fw:2#2", "ids:1#1"));
  old.snapshot_version = host.host->snapshot().version;
  host.host->handle(old);
  old.snapshot_version = host.host->snapshot().version;
  host.host->handle(old);
  EXPECT_THAT(host.instances(), ElementsAre("fw:2#2", "ids:1#1"));
}

}  // namespace
}  // namespace sluice

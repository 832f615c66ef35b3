#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "tests/core/host/reconfigure_rig.hpp"

// What an operator asks of a living host, and what is refused in words.
namespace sluice {
namespace {

using namespace std::chrono_literals;
using test::ChangingHost;
using test::File;
using testing::ElementsAre;
using testing::IsEmpty;
using Kind = ScaleRequest::Kind;

constexpr std::uint16_t kWeb = 80;

File file_of(std::uint32_t instance_count) {
  File file;
  file.service("a", "1", instance_count);
  file.services[0].policy.instance_count_max = 4;
  file.chain("web", {"a"}, kWeb);
  return file;
}

ScaleRequest ask(ChangingHost& host, Kind kind, const std::string& name) {
  ScaleRequest request;
  request.kind = kind;
  request.reason = "operator";
  request.by_operator = true;
  const Agent& agent = host.host->agent();
  if (kind == Kind::kStart) {
    request.service = agent.service_named(name);
  } else {
    request.instance = agent.instance_named(name);
    request.service = agent.service_of(request.instance);
  }
  return request;
}

/// Asks; what is refused says why, and then nothing is done.
std::string operate(ChangingHost& host, const ScaleRequest& request) {
  const auto fits = host.host->agent().check(request);
  const auto before = host.instances();
  const std::uint64_t version = host.host->snapshot().version;
  host.host->handle(request);
  if (fits) return "ok";
  EXPECT_EQ(host.instances(), before);
  EXPECT_EQ(host.host->snapshot().version, version);
  return fits.error().to_string();
}
std::string operate(ChangingHost& host, Kind kind, const std::string& name) {
  return operate(host, ask(host, kind, name));
}

TEST(Operator, StartsInstancesUpToTheMaximum) {
  ChangingHost host(file_of(1));
  EXPECT_EQ(operate(host, Kind::kStart, "a"), "ok");
  EXPECT_THAT(host.instances(), ElementsAre("a:1#1", "a:1#2"));
  ScaleRequest three = ask(host, Kind::kStart, "a");
  three.count = 3;
  EXPECT_EQ(operate(host, three), "a: too many instances; got 5; expected at most 4, its maximum");
  three.count = 2;
  EXPECT_EQ(operate(host, three), "ok");
  EXPECT_EQ(host.instances().size(), 4u);
  EXPECT_EQ(operate(host, Kind::kStart, "a"),
            "a: too many instances; got 5; expected at most 4, its maximum");
}

TEST(Operator, StartsNothingWithoutACore) {
  File file = file_of(1);
  file.core_count = 2;
  ChangingHost host(file);
  EXPECT_EQ(operate(host, Kind::kStart, "a"), "a: no free core; got 0 free; expected 1");
}

TEST(Operator, DrainsPastTheMinimum) {
  ChangingHost host(file_of(2));
  EXPECT_THAT(host.send(1, kWeb), ElementsAre("a:1#1"));
  ScaleRequest by_policy = ask(host, Kind::kDrain, "a.1");
  by_policy.by_operator = false;
  EXPECT_EQ(operate(host, by_policy), "a.1: the service is at its minimum; got 2");
  EXPECT_EQ(operate(host, Kind::kDrain, "a.1"), "ok");
  EXPECT_EQ(operate(host, Kind::kDrain, "a.1"),
            "a.1: cannot be asked for that now; got draining; expected running");
  EXPECT_THAT(host.send(1, kWeb), ElementsAre("a:1#1"));  // Its flow stays.
  EXPECT_THAT(host.send(2, kWeb), ElementsAre("a:1#2"));
  host.host->pass(7s);
  EXPECT_THAT(host.instances(), ElementsAre("a:1#2"));  // And nothing comes in its place.
}

TEST(Operator, CanEmptyAServiceAndFillItAgain) {
  ChangingHost host(file_of(1));
  EXPECT_EQ(operate(host, Kind::kDrain, "a.1"), "ok");
  host.host->pass(1s);
  EXPECT_THAT(host.instances(), IsEmpty());
  EXPECT_THAT(host.send(1, kWeb), IsEmpty());
  EXPECT_EQ(host.host->drops(DropReason::kNoInstance), 1u);
  EXPECT_EQ(operate(host, Kind::kStart, "a"), "ok");
  EXPECT_THAT(host.send(1, kWeb), ElementsAre("a:1#2"));
}

TEST(Operator, StopsAnInstanceWithFlowsAtOnceAndTheyGoToAnother) {
  ChangingHost host(file_of(2));
  EXPECT_THAT(host.send(1, kWeb), ElementsAre("a:1#1"));
  EXPECT_EQ(operate(host, Kind::kStop, "a.1"), "ok");
  EXPECT_THAT(host.instances(), ElementsAre("a:1#2"));
  EXPECT_THAT(host.send(1, kWeb), ElementsAre("a:1#2"));
  EXPECT_EQ(host.note_count(Note::Kind::kInstanceStopped), 1u);
  EXPECT_EQ(host.note_count(Note::Kind::kInstanceDied), 0u);
  host.host->pass(1s);
  EXPECT_THAT(host.instances(), ElementsAre("a:1#2"));
}

TEST(Operator, StopsAnInstanceThatDrains) {
  ChangingHost host(file_of(2));
  host.send(1, kWeb);
  EXPECT_EQ(operate(host, Kind::kDrain, "a.1"), "ok");
  EXPECT_EQ(operate(host, Kind::kStop, "a.1"), "ok");
  EXPECT_THAT(host.instances(), ElementsAre("a:1#2"));
  host.host->pass(1s);
  EXPECT_THAT(host.instances(), ElementsAre("a:1#2"));  // The drain had counted already.
}

TEST(Operator, WhatAStoppedInstanceHasIsDroppedForItsReason) {
  ChangingHost host(file_of(2));
  host.host->freeze(host.instance("a:1#1"));
  host.send(1, kWeb);
  EXPECT_EQ(operate(host, Kind::kStop, "a.1"), "ok");
  EXPECT_EQ(host.host->drops(DropReason::kInstanceStopped), 1u);
}

TEST(Operator, QuarantinesAnInstanceAndGetsAnother) {
  ChangingHost host(file_of(2));
  EXPECT_THAT(host.send(1, kWeb), ElementsAre("a:1#1"));
  EXPECT_EQ(operate(host, Kind::kQuarantine, "a.1"), "ok");
  EXPECT_EQ(host.note_count(Note::Kind::kInstanceQuarantined), 1u);
  EXPECT_THAT(host.send(1, kWeb), ElementsAre("a:1#2"));
  host.host->pass(100ms);
  EXPECT_THAT(host.instances(), ElementsAre("a:1#2", "a:1#3"));
}

TEST(Operator, NamesWhatIsNotThere) {
  File file = file_of(1);
  file.service("b").service.run = RunMode::kInline;
  file.chains[0].steps = test::RigBuilder::steps_of({ServiceId{0}, ServiceId{1}});
  ChangingHost host(file);
  EXPECT_EQ(host.host->agent().service_named("c"), kNoService);
  EXPECT_EQ(host.host->agent().instance_named("a.2"), kNoInstance);
  EXPECT_EQ(host.host->agent().instance_named("a"), kNoInstance);
  EXPECT_EQ(operate(host, Kind::kStop, "a.2"), "instance: it is no more");
  EXPECT_EQ(operate(host, Kind::kStart, "c"), "service: it is no more");
  EXPECT_EQ(operate(host, Kind::kStart, "b"), "b: an inline service is not scaled");
  for (const Kind kind : {Kind::kDrain, Kind::kStop, Kind::kQuarantine}) {
    EXPECT_EQ(operate(host, kind, "b.1"), "b.1: an inline instance ends with its host");
  }
}

TEST(Operator, FindsTheNewServiceOfAnOldName) {
  ChangingHost host(file_of(1));
  host.send(1, kWeb);
  File other = file_of(1);
  other.services[0].fingerprint = "2";
  host.change_to(other);
  EXPECT_EQ(host.host->agent().service_named("a"), ServiceId{1});
  EXPECT_EQ(host.host->agent().service_of(host.host->agent().instance_named("a.1")), ServiceId{0});
  EXPECT_EQ(operate(host, Kind::kStart, "a"), "ok");
  EXPECT_THAT(host.instances(), ElementsAre("a:1#1", "a:2#2", "a:2#3"));
  EXPECT_EQ(operate(host, Kind::kStop, "a.1"), "ok");  // Its flow needs another of its kind.
  EXPECT_THAT(host.send(1, kWeb), ElementsAre("a:1#4"));
}

TEST(Operator, AnApplyRestoresTheMinimum) {
  ChangingHost host(file_of(2));
  EXPECT_EQ(operate(host, Kind::kStop, "a.1"), "ok");
  EXPECT_EQ(host.instances().size(), 1u);
  host.change_to(file_of(2));
  EXPECT_EQ(host.instances().size(), 2u);
}

}  // namespace
}  // namespace sluice

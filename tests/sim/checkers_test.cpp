#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "sim/checkers/checker_set.hpp"

namespace sluice::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr PortId kIn{0};
constexpr PortId kOut{1};
constexpr ServiceId kFirewall{0};
constexpr ServiceId kIds{1};
constexpr ServiceId kSpare{2};  // A service of affinity none.
constexpr InstanceId kFirewall1{1};
constexpr InstanceId kIds1{2};
constexpr InstanceId kIds2{3};
constexpr InstanceId kSpare1{4};
constexpr std::uint32_t kSuspicious = 1u << 3;

CheckerSet::Options options() {
  CheckerSet::Options result;
  result.buffer_count = 64;
  result.instance_count_max = 8;
  result.flow_count_max = 2;
  result.services.resize(3);
  for (auto& service : result.services) service.ring_capacity = 4;
  result.services[index_of(kSpare)].affinity = Affinity::kNone;
  return result;
}

/// Chain 0: firewall, then ids; a suspicious packet of the firewall goes out instead.
/// Chain 1: the reverse of 0. Chain 2: a copy to ids, then firewall. Chain 3: spare, or drop.
ChainVersion chain(std::uint16_t index) {
  ChainVersion version;
  version.chain = ChainId{index};
  version.index = index;
  version.from = kIn;
  version.to = kOut;
  const auto step = [&](ServiceId service, Hop next) {
    Step result;
    result.service = service;
    result.next = next;
    version.steps.push_back(result);
  };
  const Hop out{Hop::Kind::kOut, 0};
  const Hop second{Hop::Kind::kStep, 1};
  if (index == 0) {
    version.reverse = ChainId{1};
    step(kFirewall, second);
    step(kIds, out);
    version.steps[0].branches.push_back({kSuspicious, out});
  } else if (index == 1) {
    version.reverse = ChainId{0};
    version.is_reverse = true;
    version.from = kOut;
    version.to = kIn;
    step(kIds, second);
    step(kFirewall, out);
  } else if (index == 2) {
    step(kIds, second);
    version.steps[0].copy = true;
    step(kFirewall, out);
  } else {
    step(kSpare, out);
    version.steps[0].branches.push_back({kSuspicious, {Hop::Kind::kDrop, 0}});
  }
  return version;
}

/// A host whose every event is written by hand. Each call takes 1 us.
class Host {
 public:
  explicit Host(CheckerSet::Options with = options()) : checkers(std::move(with)) {
    for (std::uint16_t index = 0; index < 4; ++index) {
      checkers.chain_published(tick(), chain(index));
    }
    checkers.instance_started(tick(), kFirewall1, kFirewall);
    checkers.instance_started(tick(), kIds1, kIds);
    checkers.instance_started(tick(), kIds2, kIds);
    checkers.instance_started(tick(), kSpare1, kSpare);
  }

  Instant tick() { return now += std::chrono::microseconds{1}; }

  Packet receive(std::uint32_t buffer) {
    Packet packet{};
    packet.buffer = buffer;
    packet.length = 64;
    packet.flow = kNoFlow;
    packet.chain = 0xffff;
    packet.arrival = to_ns(now);
    checkers.received(tick(), kIn, {&packet, 1});
    return packet;
  }
  void start_flow(FlowId flow, std::uint16_t chain_index, std::vector<Pin> pins) {
    checkers.flow_started(tick(), flow, FlowKey{}, chain_index, pins);
  }
  void classify(Packet& packet, FlowId flow, std::uint16_t chain_index, std::uint8_t step = 0) {
    packet.flow = flow;
    packet.chain = chain_index;
    packet.step = step;
    checkers.classified(tick(), {&packet, 1});
  }
  void deliver(Packet& packet, InstanceId instance, std::uint8_t step) {
    packet.step = step;
    packet.verdict = Verdict::kUndecided;
    checkers.delivered(tick(), instance, {&packet, 1});
  }
  void give_back(Packet& packet, InstanceId instance, Verdict verdict = Verdict::kNext) {
    packet.verdict = verdict;
    checkers.returned(tick(), instance, {&packet, 1});
  }
  void send(const Packet& packet, PortId port = kOut) { checkers.sent(tick(), port, {&packet, 1}); }
  void drop(const Packet& packet, DropReason reason) {
    checkers.dropped(tick(), {&packet, 1}, reason);
  }
  /// A packet of flow 7 that went through the firewall of chain 0, and comes back `verdict`.
  Packet after_firewall(std::uint32_t buffer, Verdict verdict = Verdict::kNext) {
    Packet packet = receive(buffer);
    if (!flow_started) start_flow(7, 0, {{0, 1}, {0, 2}});
    flow_started = true;
    classify(packet, 7, 0);
    deliver(packet, kFirewall1, 0);
    give_back(packet, kFirewall1, verdict);
    return packet;
  }
  void whole_way(std::uint32_t buffer) {
    Packet packet = after_firewall(buffer);
    deliver(packet, kIds1, 1);
    give_back(packet, kIds1);
    send(packet);
  }
  void end() { checkers.end(tick(), {}); }

  [[nodiscard]] std::string first() const {
    return checkers.log().violations().empty() ? "" : checkers.log().violations()[0].text;
  }
  [[nodiscard]] std::uint64_t count() const { return checkers.log().violation_count(); }

  CheckerSet checkers;
  Instant now{};
  bool flow_started = false;
};

/// Exactly one violation, of this property, whose text has `part`.
void expect_one(const Host& host, Property property, const std::string& part) {
  ASSERT_EQ(host.count(), 1u) << host.first();
  const Violation& violation = host.checkers.log().violations()[0];
  EXPECT_EQ(violation.property, property) << violation.text;
  EXPECT_EQ(violation.invariant, invariant_of(property));
  EXPECT_NE(violation.text.find(part), std::string::npos) << violation.text;
}

bool has(const Host& host, Property property) {
  const auto& all = host.checkers.log().violations();
  return std::any_of(all.begin(), all.end(),
                     [&](const Violation& each) { return each.property == property; });
}

// --- What is right -------------------------------------------------------------------------------

TEST(Checkers, AcceptAWholeRun) {
  Host host;
  for (std::uint32_t i = 0; i < 10; ++i) host.whole_way(i % 3);
  Packet dropped = host.after_firewall(5, Verdict::kDrop);
  host.drop(dropped, DropReason::kRule);
  Packet full = host.after_firewall(5);
  host.drop(full, DropReason::kRingFull);
  Packet malformed = host.receive(6);
  host.drop(malformed, DropReason::kParseError);
  host.checkers.flow_ended(host.tick(), 7);
  host.checkers.ring_seen(host.tick(), kIds1, 4, 4);
  host.end();
  EXPECT_EQ(host.count(), 0u) << host.first();
  for (const Property property :
       {Property::kConservation, Property::kSingleOwner, Property::kChainOrder,
        Property::kVersionFixed, Property::kAffinity, Property::kDrainRespected,
        Property::kFlowsBounded, Property::kHeldBounded, Property::kRingBounded,
        Property::kTimeMonotonic, Property::kProgress, Property::kNothingLeft}) {
    EXPECT_GT(host.checkers.log().evaluation_count(property), 0u) << to_string(property);
  }
}

TEST(Checkers, AcceptBranchesOutToServiceAndPassing) {
  Host host;
  Packet branch = host.after_firewall(1);
  branch.tag = kSuspicious;  // Set by the firewall: give it back once more with the label.
  host.send(branch);
  EXPECT_EQ(host.count(), 1u);  // The label was not there when it came back.

  Host right;
  Packet labelled = right.receive(1);
  right.start_flow(7, 0, {{0, 1}, {0, 2}});
  right.classify(labelled, 7, 0);
  right.deliver(labelled, kFirewall1, 0);
  labelled.tag = kSuspicious;
  right.give_back(labelled, kFirewall1);
  right.send(labelled);
  Packet out = right.receive(2);
  right.classify(out, 7, 0);
  right.deliver(out, kFirewall1, 0);
  out.target = index_of(kIn);
  right.give_back(out, kFirewall1, Verdict::kOut);
  right.send(out, kIn);
  Packet to_service = right.receive(3);
  right.classify(to_service, 7, 0);
  right.deliver(to_service, kFirewall1, 0);
  to_service.target = index_of(kIds);
  right.give_back(to_service, kFirewall1, Verdict::kToService);
  right.deliver(to_service, kIds1, 1);
  right.give_back(to_service, kIds1);
  right.send(to_service);
  Packet passing = right.receive(4);
  right.classify(passing, kNoFlow, 0xffff);
  right.send(passing);
  Packet branch_drop = right.receive(5);
  right.start_flow(8, 3, {Pin{}});
  right.classify(branch_drop, 8, 3);
  right.deliver(branch_drop, kSpare1, 0);
  branch_drop.tag = kSuspicious;
  right.give_back(branch_drop, kSpare1);
  right.drop(branch_drop, DropReason::kRule);
  right.end();
  EXPECT_EQ(right.count(), 0u) << right.first();
}

TEST(Checkers, AcceptCopiesGeneratedPacketsAndReclaims) {
  Host host;
  host.start_flow(7, 2, {{0, 2}, {0, 1}});
  Packet original = host.receive(1);
  host.classify(original, 7, 2);
  Packet copy = original;
  copy.buffer = 2;
  host.checkers.copied(host.tick(), original, copy);
  host.deliver(copy, kIds1, 0);
  host.deliver(original, kFirewall1, 1);
  host.give_back(copy, kIds1);
  host.drop(copy, DropReason::kCopyDone);
  host.give_back(original, kFirewall1);
  host.send(original);

  const std::uint32_t lent[] = {10, 11};
  host.checkers.lent(host.tick(), kFirewall1, lent);
  Packet made{};
  made.buffer = 10;
  made.verdict = Verdict::kNext;
  host.checkers.generated(host.tick(), kFirewall1, {&made, 1});
  host.classify(made, 7, 2, 1);
  host.send(made);
  host.checkers.unlent(host.tick(), kFirewall1, std::span{lent}.subspan(1));

  Packet lost = host.receive(3);
  host.classify(lost, 7, 2);
  host.deliver(lost, kFirewall1, 1);  // Its copy had no buffer.
  host.drop(lost, DropReason::kInstanceDied);
  host.checkers.instance_ended(host.tick(), kFirewall1, true);
  host.checkers.flow_ended(host.tick(), 7);
  EXPECT_EQ(host.count(), 0u) << host.first();
}

// --- I-1 conservation ----------------------------------------------------------------------------

TEST(ConservationChecker, SeesAPacketSentThatNeverCame) {
  ViolationLog log;
  ConservationChecker checker(4, log);
  Packet packet{};
  packet.chain = 0xffff;
  checker.received(Instant{}, kIn, {&packet, 1});
  checker.sent(Instant{}, kOut, {&packet, 1});
  EXPECT_EQ(log.violation_count(), 0u);
  checker.sent(Instant{}, kOut, {&packet, 1});
  ASSERT_EQ(log.violation_count(), 1u);
  EXPECT_EQ(log.violations()[0].property, Property::kConservation);
}

TEST(ConservationChecker, SeesALostPacketAtTheEnd) {
  ViolationLog log;
  ConservationChecker checker(4, log);
  Packet packet{};
  packet.chain = 0xffff;
  checker.received(Instant{}, kIn, {&packet, 1});
  checker.end(Instant{});
  ASSERT_EQ(log.violation_count(), 1u);
  EXPECT_NE(log.violations()[0].text.find("1 packets unaccounted"), std::string::npos);
}

TEST(ConservationChecker, SeesAChainThatGivesMoreThanItGot) {
  ViolationLog log;
  ConservationChecker checker(4, log);
  checker.published(chain(0));
  checker.published(chain(1));
  Packet packet{};
  checker.received(Instant{}, kIn, {&packet, 1});
  packet.chain = 0;
  checker.classified(Instant{}, {&packet, 1});
  packet.chain = 1;
  checker.sent(Instant{}, kOut, {&packet, 1});
  ASSERT_EQ(log.violation_count(), 1u);
  EXPECT_NE(log.violations()[0].text.find("chain 1 sent 1"), std::string::npos);
  checker.end(Instant{});  // And chain 0 lacks one.
  EXPECT_EQ(log.violation_count(), 3u);
}

TEST(ConservationChecker, SeesAnInstanceThatReturnsMoreThanItGot) {
  ViolationLog log;
  ConservationChecker checker(4, log);
  Packet packet{};
  checker.delivered(Instant{}, kIds1, {&packet, 1});
  checker.returned(Instant{}, kIds1, {&packet, 1});
  EXPECT_EQ(log.violation_count(), 0u);
  checker.returned(Instant{}, kIds1, {&packet, 1});
  EXPECT_EQ(log.violation_count(), 1u);
}

/// The statistics of a host that counts as the checker sees.
WorkerStatistics statistics_of_one_drop() {
  WorkerStatistics statistics;
  statistics.ports.resize(2);
  statistics.chains.resize(1);
  statistics.ports[0].received_packets = 3;
  statistics.ports[0].received_bytes = 192;
  statistics.ports[1].sent_packets = 1;
  statistics.ports[1].sent_bytes = 64;
  statistics.ports[0].no_buffer = 1;
  statistics.chains[0].entered_packets = 2;
  statistics.chains[0].left_packets = 1;
  statistics.chains[0].dropped_packets = 1;
  statistics.drops[static_cast<std::size_t>(DropReason::kRule)] = 1;
  statistics.drops[static_cast<std::size_t>(DropReason::kNoBuffer)] = 1;
  return statistics;
}

std::vector<std::string> audit(const WorkerStatistics& statistics) {
  ViolationLog log;
  ConservationChecker checker(4, log);
  checker.published(chain(0));
  Packet packets[2] = {};
  packets[0].length = packets[1].length = 64;
  checker.received(Instant{}, kIn, packets);
  checker.classified(Instant{}, packets);
  checker.sent(Instant{}, kOut, std::span{packets}.first(1));
  checker.dropped(Instant{}, std::span{packets}.last(1), DropReason::kRule);
  const WorkerStatistics* workers[] = {&statistics};
  checker.audit(Instant{}, workers, 0);
  std::vector<std::string> texts;
  for (const Violation& violation : log.violations()) texts.push_back(violation.text);
  return texts;
}

TEST(ConservationChecker, AuditComparesEachCounterOfTheHost) {
  auto statistics = statistics_of_one_drop();
  statistics.ports[0].received_bytes = 128;
  EXPECT_TRUE(audit(statistics).empty());
  for (const auto spoil : std::vector<void (*)(WorkerStatistics&)>{
           [](WorkerStatistics& s) { ++s.ports[0].received_packets; },
           [](WorkerStatistics& s) { ++s.ports[0].received_bytes; },
           [](WorkerStatistics& s) { ++s.ports[1].sent_packets; },
           [](WorkerStatistics& s) { ++s.ports[1].sent_bytes; },
           [](WorkerStatistics& s) { ++s.chains[0].entered_packets; },
           [](WorkerStatistics& s) { ++s.chains[0].left_packets; },
           [](WorkerStatistics& s) { ++s.chains[0].dropped_packets; },
           [](WorkerStatistics& s) { ++s.drops[static_cast<std::size_t>(DropReason::kRule)]; },
           [](WorkerStatistics& s) {
             ++s.drops[static_cast<std::size_t>(DropReason::kNoInstance)];
           }}) {
    auto spoilt = statistics;
    spoil(spoilt);
    EXPECT_EQ(audit(spoilt).size(), 1u);
  }
}

// --- I-2 single owner ----------------------------------------------------------------------------

TEST(OwnershipChecker, SeesABufferReceivedTwice) {
  Host host;
  host.receive(3);
  host.receive(3);
  expect_one(host, Property::kSingleOwner, "buffer 3 is received; its owner is the worker");
}

TEST(OwnershipChecker, SeesADoubleFree) {
  ViolationLog log;
  OwnershipChecker checker(8, log);
  Packet packet{};
  checker.received(Instant{}, {&packet, 1});
  checker.dropped(Instant{}, {&packet, 1}, DropReason::kRule);
  EXPECT_EQ(log.violation_count(), 0u);
  checker.dropped(Instant{}, {&packet, 1}, DropReason::kRule);
  EXPECT_EQ(log.violation_count(), 1u);
}

TEST(OwnershipChecker, SeesAReturnByAnotherInstance) {
  ViolationLog log;
  OwnershipChecker checker(8, log);
  Packet packet{};
  checker.received(Instant{}, {&packet, 1});
  checker.delivered(Instant{}, kIds1, {&packet, 1});
  checker.returned(Instant{}, kIds2, {&packet, 1});
  ASSERT_EQ(log.violation_count(), 1u);
  EXPECT_NE(log.violations()[0].text.find("its owner is instance 2, and should be instance 3"),
            std::string::npos);
}

TEST(OwnershipChecker, SeesASendingOutOfAnInstancesHands) {
  ViolationLog log;
  OwnershipChecker checker(8, log);
  Packet packet{};
  checker.received(Instant{}, {&packet, 1});
  checker.delivered(Instant{}, kIds1, {&packet, 1});
  checker.sent(Instant{}, {&packet, 1});
  EXPECT_EQ(log.violation_count(), 1u);
}

TEST(OwnershipChecker, SeesADropOutOfAnInstancesHandsForAnotherReasonThanItsEnd) {
  for (const auto& [reason, violations] :
       {std::pair{DropReason::kInstanceDied, 0u}, std::pair{DropReason::kShutdown, 0u},
        std::pair{DropReason::kRule, 1u}, std::pair{DropReason::kRingFull, 1u}}) {
    ViolationLog log;
    OwnershipChecker checker(8, log);
    Packet packet{};
    checker.received(Instant{}, {&packet, 1});
    checker.delivered(Instant{}, kIds1, {&packet, 1});
    checker.dropped(Instant{}, {&packet, 1}, reason);
    EXPECT_EQ(log.violation_count(), violations) << static_cast<int>(reason);
  }
}

TEST(OwnershipChecker, SeesLendingOfWhatIsNotFreeAndMakingOfWhatWasNotLent) {
  ViolationLog log;
  OwnershipChecker checker(8, log);
  Packet packet{};
  const std::uint32_t buffers[] = {0};
  checker.received(Instant{}, {&packet, 1});
  checker.lent(Instant{}, kIds1, buffers);
  EXPECT_EQ(log.violation_count(), 1u);
  packet.buffer = 5;
  checker.generated(Instant{}, kIds1, {&packet, 1});
  EXPECT_EQ(log.violation_count(), 2u);
  const std::uint32_t others[] = {6};
  checker.unlent(Instant{}, kIds1, others);
  EXPECT_EQ(log.violation_count(), 3u);
}

TEST(OwnershipChecker, SeesACopyIntoAUsedBuffer) {
  ViolationLog log;
  OwnershipChecker checker(8, log);
  Packet packets[2] = {};
  packets[1].buffer = 1;
  checker.received(Instant{}, packets);
  checker.copied(Instant{}, packets[0], packets[1]);
  EXPECT_EQ(log.violation_count(), 1u);
}

TEST(OwnershipChecker, SeesABufferThatDoesNotExist) {
  ViolationLog log;
  OwnershipChecker checker(8, log);
  Packet packet{};
  packet.buffer = 8;
  checker.received(Instant{}, {&packet, 1});
  ASSERT_EQ(log.violation_count(), 1u);
  EXPECT_NE(log.violations()[0].text.find("there are only 8"), std::string::npos);
}

TEST(OwnershipChecker, SeesWhatIsLeftAtTheEnd) {
  Host host;
  host.receive(3);
  host.end();
  EXPECT_TRUE(has(host, Property::kNothingLeft));
  EXPECT_TRUE(has(host, Property::kConservation));
}

// --- I-5 chain order -----------------------------------------------------------------------------

TEST(ChainChecker, SeesASkippedStep) {
  Host host;
  Packet packet = host.receive(1);
  host.start_flow(7, 0, {{0, 1}, {0, 2}});
  host.classify(packet, 7, 0);
  host.deliver(packet, kIds1, 1);
  expect_one(host, Property::kChainOrder, "delivered at step 1, but step 0 is next");
}

TEST(ChainChecker, SeesAStepDoneTwice) {
  Host host;
  Packet packet = host.after_firewall(1);
  host.deliver(packet, kFirewall1, 0);
  expect_one(host, Property::kChainOrder, "delivered at step 0, but step 1 is next");
}

TEST(ChainChecker, SeesAnInstanceOfAnotherService) {
  Host host;
  Packet packet = host.receive(1);
  host.start_flow(7, 0, {{0, 2}, {0, 2}});
  host.classify(packet, 7, 0);
  host.deliver(packet, kIds1, 0);
  expect_one(host, Property::kChainOrder, "of service 1, but the step is service 0");
}

TEST(ChainChecker, SeesASendingBeforeTheLastStep) {
  Host host;
  const Packet packet = host.after_firewall(1);
  host.send(packet);
  expect_one(host, Property::kChainOrder, "before step 1");
}

TEST(ChainChecker, SeesASendingByAnotherPort) {
  Host host;
  Packet packet = host.after_firewall(1);
  host.deliver(packet, kIds1, 1);
  host.give_back(packet, kIds1);
  host.send(packet, kIn);
  expect_one(host, Property::kChainOrder, "but the chain ends at port 1");
}

TEST(ChainChecker, SeesAnOutVerdictNotObeyed) {
  Host host;
  Packet packet = host.receive(1);
  host.start_flow(7, 0, {{0, 1}, {0, 2}});
  host.classify(packet, 7, 0);
  host.deliver(packet, kFirewall1, 0);
  packet.target = 5;
  host.give_back(packet, kFirewall1, Verdict::kOut);
  host.send(packet);
  expect_one(host, Property::kChainOrder, "the verdict names port 5");
}

TEST(ChainChecker, SeesADroppedPacketThatGoesOn) {
  Host host;
  Packet packet = host.after_firewall(1, Verdict::kDrop);
  host.deliver(packet, kIds1, 1);
  expect_one(host, Property::kChainOrder, "out of turn");
}

TEST(ChainChecker, SeesADropThatNobodySaid) {
  Host host;
  const Packet packet = host.after_firewall(1);
  host.drop(packet, DropReason::kRule);
  expect_one(host, Property::kChainOrder, "which nothing here gives");
}

TEST(ChainChecker, SeesABranchNotTaken) {
  Host host;
  Packet packet = host.receive(1);
  host.start_flow(7, 0, {{0, 1}, {0, 2}});
  host.classify(packet, 7, 0);
  host.deliver(packet, kFirewall1, 0);
  packet.tag = kSuspicious;
  host.give_back(packet, kFirewall1);
  host.deliver(packet, kIds1, 1);
  expect_one(host, Property::kChainOrder, "but should have left");
}

TEST(ChainChecker, SeesAnUndecidedPacketThatGoesOn) {
  Host host;
  Packet packet = host.after_firewall(1, Verdict::kUndecided);
  host.deliver(packet, kIds1, 1);
  expect_one(host, Property::kChainOrder, "out of turn");
}

TEST(ChainChecker, SeesAHeldPacketGivenBack) {
  Host host;
  host.after_firewall(1, Verdict::kHold);
  expect_one(host, Property::kChainOrder, "with the verdict hold");
}

TEST(ChainChecker, SeesAToServiceVerdictThatGoesElsewhere) {
  Host host;
  Packet packet = host.receive(1);
  host.start_flow(7, 0, {{0, 1}, {0, 2}});
  host.classify(packet, 7, 0);
  host.deliver(packet, kFirewall1, 0);
  packet.target = index_of(kSpare);
  host.give_back(packet, kFirewall1, Verdict::kToService);
  host.deliver(packet, kIds1, 1);
  expect_one(host, Property::kChainOrder, "but should have been dropped");
}

TEST(ChainChecker, SeesAPacketThatEntersInTheMiddle) {
  Host host;
  Packet packet = host.receive(1);
  host.start_flow(7, 0, {{0, 1}, {0, 2}});
  host.classify(packet, 7, 0, 1);
  expect_one(host, Property::kChainOrder, "does not enter at step 0");
}

TEST(ChainChecker, SeesASecondClassification) {
  Host host;
  Packet packet = host.receive(1);
  host.start_flow(7, 0, {{0, 1}, {0, 2}});
  host.classify(packet, 7, 0);
  host.classify(packet, 7, 0);
  EXPECT_TRUE(has(host, Property::kChainOrder));
}

TEST(ChainChecker, SeesAChainNeverPublished) {
  Host host;
  Packet packet = host.receive(1);
  host.classify(packet, kNoFlow, 9);
  expect_one(host, Property::kChainOrder, "never published");
}

TEST(ChainChecker, SeesACopyThatGoesOn) {
  Host host;
  host.start_flow(7, 2, {{0, 2}, {0, 1}});
  Packet original = host.receive(1);
  host.classify(original, 7, 2);
  Packet copy = original;
  copy.buffer = 2;
  host.checkers.copied(host.tick(), original, copy);
  host.deliver(copy, kIds1, 0);
  host.give_back(copy, kIds1);
  host.deliver(copy, kFirewall1, 1);
  expect_one(host, Property::kChainOrder, "out of turn");
}

TEST(ChainChecker, SeesACopyWhereTheChainCopiesNothing) {
  Host host;
  Packet packet = host.after_firewall(1);
  Packet copy = packet;
  copy.buffer = 2;
  copy.step = 1;
  host.checkers.copied(host.tick(), packet, copy);
  expect_one(host, Property::kChainOrder, "copies nothing here");
}

TEST(ChainChecker, SeesAVersionThatChangesOnTheWay) {
  Host host;
  Packet packet = host.after_firewall(1);
  packet.chain = 1;
  host.deliver(packet, kIds1, 1);
  EXPECT_TRUE(has(host, Property::kVersionFixed));
}

// --- I-5, I-6, I-7, I-17: flows ------------------------------------------------------------------

TEST(FlowChecker, SeesAFlowThatChangesItsChain) {
  Host host;
  host.whole_way(1);
  Packet packet = host.receive(2);
  host.classify(packet, 7, 3);
  expect_one(host, Property::kVersionFixed, "but its flow is in 0");
}

TEST(FlowChecker, SeesAPacketOfAFlowThatDoesNotLive) {
  Host host;
  Packet packet = host.receive(2);
  host.classify(packet, 12, 0);
  expect_one(host, Property::kVersionFixed, "which does not live");
}

TEST(FlowChecker, SeesAFlowThatChangesItsInstance) {
  Host host;
  host.whole_way(1);
  Packet packet = host.after_firewall(2);
  host.deliver(packet, kIds2, 1);
  expect_one(host, Property::kAffinity,
             "goes to instance 3 at step 1, but the flow is pinned to 2");
}

TEST(FlowChecker, FirstInstanceOfAnUnpinnedStepBinds) {
  Host host;
  host.start_flow(7, 0, {{0, 1}, Pin{}});
  host.flow_started = true;
  host.whole_way(1);
  EXPECT_EQ(host.count(), 0u) << host.first();
  Packet packet = host.after_firewall(2);
  host.deliver(packet, kIds2, 1);
  expect_one(host, Property::kAffinity, "pinned to 2");
}

TEST(FlowChecker, AffinityNoneBindsNothing) {
  Host host;
  host.checkers.instance_started(host.tick(), InstanceId{5}, kSpare);
  host.start_flow(8, 3, {Pin{}});
  for (const InstanceId instance : {kSpare1, InstanceId{5}, kSpare1}) {
    Packet packet = host.receive(1);
    host.classify(packet, 8, 3);
    host.deliver(packet, instance, 0);
    host.give_back(packet, instance);
    host.send(packet);
  }
  EXPECT_EQ(host.count(), 0u) << host.first();
}

TEST(FlowChecker, AcceptsAMoveAwayFromADeadInstance) {
  Host host;
  host.whole_way(1);
  host.checkers.instance_ended(host.tick(), kIds1, true);
  host.checkers.flow_repinned(host.tick(), 7, 1, {0, 2}, {0, 3}, RepinCause::kInstanceDied);
  Packet packet = host.after_firewall(2);
  host.deliver(packet, kIds2, 1);
  EXPECT_EQ(host.count(), 0u) << host.first();
}

TEST(FlowChecker, SeesAMoveAwayFromALivingInstance) {
  Host host;
  host.whole_way(1);
  host.checkers.flow_repinned(host.tick(), 7, 1, {0, 2}, {0, 3}, RepinCause::kInstanceDied);
  host.end();
  expect_one(host, Property::kAffinity, "as if that had ended, but it did not");
}

TEST(FlowChecker, AcceptsALoggedMoveFromALivingInstance) {
  Host host;
  host.whole_way(1);
  host.checkers.flow_repinned(host.tick(), 7, 1, {0, 2}, {0, 3}, RepinCause::kMoved);
  EXPECT_EQ(host.count(), 0u) << host.first();
}

TEST(FlowChecker, SeesAMoveFromWhereTheFlowIsNot) {
  Host host;
  host.whole_way(1);
  host.checkers.flow_repinned(host.tick(), 7, 1, {0, 3}, {0, 2}, RepinCause::kMoved);
  expect_one(host, Property::kAffinity, "from instance 3, but was on 2");
}

TEST(FlowChecker, SeesAMoveOfAFlowThatDoesNotLive) {
  Host host;
  host.checkers.flow_repinned(host.tick(), 7, 1, {0, 3}, {0, 2}, RepinCause::kMoved);
  expect_one(host, Property::kAffinity, "does not live");
}

TEST(FlowChecker, SeesAFlowStartedTwiceAndEndedTwice) {
  Host host;
  host.start_flow(7, 0, {{0, 1}, {0, 2}});
  host.start_flow(7, 0, {{0, 1}, {0, 2}});
  expect_one(host, Property::kAffinity, "already lives");
  host.checkers.flow_ended(host.tick(), 7);
  EXPECT_EQ(host.count(), 1u);
  host.checkers.flow_ended(host.tick(), 7);
  EXPECT_EQ(host.count(), 2u);
}

TEST(FlowChecker, SeesAFlowNumberUsedAgainBeforeItRested) {
  Host host;
  host.start_flow(7, 0, {{0, 1}, {0, 2}});
  host.checkers.flow_ended(host.tick(), 7);
  const Instant ended = host.now;
  host.now = ended + milliseconds{999};
  host.start_flow(7, 0, {{0, 1}, {0, 2}});
  expect_one(host, Property::kAffinity, "is used again");
  host.checkers.flow_ended(host.tick(), 7);
  host.now += seconds{1};
  host.start_flow(7, 0, {{0, 1}, {0, 2}});
  EXPECT_EQ(host.count(), 1u);
}

TEST(FlowChecker, SeesANewFlowOnADrainingInstance) {
  Host host;
  host.checkers.instance_draining(host.tick(), kIds1);
  host.start_flow(7, 0, {{0, 1}, {0, 2}});
  expect_one(host, Property::kDrainRespected, "given to instance 2, which drains");
}

TEST(FlowChecker, SeesANewFlowOnAnEndedOrUnknownInstance) {
  Host host;
  host.checkers.instance_ended(host.tick(), kIds1, false);
  host.start_flow(7, 0, {{0, 1}, {0, 2}});
  expect_one(host, Property::kDrainRespected, "which ended");
  host.start_flow(8, 0, {{0, 1}, {0, 6}});
  EXPECT_EQ(host.count(), 2u);
}

TEST(FlowChecker, AcceptsTheReplyOfALivingFlowOnADrainingInstance) {
  Host host;
  host.start_flow(7, 0, {{0, 1}, {0, 2}});
  host.checkers.instance_draining(host.tick(), kIds1);
  host.start_flow(8, 1, {{0, 2}, {0, 1}});
  EXPECT_EQ(host.count(), 0u) << host.first();
  host.checkers.flow_ended(host.tick(), 7);
  host.checkers.flow_ended(host.tick(), 8);
  host.start_flow(9, 1, {{0, 2}, {0, 1}});
  expect_one(host, Property::kDrainRespected, "which drains");
}

TEST(FlowChecker, SeesALivingFlowsPacketDroppedAsEnded) {
  Host host;
  host.whole_way(2);
  const Packet packet = host.after_firewall(1);
  host.drop(packet, DropReason::kFlowEnded);
  expect_one(host, Property::kAffinity, "but the flow lives");

  Host right;
  const Packet late = right.after_firewall(1);
  right.checkers.flow_ended(right.tick(), 7);
  right.drop(late, DropReason::kFlowEnded);
  EXPECT_EQ(right.count(), 0u) << right.first();
}

TEST(FlowChecker, SeesMoreFlowsThanTheCapacity) {
  Host host;
  for (const FlowId flow : {7u, 8u}) host.start_flow(flow, 0, {{0, 1}, {0, 2}});
  EXPECT_EQ(host.count(), 0u) << host.first();
  host.start_flow(9, 0, {{0, 1}, {0, 2}});
  expect_one(host, Property::kFlowsBounded, "3 flows live, but the capacity is 2");
}

TEST(FlowChecker, SeesPinsThatDoNotFitTheChain) {
  Host host;
  host.start_flow(7, 0, {{0, 1}});
  expect_one(host, Property::kVersionFixed, "with 1 pins in chain 0");
}

// --- I-17, I-20, I-21: hands, time, progress -----------------------------------------------------

TEST(LivenessChecker, SeesMorePacketsInHandsThanAllowed) {
  Host host;
  host.start_flow(7, 0, {{0, 1}, {0, 2}});
  const std::uint32_t held_max = 2 * 4 + 32;
  for (std::uint32_t buffer = 0; buffer < held_max; ++buffer) {
    Packet packet = host.receive(buffer);
    host.classify(packet, 7, 0);
    host.deliver(packet, kFirewall1, 0);
  }
  EXPECT_EQ(host.count(), 0u) << host.first();
  Packet packet = host.receive(held_max);
  host.classify(packet, 7, 0);
  host.deliver(packet, kFirewall1, 0);
  expect_one(host, Property::kHeldBounded, "has 41 packets in its hands");
}

TEST(LivenessChecker, SeesMoreLentBuffersThanAllowed) {
  auto with = options();
  with.buffer_count = 128;
  Host host(with);
  std::vector<std::uint32_t> buffers(65);
  for (std::uint32_t i = 0; i < buffers.size(); ++i) buffers[i] = i;
  host.checkers.lent(host.tick(), kIds1, std::span{buffers}.first(64));
  EXPECT_EQ(host.count(), 0u) << host.first();
  host.checkers.lent(host.tick(), kIds1, std::span{buffers}.last(1));
  expect_one(host, Property::kHeldBounded, "was lent 65 buffers");
}

TEST(LivenessChecker, SeesARingAboveItsCapacity) {
  Host host;
  host.checkers.ring_seen(host.tick(), kIds1, 5, 4);
  expect_one(host, Property::kRingBounded, "has 5 entries, but its capacity is 4");
}

TEST(LivenessChecker, SeesTimeGoingBack) {
  Host host;
  host.receive(1);
  host.checkers.flow_ended(Instant{}, 7);
  EXPECT_TRUE(has(host, Property::kTimeMonotonic));
}

TEST(LivenessChecker, SeesAPacketHandledBeforeItsArrival) {
  Host host;
  Packet packet{};
  packet.chain = 0xffff;
  packet.arrival = to_ns(host.now) + 5000;
  host.checkers.received(host.tick(), kIn, {&packet, 1});
  expect_one(host, Property::kTimeMonotonic, "before its packet arrives");
}

TEST(LivenessChecker, SeesAnInstanceThatStopsWorking) {
  Host host;
  Packet packet = host.receive(1);
  host.start_flow(7, 0, {{0, 1}, {0, 2}});
  host.classify(packet, 7, 0);
  host.deliver(packet, kFirewall1, 0);
  host.now += seconds{4};
  host.receive(2);
  EXPECT_EQ(host.count(), 0u) << host.first();
  host.now += seconds{2};
  host.receive(3);
  EXPECT_TRUE(has(host, Property::kProgress));
  EXPECT_TRUE(has(host, Property::kHoldTime));
}

TEST(LivenessChecker, WaitingWhileFaultsLastDoesNotCount) {
  auto with = options();
  with.faults_end = Instant{} + seconds{10};
  Host host(with);
  Packet packet = host.receive(1);
  host.start_flow(7, 0, {{0, 1}, {0, 2}});
  host.classify(packet, 7, 0);
  host.deliver(packet, kFirewall1, 0);
  host.now = Instant{} + seconds{14};
  host.receive(2);
  EXPECT_EQ(host.count(), 0u) << host.first();
  host.now = Instant{} + seconds{16};
  host.receive(3);
  EXPECT_TRUE(has(host, Property::kProgress));
}

TEST(LivenessChecker, SeesAPacketThatStaysAlthoughTheInstanceWorks) {
  Host host;
  Packet kept = host.receive(1);
  host.start_flow(7, 0, {{0, 1}, {0, 2}});
  host.flow_started = true;
  host.classify(kept, 7, 0);
  host.deliver(kept, kFirewall1, 0);
  for (int i = 0; i < 8; ++i) {
    host.now += seconds{1};
    host.whole_way(2);
  }
  EXPECT_TRUE(has(host, Property::kHoldTime));
  EXPECT_FALSE(has(host, Property::kProgress));
}

TEST(ViolationLog, KeepsTheFirstAndCountsAll) {
  ViolationLog log(2);
  for (const char* text : {"a", "b", "c"}) log.report(Property::kAffinity, Instant{}, text);
  EXPECT_EQ(log.violation_count(), 3u);
  ASSERT_EQ(log.violations().size(), 2u);
  EXPECT_EQ(log.violations()[1].text, "b");
  EXPECT_EQ(log.violations()[0].invariant, "I-6");
}

}  // namespace
}  // namespace sluice::sim

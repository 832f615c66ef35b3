#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "core/prng.hpp"
#include "sim/checkers/checker_set.hpp"
#include "sim/observer_list.hpp"
#include "sim/trace_hash/trace_hash.hpp"
#include "tests/core/host/host_rig.hpp"

namespace sluice::sim {
namespace {

using namespace std::chrono_literals;
using test::LoopbackHost;
using test::RigBuilder;

struct Outcome {
  std::vector<std::string> violations;
  std::uint64_t trace = 0;
  std::uint64_t evaluations = 0;
};

/// A function that does a bit of everything a function may do, by the seed.
test::Scripted::Script moody(std::shared_ptr<Prng> prng, std::uint32_t label_bit, bool undecided) {
  return [prng, label_bit, undecided](Packet& packet, std::span<std::byte>, Context&) {
    const auto choice = prng->below(20);
    if (choice == 0) {
      packet.drop(DropReason::kRule);
    } else if (choice == 1 && undecided) {
      packet.verdict = Verdict::kUndecided;
    } else if (choice == 2) {
      packet.out(PortId{static_cast<std::uint16_t>(prng->below(3))});  // Port 2 does not exist.
    } else {
      if (choice == 3) packet.tag |= label_bit;
      if (choice == 4) {
        packet.to_service(ServiceId{static_cast<std::uint16_t>(prng->below(4))});
      } else {
        packet.next();
      }
    }
  };
}

/// A host with branches, a copy step, a reverse chain; and the services that get faults.
std::array<ServiceId, 2> fill(RigBuilder& rig, const std::shared_ptr<Prng>& prng,
                              std::uint16_t worker_count, bool everything) {
  constexpr std::uint32_t kLabel = 1;
  const ServiceId first = rig.service("first", moody(prng, kLabel, everything), 2);
  const ServiceId tap = rig.service("tap", test::go_on, 1);
  const ServiceId second = rig.service("second", moody(prng, kLabel, everything), 2);
  const ServiceId free = rig.service("free", test::go_on, 2);
  rig.edit(free).affinity = Affinity::kNone;
  rig.edit(second).affinity = Affinity::kSession;
  if (prng->below(2) == 0 && everything) rig.edit(tap).run = RunMode::kInline;
  ChainVersion& web = rig.chain("web", {first, tap, second, free});
  web.steps[1].copy = true;
  web.steps[0].branches.push_back({kLabel, {Hop::Kind::kStep, 3}});
  web.steps[2].branches.push_back({kLabel, {Hop::Kind::kDrop, 0}});
  web.reverse = ChainId{1};
  ChainVersion& back = rig.chain("back", {free, second, first});
  std::swap(back.from, back.to);
  back.reverse = ChainId{0};
  back.is_reverse = true;
  FlowMatch forward;
  forward.ingress = PortId{0};
  rig.rule(forward, ChainId{0});
  rig.options.agent.worker_count = worker_count;
  rig.options.flow_count_max = 64;
  rig.options.buffer_count = 512;
  return {first, second};
}

/// Random traffic, deaths, hangs and full ports.
void drive(test::LoopbackHost& host, Prng& prng, const std::array<ServiceId, 2>& services) {
  for (int round = 0; round < 300; ++round) {
    const auto count = prng.below(80);
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto port = static_cast<std::uint16_t>(10000 + prng.below(90));
      if (prng.below(4) == 0) {
        host.inject(PortId{1}, frames::udp({.source_port = 53, .destination_port = port},
                                           {.source = "10.0.0.2", .destination = "10.0.0.1"}));
      } else {
        host.inject(PortId{0}, frames::udp({.source_port = port, .destination_port = 53}));
      }
    }
    if (prng.below(10) == 0) host.inject(PortId{0}, test::Frame(20, std::byte{1}));
    const auto turns = prng.below(6);
    for (std::uint64_t i = 0; i < turns; ++i) host.turn();
    const auto event = prng.below(60);
    const auto instances = host.instances_of(services[event % 2]);
    if (event < 4 && instances.size() > 1) host.kill(instances[prng.below(instances.size())]);
    if (event == 4 && !instances.empty()) host.freeze(instances.front());
    host.io().output_room = event == 5 ? 0 : ~std::size_t{0};
    if (prng.below(3) == 0) host.pass(std::chrono::milliseconds{10 * (1 + prng.below(40))});
    host.now += std::chrono::microseconds{prng.below(500)};
  }
  host.io().output_room = ~std::size_t{0};
  host.pass(2s);
  host.shut_down();
}

Outcome run(std::uint64_t seed, std::uint16_t worker_count, bool everything = true) {
  const auto prng = std::make_shared<Prng>(seed);
  RigBuilder rig;
  const auto services = fill(rig, prng, worker_count, everything);
  CheckerSet::Options options;
  options.buffer_count = rig.options.buffer_count;
  options.flow_count_max = rig.options.flow_count_max * worker_count;
  for (const auto& settings : rig.options.agent.services) {
    options.services.push_back(settings.service);
  }
  CheckerSet checkers(options);
  TraceHash trace;
  ObserverList observers({&checkers, &trace});
  rig.options.observer = &observers;
  const auto host = rig.build();
  drive(*host, *prng, services);
  std::vector<const WorkerStatistics*> statistics;
  for (std::uint16_t i = 0; i < worker_count; ++i) {
    statistics.push_back(&host->worker(i).statistics());
  }
  checkers.end(host->now, statistics);
  Outcome outcome;
  const ViolationLog& log = checkers.log();
  for (const Violation& each : log.violations()) {
    outcome.violations.push_back(each.invariant + " at " + std::to_string(to_ns(each.when)) + ": " +
                                 each.text);
  }
  outcome.trace = trace.value();
  outcome.evaluations = log.evaluation_count(Property::kChainOrder);
  return outcome;
}

void expect_nothing_wrong(std::uint16_t worker_count, bool everything) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Outcome outcome = run(seed, worker_count, everything);
    EXPECT_GT(outcome.evaluations, 10'000u);
    for (std::size_t i = 0; i < outcome.violations.size() && i < 5; ++i) {
      ADD_FAILURE() << "seed " << seed << ", " << outcome.violations[i] << " ("
                    << outcome.violations.size() << " in all)";
    }
  }
}

TEST(CheckersOnHost, FindNothingWrongWithOneWorker) {
  expect_nothing_wrong(1, true);
}
TEST(CheckersOnHost, FindNothingWrongWithTwoWorkers) {
  expect_nothing_wrong(2, false);
}
// Off until the worker is mended, which loses its way here with several workers: an undecided
// packet that comes back to another worker than its flow's is delivered to the instance in its
// `target`, and an inline function's packets of another worker's flow are dropped as if that flow
// had ended.
TEST(CheckersOnHost, FindNothingWrongWithTwoWorkersAndEverything) {
  expect_nothing_wrong(2, true);
}

TEST(CheckersOnHost, SameSeedGivesTheSameTrace) {
  EXPECT_EQ(run(7, 1).trace, run(7, 1).trace);
  EXPECT_NE(run(7, 1).trace, run(8, 1).trace);
}

}  // namespace
}  // namespace sluice::sim

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/core/host/reconfigure_rig.hpp"

// Random changes of a living host under traffic, against what a user would write down: which way
// each flow took first is the way it takes to its end, and nothing of it is lost.
namespace sluice {
namespace {

using namespace std::chrono_literals;
using test::ChangingHost;
using test::File;

constexpr std::uint16_t kFirstPort = 100;
constexpr std::uint16_t kChainCount = 3;

/// A random deployment of services "a".."d" in up to three versions of each, and chains over them.
File random_file() {
  File file;
  std::vector<std::string> names;
  for (const char* name : {"a", "b", "c", "d"}) {
    if (*rc::gen::inRange(0, 4) == 0) continue;
    ServiceSettings& settings =
        file.service(name, std::to_string(*rc::gen::inRange(1, 4)), *rc::gen::inRange(1u, 4u));
    settings.policy.instance_count_min = 1;
    settings.service.affinity =
        *rc::gen::element(Affinity::kFlow, Affinity::kFlow, Affinity::kSession, Affinity::kSource);
    if (*rc::gen::inRange(0, 8) == 0) settings.service.run = RunMode::kInline;
    if (*rc::gen::inRange(0, 3) == 0) file.label("odd");
    names.push_back(name);
  }
  if (names.empty()) {
    file.service("a");
    names.push_back("a");
  }
  for (std::uint16_t i = 0; i < kChainCount; ++i) {
    if (*rc::gen::inRange(0, 4) == 0) continue;
    std::vector<std::string> steps;
    const int count = *rc::gen::inRange(1, 4);
    for (int j = 0; j < count; ++j) steps.push_back(*rc::gen::elementOf(names));
    // Any of the names may have any of the rules.
    const auto port = static_cast<std::uint16_t>(kFirstPort + *rc::gen::inRange(0, 4));
    file.chain("chain" + std::to_string(i), steps, port);
    if (*rc::gen::inRange(0, 2) == 0) file.reverse();
  }
  file.core_count = 64;
  return file;
}

/// The services of the chain that a new flow to `port` takes by a file: "a:1", "b:3", ...; nothing:
/// no chain wants it.
std::vector<std::string> way_by(const File& file, std::uint16_t port) {
  for (const Classifier::Rule& rule : file.rules) {
    if (rule.match.destination_port->first != port) continue;
    std::vector<std::string> way;
    for (const Step& step : file.chains[index_of(rule.chain)].steps) {
      const ServiceSettings& settings = file.services[index_of(step.service)];
      way.push_back(settings.service.name + ":" + settings.fingerprint);
    }
    return way;
  }
  return {};
}

std::vector<std::string> without_numbers(std::vector<std::string> visits) {
  for (std::string& each : visits) each = each.substr(0, each.find('#'));
  return visits;
}

class Walk {
 public:
  explicit Walk(bool kills) : kills_(kills), file_(random_file()), host_(file_, options()) {}

  void run() {
    const int round_count = *rc::gen::inRange(1, 12);
    for (int round = 0; round < round_count; ++round) {
      for (int i = *rc::gen::inRange(0, 6); i > 0; --i) send_new();
      for (const auto& [flow, visits] : std::map(ways_)) send_one(flow.first, flow.second);
      host_.host->pass(*rc::gen::element<Duration>(0ms, 10ms, 100ms, 1s));
      if (kills_) kill_one();
      if (*rc::gen::inRange(0, 6) == 0) {
        ways_.clear();  // All flows end.
        host_.host->pass(*rc::gen::element<Duration>(7s, 70s), 500ms);
      }
      change();
    }
    RC_CLASSIFY(change_count_ > 0, "changed");
    RC_CLASSIFY(refusal_count_ > 0, "refused");
    RC_CLASSIFY(change_with_flows_count_ > 0, "changed under living flows");
    check_end();
  }

 private:
  static test::LoopbackHost::Options options() {
    test::LoopbackHost::Options options;
    options.agent.worker_count = *rc::gen::element<std::uint16_t>(1, 2);
    options.agent.service_count_max = *rc::gen::element(6u, 10u, 256u);
    options.agent.chain_count_max = *rc::gen::element(7u, 16u);
    return options;
  }
  void send_new() {
    send_one(next_flow_++, static_cast<std::uint16_t>(kFirstPort + *rc::gen::inRange(0, 4)));
  }
  /// One packet of a flow; what became of it is checked.
  void send_one(std::uint16_t flow, std::uint16_t port) {
    const std::size_t before = host_.sent_count();
    const auto visits = host_.send(flow, port);
    const auto known = ways_.find({flow, port});
    if (known != ways_.end()) {
      if (!kills_) RC_ASSERT(visits == known->second);  // The same instances, as always.
      RC_ASSERT(without_numbers(visits) == without_numbers(known->second));
      RC_ASSERT(host_.sent_count() == before + 1);
      return;
    }
    const auto way = way_by(file_, port);
    RC_ASSERT(without_numbers(visits) == way);
    RC_ASSERT(host_.sent_count() == before + (way.empty() ? 0u : 1u));
    if (!way.empty()) ways_[{flow, port}] = visits;
  }
  /// One that has rings: an inline function dies with its host alone.
  void kill_one() {
    std::vector<InstanceId> victims;
    const auto services = host_.host->agent().services();
    for (std::uint16_t i = 0; i < services.size(); ++i) {
      if (services[i].service.run == RunMode::kInline) continue;
      for (const InstanceId id : host_.host->instances_of(ServiceId{i})) victims.push_back(id);
    }
    if (!victims.empty()) host_.host->kill(*rc::gen::elementOf(victims));
    host_.host->pass(2s, 100ms);  // Past any back-off; no flow is idle for long enough to end.
  }
  void change() {
    const File wanted = random_file();
    const bool slow = *rc::gen::inRange(0, 2) == 0;
    if (slow) host_.host->hold_starts();
    const std::size_t answers = host_.host->reconfigured().size();
    host_.apply(wanted);
    // While it waits for what is new, everything goes the old way.
    if (host_.host->agent().is_reconfiguring()) send_new();
    if (slow) host_.host->release_starts();
    RC_ASSERT(host_.host->reconfigured().size() == answers + 1);
    check_names();
    if (host_.host->reconfigured().back().outcome != ReconfigureEnded::Outcome::kDone) {
      ++refusal_count_;
      return;
    }
    file_ = wanted;
    ++change_count_;
    if (!ways_.empty()) ++change_with_flows_count_;
  }
  void check_names() {
    std::set<std::string> names;
    const Agent& agent = host_.host->agent();
    for (std::uint16_t i = 0; i < agent.services().size(); ++i) {
      for (const InstanceId id : host_.host->instances_of(ServiceId{i})) {
        RC_ASSERT(names.insert(agent.name_of(id)).second);
        RC_ASSERT(agent.instance_named(agent.name_of(id)) == id);
      }
    }
  }
  /// When all flows have ended only what the last file says is left.
  void check_end() {
    const DropReason reasons[] = {DropReason::kNoInstance, DropReason::kFlowEnded,
                                  DropReason::kInstanceDied, DropReason::kInstanceStopped};
    for (const DropReason reason : reasons) RC_ASSERT(host_.host->drops(reason) == 0u);
    host_.host->pass(80s, 500ms);
    std::set<std::string> left, wanted;
    for (const std::string& each : host_.instances()) left.insert(each.substr(0, each.find('#')));
    for (const ServiceSettings& each : file_.services) {
      wanted.insert(each.service.name + ":" + each.fingerprint);
    }
    RC_ASSERT(left == wanted);
    const auto& chains = host_.host->snapshot().chains;
    const auto lives = [](const auto& chain) { return chain != nullptr; };
    RC_ASSERT(std::count_if(chains.begin(), chains.end(), lives) ==
              static_cast<std::ptrdiff_t>(file_.chains.size()));
    for (std::uint16_t i = 0; i < host_.host->agent().services().size(); ++i) {
      RC_ASSERT(host_.host->agent().use_of(ServiceId{i}) != ServiceUse::kRetiring);
    }
  }

  bool kills_;
  File file_;
  ChangingHost host_;
  std::map<std::pair<std::uint16_t, std::uint16_t>, std::vector<std::string>> ways_;
  std::uint16_t next_flow_ = 1;
  std::uint32_t change_count_ = 0;
  std::uint32_t change_with_flows_count_ = 0;
  std::uint32_t refusal_count_ = 0;
};

RC_GTEST_PROP(ReconfigureUnderTraffic, NoLivingFlowIsTouched, ()) {
  Walk(false).run();
}

RC_GTEST_PROP(ReconfigureUnderTraffic, AFlowWhoseInstanceDiesGetsAnotherOfItsKind, ()) {
  Walk(true).run();
}

}  // namespace
}  // namespace sluice

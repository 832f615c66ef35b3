#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/host/observer.hpp"
#include "tests/sim/simulation/support.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

/// Which services each packet of a flow visits, and when the flow began and ended.
class PathWatch final : public Observer {
 public:
  struct Flow {
    Instant started{};
    Instant ended = Instant::max();
    Instant last_sent{};
    std::uint16_t chain = 0;
    std::uint64_t sent = 0;
    std::set<std::vector<std::uint16_t>> paths;  ///< Each different row of services.
  };

  void flow_started(Instant now, FlowId flow, const FlowKey&, std::uint16_t chain,
                    std::span<const Pin>) override {
    living_[flow] = flows_.size();
    flows_.push_back({.started = now, .chain = chain, .paths = {}});
  }
  void flow_ended(Instant now, FlowId flow) override {
    flows_[living_.at(flow)].ended = now;
    living_.erase(flow);
  }
  void classified(Instant, std::span<const Packet> packets) override {
    for (const Packet& packet : packets) path_of_[packet.buffer].clear();
  }
  void copied(Instant, const Packet&, const Packet& copy) override {
    ++copies_;
    path_of_[copy.buffer].clear();
  }
  void delivered(Instant, InstanceId instance, std::span<const Packet> packets) override {
    const auto service = service_of_.at(instance);
    for (const Packet& packet : packets) path_of_[packet.buffer].push_back(service);
    delivered_to_[service] += packets.size();
  }
  void sent(Instant now, PortId, std::span<const Packet> packets) override {
    for (const Packet& packet : packets) {
      const auto found = living_.find(packet.flow);
      if (found == living_.end()) continue;
      Flow& flow = flows_[found->second];
      flow.paths.insert(path_of_[packet.buffer]);
      flow.last_sent = now;
      ++flow.sent;
    }
  }
  void dropped(Instant, std::span<const Packet> packets, DropReason reason) override {
    drops_[reason] += packets.size();
  }
  void instance_started(Instant, InstanceId instance, ServiceId service) override {
    service_of_[instance] = index_of(service);
  }

  [[nodiscard]] const std::vector<Flow>& flows() const { return flows_; }
  [[nodiscard]] std::uint64_t copies() const { return copies_; }
  [[nodiscard]] std::uint64_t delivered_to(std::uint16_t service) const {
    const auto found = delivered_to_.find(service);
    return found == delivered_to_.end() ? 0 : found->second;
  }
  [[nodiscard]] std::uint64_t drops(DropReason reason) const {
    const auto found = drops_.find(reason);
    return found == drops_.end() ? 0 : found->second;
  }

 private:
  std::vector<Flow> flows_;
  std::map<FlowId, std::size_t> living_;
  std::map<std::uint32_t, std::vector<std::uint16_t>> path_of_;  ///< By buffer.
  std::map<InstanceId, std::uint16_t> service_of_;
  std::map<std::uint16_t, std::uint64_t> delivered_to_;
  std::map<DropReason, std::uint64_t> drops_;
  std::uint64_t copies_ = 0;
};

sim::SimulationResult watched(const std::string& yaml, PathWatch& watch) {
  sim::SimulationOptions options;
  options.observer = &watch;
  return run(yaml, options);
}

/// Services by number: a 0, b 1, c 2.
std::string changing(const std::string& changes, const std::string& flow_packets) {
  return R"(
name: changing
hosts:
  h1: {cores: 6, clock: 1 GHz, flow_idle: 200 ms, ports: {p0: {rate: 10 Gbps}, p1: {rate: 10 Gbps}}}
services:
  a: {function: forward}
  b: {function: monitor, cost: 900 cycles}
  c: {function: forward, cost: 500 cycles}
chains:
  udp: {from: h1.p0, to: h1.p1, match: {proto: udp}, steps: [a, b]}
traffic: [{into: h1.p0, kind: poisson, rate: 80 Mbps, size: 250 B, flows: 100, flow_packets: )" +
         flow_packets + "}]\nchanges: [" + changes + "]\nrun: {duration: 1 s, seed: 4}\n";
}

using Path = std::vector<std::uint16_t>;

TEST(Change, OldFlowsKeepTheOldVersionToTheirEndAndNewOnesGetTheNew) {
  PathWatch watch;
  const auto result = watched(changing("{at: 500 ms, chain: udp, steps: [a, c, b]}", "120"), watch);
  expect_clean(result);
  EXPECT_EQ(count_at(result, "events/chain_changed"), 1u);
  EXPECT_EQ(count_at(result, "dropped_packets"), 0u);
  std::uint64_t over_the_change = 0, after = 0;
  for (const PathWatch::Flow& flow : watch.flows()) {
    const bool is_old = flow.started < Instant{500ms};
    const std::set<Path> expected = {is_old ? Path{0, 1} : Path{0, 2, 1}};
    if (flow.sent > 0) {
      EXPECT_EQ(flow.paths, expected);
    }
    over_the_change += is_old && flow.last_sent > Instant{510ms} ? 1 : 0;
    after += is_old ? 0 : 1;
  }
  EXPECT_GT(over_the_change, 50u);
  EXPECT_GT(after, 100u);
}

TEST(Change, AFlowThatNeverEndsNeverChanges) {
  PathWatch watch;
  const auto result = watched(changing("{at: 500 ms, chain: udp, steps: [c]}", "0"), watch);
  expect_clean(result);
  ASSERT_EQ(watch.flows().size(), 100u);
  for (const auto& flow : watch.flows()) EXPECT_EQ(flow.paths, (std::set<Path>{{0, 1}}));
}

TEST(Change, SeveralVersionsLiveSideBySide) {
  PathWatch watch;
  const auto result = watched(changing("{at: 300 ms, chain: udp, steps: [c]},"
                                       "{at: 310 ms, chain: udp, steps: [c, a]},"
                                       "{at: 320 ms, chain: udp, steps: [b, c, a]}",
                                       "60"),
                              watch);
  expect_clean(result);
  EXPECT_EQ(count_at(result, "dropped_packets"), 0u);
  const std::vector<std::pair<Instant, Path>> versions = {{Instant{320ms}, {1, 2, 0}},
                                                          {Instant{310ms}, {2, 0}},
                                                          {Instant{300ms}, {2}},
                                                          {Instant{}, {0, 1}}};
  std::map<Path, int> flows_of;
  for (const PathWatch::Flow& flow : watch.flows()) {
    if (flow.sent == 0) continue;
    const auto version = std::find_if(versions.begin(), versions.end(),
                                      [&](auto& each) { return flow.started >= each.first; });
    EXPECT_EQ(flow.paths, (std::set<Path>{version->second}));
    ++flows_of[version->second];
  }
  for (const auto& [at, path] : versions) EXPECT_GT(flows_of[path], 5);
}

TEST(Change, ACopyStepCopiesEachPacketOnceAndTheOriginalsGoOn) {
  PathWatch watch;
  const auto result =
      watched(changing("{at: 500 ms, chain: udp, steps: [a, {copy: c}, b]}", "50"), watch);
  expect_clean(result);
  std::uint64_t sent_by_new_version = 0;
  for (const auto& flow : watch.flows()) {
    if (flow.started >= Instant{500ms}) sent_by_new_version += flow.sent;
    if (flow.sent > 0) {
      EXPECT_EQ(flow.paths, (std::set<Path>{{0, 1}}));
    }
  }
  EXPECT_GT(sent_by_new_version, 10'000u);
  EXPECT_EQ(watch.copies(), sent_by_new_version);
  EXPECT_EQ(watch.delivered_to(2), watch.copies());
  EXPECT_EQ(watch.drops(DropReason::kCopyDone), watch.copies());
  EXPECT_EQ(count_at(result, "dropped_packets"), 0u);
}

/// ids sets a label on packets whose payload has a pattern; web.pcap has some.
std::string labelled(const std::string& steps) {
  return R"(
name: labelled
hosts:
  h1: {cores: 6, clock: 2 GHz, ports: {p0: {rate: 10 Gbps}, p1: {rate: 10 Gbps}}}
services:
  look: {function: ids, patterns: data/patterns.txt, labels: [suspicious], cost: 2000 cycles}
  deep: {function: monitor, cost: 500 cycles}
  rest: {function: forward, cost: 500 cycles}
chains:
  web: {from: h1.p0, to: h1.p1, match: {proto: tcp}, steps: [)" +
         steps + R"(]}
traffic: [{into: h1.p0, replay: data/captures/web.pcap, rate: 200 Mbps}]
run: {duration: 500 ms, seed: 1}
)";
}

const char* const kDeep = "{look: {on: {suspicious: deep}, next: rest}}, deep, rest";

TEST(Labels, SendAPacketAnotherWay) {
  PathWatch watch;
  const auto result = watched(labelled(kDeep), watch);
  expect_clean(result);
  // look 0, deep 1, rest 2: all end at rest, some by deep.
  EXPECT_GT(watch.delivered_to(1), 0u);
  EXPECT_LT(watch.delivered_to(1), watch.delivered_to(0) / 2);
  EXPECT_EQ(watch.delivered_to(2), watch.delivered_to(0));
  for (const auto& flow : watch.flows()) {
    for (const Path& path : flow.paths) {
      EXPECT_TRUE(path == (Path{0, 2}) || path == (Path{0, 1, 2}));
    }
  }
}

TEST(Labels, DropAPacketAndNoOther) {
  PathWatch deep;
  (void)watched(labelled(kDeep), deep);
  PathWatch watch;
  const auto result = watched(labelled("{look: {on: {suspicious: drop}}}, rest"), watch);
  expect_clean(result);
  EXPECT_GT(watch.drops(DropReason::kRule), 0u);
  EXPECT_EQ(watch.drops(DropReason::kRule), deep.delivered_to(1));
  EXPECT_EQ(count_at(result, "dropped_packets"), watch.drops(DropReason::kRule));
}

TEST(Change, TransfersSurviveAChangeOfTheirChain) {
  PathWatch watch;
  const auto result = watched(R"(
name: transfers
hosts:
  h1: {cores: 8, clock: 2 GHz, ports: {p0: {rate: 1 Gbps, delay: 100 us}, p1: {rate: 1 Gbps,
      delay: 100 us}}}
services:
  wall: {function: firewall, rules: [{allow: {proto: tcp, dst_port: 80}}], affinity: session}
  watch: {function: monitor, affinity: session}
chains:
  web: {from: h1.p0, to: h1.p1, match: {proto: tcp, dst_port: 80}, steps: [wall]}
  back: {from: h1.p1, to: h1.p0, reverse_of: web}
traffic: [{kind: tcp, into: h1.p0, to: h1.p1, size: 500 kB, arrivals: 100/s, count: 60}]
changes: [{at: 200 ms, chain: web, steps: [wall, watch]}, {at: 400 ms, chain: web, steps: [watch,
    wall]}]
run: {duration: 4 s, seed: 2}
)",
                              watch);
  expect_clean(result);
  const std::string name = result.summary.at("transfers").begin().key();
  EXPECT_EQ(count_at(result, "transfers/" + name + "/finished"), 60u);
  EXPECT_EQ(count_at(result, "transfers/" + name + "/received_bytes"), 60u * 500'000u);
  for (const auto& flow : watch.flows()) EXPECT_LE(flow.paths.size(), 1u);
  EXPECT_GT(watch.delivered_to(1), 1'000u);
}

}  // namespace
}  // namespace sluice::test

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/deployment/parser.hpp"
#include "core/flow/flow_table.hpp"
#include "core/function/registry.hpp"
#include "core/prng.hpp"
#include "core/ring/spsc_ring.hpp"
#include "tests/core/host/host_rig.hpp"

/// What the predecessors got wrong (DESIGN 14): each item is a test with its name, here or, where
/// it needs simulated time, in predecessors_sim_test.cpp. Those that wait for code of later issues:
///
/// - the DPDK backend: OpenNetVm.ManagerExitsWhenARingNameExists between processes (here: in one),
///   OpenNetVm.DpdkPinnedTo2020, the distributed fork's 9.7 Mpps local;
/// - encapsulation: OpenNetVmFork.EtherTypeAndUdpLengthWrongOnTheWire,
///   OpenNetVmFork.ConstantOuterAddressesAndPorts, OpenNetVmFork.PeersAreNotAuthenticated, the
///   fork's 1.4 Mpps across two hosts;
/// - the datastore: OpenNetVmFork.SynchronousZooKeeperCallsOnThePacketPath,
///   OpenNetVmFork.RouteCacheOfTenSeconds, OpenNetVmFork.RemoteScalingEnqueuedNeverExecuted.
namespace sluice {
namespace {

using namespace std::chrono_literals;
using test::RigBuilder;

test::Frame flow_frame(std::uint16_t flow, std::string_view payload = "x") {
  return frames::udp(
      {.source_port = static_cast<std::uint16_t>(10000 + flow), .payload = frames::text(payload)});
}

/// Which instance each flow met at each step.
class InstancesOfFlows final : public Observer {
 public:
  void delivered(Instant, InstanceId instance, std::span<const Packet> packets) override {
    for (const Packet& packet : packets) seen[{packet.flow, packet.step}].insert(instance);
  }
  std::map<std::pair<FlowId, std::uint8_t>, std::set<InstanceId>> seen;
};

Result<Deployment> parse_steps(std::size_t count) {
  std::string text =
      "name: long\n"
      "hosts: {h1: {cores: 4, clock: 1 GHz, ports: {p0: {rate: 1 Gbps}, p1: {rate: 1 Gbps}}}}\n"
      "services: {s: {function: forward}}\n"
      "chains:\n  all:\n    from: h1.p0\n    to: h1.p1\n    steps:\n";
  for (std::size_t i = 0; i < count; ++i) {
    text += "      - {s: {name: step" + std::to_string(i) + "}}\n";
  }
  text += "run: {duration: 1 s}\n";
  return parse_deployment(text, "long.yaml", built_in_functions(),
                          [](const std::string&) -> Result<std::string, std::string> {
                            return unexpected(std::string("no such file"));
                          });
}

TEST(OpenNetVm, ChainAppendPastItsArray) {
  // A file may not; and what it may is carried whole.
  EXPECT_FALSE(parse_steps(kStepCountMax + 1).has_value());
  const auto longest = parse_steps(kStepCountMax);
  ASSERT_TRUE(longest.has_value()) << longest.error().to_string();
  RigBuilder rig;
  const ServiceId each = rig.service("each", [](Packet& packet, auto bytes, Context&) {
    bytes.back() = static_cast<std::byte>(std::to_integer<unsigned>(bytes.back()) + 1);
    packet.next();
  });
  rig.chain("short", {each});
  rig.options.pin_count_max = kStepCountMax;
  const auto host = rig.build();
  const std::vector<ServiceId> all(kStepCountMax, each);
  host->handle(ChainUpdate{{{ChainId{0}, RigBuilder::steps_of(all)}}});
  host->inject(PortId{0}, flow_frame(1, std::string(1, '\0')));
  for (int i = 0; i < 10; ++i) host->settle();
  ASSERT_EQ(host->io().output(PortId{1}).size(), 1u);
  EXPECT_EQ(std::to_integer<unsigned>(host->io().output(PortId{1})[0].back()), kStepCountMax);
}

TEST(OpenNetVm, FourStepsAtMost) {
  RigBuilder rig;
  std::vector<ServiceId> services;
  for (int i = 0; i < 9; ++i) {
    services.push_back(
        rig.service("s" + std::to_string(i), [i](Packet& packet, auto bytes, Context&) {
          bytes[bytes.size() - 9 + static_cast<std::size_t>(i)] = static_cast<std::byte>('a' + i);
          packet.next();
        }));
  }
  rig.chain("nine", services);
  const auto host = rig.build();
  host->inject(PortId{0}, flow_frame(1, "---------"));
  host->settle();
  ASSERT_EQ(host->io().output(PortId{1}).size(), 1u);
  const auto out = host->io().output(PortId{1})[0];
  EXPECT_TRUE(std::equal(out.end() - 9, out.end(), frames::text("abcdefghi").begin()));
}

TEST(OpenNetVm, NfWrittenNumberIndexesUnchecked) {
  Prng prng{20261121};
  RigBuilder rig;
  const auto wild = [&prng](Packet& packet, auto, Context&) {
    packet.target = static_cast<std::uint16_t>(prng.next());
    packet.verdict = static_cast<Verdict>(prng.below(256));
    if (packet.verdict == Verdict::kHold) packet.verdict = Verdict::kOut;
  };
  rig.chain("web", {rig.service("wild", wild), rig.service("b")});
  const auto host = rig.build();
  constexpr std::uint32_t kCount = 3000;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    host->inject(PortId{0}, flow_frame(static_cast<std::uint16_t>(i % 50)));
    if (i % 32 == 31) host->settle();
    if (host->worker().quarantined().empty()) continue;
    for (const InstanceId instance :
         std::vector(host->worker().quarantined().begin(), host->worker().quarantined().end())) {
      host->handle(InstanceMisbehaved{instance});
    }
    host->worker().clear_quarantined();
    host->pass(1s);  // Its successor starts.
  }
  host->settle();
  host->shut_down();
  const auto& statistics = host->worker().statistics();
  std::uint64_t dropped = 0;
  for (const std::uint64_t drops : statistics.drops) dropped += drops;
  EXPECT_EQ(statistics.ports[0].received_packets, kCount);
  EXPECT_EQ(dropped + host->io().output(PortId{0}).size() + host->io().output(PortId{1}).size(),
            kCount);
  EXPECT_GT(dropped, kCount / 2u);
  EXPECT_EQ(host->io().available(), 1024u);
}

TEST(OpenNetVm, OneInvalidVerdictLeaksTheRestOfItsBatch) {
  for (std::uint32_t wrong = 0; wrong < PacketBatch::kCapacity; wrong += 31) {
    RigBuilder rig;
    std::uint32_t turn = 0;
    const auto one_wrong = [&turn, wrong](Packet& packet, auto, Context&) {
      packet.next();
      if (turn++ == wrong) packet.verdict = static_cast<Verdict>(200);
    };
    rig.chain("web", {rig.service("one_wrong", one_wrong)});
    const auto host = rig.build();
    for (std::uint16_t i = 0; i < PacketBatch::kCapacity; ++i) {
      host->inject(PortId{0}, flow_frame(i));
    }
    host->settle();
    EXPECT_EQ(host->io().output(PortId{1}).size(), PacketBatch::kCapacity - 1);
    host->shut_down();
    EXPECT_EQ(host->io().available(), 1024u);
  }
}

TEST(OpenNetVm, KilledNfStaysRunningAndKeepsItsCore) {
  RigBuilder rig;
  const ServiceId a = rig.service("a");
  rig.chain("web", {a});
  rig.options.agent.core_count = 2;  // The worker's, and one for the instance.
  const auto host = rig.build();
  ASSERT_EQ(host->instances_of(a).size(), 1u);
  ASSERT_EQ(host->agent().cores_free(), 0u);
  for (int i = 0; i < 3; ++i) {
    const InstanceId victim = host->instances_of(a)[0];
    host->kill(victim);
    EXPECT_NE(host->agent().state_of(victim), InstanceState::kRunning);
    host->pass(2s);  // Beyond any back-off.
    // Only on the core of the dead one could the next one start.
    ASSERT_EQ(host->instances_of(a).size(), 1u);
    EXPECT_NE(host->instances_of(a)[0], victim);
    EXPECT_EQ(host->agent().instance_count(a), 1u);
    host->inject(PortId{0}, flow_frame(static_cast<std::uint16_t>(i)));
    host->settle();
    EXPECT_EQ(host->io().output(PortId{1}).size(), static_cast<std::size_t>(i + 1));
  }
}

TEST(OpenNetVm, ManagerExitsWhenARingNameExists) {
  // What a dead predecessor left in the memory is written over, not tripped over.
  std::vector<std::byte> bytes(SpscRing<Packet>::bytes_needed(8) + 64);
  const auto misaligned = reinterpret_cast<std::uintptr_t>(bytes.data()) % 64;
  const std::span room = std::span{bytes}.subspan(misaligned == 0 ? 0 : 64 - misaligned);
  auto left_over = SpscRing<Packet>::create(room, 8);
  const Packet packet{};
  ASSERT_EQ(left_over.enqueue({&packet, 1}), 1u);
  auto again = SpscRing<Packet>::create(room, 4);
  EXPECT_TRUE(again.empty());
  EXPECT_EQ(again.capacity(), 4u);
  EXPECT_TRUE(SpscRing<Packet>::attach(room).has_value());
  // And two hosts with the same names live side by side.
  const auto build = [] {
    RigBuilder rig;
    rig.chain("web", {rig.service("a")});
    return rig.build();
  };
  const auto first = build(), second = build();
  first->inject(PortId{0}, flow_frame(1));
  first->settle();
  second->settle();
  EXPECT_EQ(first->io().output(PortId{1}).size(), 1u);
  EXPECT_TRUE(second->io().output(PortId{1}).empty());
}

TEST(OpenNetVm, FlowsMoveWhenAnInstanceIsAdded) {
  for (const InstanceChoice choice : {InstanceChoice::kLeastLoaded, InstanceChoice::kMaglev}) {
    InstancesOfFlows observer;
    RigBuilder rig;
    const ServiceId a = rig.service("a", test::go_on, 2);
    rig.edit(a).choice = choice;
    rig.chain("web", {a});
    rig.options.observer = &observer;
    const auto host = rig.build();
    std::set<InstanceId> met;
    for (std::uint32_t round = 0; round < 5; ++round) {
      for (std::uint16_t flow = 0; flow < 60; ++flow) host->inject(PortId{0}, flow_frame(flow));
      host->settle();
      host->handle(ScaleRequest{ScaleRequest::Kind::kStart, a, kNoInstance, 1, "test"});
    }
    ASSERT_GT(host->instances_of(a).size(), 4u);
    EXPECT_EQ(observer.seen.size(), 60u);
    for (const auto& [flow, instances] : observer.seen) {
      EXPECT_EQ(instances.size(), 1u);
      met.insert(instances.begin(), instances.end());
    }
    EXPECT_EQ(met.size(), 2u);
  }
}

TEST(OpenNetVm, SymmetricKeysMakeFlowsCollide) {
  // The same numbers in other places: a key that orders or adds up its halves takes some for one.
  const auto udp = [](std::uint16_t from, std::uint16_t to, bool swapped) {
    const frames::Ip ip =
        swapped ? frames::Ip{.source = "10.0.0.2", .destination = "10.0.0.1"} : frames::Ip{};
    return frames::udp({.source_port = from, .destination_port = to}, ip);
  };
  InstancesOfFlows observer;
  RigBuilder rig;
  rig.chain("web", {rig.service("a", test::go_on, 4)});
  rig.options.observer = &observer;
  const auto host = rig.build();
  for (int round = 0; round < 2; ++round) {
    for (const bool swapped : {false, true}) {
      host->inject(PortId{0}, udp(1, 2, swapped));
      host->inject(PortId{0}, udp(2, 1, swapped));
    }
    host->settle();
  }
  EXPECT_EQ(host->worker().flows().size(), 4u);
  std::set<InstanceId> met;
  for (const auto& [flow, instances] : observer.seen) met.insert(*instances.begin());
  EXPECT_EQ(met.size(), 4u) << "least loaded: four flows, four instances";
  EXPECT_EQ(host->io().output(PortId{1}).size(), 8u);
}

/// Holds all it gets until its next tick.
class Keeper final : public NetworkFunction {
 public:
  void process(PacketBatch& batch, Context&) noexcept override {
    for (Packet& packet : batch) {
      packet.hold();
      kept_.push_back(packet);
    }
  }
  void tick(Context& context) noexcept override {
    for (Packet& packet : kept_) {
      packet.next();
      EXPECT_TRUE(context.release(packet));
    }
    kept_.clear();
  }

 private:
  std::vector<Packet> kept_;
};

TEST(OpenNetVm, KeepThisPacketIsIgnored) {
  RigBuilder rig;
  rig.chain("web", {rig.service("keeper")});
  rig.make_function = [](ServiceId) { return std::make_unique<Keeper>(); };
  const auto host = rig.build();
  std::vector<test::Frame> sent;
  for (std::uint16_t i = 0; i < 20; ++i) {
    sent.push_back(flow_frame(i, "kept" + std::to_string(i)));
    host->inject(PortId{0}, sent.back());
  }
  host->settle();
  EXPECT_TRUE(host->io().output(PortId{1}).empty()) << "kept packets were sent";
  // Others use all buffers that are free meanwhile; none of them is one that is kept.
  for (std::uint16_t i = 0; i < 2000; ++i) host->inject(PortId{1}, flow_frame(i, "other"));
  host->settle();
  host->sample();
  host->settle();
  EXPECT_EQ(host->io().output(PortId{1}), sent);
  host->shut_down();
  EXPECT_EQ(host->io().available(), 1024u);
}

TEST(ProvedNat, TimeoutUnitOffByAThousandThatWraps) {
  // 2^32 ns are 4.3 s, 2^32 us are 71.6 min: none ends early, and none stays.
  for (const Duration timeout : std::vector<Duration>{1ms, 4s, 5s, 60s, 71min, 72min, 24h}) {
    FlowTable::Options options;
    options.flow_count_max = 16;
    options.idle_timeout = timeout;
    FlowTable table{options};
    FlowKey key;
    key.protocol = 17;
    const Instant start{1s};
    ASSERT_NE(table.insert(key, start), kNoSlot);
    std::array<std::uint32_t, 16> idle{};
    EXPECT_EQ(table.expire(start + timeout - 1ns, 16, idle), 0u) << timeout.count();
    EXPECT_EQ(table.expire(start + timeout + 2 * table.granularity(), 16, idle), 1u)
        << timeout.count();
  }
}

// --- Katran --------------------------------------------------------------------------------------

/// The conditions of the assertions in C++ `text`, without what stands in braces, brackets and
/// quotes, where "=" means something else.
std::vector<std::string> conditions_in(std::string_view text) {
  std::vector<std::string> conditions;
  for (const std::string_view macro : {"EXPECT_TRUE(", "EXPECT_FALSE(", "ASSERT_TRUE(",
                                       "ASSERT_FALSE(", "RC_ASSERT(", "SLUICE_CHECK("}) {
    for (std::size_t at = text.find(macro); at != std::string_view::npos;
         at = text.find(macro, at + 1)) {
      if (at > 0 && text[at - 1] == '"') continue;  // This list.
      std::string condition;
      int round = 1, other = 0;
      for (std::size_t i = at + macro.size(); i < text.size() && round > 0; ++i) {
        const char c = text[i];
        const bool digit_separator =
            c == '\'' && std::isdigit(static_cast<unsigned char>(text[i - 1])) != 0;
        if ((c == '"' || c == '\'') && !digit_separator) {
          for (++i; i < text.size() && text[i] != c; ++i) i += text[i] == '\\' ? 1 : 0;
          continue;
        }
        if (c == '{' || c == '[') ++other;
        if (c == '}' || c == ']') --other;
        if (other > 0) continue;
        round += c == '(' ? 1 : c == ')' ? -1 : 0;
        condition += c;
      }
      conditions.push_back(condition);
    }
  }
  return conditions;
}

bool assigns(std::string_view condition) {
  for (std::size_t i = 0; i < condition.size(); ++i) {
    if (condition[i] != '=') continue;
    const char before = i > 0 ? condition[i - 1] : ' ';
    const char after = i + 1 < condition.size() ? condition[i + 1] : ' ';
    if (after == '=') {
      ++i;
    } else if (before != '<' && before != '>' && before != '!') {
      return true;
    }
  }
  return false;
}

TEST(Katran, AssignsInsteadOfComparing) {
  const std::string name = "EXPECT_TRUE";
  const auto finds = [&](const std::string& condition) {
    const auto conditions = conditions_in(name + "(" + condition + ");");
    return conditions.size() == 1 && assigns(conditions[0]);
  };
  for (const char* wrong : {"a = b", "f(a, b = 3) == 3", "a += 1", "(x=y)"}) {
    EXPECT_TRUE(finds(wrong)) << wrong;
  }
  for (const char* right : {"a == b", "a != b && c <= d", "a >= 1", "s == \"x = y\"", "c == '='",
                            "f([=] { int a = 1; return a; })", "g({.a = 1})"}) {
    EXPECT_FALSE(finds(right)) << right;
  }
  const std::filesystem::path root{SLUICE_SOURCE_DIR};
  std::size_t seen = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root / "tests")) {
    const auto extension = entry.path().extension();
    if (extension != ".cpp" && extension != ".hpp") continue;
    std::ifstream stream(entry.path(), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    for (const std::string& condition : conditions_in(text)) {
      ++seen;
      EXPECT_FALSE(assigns(condition)) << entry.path() << ": " << condition;
    }
  }
  EXPECT_GT(seen, 100u);
}

}  // namespace
}  // namespace sluice

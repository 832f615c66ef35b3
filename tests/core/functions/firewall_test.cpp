#include "core/functions/firewall.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <tuple>

#include "core/prng.hpp"
#include "tests/core/functions/harness.hpp"
#include "tests/core/functions/seed.hpp"

namespace sluice::functions_test {
namespace {

using namespace std::chrono_literals;

ConfigValue allow_web() {
  return map({{"rules",
               list({map({{"allow", map({{"proto", text("tcp")}, {"dst_port", text("80")}})}})})}});
}
ConfigValue rule(const std::string& verdict, std::vector<std::pair<std::string, ConfigValue>> match,
                 std::uint32_t column = 1) {
  return map({{verdict, map(std::move(match), column)}}, column);
}

const frames::Ip kReplyIp{.source = "10.0.0.2", .destination = "10.0.0.1"};
frames::Bytes request(std::uint8_t flags) {
  return frames::tcp({.source_port = 40000, .destination_port = 80, .flags = flags});
}
frames::Bytes reply(std::uint8_t flags) {
  return frames::tcp({.source_port = 80, .destination_port = 40000, .flags = flags}, kReplyIp);
}

TEST(Firewall, DeniesByDefaultAndAllowsByRule) {
  Rig rig(**make_program("firewall", allow_web()));
  EXPECT_EQ(rig.send(request(kTcpSyn), at(1s)).verdict(), Verdict::kNext);
  EXPECT_EQ(rig.send(frames::udp({.destination_port = 80}), at(1s)).reason(), DropReason::kRule);
  EXPECT_EQ(rig.send(frames::arp(), at(1s)).reason(), DropReason::kRule);
  EXPECT_EQ(rig.send(frames::hex("00"), at(1s)).reason(), DropReason::kParseError);
}

TEST(Firewall, TakesTheFirstRuleThatMatches) {
  Rig rig(**make_program("firewall",
                         map({{"default", text("allow")},
                              {"rules", list({rule("allow", {{"src", text("10.0.0.0/30")}}),
                                              rule("deny", {{"src", text("10.0.0.0/8")}})})}})));
  EXPECT_EQ(rig.send(frames::udp({}, {.source = "10.0.0.3"}), at(1s)).verdict(), Verdict::kNext);
  EXPECT_EQ(rig.send(frames::udp({}, {.source = "10.0.0.4"}), at(1s)).reason(), DropReason::kRule);
  EXPECT_EQ(rig.send(frames::udp({}, {.source = "11.0.0.4"}), at(1s)).verdict(), Verdict::kNext);
}

TEST(Firewall, LetsRepliesOfAllowedFlowsPassFromAnyPort) {
  Rig rig(**make_program("firewall", allow_web()));
  EXPECT_EQ(rig.send(reply(kTcpSyn | kTcpAck), at(1s), PortId{1}).reason(), DropReason::kRule);
  rig.send(request(kTcpSyn), at(1s), PortId{0});
  EXPECT_EQ(rig.send(reply(kTcpSyn | kTcpAck), at(1s), PortId{1}).verdict(), Verdict::kNext);
  // Of another flow: not.
  EXPECT_EQ(rig.send(frames::tcp({.source_port = 80, .destination_port = 40001}, kReplyIp), at(1s),
                     PortId{1})
                .reason(),
            DropReason::kRule);
}

TEST(Firewall, StatelessDropsReplies) {
  ConfigValue config = map(
      {{"stateful", text("false")}, {"rules", list({rule("allow", {{"dst_port", text("80")}})})}});
  const auto program = make_program("firewall", config);
  EXPECT_FALSE((*program)->traits().bidirectional);
  Rig rig(**program);
  EXPECT_EQ(rig.send(request(kTcpSyn), at(1s)).verdict(), Verdict::kNext);
  EXPECT_EQ(rig.send(reply(kTcpSyn | kTcpAck), at(1s)).reason(), DropReason::kRule);
}

TEST(Firewall, EndsATcpFlowASecondAfterFinBothWays) {
  Rig rig(**make_program("firewall", allow_web()));
  rig.send(request(kTcpSyn), at(1s));
  rig.send(request(kTcpFin | kTcpAck), at(2s));
  EXPECT_EQ(rig.send(reply(kTcpAck), at(100s)).verdict(), Verdict::kNext);  // Half closed.
  rig.send(reply(kTcpFin | kTcpAck), at(101s));
  EXPECT_EQ(rig.send(reply(kTcpAck), at(102s)).verdict(), Verdict::kNext);
  EXPECT_EQ(rig.send(reply(kTcpAck), at(102s + 1ns)).reason(), DropReason::kRule);
}

TEST(Firewall, EndsATcpFlowASecondAfterReset) {
  Rig rig(**make_program("firewall", allow_web()));
  rig.send(request(kTcpSyn), at(1s));
  rig.send(reply(kTcpRst), at(2s));
  EXPECT_EQ(rig.send(reply(kTcpAck), at(3s)).verdict(), Verdict::kNext);
  EXPECT_EQ(rig.send(reply(kTcpAck), at(3s + 1ns)).reason(), DropReason::kRule);
}

TEST(Firewall, AServerCannotReopenAClosingFlow) {
  Rig rig(**make_program("firewall", allow_web()));
  rig.send(request(kTcpSyn), at(1s));
  rig.send(reply(kTcpRst), at(2s));
  EXPECT_EQ(rig.send(reply(kTcpSyn), at(2s)).reason(), DropReason::kRule);
  EXPECT_EQ(rig.send(request(kTcpSyn), at(2s)).verdict(), Verdict::kNext);
  EXPECT_EQ(rig.send(reply(kTcpAck), at(100s)).verdict(), Verdict::kNext);  // A new flow.
}

TEST(Firewall, DropsANewFlowWhenItsTableIsFullAndKeepsTheOld) {
  Rig rig(**make_program("firewall", map({{"flows", text("1")}, {"default", text("allow")}})));
  EXPECT_EQ(rig.send(frames::udp({.source_port = 1}), at(1s)).verdict(), Verdict::kNext);
  EXPECT_EQ(rig.send(frames::udp({.source_port = 2}), at(1s)).reason(), DropReason::kTableFull);
  EXPECT_EQ(rig.send(frames::udp({.source_port = 1}), at(2s)).verdict(), Verdict::kNext);
  EXPECT_EQ(rig.send(frames::udp({.source_port = 2}), at(32s)).reason(), DropReason::kTableFull);
  EXPECT_EQ(rig.send(frames::udp({.source_port = 2}), at(32s + 1ns)).verdict(), Verdict::kNext);
}

TEST(Firewall, LaterFragmentsFollowTheirFirst) {
  Rig rig(**make_program("firewall",
                         map({{"rules", list({rule("allow", {{"dst_port", text("53")}})})}})));
  const frames::Ip ip{.id = 77};
  const auto pieces = frames::fragments(
      17, frames::udp_segment({.destination_port = 53, .payload = frames::Bytes(40)}, ip), 24, ip);
  EXPECT_EQ(rig.send(pieces[1], at(1s)).reason(), DropReason::kFragmentTable);
  EXPECT_EQ(rig.send(pieces[0], at(1s)).verdict(), Verdict::kNext);
  EXPECT_EQ(rig.send(pieces[1], at(1s)).verdict(), Verdict::kNext);
  const frames::Ip other{.id = 78};
  const auto denied = frames::fragments(
      17, frames::udp_segment({.destination_port = 54, .payload = frames::Bytes(40)}, other), 24,
      other);
  EXPECT_EQ(rig.send(denied[0], at(1s)).reason(), DropReason::kRule);
  EXPECT_EQ(rig.send(denied[1], at(1s)).reason(), DropReason::kRule);
}

TEST(Firewall, AFlowMovesWithItsState) {
  const auto program = make_program("firewall", allow_web());
  Rig from(**program);
  from.send(request(kTcpSyn), at(1000s));
  from.send(request(kTcpFin | kTcpAck), at(1000s));
  const auto states = from.function().export_state({});
  ASSERT_EQ(states.size(), 1u);
  Rig to(**program, 2);
  to.function().import_state(states);
  EXPECT_EQ(to.send(reply(kTcpAck), at(5000s)).verdict(), Verdict::kNext);
  to.send(reply(kTcpFin | kTcpAck), at(5000s));
  EXPECT_EQ(to.send(reply(kTcpAck), at(5002s)).reason(), DropReason::kRule);
  // By the reply's key as well; of no other flow; and nothing malformed is taken.
  EXPECT_EQ(from.function().export_state({{states[0].key.reversed(kNoPort)}}).size(), 1u);
  EXPECT_EQ(from.function().export_state({{FlowKey{}}}).size(), 0u);
  Rig strict(**program, 3);
  auto bad = states;
  bad[0].bytes[1] = std::byte{9};
  strict.function().import_state(bad);
  EXPECT_EQ(strict.send(reply(kTcpAck), at(1s)).reason(), DropReason::kRule);
}

TEST(Firewall, SaysWhatIsWrongWithARule) {
  const auto error = [](const ConfigValue& bad_rule) {
    return error_of("firewall", map({{"rules", list({rule("allow", {}), bad_rule})}}));
  };
  EXPECT_EQ(error(rule("permit", {}, 8)),
            "f.yaml:1:8: services.s.rules[1]: not a rule; got \"permit\"; expected {allow: MATCH} "
            "or {deny: MATCH}");
  EXPECT_EQ(
      error(text("allow", 8)),
      "f.yaml:1:8: services.s.rules[1]: not a rule; got \"allow\"; expected {allow: MATCH} or "
      "{deny: MATCH}");
  EXPECT_THAT(error(rule("deny", {{"dst_prt", text("80", 5)}})),
              testing::StartsWith("f.yaml:1:5: services.s.rules[1].deny.dst_prt: unknown key; got "
                                  "\"dst_prt\"; expected "));
  EXPECT_THAT(error(rule("deny", {{"src", text("10.0.0.1/24", 6)}})),
              testing::StartsWith("f.yaml:1:6: services.s.rules[1].deny.src: "));
  EXPECT_EQ(error_of("firewall", map({{"default", text("maybe", 3)}})),
            "f.yaml:1:3: services.s.default: unknown choice; got \"maybe\"; expected one of deny, "
            "allow");
}

// The oracle knows flows only as pairs of ends and searches all of them.
class StateOracle {
 public:
  struct Flow {
    FlowKey key;
    Instant seen;
    int fins = 0;
    bool closing = false;
  };
  bool passes(const FlowKey& key, std::uint8_t flags, Instant now) {
    const FlowKey back = key.reversed(PortId{key.ingress});
    for (auto flow = flows_.begin(); flow != flows_.end(); ++flow) {
      const bool same = flow->key == key;
      if (!same && !(flow->key == back)) continue;
      const bool new_syn = (flags & kTcpSyn) != 0 && (flags & kTcpAck) == 0;
      if (now > flow->seen + limit(*flow) || (flow->closing && new_syn)) {
        flows_.erase(flow);
        return false;
      }
      see(*flow, flags, same, now);
      return true;
    }
    return false;
  }
  bool open(const FlowKey& key, std::uint8_t flags, Instant now, std::size_t count_max) {
    if (flows_.size() >= count_max) return false;
    flows_.push_back({key, now});
    see(flows_.back(), flags, true, now);
    return true;
  }
  void expire(Instant now) {
    std::erase_if(flows_, [&](const Flow& flow) { return now > flow.seen + limit(flow); });
  }
  std::size_t size() const { return flows_.size(); }

 private:
  static Duration limit(const Flow& flow) {
    if (flow.closing) return 1s;
    return flow.key.protocol == 6   ? Duration(300s)
           : flow.key.protocol == 1 ? Duration(10s)
                                    : Duration(30s);
  }
  static void see(Flow& flow, std::uint8_t flags, bool from_opener, Instant now) {
    if (flow.closing) return;
    flow.seen = now;
    if ((flags & kTcpFin) != 0) flow.fins |= from_opener ? 1 : 2;
    if ((flags & kTcpRst) != 0 || flow.fins == 3) flow.closing = true;
  }
  std::vector<Flow> flows_;
};

TEST(FirewallState, EqualsAnOracleUnderRandomPackets) {
  Prng prng(test_seed());
  constexpr std::uint32_t kFlowCountMax = 12;
  FirewallState state({.flow_count_max = kFlowCountMax});
  StateOracle oracle;
  Instant now{};
  std::uint32_t passed = 0;
  std::uint32_t refused = 0;
  for (int i = 0; i < 60'000; ++i) {
    now += Duration(static_cast<std::int64_t>(
        prng.below(prng.below(20) == 0 ? 20'000'000'000u : 400'000'000u)));
    constexpr std::uint8_t kProtocols[] = {6, 6, 6, 17, 1};
    FlowKey key;
    key.ip_version = 4;
    key.protocol = kProtocols[prng.below(5)];
    key.source[3] = static_cast<std::uint8_t>(prng.below(3));
    key.destination[3] = static_cast<std::uint8_t>(prng.below(3));
    key.source_port = static_cast<std::uint16_t>(prng.below(2));
    constexpr std::uint8_t kFlags[] = {kTcpSyn,           kTcpAck,           kTcpAck,
                                       kTcpFin | kTcpAck, kTcpFin | kTcpAck, kTcpRst,
                                       kTcpSyn | kTcpAck};
    const std::uint8_t flags = key.protocol == 6 ? kFlags[prng.below(7)] : std::uint8_t{0};
    state.expire(now, ~0u);
    oracle.expire(now);
    FlowKey arrived = key;
    arrived.ingress = static_cast<std::uint16_t>(prng.below(2));  // Must not matter.
    key.ingress = index_of(kNoPort);
    const bool passes = state.passes(arrived, flags, now);
    ASSERT_EQ(passes, oracle.passes(key, flags, now)) << "packet " << i;
    ++(passes ? passed : refused);
    if (!passes && prng.below(2) == 0) {
      ASSERT_EQ(state.open(arrived, flags, now), oracle.open(key, flags, now, kFlowCountMax))
          << "packet " << i;
    }
    ASSERT_EQ(state.size(), oracle.size()) << "packet " << i;
  }
  EXPECT_GT(passed, 5'000u);
  EXPECT_GT(refused, 5'000u);
}

}  // namespace
}  // namespace sluice::functions_test

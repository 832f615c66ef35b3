#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/functions/busy.hpp"
#include "core/functions/delay.hpp"
#include "core/functions/monitor.hpp"
#include "tests/core/functions/harness.hpp"

namespace sluice::functions_test {
namespace {

using namespace std::chrono_literals;

TEST(BuiltInFunctions, KnowsAllTwelveByName) {
  const FunctionRegistry registry = built_in_functions();
  EXPECT_THAT(registry.names(),
              testing::ElementsAre("busy", "delay", "external", "firewall", "forward", "ids",
                                   "load_balancer", "load_generator", "monitor", "rate_limiter",
                                   "router", "stuck"));
}

TEST(BuiltInFunctions, RefuseAnUnknownSettingWithItsPlace) {
  const FunctionRegistry registry = built_in_functions();
  for (const std::string_view name : registry.names()) {
    const std::string error = error_of(std::string(name), map({{"no_such_setting", text("1", 9)}}));
    EXPECT_EQ(error.rfind("f.yaml:1:9: services.s.no_such_setting: unknown key", 0), 0u)
        << name << " says " << error;
  }
}

TEST(BuiltInFunctions, AreNamedAsTheyAreRegistered) {
  for (const std::string name : {"busy", "delay", "firewall", "forward", "load_generator",
                                 "monitor", "rate_limiter", "stuck"}) {
    const auto program = make_program(name, map({}));
    ASSERT_TRUE(program) << program.error().to_string();
    EXPECT_EQ((*program)->traits().name, name);
  }
}

TEST(Forward, SendsEveryFrameOnUnchanged) {
  Rig rig(**make_program("forward", map({})));
  const frames::Bytes malformed = frames::hex("00 01 02");
  for (const auto& frame : {frames::tcp(), frames::arp(), malformed}) {
    const Seen seen = rig.send(frame, at(1s));
    EXPECT_EQ(seen.verdict(), Verdict::kNext);
    EXPECT_EQ(seen.frame, frame);
  }
}

TEST(Busy, BurnsOrNotAndSendsOn) {
  for (const char* burn : {"true", "false"}) {
    Rig rig(**make_program("busy", map({{"cycles", text("10")}, {"burn", text(burn)}})));
    EXPECT_EQ(rig.send(frames::udp(), at(1s)).verdict(), Verdict::kNext);
  }
}

TEST(Busy, TurnsAsOftenAsItSays) {
  EXPECT_EQ(Busy::spin(0), 0u);
  EXPECT_EQ(Busy::spin(1000), 500'500u);
}

TEST(Busy, RefusesMoreCyclesThanABatchCanTake) {
  EXPECT_EQ(error_of("busy", map({{"cycles", text("1000000001", 4)}})),
            "f.yaml:1:4: services.s.cycles: out of range; got \"1000000001\"; expected a whole "
            "number from 0 to 1000000000");
}

TEST(Stuck, ForwardsUpToItsLimit) {
  const auto program = make_program("stuck", map({{"after", text("3")}}));
  EXPECT_EQ((*program)->traits().stuck_after, 3u);
  EXPECT_TRUE((*program)->traits().stuck_instances.empty());
  Rig rig(**program);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(rig.send(frames::udp(), at(1s)).verdict(), Verdict::kNext);
  }
}

TEST(Stuck, LeavesOtherInstancesAlone) {
  const auto program = make_program("stuck", map({{"only", list({text("1"), text("3")})}}));
  EXPECT_EQ((*program)->traits().stuck_after, 0u);
  EXPECT_THAT((*program)->traits().stuck_instances, testing::ElementsAre(1u, 3u));
  Rig rig(**program, 2);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(rig.send(frames::udp(), at(1s)).verdict(), Verdict::kNext);
  }
}

TEST(Stuck, RefusesWhatIsNoInstanceNumber) {
  EXPECT_EQ(error_of("stuck", map({{"only", list({text("1"), text("0", 7)})}})),
            "f.yaml:1:7: services.s.only: no instance number; got \"0\"; expected a number from 1 "
            "to 65535");
  EXPECT_EQ(error_of("stuck", map({{"only", text("1", 5)}})),
            "f.yaml:1:5: services.s.only: not a list of instance numbers; got \"1\"; expected a "
            "list of numbers from 1 to 65535");
}

TEST(Monitor, CountsPacketsAndBytesPerFlow) {
  Rig rig(**make_program("monitor", map({})));
  const auto small = frames::udp({.source_port = 1});
  const auto large = frames::udp({.source_port = 2, .payload = frames::Bytes(500)});
  EXPECT_EQ(rig.send(small, at(1s)).verdict(), Verdict::kNext);
  EXPECT_EQ(rig.send(large, at(2s)).frame, large);
  rig.send(small, at(3s));
  const auto& monitor = rig.as<Monitor>();
  const auto top = monitor.top_flows(10);
  ASSERT_EQ(top.size(), 2u);
  EXPECT_EQ(top[0].key.source_port, 2);
  EXPECT_EQ(top[0].count, (TrafficCount{1, large.size()}));
  EXPECT_EQ(top[1].count, (TrafficCount{2, 2 * small.size()}));
  EXPECT_EQ(top[1].first_seen, at(1s));
  EXPECT_EQ(top[1].last_seen, at(3s));
  EXPECT_EQ(monitor.top_flows(1).size(), 1u);
}

TEST(Monitor, AccountsForEveryPacketWhenFlowsEndAndFindNoRoom) {
  Rig rig(**make_program("monitor", map({{"flows", text("2")}, {"idle", text("1 s")}})));
  for (std::uint16_t port = 1; port <= 3; ++port) {
    rig.send(frames::udp({.source_port = port}), at(1s));
  }
  rig.send(frames::hex("00 01"), at(1s));
  const auto& monitor = rig.as<Monitor>();
  EXPECT_EQ(monitor.totals().untracked.packet_count, 1u);
  EXPECT_EQ(monitor.totals().malformed, (TrafficCount{1, 2}));
  rig.send(frames::udp({.source_port = 3}), at(2s));  // Not idle for longer than 1 s yet.
  EXPECT_EQ(monitor.totals().untracked.packet_count, 2u);
  rig.tick(at(2s + 1ns));
  EXPECT_EQ(monitor.totals().ended.packet_count, 2u);
  rig.send(frames::udp({.source_port = 3}), at(3s));
  EXPECT_EQ(monitor.flow_count(), 1u);
  EXPECT_EQ(monitor.totals().total.packet_count, 6u);
}

TEST(Delay, HoldsEachPacketForItsTimeAndKeepsOrder) {
  Rig rig(**make_program("delay", map({{"delay", text("100 us")}})));
  const auto first = frames::udp({.source_port = 1});
  const auto second = frames::udp({.source_port = 2});
  EXPECT_EQ(rig.send(first, at(0us)).verdict(), Verdict::kHold);
  EXPECT_EQ(rig.send(second, at(10us)).verdict(), Verdict::kHold);
  EXPECT_EQ(rig.function().wake_at(), at(100us));
  rig.tick(at(99us));
  EXPECT_TRUE(rig.released().empty());
  rig.tick(at(100us));
  auto released = rig.released();
  ASSERT_EQ(released.size(), 1u);
  EXPECT_EQ(released[0].frame, first);
  EXPECT_EQ(released[0].verdict(), Verdict::kNext);
  rig.tick(at(110us));
  ASSERT_EQ(rig.released().size(), 1u);
  EXPECT_EQ(rig.held_count(), 0u);
  EXPECT_EQ(rig.function().wake_at(), Instant::max());
}

TEST(Delay, LetsOnePacketGoOnPerPaceHoweverLateItIsCalled) {
  Rig rig(**make_program("delay", map({{"delay", text("0 s")}, {"pace", text("100 us")}})));
  rig.send(std::vector<frames::Bytes>(32, frames::udp()), at(1ms));
  rig.tick(at(1ms));
  EXPECT_EQ(rig.released().size(), 1u);
  rig.tick(at(1550us));  // Due at 1100, 1200, ... 1500.
  EXPECT_EQ(rig.released().size(), 5u);
  rig.tick(at(1600us));
  EXPECT_EQ(rig.released().size(), 1u);
  EXPECT_EQ(rig.held_count(), 25u);
}

TEST(Delay, DropsBeyondItsHoldLimit) {
  Rig rig(**make_program("delay", map({{"hold", text("2")}})));
  const auto seen = rig.send(std::vector<frames::Bytes>(3, frames::udp()), at(1ms));
  EXPECT_EQ(seen[1].verdict(), Verdict::kHold);
  EXPECT_EQ(seen[2].reason(), DropReason::kHoldLimit);
}

TEST(Delay, ThatWaitsWantsNoMoreUntilHalfOfItsRoomIsFree) {
  Rig rig(**make_program("delay", map({{"delay", text("0 s")},
                                       {"pace", text("100 us")},
                                       {"hold", text("4")},
                                       {"full", text("wait")}})));
  EXPECT_EQ(rig.function().room(), 4u);
  rig.send(std::vector<frames::Bytes>(4, frames::udp()), at(1ms));
  EXPECT_EQ(rig.function().room(), 0u);
  rig.tick(at(1ms));
  EXPECT_EQ(rig.function().room(), 0u);
  rig.tick(at(1100us));
  EXPECT_EQ(rig.held_count(), 2u);
  EXPECT_EQ(rig.function().room(), 2u);
}

TEST(Delay, ThatDropsNeverLeavesPacketsInTheRing) {
  Rig rig(**make_program("delay", map({{"hold", text("2")}})));
  rig.send(std::vector<frames::Bytes>(2, frames::udp()), at(1ms));
  EXPECT_EQ(rig.function().room(), PacketBatch::kCapacity);
}

TEST(Delay, RefusesAnotherWordForFull) {
  EXPECT_NE(error_of("delay", map({{"full", text("block")}})).find("full: unknown choice"),
            std::string::npos);
}

TEST(Delay, ReleasesMoreThanOneCallHasRoomForInSeveralCalls) {
  Rig rig(**make_program("delay", map({{"hold", text("4096")}})));
  for (int i = 0; i < 10; ++i) {
    rig.send(std::vector<frames::Bytes>(32, frames::udp()), at(1ms));
  }
  EXPECT_EQ(rig.held_count(), 320u);
  for (int i = 0; i < 3; ++i) rig.tick(at(2ms));
  EXPECT_EQ(rig.released().size(), 320u);
}

}  // namespace
}  // namespace sluice::functions_test

#include "core/functions/load_generator.hpp"

#include <gtest/gtest.h>

#include <set>

#include "core/packet/checksum.hpp"
#include "tests/core/functions/harness.hpp"

namespace sluice::functions_test {
namespace {

using namespace std::chrono_literals;

TEST(LoadGenerator, MakesPacketsAtItsRate) {
  const auto program = make_program(
      "load_generator", map({{"rate", text("8 Mbps")}, {"size", text("1000 B")}}));  // 1 per ms.
  EXPECT_TRUE((*program)->traits().generates);
  Rig rig(**program);
  rig.lend(64);
  rig.tick(at(1s));
  EXPECT_EQ(rig.released().size(), 1u);
  EXPECT_EQ(rig.function().wake_at(), at(1s + 1ms));
  rig.tick(at(1s + 1ms - 1ns));
  EXPECT_TRUE(rig.released().empty());
  rig.tick(at(1s + 10ms));
  EXPECT_EQ(rig.released().size(), 10u);
}

TEST(LoadGenerator, KeepsItsRateOverALongTimeOfUnevenTicks) {
  Rig rig(
      **make_program("load_generator", map({{"rate", text("3 Mbps")}, {"size", text("77 B")}})));
  std::uint64_t made = 0;
  for (int i = 0; i <= 3000; ++i) {
    rig.lend(64);
    rig.tick(at(Duration(std::int64_t{i} * 1'000'333)));
    made += rig.released().size();
  }
  // 3.000999 s at 3 Mbps: 14615.25 frames of 77 bytes after the first one.
  EXPECT_EQ(made, 14'616u);
  EXPECT_EQ(rig.as<LoadGenerator>().totals().left_out_count, 0u);
}

TEST(LoadGenerator, MakesNothingAnyMoreWhenItDrains) {
  Rig rig(**make_program("load_generator", map({{"size", text("1000 B")}})));
  rig.lend(64);
  rig.tick(at(1s));
  EXPECT_FALSE(rig.released().empty());
  rig.message({Message::Kind::kFlowEnded, 1, {}}, at(1s));
  rig.tick(at(1s + 1ms));
  EXPECT_FALSE(rig.released().empty());
  rig.message({Message::Kind::kDrain, kNoFlow, {}}, at(1s + 1ms));
  rig.tick(at(2s));
  EXPECT_TRUE(rig.released().empty());
  EXPECT_EQ(rig.function().wake_at(), Instant::max());
}

TEST(LoadGenerator, MakesWholePacketsOfItsFlows) {
  for (const bool ipv6 : {false, true}) {
    Rig rig(**make_program("load_generator",
                           map({{"flows", text("5")},
                                {"size", text("100 B")},
                                {"src", text(ipv6 ? "2001:db8::/127" : "10.0.0.0/31")},
                                {"dst", text(ipv6 ? "2001:db8:1::/64" : "10.1.0.0/16")}})));
    rig.lend(64);
    rig.tick(at(0s));
    rig.tick(at(10ms));
    const auto made = rig.released();
    ASSERT_EQ(made.size(), 64u);
    std::set<std::pair<std::string, std::uint16_t>> flows;
    for (const Seen& seen : made) {
      EXPECT_EQ(seen.verdict(), Verdict::kNext);
      EXPECT_EQ(seen.frame.size(), 100u);
      const auto headers = parse(seen.frame);
      ASSERT_TRUE(headers) << to_string(headers.error());
      EXPECT_EQ(headers->l4, L4::kUdp);
      EXPECT_EQ(headers->destination_port, 9);
      EXPECT_EQ(verify_l4_checksum(seen.frame, *headers), ChecksumState::kRight);
      const FlowKey key = flow_key(seen.frame, *headers, kNoPort);
      flows.emplace(frames::to_hex(std::as_bytes(std::span(key.source))), key.source_port);
    }
    EXPECT_EQ(flows.size(), 5u);
    EXPECT_NE(made[0].frame, made[5].frame);  // The same flow, another number.
  }
}

TEST(LoadGenerator, LeavesOutWhatItHasNoBuffersFor) {
  Rig rig(
      **make_program("load_generator", map({{"rate", text("8 Mbps")}, {"size", text("1000 B")}})));
  rig.tick(at(0s));
  EXPECT_TRUE(rig.released().empty());
  rig.lend(4);
  rig.tick(at(1s));
  EXPECT_EQ(rig.released().size(), 4u);
  EXPECT_EQ(rig.as<LoadGenerator>().totals().left_out_count, 996u);
  rig.lend(64);
  rig.tick(at(1s + 2ms));
  EXPECT_EQ(rig.released().size(), 3u);  // No burst to catch up.
}

TEST(LoadGenerator, SendsPacketsThatComeToItOn) {
  Rig rig(**make_program("load_generator", map({})));
  EXPECT_EQ(rig.send(frames::udp(), at(1s)).verdict(), Verdict::kNext);
}

TEST(LoadGenerator, SaysWhatIsWrongWithItsSettings) {
  EXPECT_EQ(
      error_of("load_generator", map({{"src", text("10.0.0.1/32")}, {"flows", text("16385", 4)}})),
      "f.yaml:1:4: services.s.flows: out of range; got \"16385\"; expected a whole number "
      "from 1 to 16384");
  EXPECT_EQ(error_of("load_generator", map({{"dst", text("2001:db8::/32", 4)}})),
            "f.yaml:1:4: services.s.dst: src and dst of two IP versions; got \"2001:db8::/32\"; "
            "expected IPv4 twice or IPv6 twice");
}

}  // namespace
}  // namespace sluice::functions_test

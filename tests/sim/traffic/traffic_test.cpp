#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "core/packet/checksum.hpp"
#include "core/packet/headers.hpp"
#include "sim/traffic/link_disturber.hpp"
#include "sim/traffic/port_receiver.hpp"
#include "sim/traffic/port_sender.hpp"
#include "sim/traffic/probe.hpp"
#include "sim/traffic/wire.hpp"
#include "tests/support/frames.hpp"

namespace sluice::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using testing::ElementsAre;

constexpr PortRef kPort{HostId{0}, PortId{0}};

Instant at_ms(std::int64_t ms) {
  return Instant{milliseconds{ms}};
}

struct Disturbance {
  Ppm loss{};
  Ppm duplicate{};
  Ppm reorder{};
  Duration delay{};
};

FaultSpec disturb(const Disturbance& what, std::int64_t from_ms, std::int64_t for_ms) {
  FaultSpec fault;
  fault.at = at_ms(from_ms);
  fault.duration = milliseconds{for_ms};
  fault.what = DisturbLink{kPort, what.loss, what.duplicate, what.reorder, what.delay};
  return fault;
}

LinkDisturber good_link() {
  return {{}, kPort, Prng{1}};
}

// --- Probes --------------------------------------------------------------------------------------

class ProbeOfFrame : public testing::TestWithParam<frames::Bytes> {};

TEST_P(ProbeOfFrame, ComesBackAndTheChecksumStaysRight) {
  frames::Bytes frame = GetParam();
  const Probe probe{513, instant_from_ns(0x0123'4567'89ab'cdefu)};
  ASSERT_TRUE(write_probe(frame, probe));
  EXPECT_EQ(read_probe(frame), probe);
  const auto headers = parse(frame);
  ASSERT_TRUE(headers);
  EXPECT_EQ(verify_l4_checksum(frame, *headers), ChecksumState::kRight);
  EXPECT_EQ(frame.size(), GetParam().size());
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, ProbeOfFrame,
    testing::Values(frames::udp({.payload = frames::Bytes(18)}),
                    frames::tcp({.payload = frames::text("a payload of some length")}),
                    frames::udp({.payload = frames::text("sixteen bytes...")}, {},
                                {.vlans = {{7}}}),
                    frames::udp({.payload = frames::text("sixteen bytes, one")},
                                {.source = "2001:db8::1", .destination = "2001:db8::2"})));

TEST(Probe, NeedsAPayloadOfItsSize) {
  frames::Bytes frame = frames::udp({.payload = frames::Bytes(15)});
  const frames::Bytes before = frame;
  EXPECT_FALSE(write_probe(frame, {1, at_ms(1)}));
  EXPECT_EQ(frame, before);
}

TEST(Probe, IsNotSeenWhereThereIsNone) {
  EXPECT_EQ(read_probe(frames::udp({.payload = frames::Bytes(64)})), std::nullopt);
  EXPECT_EQ(read_probe(frames::arp({})), std::nullopt);
  EXPECT_EQ(read_probe({}), std::nullopt);
}

TEST(Probe, LeavesAChecksumThatNobodyComputed) {
  frames::Bytes frame = frames::udp({.payload = frames::Bytes(32), .checksum = false});
  ASSERT_TRUE(write_probe(frame, {1, at_ms(1)}));
  EXPECT_EQ(verify_l4_checksum(frame, *parse(frame)), ChecksumState::kAbsent);
}

// --- The link ------------------------------------------------------------------------------------

TEST(LinkDisturber, OfAnotherPortDoesNothing) {
  FaultSpec fault = disturb({.loss = kPpmOne}, 0, 10);
  std::get<DisturbLink>(fault.what).port.port = PortId{1};
  const std::array faults{fault};
  EXPECT_FALSE(LinkDisturber(faults, kPort, Prng{1}).active());
  EXPECT_TRUE(LinkDisturber(faults, {HostId{0}, PortId{1}}, Prng{1}).active());
}

TEST(LinkDisturber, WorksInItsTimeOnly) {
  const std::array faults{disturb({.loss = kPpmOne}, 10, 10)};
  LinkDisturber link(faults, kPort, Prng{1});
  EXPECT_EQ(link.decide(at_ms(9)).arrival, at_ms(9));
  EXPECT_EQ(link.decide(at_ms(10)).arrival, std::nullopt);
  EXPECT_EQ(link.decide(at_ms(20)).arrival, at_ms(20));
  EXPECT_EQ(link.counters().lost, 1u);
}

TEST(LinkDisturber, LosesAndDoublesAsOftenAsItShould) {
  const std::array faults{disturb({.loss = Ppm{100'000}, .duplicate = Ppm{300'000}}, 0, 1000)};
  LinkDisturber link(faults, kPort, Prng{3});
  constexpr std::uint64_t kCount = 100'000;
  std::uint64_t arrived = 0, copies = 0;
  for (std::uint64_t i = 0; i < kCount; ++i) {
    const auto fate = link.decide(at_ms(1));
    arrived += fate.arrival ? 1 : 0;
    copies += fate.copy ? 1 : 0;
  }
  EXPECT_EQ(arrived, kCount - link.counters().lost);
  EXPECT_EQ(copies, link.counters().duplicated);
  EXPECT_NEAR(static_cast<double>(link.counters().lost), 0.1 * kCount, 400);
  EXPECT_NEAR(static_cast<double>(copies), 0.3 * 0.9 * kCount, 600);
}

TEST(LinkDisturber, DelayKeepsTheOrderAlsoWhenItEnds) {
  const std::array faults{disturb({.delay = milliseconds{5}}, 0, 10)};
  LinkDisturber link(faults, kPort, Prng{1});
  EXPECT_EQ(link.decide(at_ms(8)).arrival, at_ms(13));
  EXPECT_EQ(link.decide(at_ms(11)).arrival, at_ms(13));
  EXPECT_EQ(link.decide(at_ms(14)).arrival, at_ms(14));
  EXPECT_EQ(link.counters().delayed, 1u);
}

TEST(LinkDisturber, AReorderedFrameIsOvertaken) {
  const std::array faults{disturb({.reorder = kPpmOne}, 0, 1)};
  LinkDisturber link(faults, kPort, Prng{1});
  const auto late = link.decide(at_ms(0)).arrival;
  const auto next = link.decide(at_ms(1)).arrival;
  ASSERT_TRUE(late && next);
  EXPECT_EQ(*late, at_ms(0) + LinkDisturber::kReorderDelay);
  EXPECT_EQ(*next, at_ms(1));
}

// --- Sending -------------------------------------------------------------------------------------

/// Frames at given times; each begins with its number.
class ListGenerator final : public FrameGenerator {
 public:
  explicit ListGenerator(std::vector<Instant> times, std::uint8_t first)
      : times_(std::move(times)), number_(first) {}
  std::optional<Frame> next(std::span<std::byte> room) override {
    if (position_ == times_.size()) return std::nullopt;
    std::fill_n(room.begin(), 60, std::byte{number_++});
    return Frame{times_[position_++], 60};
  }

 private:
  std::vector<Instant> times_;
  std::size_t position_ = 0;
  std::uint8_t number_;
};

class Sending : public testing::Test {
 protected:
  PortSender sender(std::vector<std::vector<Instant>> sources, LinkDisturber link = good_link(),
                    std::size_t batch_max = 32) {
    std::vector<PortSender::Source> made;
    for (std::size_t i = 0; i < sources.size(); ++i) {
      made.push_back(
          {"s" + std::to_string(i), static_cast<std::uint16_t>(i),
           std::make_unique<ListGenerator>(sources[i], static_cast<std::uint8_t>(10 * i)), i == 0});
    }
    PortSender::Options options;
    options.batch_max = batch_max;
    options.wire = [this](std::span<const std::span<const std::byte>> batch) {
      std::size_t count = 0;
      for (const auto& frame : batch) {
        if (refused_ == std::to_integer<int>(frame.front())) return count;
        sent_.push_back(std::to_integer<int>(frame.front()));
        ++count;
      }
      return count;
    };
    options.mark = [this](std::span<std::byte>, std::uint16_t number) {
      marked_.push_back(number);
    };
    return {std::move(made), std::move(link), std::move(options)};
  }

  std::vector<int> sent_;
  std::vector<int> marked_;
  int refused_ = -1;
};

TEST_F(Sending, WhatIsDueGoesInOrderOfTimeAndNothingBefore) {
  PortSender port = sender({{at_ms(1), at_ms(4)}, {at_ms(2), at_ms(3)}});
  EXPECT_EQ(port.next_due(), at_ms(1));
  EXPECT_FALSE(port.send_due(at_ms(0)));
  EXPECT_THAT(sent_, ElementsAre());
  EXPECT_FALSE(port.send_due(at_ms(1)));
  EXPECT_EQ(port.counters(0).late_packets, 0u);
  EXPECT_FALSE(port.send_due(at_ms(3)));
  EXPECT_THAT(sent_, ElementsAre(0, 10, 11));
  EXPECT_EQ(port.next_due(), at_ms(4));
  EXPECT_FALSE(port.send_due(at_ms(9)));
  EXPECT_THAT(sent_, ElementsAre(0, 10, 11, 1));
  EXPECT_EQ(port.next_due(), std::nullopt);
  EXPECT_EQ(port.counters(0).packets, 2u);
  EXPECT_EQ(port.counters(0).bytes, 120u);
  EXPECT_EQ(port.counters(0).late_packets, 1u);
  EXPECT_EQ(port.counters(0).late_max, milliseconds{5});
  EXPECT_THAT(marked_, ElementsAre(0, 0)) << "only the first source's frames may carry probes";
}

TEST_F(Sending, ABatchIsBoundedAndSaysThatThereIsMore) {
  PortSender port = sender({{at_ms(1), at_ms(1), at_ms(1)}}, good_link(), 2);
  EXPECT_TRUE(port.send_due(at_ms(1)));
  EXPECT_THAT(sent_, ElementsAre(0, 1));
  EXPECT_FALSE(port.send_due(at_ms(1)));
  EXPECT_THAT(sent_, ElementsAre(0, 1, 2));
}

TEST_F(Sending, ARefusedFrameIsCountedAndTheRestGoesOn) {
  refused_ = 1;
  PortSender port = sender({{at_ms(1), at_ms(1), at_ms(1)}});
  port.send_due(at_ms(1));
  EXPECT_THAT(sent_, ElementsAre(0, 2));
  EXPECT_EQ(port.counters(0).packets, 2u);
  EXPECT_EQ(port.counters(0).refused, 1u);
}

TEST_F(Sending, ADelayedFrameWaitsAndWasSentWhenItEnteredTheLink) {
  const std::array faults{disturb({.delay = milliseconds{5}}, 0, 2)};
  PortSender port = sender({{at_ms(1), at_ms(3)}}, LinkDisturber(faults, kPort, Prng{1}));
  port.send_due(at_ms(1));
  EXPECT_THAT(sent_, ElementsAre());
  EXPECT_EQ(port.counters(0).packets, 1u);
  EXPECT_EQ(port.next_due(), at_ms(3));
  port.send_due(at_ms(3));
  EXPECT_EQ(port.next_due(), at_ms(6));
  port.send_due(at_ms(6));
  EXPECT_THAT(sent_, ElementsAre(0, 1));
  EXPECT_EQ(port.counters(0).packets, 2u);
  EXPECT_EQ(port.next_due(), std::nullopt);
}

TEST_F(Sending, LostFramesWereOfferedAndCopiesWereNot) {
  const std::array faults{disturb({.loss = kPpmOne}, 0, 2), disturb({.duplicate = kPpmOne}, 2, 2)};
  PortSender port = sender({{at_ms(1), at_ms(3)}}, LinkDisturber(faults, kPort, Prng{1}));
  port.send_due(at_ms(3));  // The first one is late, and still lost.
  EXPECT_THAT(sent_, ElementsAre(1, 1));
  EXPECT_EQ(port.counters(0).packets, 2u);
  EXPECT_EQ(port.link_counters().lost, 1u);
  EXPECT_EQ(port.link_counters().duplicated, 1u);
}

// --- Receiving -----------------------------------------------------------------------------------

TEST(PortReceiver, CountsAndTellsHowLongProbesWereUnderWay) {
  PortReceiver port(at_ms(100), good_link(), {});
  frames::Bytes probed = frames::udp({.payload = frames::Bytes(32)});
  ASSERT_TRUE(write_probe(probed, {3, at_ms(150)}));
  const frames::Bytes plain = frames::udp({.payload = frames::Bytes(20)});
  const std::array<WireReceiver::Frame, 2> seen{{{probed, at_ms(157)}, {plain, at_ms(158)}}};
  port.receive(seen);
  EXPECT_EQ(port.counters().packets, 2u);
  EXPECT_EQ(port.counters().bytes, probed.size() + plain.size());
  ASSERT_EQ(port.arrived().size(), 1u);
  const auto& arrived = port.arrived().at(3);
  EXPECT_EQ(arrived.packets, 1u);
  EXPECT_EQ(arrived.interval.max(), milliseconds{7});
  port.end_interval();
  EXPECT_EQ(arrived.interval.count(), 0u);
  EXPECT_EQ(arrived.total.max(), milliseconds{7});
}

TEST(PortReceiver, WhatTheLinkLosesDidNotArrive) {
  const std::array faults{disturb({.loss = kPpmOne}, 0, 10),
                          disturb({.duplicate = kPpmOne}, 10, 10)};
  std::vector<Instant> watched;
  PortReceiver port(at_ms(100), LinkDisturber(faults, kPort, Prng{1}),
                    [&](Instant when, std::span<const std::byte>) { watched.push_back(when); });
  const frames::Bytes frame = frames::udp({.payload = frames::Bytes(20)});
  const std::array<WireReceiver::Frame, 2> seen{{{frame, at_ms(105)}, {frame, at_ms(115)}}};
  port.receive(seen);
  EXPECT_EQ(port.counters().packets, 2u) << "the second one, twice";
  EXPECT_EQ(port.link_counters().lost, 1u);
  EXPECT_THAT(watched, ElementsAre(at_ms(15), at_ms(15)));
}

// --- The interface -------------------------------------------------------------------------------

constexpr std::string_view kProcNetDev =
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop "
    "fifo colls carrier compressed\n"
    "    lo:       0       0    0    0    0     0          0         0        0       0    0    0  "
    "  "
    "0     0       0          0\n"
    " veth0: 1500 15 0 2 0 0 0 0 900 9 0 1 0 0 0 0\n"
    "  eth0:11 12 13 14 15 16 17 18 21 22 23 24 25 26 27 28\n";

TEST(FindInterface, ReadsItsLine) {
  const auto veth = find_interface(kProcNetDev, "veth0");
  ASSERT_TRUE(veth);
  EXPECT_EQ(veth->rx_bytes, 1500u);
  EXPECT_EQ(veth->rx_packets, 15u);
  EXPECT_EQ(veth->rx_dropped, 2u);
  EXPECT_EQ(veth->tx_bytes, 900u);
  EXPECT_EQ(veth->tx_packets, 9u);
  EXPECT_EQ(veth->tx_dropped, 1u);
  const auto eth = find_interface(kProcNetDev, "eth0");
  ASSERT_TRUE(eth);
  EXPECT_EQ(eth->tx_dropped, 24u);
}

TEST(FindInterface, TakesNoOtherForIt) {
  EXPECT_EQ(find_interface(kProcNetDev, "veth"), std::nullopt);
  EXPECT_EQ(find_interface(kProcNetDev, "th0"), std::nullopt);
  EXPECT_EQ(find_interface("veth0: 1 2 3\n", "veth0"), std::nullopt);
  EXPECT_EQ(find_interface("", "veth0"), std::nullopt);
}

}  // namespace
}  // namespace sluice::sim

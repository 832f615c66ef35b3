#include "backends/ns3/burst_net_device.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <set>

#include "tests/backends/ns3/fixture.hpp"

namespace sluice {
namespace {

using namespace std::chrono_literals;
using test::BurstPair;
using test::make_frame;
using test::Recorder;
using test::send_at;

class BurstLinkTest : public test::SimTest {};

constexpr Instant at(Duration time) {
  return Instant{time};
}

TEST_F(BurstLinkTest, CrossesInOneEventWithAnArrivalTimePerFrame) {
  BurstPair pair{{.rate = "1Gbps", .delay = 5us}};
  Recorder recorder;
  pair.right->set_receiver(&recorder);
  ns3::Simulator::Run();                 // The nodes' own events.
  send_at(at(1us), pair.left, 10, 125);  // 1 us each.
  const std::uint64_t before = ns3::Simulator::GetEventCount();
  ns3::Simulator::Run();
  EXPECT_EQ(ns3::Simulator::GetEventCount() - before, 2u);  // The sending, and the burst.
  ASSERT_EQ(recorder.arrivals.size(), 10u);
  for (std::uint32_t i = 0; i < 10; ++i) {
    EXPECT_EQ(recorder.arrivals[i].arrival, at(1us + 5us + 1us * (i + 1)));
    EXPECT_EQ(recorder.arrivals[i].handled, recorder.arrivals[9].arrival);
    EXPECT_EQ(recorder.arrivals[i].bytes, test::make_frame(125, i));
  }
}

TEST_F(BurstLinkTest, BurstClosesAtItsMaximum) {
  BurstPair pair{{.burst_max = 4}};
  Recorder recorder;
  pair.right->set_receiver(&recorder);
  send_at(at(1us), pair.left, 10, 100);
  ns3::Simulator::Run();
  EXPECT_EQ(recorder.sizes, (std::vector<std::uint32_t>{4, 4, 2}));
}

TEST_F(BurstLinkTest, BurstClosesAtItsWindow) {
  BurstPair pair{{.rate = "1Gbps", .burst_window = 3us}};
  Recorder recorder;
  pair.right->set_receiver(&recorder);
  send_at(at(1us), pair.left, 9, 125);  // Arrive 1 us apart: 4 within 3 us.
  ns3::Simulator::Run();
  EXPECT_EQ(recorder.sizes, (std::vector<std::uint32_t>{4, 4, 1}));
}

TEST_F(BurstLinkTest, LaterFramesJoinTheBurstThatIsStillOnTheWire) {
  BurstPair pair{{.rate = "1Gbps", .delay = 50us}};
  Recorder recorder;
  pair.right->set_receiver(&recorder);
  for (std::uint32_t i = 0; i < 5; ++i) send_at(at(1us * (2 * i)), pair.left, 1, 125, i);
  ns3::Simulator::Run();
  EXPECT_EQ(recorder.sizes, std::vector<std::uint32_t>{5});
  for (std::uint32_t i = 0; i < 5; ++i) {
    EXPECT_EQ(recorder.arrivals[i].arrival, at(1us * (2 * i) + 1us + 50us));
    EXPECT_GE(recorder.arrivals[i].handled, recorder.arrivals[i].arrival);
  }
}

TEST_F(BurstLinkTest, LineKeepsFractionsOfANanosecond) {
  BurstPair pair{{.rate = "10Gbps", .delay = 0ns, .burst_window = 1ms, .queue_frames = 4096}};
  Recorder recorder;
  pair.right->set_receiver(&recorder);
  send_at(at(0ns), pair.left, 1000, 64);  // 51.2 ns each.
  ns3::Simulator::Run();
  ASSERT_EQ(recorder.arrivals.size(), 1000u);
  EXPECT_EQ(recorder.arrivals.back().arrival, at(51200ns));
}

TEST_F(BurstLinkTest, TransmitQueueIsBoundedAndItsDropsCounted) {
  BurstPair pair{{.rate = "1Gbps", .queue_frames = 8}};
  Recorder recorder;
  pair.right->set_receiver(&recorder);
  send_at(at(1us), pair.left, 20, 125);
  ns3::Simulator::Schedule(ns3::NanoSeconds(1000), [&] { EXPECT_EQ(pair.left->queue_room(), 0u); });
  // One being sent and eight waiting; 3.5 us later three more were started.
  ns3::Simulator::Schedule(ns3::NanoSeconds(4500), [&] { EXPECT_EQ(pair.left->queue_room(), 3u); });
  ns3::Simulator::Run();
  EXPECT_EQ(pair.left->counters().tx_frames, 9u);
  EXPECT_EQ(pair.left->counters().tx_drop_full, 11u);
  EXPECT_EQ(pair.right->counters().rx_frames, 9u);
  EXPECT_EQ(pair.right->counters().rx_bytes, 9u * 125u);
}

TEST_F(BurstLinkTest, OversizeAndUnlinkedFramesAreCounted) {
  BurstPair pair;
  const std::vector<std::byte> big(2000), tiny(10);
  const OutFrame frames[] = {{.bytes = big}, {.bytes = tiny}};
  EXPECT_EQ(pair.left->send_burst(frames), 0u);
  EXPECT_EQ(pair.left->counters().tx_drop_mtu, 2u);
  const auto alone = ns3::CreateObject<BurstNetDevice>();
  EXPECT_EQ(alone->send_burst(frames), 0u);
  EXPECT_EQ(alone->counters().tx_drop_unlinked, 2u);
}

TEST_F(BurstLinkTest, RecyclesItsBursts) {
  BurstPair pair;
  for (std::uint32_t i = 0; i < 1000; ++i) send_at(at(100us * i), pair.left, 32, 1000);
  std::set<const void*> slabs;
  struct Slabs final : BurstReceiver {
    explicit Slabs(std::set<const void*>& seen) : seen_(seen) {}
    void receive_burst(BurstPtr burst) noexcept override { seen_.insert(burst.get()); }
    std::set<const void*>& seen_;
  } receiver{slabs};
  pair.right->set_receiver(&receiver);
  ns3::Simulator::Run();
  EXPECT_EQ(pair.right->counters().rx_frames, 32'000u);
  EXPECT_LE(slabs.size(), 3u);
}

// --- Faults
// ---------------------------------------------------------------------------------------

struct FaultCase {
  const char* name;
  LinkFaults faults;
};
void PrintTo(const FaultCase& fault, std::ostream* out) {
  *out << fault.name;
}

class BurstLinkFaultTest : public test::SimTest, public ::testing::WithParamInterface<FaultCase> {
 protected:
  static constexpr std::uint32_t kFrames = 3200;

  struct Run {
    std::vector<Recorder::Arrival> arrivals;
    LinkCounters counters;
  };
  static Run run(const LinkFaults& faults, std::uint64_t seed) {
    BurstPair pair;
    Recorder recorder;
    pair.right->set_receiver(&recorder);
    BurstLink& link = pair.channel->link_from(*pair.left);
    link.set_faults(faults);
    link.seed(Prng{seed});
    for (std::uint32_t i = 0; i < kFrames / 32; ++i) {
      send_at(at(5us * i), pair.left, 32, 100, 32 * i);
    }
    ns3::Simulator::Run();
    const Run result{recorder.arrivals, pair.forward()};
    ns3::Simulator::Destroy();
    return result;
  }
};

TEST_P(BurstLinkFaultTest, ConservesFramesAndNeverHandlesOneEarly) {
  const auto [arrivals, counters] = run(GetParam().faults, 1);
  EXPECT_EQ(counters.entered, kFrames);
  EXPECT_EQ(counters.in_flight(), 0u);
  EXPECT_EQ(counters.delivered, arrivals.size());
  EXPECT_EQ(arrivals.size(), kFrames + counters.duplicated - counters.lost - counters.lost_down);
  std::vector<std::uint32_t> seen(kFrames);
  for (const auto& arrival : arrivals) {
    EXPECT_GE(arrival.handled, arrival.arrival);
    const std::uint32_t mark = test::mark_of(arrival.bytes);
    ASSERT_LT(mark, kFrames);
    EXPECT_EQ(arrival.bytes, test::make_frame(100, mark));
    ++seen[mark];
  }
  const auto absent = std::count(seen.begin(), seen.end(), 0u);
  EXPECT_EQ(static_cast<std::uint64_t>(absent), counters.lost + counters.lost_down);
}

TEST_P(BurstLinkFaultTest, SameSeedGivesTheSameArrivals) {
  EXPECT_EQ(run(GetParam().faults, 1).arrivals, run(GetParam().faults, 1).arrivals);
}

INSTANTIATE_TEST_SUITE_P(Kinds, BurstLinkFaultTest,
                         ::testing::Values(FaultCase{"None", {}},
                                           FaultCase{"Loss", {.loss = Ppm{300'000}}},
                                           FaultCase{"Duplicate", {.duplicate = Ppm{100'000}}},
                                           FaultCase{"Reorder", {.reorder = Ppm{50'000}}},
                                           FaultCase{"Delay", {.delay_extra = 1ms}},
                                           FaultCase{"Down", {.down = true}},
                                           FaultCase{"All",
                                                     {.loss = Ppm{50'000},
                                                      .duplicate = Ppm{50'000},
                                                      .reorder = Ppm{50'000},
                                                      .delay_extra = 30us}}),
                         [](const auto& tested) { return std::string{tested.param.name}; });

TEST_F(BurstLinkFaultTest, AnotherSeedLosesOtherFrames) {
  const LinkFaults faults{.loss = Ppm{300'000}};
  EXPECT_NE(run(faults, 1).arrivals, run(faults, 2).arrivals);
}

TEST_F(BurstLinkFaultTest, EachFaultHasItsEffectAtItsRate) {
  const auto near = [](std::uint64_t count, double part) {
    return std::abs(static_cast<double>(count) - part * kFrames) < 0.1 * part * kFrames;
  };
  EXPECT_TRUE(near(run({.loss = Ppm{300'000}}, 3).counters.lost, 0.3));
  EXPECT_TRUE(near(run({.duplicate = Ppm{300'000}}, 3).counters.duplicated, 0.3));
  const auto reordered = run({.reorder = Ppm{300'000}}, 3);
  EXPECT_TRUE(near(reordered.counters.reordered, 0.3));
  EXPECT_FALSE(std::is_sorted(reordered.arrivals.begin(), reordered.arrivals.end(),
                              [](const auto& a, const auto& b) {
                                return test::mark_of(a.bytes) < test::mark_of(b.bytes);
                              }));
  const auto plain = run({}, 3);
  const auto delayed = run({.delay_extra = 1ms}, 3);
  for (std::size_t i = 0; i < plain.arrivals.size(); ++i) {
    EXPECT_EQ(delayed.arrivals[i].arrival - plain.arrivals[i].arrival, 1ms);
  }
  EXPECT_EQ(run({.down = true}, 3).counters.lost_down, kFrames);
}

TEST_F(BurstLinkFaultTest, GoingDownLosesWhatIsOnTheWireAndComingUpLosesNothingMore) {
  BurstPair pair{{.rate = "1Gbps", .delay = 100us, .burst_window = 1ms}};
  Recorder recorder;
  pair.right->set_receiver(&recorder);
  BurstLink& link = pair.channel->link_from(*pair.left);
  send_at(at(0us), pair.left, 10, 125);  // Arrive at 101 .. 110 us.
  ns3::Simulator::Schedule(to_time(105us), [&link] { link.set_faults({.down = true}); });
  send_at(at(106us), pair.left, 3, 125, 10);
  ns3::Simulator::Schedule(to_time(120us), [&link] { link.set_faults({}); });
  send_at(at(121us), pair.left, 4, 125, 20);
  ns3::Simulator::Run();
  EXPECT_EQ(link.counters().lost_down, 5u + 3u);
  ASSERT_EQ(recorder.arrivals.size(), 5u + 4u);
  EXPECT_EQ(recorder.arrivals[4].arrival, at(105us));
  EXPECT_EQ(recorder.arrivals[5].arrival, at(222us));
  EXPECT_EQ(recorder.arrivals[5].handled, at(225us));
  EXPECT_EQ(link.counters().in_flight(), 0u);
}

TEST_F(BurstLinkFaultTest, DirectionsFailAlone) {
  BurstPair pair;
  Recorder left, right;
  pair.left->set_receiver(&left);
  pair.right->set_receiver(&right);
  pair.channel->link_from(*pair.left).set_faults({.down = true});
  send_at(at(1us), pair.left, 5, 100);
  send_at(at(1us), pair.right, 5, 100);
  ns3::Simulator::Run();
  EXPECT_EQ(right.arrivals.size(), 0u);
  EXPECT_EQ(left.arrivals.size(), 5u);
}

// Random loads under random and changing faults, both ways at once.
TEST_F(BurstLinkFaultTest, RandomFaultsConserveFrames) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Prng prng{seed};
    BurstPair pair{{.rate = prng.below(2) == 0 ? "1Gbps" : "10Gbps",
                    .delay = Duration{static_cast<std::int64_t>(prng.below(200'000))},
                    .burst_max = 1 + static_cast<std::uint32_t>(prng.below(40)),
                    .burst_window = Duration{static_cast<std::int64_t>(prng.below(50'000))},
                    .queue_frames = 1 + static_cast<std::uint32_t>(prng.below(100))}};
    const bool reorders = prng.below(2) == 0;
    Recorder recorders[2];
    const ns3::Ptr<BurstNetDevice> devices[] = {pair.left, pair.right};
    std::uint32_t offered[2] = {};
    for (int side = 0; side < 2; ++side) {
      devices[1 - side]->set_receiver(&recorders[side]);
      pair.channel->link_from(*devices[side]).seed(prng.fork(static_cast<std::uint64_t>(side)));
      for (int i = 0; i < 40; ++i) {
        const Instant when = at(Duration{static_cast<std::int64_t>(prng.below(2'000'000))});
        const auto count = 1 + static_cast<std::uint32_t>(prng.below(60));
        send_at(when, devices[side], count, 60 + prng.below(1400), offered[side]);
        offered[side] += count;
      }
      for (int i = 0; i < 10; ++i) {
        LinkFaults faults{.loss = Ppm{static_cast<std::uint32_t>(prng.below(300'000))},
                          .duplicate = Ppm{static_cast<std::uint32_t>(prng.below(300'000))},
                          .delay_extra = Duration{static_cast<std::int64_t>(prng.below(100'000))},
                          .down = prng.below(3) == 0};
        if (reorders) faults.reorder = Ppm{static_cast<std::uint32_t>(prng.below(300'000))};
        BurstLink* const link = &pair.channel->link_from(*devices[side]);
        schedule(Duration{static_cast<std::int64_t>(prng.below(2'000'000))},
                 [link, faults] { link->set_faults(faults); });
      }
    }
    ns3::Simulator::Run();
    for (int side = 0; side < 2; ++side) {
      const LinkCounters& link = pair.channel->link_from(*devices[side]).counters();
      const BurstDeviceCounters& sender = devices[side]->counters();
      EXPECT_EQ(sender.tx_frames + sender.tx_drop_full, offered[side]);
      EXPECT_EQ(link.entered, sender.tx_frames);
      EXPECT_EQ(link.in_flight(), 0u);
      EXPECT_EQ(link.delivered, recorders[side].arrivals.size());
      EXPECT_EQ(link.delivered, devices[1 - side]->counters().rx_frames);
      Instant before{};
      for (const auto& arrival : recorders[side].arrivals) {
        EXPECT_LE(arrival.arrival, arrival.handled);
        EXPECT_TRUE(reorders || before <= arrival.arrival);
        before = arrival.arrival;
        const std::uint32_t mark = test::mark_of(arrival.bytes);
        ASSERT_LT(mark, offered[side]);
        EXPECT_EQ(arrival.bytes, make_frame(arrival.bytes.size(), mark));
      }
      for (const std::uint32_t size : recorders[side].sizes) {
        EXPECT_LE(size, devices[side]->burst_max());
      }
    }
    ns3::Simulator::Destroy();
  }
}

// --- Against stock ns-3
// ---------------------------------------------------------------------------

struct Offered {
  Duration when;
  std::uint32_t size;
};

std::vector<Offered> random_load(std::uint64_t seed) {
  Prng prng{seed};
  std::vector<Offered> load;
  Duration when{1000};
  for (int i = 0; i < 4000; ++i) {
    when += Duration{static_cast<std::int64_t>(prng.below(12'000))};
    load.push_back({when, 64 + static_cast<std::uint32_t>(prng.below(1400))});
  }
  return load;
}

struct Delays {
  std::vector<double> ns;
  std::uint64_t drops = 0;
  [[nodiscard]] double mean() const {
    double sum = 0;
    for (const double value : ns) sum += value;
    return sum / static_cast<double>(ns.size());
  }
  [[nodiscard]] double p99() const {
    auto sorted = ns;
    std::sort(sorted.begin(), sorted.end());
    return sorted[sorted.size() * 99 / 100];
  }
};

Delays burst_delays(const std::vector<Offered>& load, std::uint32_t queue_frames) {
  BurstPair pair{{.rate = "1Gbps", .delay = 2us, .burst_max = 1, .queue_frames = queue_frames}};
  Recorder recorder;
  pair.right->set_receiver(&recorder);
  for (std::uint32_t i = 0; i < load.size(); ++i) {
    send_at(at(load[i].when), pair.left, 1, load[i].size, i);
  }
  ns3::Simulator::Run();
  Delays delays;
  for (const auto& arrival : recorder.arrivals) {
    EXPECT_EQ(arrival.handled, arrival.arrival);
    const Instant sent = at(load[test::mark_of(arrival.bytes)].when);
    delays.ns.push_back(static_cast<double>((arrival.handled - sent).count()));
  }
  delays.drops = pair.left->counters().tx_drop_full;
  ns3::Simulator::Destroy();
  return delays;
}

Delays stock_delays(const std::vector<Offered>& load, std::uint32_t queue_frames) {
  const auto channel = ns3::CreateObject<ns3::PointToPointChannel>();
  channel->SetAttribute("Delay", ns3::StringValue("2us"));
  std::vector<ns3::Ptr<ns3::PointToPointNetDevice>> devices;
  for (int i = 0; i < 2; ++i) {
    const auto device = ns3::CreateObject<ns3::PointToPointNetDevice>();
    device->SetAttribute("DataRate", ns3::StringValue("1Gbps"));
    const auto queue = ns3::CreateObject<ns3::DropTailQueue<ns3::Packet>>();
    queue->SetMaxSize(ns3::QueueSize(ns3::QueueSizeUnit::PACKETS, queue_frames));
    device->SetQueue(queue);
    ns3::CreateObject<ns3::Node>()->AddDevice(device);
    device->Attach(channel);
    devices.push_back(device);
  }
  Delays delays;
  std::vector<std::uint64_t> order;
  devices[1]->SetReceiveCallback(ns3::NetDevice::ReceiveCallback(
      [&](ns3::Ptr<ns3::NetDevice>, ns3::Ptr<const ns3::Packet> packet, std::uint16_t,
          const ns3::Address&) {
        std::uint32_t index = 0;
        packet->CopyData(reinterpret_cast<std::uint8_t*>(&index), sizeof index);
        delays.ns.push_back(
            static_cast<double>((simulated_now().time_since_epoch() - load[index].when).count()));
        return true;
      }));
  for (std::uint32_t i = 0; i < load.size(); ++i) {
    ns3::Simulator::Schedule(to_time(load[i].when), [&, i] {
      std::vector<std::uint8_t> bytes(load[i].size - 2);  // The PPP header has 2 bytes.
      std::copy_n(reinterpret_cast<const std::uint8_t*>(&i), sizeof i, bytes.begin());
      const auto packet =
          ns3::Create<ns3::Packet>(bytes.data(), static_cast<std::uint32_t>(bytes.size()));
      if (!devices[0]->Send(packet, devices[1]->GetAddress(), 0x0800)) ++delays.drops;
    });
  }
  ns3::Simulator::Run();
  ns3::Simulator::Destroy();
  return delays;
}

TEST_F(BurstLinkTest, BurstsOfOneEqualStockPointToPoint) {
  for (const std::uint32_t queue_frames : {1000u, 5u}) {
    SCOPED_TRACE(queue_frames);
    const auto load = random_load(42);
    const Delays own = burst_delays(load, queue_frames);
    const Delays stock = stock_delays(load, queue_frames);
    EXPECT_EQ(own.ns.size(), stock.ns.size());
    EXPECT_EQ(own.drops, stock.drops);
    EXPECT_EQ(own.drops > 0, queue_frames == 5);
    EXPECT_NEAR(own.mean() / stock.mean(), 1.0, 0.01);
    EXPECT_NEAR(own.p99() / stock.p99(), 1.0, 0.01);
  }
}

// --- Under ns-3's stack
// ---------------------------------------------------------------------------

TEST_F(BurstLinkTest, SendReachesTheCallbacksByAddress) {
  BurstPair pair;
  std::vector<ns3::NetDevice::PacketType> promiscuous;
  std::uint32_t plain = 0;
  pair.right->SetPromiscReceiveCallback(ns3::NetDevice::PromiscReceiveCallback(
      [&](ns3::Ptr<ns3::NetDevice>, ns3::Ptr<const ns3::Packet>, std::uint16_t, const ns3::Address&,
          const ns3::Address&, ns3::NetDevice::PacketType type) {
        promiscuous.push_back(type);
        return true;
      }));
  pair.right->SetReceiveCallback(ns3::NetDevice::ReceiveCallback(
      [&](ns3::Ptr<ns3::NetDevice>, ns3::Ptr<const ns3::Packet> packet, std::uint16_t protocol,
          const ns3::Address& source) {
        EXPECT_EQ(packet->GetSize(), 50u);
        EXPECT_EQ(protocol, 0x86dd);
        EXPECT_EQ(source, pair.left->GetAddress());
        ++plain;
        return true;
      }));
  for (const char* mac :
       {"00:00:00:00:00:02", "00:00:00:00:00:09", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01"}) {
    EXPECT_TRUE(pair.left->Send(ns3::Create<ns3::Packet>(50), ns3::Mac48Address(mac), 0x86dd));
  }
  ns3::Simulator::Run();
  using enum ns3::NetDevice::PacketType;
  EXPECT_EQ(promiscuous, (std::vector{NS3_PACKET_HOST, NS3_PACKET_OTHERHOST, NS3_PACKET_BROADCAST,
                                      NS3_PACKET_MULTICAST}));
  EXPECT_EQ(plain, 3u);
}

TEST_F(BurstLinkTest, TraceSourcesShowWholeFrames) {
  BurstPair pair{{.rate = "1Gbps", .queue_frames = 2}};
  std::uint32_t tx = 0, rx = 0, drop = 0;
  const auto count = [](std::uint32_t* counter, ns3::Ptr<const ns3::Packet> packet) {
    EXPECT_EQ(packet->GetSize(), 125u);
    ++*counter;
  };
  using Count = ns3::Callback<void, ns3::Ptr<const ns3::Packet>>;
  const auto counting = [&count](std::uint32_t* counter) {
    return Count([count, counter](ns3::Ptr<const ns3::Packet> packet) { count(counter, packet); });
  };
  EXPECT_TRUE(pair.left->TraceConnectWithoutContext("MacTx", counting(&tx)));
  EXPECT_TRUE(pair.left->TraceConnectWithoutContext("MacTxDrop", counting(&drop)));
  EXPECT_TRUE(pair.right->TraceConnectWithoutContext("MacRx", counting(&rx)));
  send_at(at(1us), pair.left, 5, 125);
  ns3::Simulator::Run();
  EXPECT_EQ(tx, 3u);
  EXPECT_EQ(rx, 3u);
  EXPECT_EQ(drop, 2u);
}

TEST_F(BurstLinkTest, Ns3FindsItsTypesAttributesAndTraces) {
  ns3::ObjectFactory factory;
  factory.SetTypeId("sluice::BurstNetDevice");
  factory.Set("DataRate", ns3::StringValue("2Gbps"));
  factory.Set("BurstMax", ns3::UintegerValue(7));
  factory.Set("Mtu", ns3::UintegerValue(9000));
  const auto channel = ns3::CreateObject<BurstChannel>();
  std::vector<ns3::Ptr<BurstNetDevice>> devices;
  for (int i = 0; i < 2; ++i) {
    devices.push_back(factory.Create<BurstNetDevice>());
    ns3::CreateObject<ns3::Node>()->AddDevice(devices.back());
    EXPECT_FALSE(devices.back()->IsLinkUp());
    devices.back()->attach(channel);
  }
  EXPECT_TRUE(devices[0]->IsLinkUp() && devices[1]->IsLinkUp());
  EXPECT_EQ(devices[0]->rate(), Rate{2'000'000'000});
  EXPECT_EQ(devices[0]->burst_max(), 7u);
  EXPECT_EQ(devices[0]->GetMtu(), 9000u);
  EXPECT_EQ(devices[0]->GetChannel()->GetNDevices(), 2u);
  EXPECT_EQ(devices[0]->GetChannel()->GetDevice(1), devices[1]);
  std::uint32_t seen = 0;
  ns3::Config::ConnectWithoutContext(
      "/NodeList/*/DeviceList/*/$sluice::BurstNetDevice/PromiscSniffer",
      ns3::Callback<void, ns3::Ptr<const ns3::Packet>>(
          [&seen](ns3::Ptr<const ns3::Packet>) { ++seen; }));
  send_at(at(1us), devices[0], 3, 5000);
  ns3::Simulator::Run();
  EXPECT_EQ(seen, 6u);  // Each frame at both ends.
}

}  // namespace
}  // namespace sluice

#include "backends/ns3/sim_port.hpp"

#include <array>
#include <chrono>
#include <memory>

#include "backends/ns3/burst_port.hpp"
#include "backends/ns3/stock_port.hpp"
#include "tests/backends/ns3/fixture.hpp"

namespace sluice {
namespace {

using namespace std::chrono_literals;
using test::BurstPair;
using test::make_frame;
using test::send_at;

constexpr Instant at(Duration time) {
  return Instant{time};
}

/// Packet memory and pool of a host.
struct Memory {
  explicit Memory(std::uint32_t count) : bytes(std::size_t{count} * 2048), pool(count) {}
  std::vector<std::byte> bytes;
  PacketMemory memory{bytes, 2048};
  BufferPool pool;

  /// A batch of frames in fresh buffers, as NFs would leave it.
  PacketBatch batch_of(const std::vector<std::vector<std::byte>>& frames) {
    PacketBatch batch{memory};
    for (const auto& frame : frames) {
      std::array<std::uint32_t, 1> buffer{};
      EXPECT_EQ(pool.allocate(buffer), 1u);
      Packet packet{};
      packet.buffer = buffer[0];
      packet.offset = kHeadroom;
      packet.length = static_cast<std::uint16_t>(frame.size());
      batch.push(packet);
      std::copy(frame.begin(), frame.end(), batch.bytes(packet).begin());
    }
    return batch;
  }
};

std::span<const Packet> packets_of(const PacketBatch& batch) {
  return {batch.begin(), batch.size()};
}
std::vector<std::byte> copy_of(std::span<const std::byte> bytes) {
  return {bytes.begin(), bytes.end()};
}

class SimPortTest : public test::SimTest {
 protected:
  Memory memory_{256};
};

TEST_F(SimPortTest, ReceiveFillsDescriptorsAndCopiesBytes) {
  BurstPair pair{{.rate = "1Gbps", .delay = 5us}};
  BurstPort port{{.id = PortId{3}}, pair.right};
  std::uint32_t wakes = 0;
  port.set_wake([&] { ++wakes; });
  send_at(at(0us), pair.left, 10, 125);
  ns3::Simulator::Run();
  EXPECT_EQ(wakes, 1u);
  EXPECT_EQ(port.pending(simulated_now()), 10u);
  EXPECT_EQ(port.next_arrival(), at(6us));
  PacketBatch batch{memory_.memory};
  EXPECT_EQ(port.receive(batch, memory_.pool, simulated_now()), 0u);
  ASSERT_EQ(batch.size(), 10u);
  for (std::uint32_t i = 0; i < 10; ++i) {
    const Packet& packet = batch[i];
    EXPECT_EQ(packet.arrival, to_ns(at(6us + 1us * i)));
    EXPECT_EQ(packet.ingress, 3u);
    EXPECT_EQ(packet.offset, kHeadroom);
    EXPECT_EQ(packet.flow, kNoFlow);
    EXPECT_EQ(packet.chain, 0xffffu);
    EXPECT_EQ(packet.tag, 0u);
    EXPECT_EQ(packet.verdict, Verdict::kUndecided);
    EXPECT_EQ(copy_of(batch.bytes(packet)), make_frame(125, i));
  }
  EXPECT_EQ(memory_.pool.available(), 246u);
  EXPECT_EQ(port.pending(simulated_now()), 0u);
  EXPECT_EQ(port.next_arrival(), std::nullopt);
}

TEST_F(SimPortTest, ReceiveGivesNoFrameBeforeItsArrival) {
  BurstPair pair{{.rate = "1Gbps", .delay = 5us}};
  BurstPort port{{}, pair.right};
  send_at(at(0us), pair.left, 10, 125);
  ns3::Simulator::Run();
  PacketBatch batch{memory_.memory};
  EXPECT_EQ(port.pending(at(8us)), 3u);
  EXPECT_EQ(port.receive(batch, memory_.pool, at(8us)), 0u);
  EXPECT_EQ(batch.size(), 3u);
  EXPECT_EQ(memory_.pool.available(), 253u);
  EXPECT_EQ(port.next_arrival(), at(9us));
}

TEST_F(SimPortTest, ReceiveStopsAtTheBatchAndGoesOnInTheNext) {
  BurstPair pair;
  BurstPort port{{}, pair.right};
  send_at(at(0us), pair.left, 50, 100);
  ns3::Simulator::Run();
  std::uint32_t mark = 0;
  for (const std::uint32_t expected : {32u, 18u, 0u}) {
    PacketBatch batch{memory_.memory};
    EXPECT_EQ(port.receive(batch, memory_.pool, simulated_now()), 0u);
    EXPECT_EQ(batch.size(), expected);
    for (const Packet& packet : batch) EXPECT_EQ(test::mark_of(batch.bytes(packet)), mark++);
  }
}

TEST_F(SimPortTest, FramesWithoutABufferAreDroppedAndCounted) {
  BurstPair pair;
  BurstPort port{{}, pair.right};
  Memory small{7};
  send_at(at(0us), pair.left, 10, 100);
  ns3::Simulator::Run();
  PacketBatch batch{small.memory};
  EXPECT_EQ(port.receive(batch, small.pool, simulated_now()), 3u);
  EXPECT_EQ(batch.size(), 7u);
  EXPECT_EQ(port.counters().rx_no_buffer, 3u);
  EXPECT_EQ(small.pool.available(), 0u);
  EXPECT_EQ(port.pending(simulated_now()), 0u);
}

TEST_F(SimPortTest, FullReceiveRingMissesFramesAndCountsThem) {
  BurstPair pair;
  BurstPort port{{.rx_ring_frames = 40}, pair.right};
  send_at(at(0us), pair.left, 100, 100);
  ns3::Simulator::Run();
  EXPECT_EQ(port.pending(simulated_now()), 40u);
  EXPECT_EQ(port.counters().rx_frames, 40u);
  EXPECT_EQ(port.counters().rx_bytes, 4000u);
  EXPECT_EQ(port.counters().rx_missed, 60u);
}

TEST_F(SimPortTest, TransmitTakesWhatTheQueueHasRoomFor) {
  BurstPair pair{{.rate = "1Gbps", .queue_frames = 8}};
  BurstPort sender{{}, pair.left};
  BurstPort receiver{{}, pair.right};
  std::vector<std::vector<std::byte>> frames;
  for (std::uint32_t i = 0; i < 20; ++i) frames.push_back(make_frame(500, i));
  const PacketBatch batch = memory_.batch_of(frames);
  EXPECT_EQ(sender.transmit_room(), 9u);  // One goes out at once.
  EXPECT_EQ(sender.transmit(packets_of(batch), memory_.memory, simulated_now()), 9u);
  EXPECT_EQ(sender.transmit_room(), 0u);
  EXPECT_EQ(sender.counters().tx_frames, 9u);
  EXPECT_EQ(sender.counters().tx_bytes, 4500u);
  EXPECT_EQ(pair.left->counters().tx_drop_full, 0u);
  ns3::Simulator::Run();
  PacketBatch got{memory_.memory};
  EXPECT_EQ(receiver.receive(got, memory_.pool, simulated_now()), 0u);
  ASSERT_EQ(got.size(), 9u);
  for (std::uint32_t i = 0; i < 9; ++i) EXPECT_EQ(copy_of(got.bytes(got[i])), frames[i]);
}

TEST_F(SimPortTest, OversizeFramesAreTakenAndCounted) {
  BurstPair pair;
  BurstPort port{{}, pair.left};
  const PacketBatch batch = memory_.batch_of({make_frame(1600, 0), make_frame(100, 1)});
  EXPECT_EQ(port.transmit(packets_of(batch), memory_.memory, simulated_now()), 2u);
  EXPECT_EQ(port.counters().tx_refused, 1u);
  ns3::Simulator::Run();
  EXPECT_EQ(pair.right->counters().rx_frames, 1u);
}

// --- Stock devices
// ----------------------------------------------------------------------------------

std::vector<ns3::Ptr<ns3::NetDevice>> ppp_pair(std::uint32_t queue_frames) {
  const auto channel = ns3::CreateObject<ns3::PointToPointChannel>();
  std::vector<ns3::Ptr<ns3::NetDevice>> devices;
  for (const char* mac : {"00:00:00:00:00:01", "00:00:00:00:00:02"}) {
    const auto device = ns3::CreateObject<ns3::PointToPointNetDevice>();
    const auto queue = ns3::CreateObject<ns3::DropTailQueue<ns3::Packet>>();
    queue->SetMaxSize(ns3::QueueSize(ns3::QueueSizeUnit::PACKETS, queue_frames));
    device->SetQueue(queue);
    device->SetAddress(ns3::Mac48Address(mac));
    ns3::CreateObject<ns3::Node>()->AddDevice(device);
    device->Attach(channel);
    devices.push_back(device);
  }
  return devices;
}

std::vector<ns3::Ptr<ns3::NetDevice>> csma_pair() {
  const auto channel = ns3::CreateObject<ns3::CsmaChannel>();
  std::vector<ns3::Ptr<ns3::NetDevice>> devices;
  for (const char* mac : {"00:00:00:00:00:01", "00:00:00:00:00:02"}) {
    const auto device = ns3::CreateObject<ns3::CsmaNetDevice>();
    device->SetQueue(ns3::CreateObject<ns3::DropTailQueue<ns3::Packet>>());
    device->SetAddress(ns3::Mac48Address(mac));
    ns3::CreateObject<ns3::Node>()->AddDevice(device);
    device->Attach(channel);
    devices.push_back(device);
  }
  return devices;
}

/// An IPv4 UDP frame of `size` bytes from MAC ..:01 to MAC ..:02; the checksums do not matter here.
std::vector<std::byte> udp_frame(std::size_t size, std::uint32_t mark) {
  std::vector<std::byte> frame = make_frame(size, mark);
  std::fill_n(frame.begin(), 12, std::byte{0});
  frame[5] = std::byte{2};
  frame[11] = std::byte{1};
  frame[14] = std::byte{0x45};
  frame[23] = std::byte{17};
  return frame;
}

std::vector<std::vector<std::byte>> through(Memory& memory, SimPort& sender, SimPort& receiver,
                                            const std::vector<std::vector<std::byte>>& frames) {
  const PacketBatch batch = memory.batch_of(frames);
  schedule(1us, [&] {
    EXPECT_EQ(sender.transmit(packets_of(batch), memory.memory, simulated_now()), frames.size());
  });
  std::vector<std::vector<std::byte>> got;
  receiver.set_wake([&] {
    PacketBatch in{memory.memory};
    EXPECT_EQ(receiver.receive(in, memory.pool, simulated_now()), 0u);
    for (const Packet& packet : in) {
      EXPECT_EQ(packet.arrival, to_ns(simulated_now()));
      got.push_back(copy_of(in.bytes(packet)));
    }
  });
  ns3::Simulator::Run();
  return got;
}

TEST_F(SimPortTest, PppCarriesIpFramesUnchanged) {
  const auto devices = ppp_pair(100);
  StockPort sender{{}, devices[0]}, receiver{{}, devices[1]};
  const std::vector frames{udp_frame(60, 1), udp_frame(61, 2), udp_frame(1514, 3)};
  EXPECT_EQ(through(memory_, sender, receiver, frames), frames);
}

TEST_F(SimPortTest, PppRefusesWhatIsNotIpAndCountsIt) {
  const auto devices = ppp_pair(100);
  StockPort sender{{}, devices[0]}, receiver{{}, devices[1]};
  auto arp = udp_frame(60, 1);
  arp[13] = std::byte{6};
  const auto good = udp_frame(60, 2);
  EXPECT_EQ(through(memory_, sender, receiver, {arp, good, udp_frame(1600, 3)}),
            std::vector<std::vector<std::byte>>{good});
  EXPECT_EQ(sender.counters().tx_refused, 2u);
  EXPECT_EQ(receiver.counters().rx_frames, 1u);
}

TEST_F(SimPortTest, PppTransmitStopsAtAFullQueue) {
  const auto devices = ppp_pair(5);
  StockPort sender{{}, devices[0]}, receiver{{}, devices[1]};
  const PacketBatch batch = memory_.batch_of(std::vector(10, udp_frame(100, 1)));
  EXPECT_EQ(sender.transmit(packets_of(batch), memory_.memory, simulated_now()), 6u);
  EXPECT_EQ(sender.transmit_room(), 0u);
  ns3::Simulator::Run();
  EXPECT_EQ(receiver.counters().rx_frames, 6u);
}

TEST_F(SimPortTest, CsmaCarriesFramesOfEveryProtocolUnchanged) {
  const auto devices = csma_pair();
  StockPort sender{{}, devices[0]}, receiver{{}, devices[1]};
  auto arp = udp_frame(60, 1);
  arp[13] = std::byte{6};
  const std::vector frames{udp_frame(60, 1), udp_frame(1514, 2), arp};
  EXPECT_EQ(through(memory_, sender, receiver, frames), frames);
}

}  // namespace
}  // namespace sluice

#include "backends/ns3/tcp_transfers.hpp"

#include <chrono>
#include <numeric>

#include "backends/ns3/burst_port.hpp"
#include "backends/ns3/ethernet.hpp"
#include "backends/ns3/sim_port.hpp"
#include "tests/backends/ns3/fixture.hpp"

namespace sluice {
namespace {

using namespace std::chrono_literals;
using test::BurstPair;

constexpr Instant at(Duration time) {
  return Instant{time};
}

class TcpTransfersTest : public test::SimTest {
 protected:
  TcpTransfersTest() { enable_checksums(); }
  ~TcpTransfersTest() override {
    ns3::GlobalValue::Bind("ChecksumEnabled", ns3::BooleanValue(false));
  }
};

/// The ones' complement sum of big-endian 16-bit words.
std::uint32_t sum_words(std::span<const std::byte> bytes, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    sum += std::to_integer<std::uint32_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0);
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

TEST_F(TcpTransfersTest, TransfersCompleteWithTheirBytes) {
  BurstPair pair{{.rate = "1Gbps", .delay = 50us}};
  TcpTransfers tcp{{.client = pair.left, .server = pair.right}};
  const std::vector<std::uint64_t> sizes{1, 1448, 100'000, 3'000'000, 0};
  for (std::size_t i = 0; i < sizes.size(); ++i) tcp.add(at(1ms * (i + 1)), sizes[i]);
  ns3::Simulator::Stop(ns3::Seconds(5));
  ns3::Simulator::Run();
  EXPECT_EQ(tcp.finished_count(), sizes.size());
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const auto& transfer = tcp.transfers()[i];
    EXPECT_EQ(transfer.received_bytes, sizes[i]);
    EXPECT_EQ(transfer.retransmissions, 0u);
    EXPECT_FALSE(transfer.failed);
    EXPECT_GT(transfer.connected, transfer.start);
    EXPECT_GE(transfer.finished, transfer.connected);
    EXPECT_LT(transfer.finished, at(1s));
  }
  const auto total = std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0});
  EXPECT_EQ(tcp.received_bytes(), total);
  EXPECT_EQ(
      std::accumulate(tcp.goodput_bytes().begin(), tcp.goodput_bytes().end(), std::uint64_t{0}),
      total);
  // At 1 Gbps the bytes alone take 24.8 ms.
  EXPECT_GT(tcp.transfers()[3].finished - tcp.transfers()[3].start, 24ms);
}

TEST_F(TcpTransfersTest, ChecksumsAndPayloadAreReal) {
  BurstPair pair{{.rate = "1Gbps"}};
  TcpTransfers tcp{{.client = pair.left, .server = pair.right, .payload = "attack at dawn. "}};
  std::uint32_t tcp_count = 0;
  bool payload_seen = false;
  pair.left->TraceConnectWithoutContext(
      "MacTx",
      ns3::Callback<void, ns3::Ptr<const ns3::Packet>>([&](ns3::Ptr<const ns3::Packet> packet) {
        std::vector<std::byte> frame(packet->GetSize());
        packet->CopyData(reinterpret_cast<std::uint8_t*>(frame.data()), packet->GetSize());
        if (read_ethernet(frame).ether_type != 0x0800) return;
        ++tcp_count;
        const auto ip = std::span<const std::byte>{frame}.subspan(14);
        EXPECT_EQ(sum_words(ip.first(20)), 0xffffu);
        const auto segment = ip.subspan(20);
        const std::uint32_t pseudo =
            6 + static_cast<std::uint32_t>(segment.size()) + sum_words(ip.subspan(12, 8));
        EXPECT_EQ(sum_words(segment, pseudo), 0xffffu);
        const std::string_view text{reinterpret_cast<const char*>(frame.data()), frame.size()};
        payload_seen = payload_seen || text.find("attack at dawn") != text.npos;
      }));
  tcp.add(at(1ms), 50'000);
  ns3::Simulator::Stop(ns3::Seconds(2));
  ns3::Simulator::Run();
  EXPECT_EQ(tcp.finished_count(), 1u);
  EXPECT_GT(tcp_count, 35u);
  EXPECT_TRUE(payload_seen);
}

TEST_F(TcpTransfersTest, LossIsRepairedAndSeenAsRetransmissions) {
  BurstPair pair{{.rate = "1Gbps", .delay = 50us}};
  TcpTransfers tcp{{.client = pair.left, .server = pair.right}};
  BurstLink& link = pair.channel->link_from(*pair.left);
  link.seed(Prng{3});
  schedule(1ms, [&] { link.set_faults({.loss = Ppm{10'000}}); });  // ARP is not repeated as fast.
  tcp.add(at(500us), 3'000'000);
  ns3::Simulator::Stop(ns3::Seconds(20));
  ns3::Simulator::Run();
  EXPECT_EQ(tcp.transfers()[0].received_bytes, 3'000'000u);
  EXPECT_EQ(tcp.finished_count(), 1u);
  EXPECT_GT(link.counters().lost, 0u);
  EXPECT_GE(tcp.retransmissions(), link.counters().lost / 2);
  EXPECT_GT(tcp.retransmissions(), 0u);
}

/// A host that passes every frame from one port to the other, ARP too.
class Wire {
 public:
  Wire(ns3::Ptr<BurstNetDevice> left, ns3::Ptr<BurstNetDevice> right)
      : ports_{{{.id = PortId{0}}, left}, {{.id = PortId{1}}, right}} {
    for (std::size_t i = 0; i < 2; ++i) {
      ports_[i].set_wake([this, i] { pass(ports_[i], ports_[1 - i]); });
    }
  }
  const SimPort& port(std::size_t index) const { return ports_[index]; }
  std::uint32_t available() const { return pool_.available(); }

 private:
  void pass(SimPort& from, SimPort& to) {
    while (from.pending(simulated_now()) > 0) {
      PacketBatch batch{memory_};
      EXPECT_EQ(from.receive(batch, pool_, simulated_now()), 0u);
      (void)to.transmit({batch.begin(), batch.size()}, memory_, simulated_now());
      for (const Packet& packet : batch) pool_.release({&packet.buffer, 1});
    }
  }
  std::vector<std::byte> bytes_ = std::vector<std::byte>(std::size_t{64} * 2048);
  PacketMemory memory_{bytes_, 2048};
  BufferPool pool_{64};
  BurstPort ports_[2];
};

TEST_F(TcpTransfersTest, TransfersCompleteThroughAHostBetween) {
  BurstPair west{{.rate = "1Gbps"}}, east{{.rate = "1Gbps"}};
  Wire wire{west.right, east.left};
  TcpTransfers tcp{{.client = west.left, .server = east.right}};
  for (int i = 0; i < 10; ++i) tcp.add(at(1ms), 100'000);
  ns3::Simulator::Stop(ns3::Seconds(5));
  ns3::Simulator::Run();
  EXPECT_EQ(tcp.finished_count(), 10u);
  EXPECT_EQ(tcp.received_bytes(), 1'000'000u);
  EXPECT_LT(tcp.transfers()[9].finished, at(500ms));
  EXPECT_EQ(wire.port(0).counters().rx_frames, wire.port(1).counters().tx_frames);
  EXPECT_EQ(wire.available(), 64u);
}

TEST_F(TcpTransfersTest, WorksOverCsma) {
  const auto channel = ns3::CreateObject<ns3::CsmaChannel>();
  std::vector<ns3::Ptr<ns3::CsmaNetDevice>> devices;
  for (const char* mac : {"00:00:00:00:00:01", "00:00:00:00:00:02"}) {
    const auto device = ns3::CreateObject<ns3::CsmaNetDevice>();
    device->SetQueue(ns3::CreateObject<ns3::DropTailQueue<ns3::Packet>>());
    device->SetAddress(ns3::Mac48Address(mac));
    ns3::CreateObject<ns3::Node>()->AddDevice(device);
    device->Attach(channel);
    devices.push_back(device);
  }
  TcpTransfers tcp{{.client = devices[0], .server = devices[1]}};
  tcp.add(at(1ms), 50'000);
  ns3::Simulator::Stop(ns3::Seconds(30));
  ns3::Simulator::Run();
  EXPECT_EQ(tcp.finished_count(), 1u);
  EXPECT_EQ(tcp.received_bytes(), 50'000u);
}

TEST_F(TcpTransfersTest, TransferOverADeadLinkDoesNotFinish) {
  BurstPair pair;
  TcpTransfers tcp{{.client = pair.left, .server = pair.right}};
  pair.channel->link_from(*pair.left).set_faults({.down = true});
  tcp.add(at(1ms), 1000);
  ns3::Simulator::Stop(ns3::Seconds(1000));
  ns3::Simulator::Run();
  EXPECT_EQ(tcp.finished_count(), 0u);
  EXPECT_EQ(tcp.transfers()[0].connected, Instant::max());
  EXPECT_TRUE(tcp.transfers()[0].failed);
}

TEST_F(TcpTransfersTest, SameRunTwiceGivesTheSameTimes) {
  const auto run = [] {
    BurstPair pair{{.rate = "100Mbps", .queue_frames = 50}};
    TcpTransfers tcp{{.client = pair.left, .server = pair.right}};
    for (int i = 0; i < 20; ++i) tcp.add(at(1ms * i), 200'000);
    ns3::Simulator::Stop(ns3::Seconds(30));
    ns3::Simulator::Run();
    EXPECT_EQ(tcp.finished_count(), 20u);
    EXPECT_GT(tcp.retransmissions(), 0u);
    std::vector<Instant> finished;
    for (const auto& transfer : tcp.transfers()) finished.push_back(transfer.finished);
    ns3::Simulator::Destroy();
    return finished;
  };
  EXPECT_EQ(run(), run());
}

}  // namespace
}  // namespace sluice

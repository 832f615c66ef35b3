#include "backends/ns3/ns3.hpp"

#include <array>
#include <memory>
#include <vector>

#include "backends/ns3/burst_channel.hpp"
#include "backends/ns3/burst_net_device.hpp"
#include "backends/ns3/burst_port.hpp"
#include "backends/ns3/ethernet.hpp"
#include "backends/ns3/frame_sink.hpp"
#include "backends/ns3/sim_port_io.hpp"
#include "backends/ns3/sim_time.hpp"
#include "backends/ns3/stock_port.hpp"
#include "tests/conformance/packet_io_suite.hpp"

namespace sluice::conformance {
namespace {

using Devices = std::array<ns3::Ptr<ns3::NetDevice>, 2>;  ///< The host's, and the one outside.

struct BurstLinkKind {
  static constexpr std::size_t kHeaderBytesLost = 0;
  static Devices connect(std::uint32_t queue_frames) {
    const auto channel = ns3::CreateObject<BurstChannel>();
    Devices devices;
    for (auto& end : devices) {
      const auto device = ns3::CreateObject<BurstNetDevice>();
      device->SetAttribute("QueueFrames", ns3::UintegerValue(queue_frames));
      ns3::CreateObject<ns3::Node>()->AddDevice(device);
      device->attach(channel);
      end = device;
      queue_frames = 1024;
    }
    return devices;
  }
  static std::unique_ptr<SimPort> port(PortId id, const ns3::Ptr<ns3::NetDevice>& device) {
    return std::make_unique<BurstPort>(SimPort::Options{.id = id},
                                       ns3::DynamicCast<BurstNetDevice>(device));
  }
  static void send(const ns3::Ptr<ns3::NetDevice>& device, const frames::Bytes& frame) {
    const OutFrame out{.bytes = frame, .ready = simulated_now()};
    EXPECT_EQ(ns3::DynamicCast<BurstNetDevice>(device)->send_burst({&out, 1}), 1u);
  }
};

/// What both stock devices have in common: ns3::Packet without its link header.
template <class Device, class Channel>
struct StockLinkKind {
  static Devices connect(std::uint32_t queue_frames) {
    const auto channel = ns3::CreateObject<Channel>();
    Devices devices;
    for (auto& end : devices) {
      const auto device = ns3::CreateObject<Device>();
      const auto queue = ns3::CreateObject<ns3::DropTailQueue<ns3::Packet>>();
      queue->SetMaxSize(ns3::QueueSize(ns3::QueueSizeUnit::PACKETS, queue_frames));
      device->SetQueue(queue);
      device->SetAddress(ns3::Mac48Address::Allocate());
      ns3::CreateObject<ns3::Node>()->AddDevice(device);
      device->Attach(channel);
      end = device;
      queue_frames = 1024;
    }
    return devices;
  }
  static std::unique_ptr<SimPort> port(PortId id, const ns3::Ptr<ns3::NetDevice>& device) {
    return std::make_unique<StockPort>(SimPort::Options{.id = id}, device);
  }
  static void send(const ns3::Ptr<ns3::NetDevice>& device, const frames::Bytes& frame) {
    const EthernetHeader header = read_ethernet(frame);
    const auto payload = to_ns3_packet(std::span{frame}.subspan(kEthernetHeaderSize));
    const bool sent =
        device->SupportsSendFrom()
            ? device->SendFrom(payload, header.source, header.destination, header.ether_type)
            : device->Send(payload, header.destination, header.ether_type);
    EXPECT_TRUE(sent);
  }
};
struct CsmaLinkKind : StockLinkKind<ns3::CsmaNetDevice, ns3::CsmaChannel> {
  static constexpr std::size_t kHeaderBytesLost = 0;
};
/// PPP has no addresses: they are made anew at the other end.
struct PointToPointLinkKind : StockLinkKind<ns3::PointToPointNetDevice, ns3::PointToPointChannel> {
  static constexpr std::size_t kHeaderBytesLost = 12;
};

/// The ports of a simulated host on links of one kind.
template <class Link>
class SimEnd {
 public:
  static constexpr std::size_t kHeaderBytesLost = Link::kHeaderBytesLost;

  explicit SimEnd(const EndOptions& options)
      : bytes_(std::size_t{options.buffer_count} * options.buffer_size),
        memory_(bytes_, options.buffer_size),
        pool_(options.buffer_count),
        ports_(2),
        outside_(2),
        sinks_(2),
        sent_(2),
        io_(ports_, pool_, memory_) {
    for (std::uint16_t i = 0; i < 2; ++i) {
      const Devices devices = Link::connect(options.queue_frames);
      ports_[i] = Link::port(PortId{i}, devices[0]);
      outside_[i] = devices[1];
      sinks_[i] = std::make_unique<FrameSink>(devices[1]);
      sinks_[i]->set_watcher([&out = sent_[i]](std::span<const FrameView> frames) {
        for (const FrameView& frame : frames) {
          out.emplace_back(frame.bytes.begin(), frame.bytes.end());
        }
      });
    }
  }
  ~SimEnd() {
    ports_.clear();
    sinks_.clear();
    outside_.clear();
    ns3::Simulator::Destroy();  // Its state is global.
  }
  SimEnd(const SimEnd&) = delete;
  SimEnd& operator=(const SimEnd&) = delete;

  SimPortIo& io() { return io_; }
  [[nodiscard]] PacketMemory memory() const { return memory_; }
  [[nodiscard]] std::uint32_t available() const { return pool_.available(); }
  [[nodiscard]] Instant now() const { return simulated_now(); }
  void offer(PortId port, const frames::Bytes& frame) {
    Link::send(outside_[index_of(port)], frame);
  }
  void settle() { ns3::Simulator::Run(); }
  [[nodiscard]] std::vector<frames::Bytes> sent(PortId port) { return sent_[index_of(port)]; }

 private:
  std::vector<std::byte> bytes_;
  PacketMemory memory_;
  BufferPool pool_;
  std::vector<std::unique_ptr<SimPort>> ports_;
  std::vector<ns3::Ptr<ns3::NetDevice>> outside_;
  std::vector<std::unique_ptr<FrameSink>> sinks_;
  std::vector<std::vector<frames::Bytes>> sent_;
  SimPortIo io_;
};

using SimEnds =
    ::testing::Types<SimEnd<BurstLinkKind>, SimEnd<CsmaLinkKind>, SimEnd<PointToPointLinkKind>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Ns3, PacketIoSuite, SimEnds);

}  // namespace
}  // namespace sluice::conformance

#include "backends/ns3/frame_source.hpp"

#include <algorithm>
#include <chrono>
#include <memory>

#include "backends/ns3/frame_sink.hpp"
#include "tests/backends/ns3/fixture.hpp"

namespace sluice {
namespace {

using namespace std::chrono_literals;
using test::BurstPair;
using test::make_frame;

constexpr Instant at(Duration time) {
  return Instant{time};
}

/// Frames at given times.
class ListGenerator final : public FrameGenerator {
 public:
  ListGenerator(std::vector<Duration> times, std::size_t size)
      : times_(std::move(times)), size_(size) {}
  std::optional<Frame> next(std::span<std::byte> room) override {
    if (position_ == times_.size()) return std::nullopt;
    const auto frame = make_frame(size_, static_cast<std::uint32_t>(position_));
    std::copy(frame.begin(), frame.end(), room.begin());
    return Frame{.at = at(times_[position_++]), .length = static_cast<std::uint16_t>(size_)};
  }

 private:
  std::vector<Duration> times_;
  std::size_t size_;
  std::size_t position_ = 0;
};

struct Seen {
  std::vector<Instant> when;
  std::vector<Instant> handled;
  std::vector<std::vector<std::byte>> bytes;
  std::vector<std::size_t> calls;

  FrameWatcher watcher() {
    return [this](std::span<const FrameView> frames) {
      calls.push_back(frames.size());
      for (const FrameView& frame : frames) {
        when.push_back(frame.when);
        handled.push_back(simulated_now());
        bytes.emplace_back(frame.bytes.begin(), frame.bytes.end());
      }
    };
  }
};

std::vector<Duration> random_times(std::uint32_t count, std::uint64_t gap_ns) {
  Prng prng{11};
  std::vector<Duration> times;
  Duration now{0};
  for (std::uint32_t i = 0; i < count; ++i) {
    now += Duration{static_cast<std::int64_t>(prng.below(2 * gap_ns))};
    times.push_back(now);
  }
  return times;
}

class FrameSourceTest : public test::SimTest {};

TEST_F(FrameSourceTest, SendsNoFrameBeforeItsTimeAndKeepsEachTime) {
  BurstPair pair{{.rate = "1Gbps", .delay = 5us}};
  FrameSink sink{pair.right};
  Seen sent, got;
  sink.set_watcher(got.watcher());
  const auto times = random_times(5000, 3000);
  FrameSource source{pair.left, std::make_unique<ListGenerator>(times, 125)};
  source.set_watcher(sent.watcher());
  source.start();
  ns3::Simulator::Run();
  EXPECT_TRUE(source.ended());
  ASSERT_EQ(sent.when.size(), times.size());
  ASSERT_EQ(got.when.size(), times.size());
  Instant line_free{};
  for (std::size_t i = 0; i < times.size(); ++i) {
    EXPECT_GE(sent.handled[i], at(times[i]));
    line_free = std::max(line_free, at(times[i])) + 1us;  // As if given to the line one by one.
    EXPECT_EQ(got.when[i], line_free + 5us);
    EXPECT_GE(got.handled[i], got.when[i]);
    EXPECT_EQ(got.bytes[i], make_frame(125, static_cast<std::uint32_t>(i)));
  }
  EXPECT_EQ(source.counters().frames, 5000u);
  EXPECT_EQ(source.counters().bytes, 5000u * 125u);
  EXPECT_EQ(source.counters().refused, 0u);
  EXPECT_EQ(sink.counters().frames, 5000u);
  EXPECT_EQ(sink.counters().bytes, 5000u * 125u);
}

TEST_F(FrameSourceTest, CostsAnEventABurst) {
  BurstPair pair{{.burst_max = 16}};
  FrameSink sink{pair.right};
  ns3::Simulator::Run();
  const std::uint64_t before = ns3::Simulator::GetEventCount();
  std::vector<Duration> times;
  for (int i = 0; i < 1600; ++i) times.push_back(100ns * i);
  FrameSource source{pair.left, std::make_unique<ListGenerator>(times, 64)};
  source.start();
  ns3::Simulator::Run();
  EXPECT_EQ(sink.counters().frames, 1600u);
  EXPECT_EQ(ns3::Simulator::GetEventCount() - before, 200u);  // 100 bursts sent, 100 delivered.
}

TEST_F(FrameSourceTest, BurstHoldsOnlyFramesOfOneWindow) {
  BurstPair pair{{.burst_window = 10us}};
  Seen sent;
  FrameSource source{pair.left,
                     std::make_unique<ListGenerator>(
                         std::vector<Duration>{0us, 4us, 10us, 11us, 30us, 41us, 50us}, 64)};
  source.set_watcher(sent.watcher());
  source.start();
  ns3::Simulator::Run();
  EXPECT_EQ(sent.calls, (std::vector<std::size_t>{3, 1, 1, 2}));
}

TEST_F(FrameSourceTest, EndsBeforeItsLimitAndAtAStop) {
  BurstPair pair{{.burst_window = 1ms}};
  const std::vector<Duration> times{1us, 2us, 3us, 4us, 5us, 6us};
  FrameSource limited{pair.left, std::make_unique<ListGenerator>(times, 64)};
  limited.start(at(4us));
  FrameSource stopped{pair.right, std::make_unique<ListGenerator>(times, 64)};
  stopped.start();
  schedule(5us, [&] { stopped.stop(); });
  ns3::Simulator::Run();
  EXPECT_EQ(limited.counters().frames, 3u);
  EXPECT_EQ(stopped.counters().frames, 5u);
  EXPECT_TRUE(limited.ended());
  EXPECT_TRUE(stopped.ended());
}

TEST_F(FrameSourceTest, CountsWhatTheDeviceRefuses) {
  BurstPair pair{{.rate = "1Mbps", .queue_frames = 3}};
  FrameSource source{pair.left,
                     std::make_unique<ListGenerator>(std::vector<Duration>(10, 1us), 1000)};
  source.start();
  ns3::Simulator::Run();
  EXPECT_EQ(source.counters().frames, 10u);
  EXPECT_EQ(source.counters().refused, 6u);
  EXPECT_EQ(pair.right->counters().rx_frames, 4u);
}

TEST_F(FrameSourceTest, WorksFrameByFrameOnAStockDevice) {
  const auto channel = ns3::CreateObject<ns3::PointToPointChannel>();
  std::vector<ns3::Ptr<ns3::PointToPointNetDevice>> devices;
  for (int i = 0; i < 2; ++i) {
    const auto device = ns3::CreateObject<ns3::PointToPointNetDevice>();
    device->SetAttribute("DataRate", ns3::StringValue("1Gbps"));
    device->SetQueue(ns3::CreateObject<ns3::DropTailQueue<ns3::Packet>>());
    ns3::CreateObject<ns3::Node>()->AddDevice(device);
    device->Attach(channel);
    devices.push_back(device);
  }
  FrameSink sink{devices[1]};
  Seen got;
  sink.set_watcher(got.watcher());
  FrameSource source{devices[0],
                     std::make_unique<ListGenerator>(std::vector<Duration>{1us, 2us, 10us}, 114)};
  source.start();
  ns3::Simulator::Run();
  // 100 bytes of payload and 2 of PPP are 816 ns.
  EXPECT_EQ(got.when, (std::vector{at(1816ns), at(2816ns), at(10816ns)}));
  EXPECT_EQ(sink.counters().bytes, 3u * 114u);
  EXPECT_TRUE(
      std::equal(got.bytes[2].begin() + 14, got.bytes[2].end(), make_frame(114, 2).begin() + 14));
}

}  // namespace
}  // namespace sluice

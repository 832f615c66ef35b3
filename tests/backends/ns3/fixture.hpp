#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "backends/ns3/burst_channel.hpp"
#include "backends/ns3/burst_net_device.hpp"
#include "backends/ns3/ns3.hpp"
#include "backends/ns3/sim_time.hpp"

namespace sluice::test {

/// Every test starts and leaves ns-3 empty: its simulator, node list and channel list are global.
class SimTest : public ::testing::Test {
 protected:
  ~SimTest() override { ns3::Simulator::Destroy(); }
};

inline std::vector<std::byte> make_frame(std::size_t size, std::uint32_t mark) {
  std::vector<std::byte> frame(size);
  for (std::size_t i = 0; i < size; ++i) frame[i] = static_cast<std::byte>((i * 7 + mark) & 0xff);
  for (std::size_t i = 0; i < 4; ++i) frame[14 + i] = static_cast<std::byte>(mark >> (8 * i));
  frame[12] = std::byte{0x08};
  frame[13] = std::byte{0x00};
  return frame;
}

inline std::uint32_t mark_of(std::span<const std::byte> frame) {
  std::uint32_t mark = 0;
  for (std::size_t i = 0; i < 4; ++i)
    mark |= std::to_integer<std::uint32_t>(frame[14 + i]) << (8 * i);
  return mark;
}

/// Two nodes and a burst link between them.
struct BurstPair {
  struct Options {
    const char* rate = "10Gbps";
    Duration delay = std::chrono::microseconds{10};
    std::uint32_t burst_max = 32;
    Duration burst_window = std::chrono::microseconds{20};
    std::uint32_t queue_frames = 1024;
  };
  explicit BurstPair(const Options& options) : channel(ns3::CreateObject<BurstChannel>()) {
    channel->SetAttribute("Delay", ns3::TimeValue(to_time(options.delay)));
    left = plug(options, "00:00:00:00:00:01");
    right = plug(options, "00:00:00:00:00:02");
  }
  BurstPair() : BurstPair(Options{}) {}

  ns3::Ptr<BurstNetDevice> plug(const Options& options, const char* mac) const {
    const ns3::Ptr<ns3::Node> node = ns3::CreateObject<ns3::Node>();
    const ns3::Ptr<BurstNetDevice> device = ns3::CreateObject<BurstNetDevice>();
    device->SetAttribute("DataRate", ns3::StringValue(options.rate));
    device->SetAttribute("BurstMax", ns3::UintegerValue(options.burst_max));
    device->SetAttribute("BurstWindow", ns3::TimeValue(to_time(options.burst_window)));
    device->SetAttribute("QueueFrames", ns3::UintegerValue(options.queue_frames));
    device->SetAddress(ns3::Mac48Address(mac));
    node->AddDevice(device);
    device->attach(channel);
    return device;
  }
  LinkCounters forward() const { return channel->link_from(*left).counters(); }

  ns3::Ptr<BurstChannel> channel;
  ns3::Ptr<BurstNetDevice> left, right;
};

/// Keeps what arrived.
struct Recorder final : BurstReceiver {
  struct Arrival {
    Instant arrival, handled;
    std::vector<std::byte> bytes;
    bool operator==(const Arrival&) const = default;
  };
  void receive_burst(BurstPtr burst) noexcept override {
    sizes.push_back(burst->size());
    for (const BurstFrame& frame : burst->frames()) {
      const auto bytes = burst->bytes(frame);
      arrivals.push_back({frame.arrival, simulated_now(), {bytes.begin(), bytes.end()}});
    }
  }
  std::vector<std::uint32_t> sizes;
  std::vector<Arrival> arrivals;
};

/// Offers `count` frames of `size` bytes at `when`, in one call.
inline void send_at(Instant when, ns3::Ptr<BurstNetDevice> device, std::uint32_t count,
                    std::size_t size, std::uint32_t mark = 0) {
  ns3::Simulator::Schedule(to_time(when.time_since_epoch()), [device, count, size, mark] {
    std::vector<std::vector<std::byte>> frames;
    std::vector<OutFrame> out;
    for (std::uint32_t i = 0; i < count; ++i) frames.push_back(make_frame(size, mark + i));
    for (const auto& frame : frames) out.push_back({.bytes = frame, .ready = simulated_now()});
    device->send_burst(out);
  });
}

}  // namespace sluice::test

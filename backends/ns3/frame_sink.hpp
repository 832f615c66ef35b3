#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "backends/ns3/burst_net_device.hpp"
#include "backends/ns3/frame_view.hpp"
#include "backends/ns3/ns3.hpp"

namespace sluice {

/// Takes and counts all that arrives at a device, whoever it is addressed to. A watcher sees every
/// frame with its own arrival time: for latencies, and for captures. Lives as long as the
/// simulation's events.
class FrameSink : private BurstReceiver {
 public:
  struct Counters {
    std::uint64_t frames = 0;
    std::uint64_t bytes = 0;
  };

  explicit FrameSink(ns3::Ptr<ns3::NetDevice> device);
  ~FrameSink() override;
  FrameSink(const FrameSink&) = delete;
  FrameSink& operator=(const FrameSink&) = delete;

  void set_watcher(FrameWatcher watcher) { watcher_ = std::move(watcher); }
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }

 private:
  void receive_burst(BurstPtr burst) noexcept override;
  bool receive_packet(ns3::Ptr<ns3::NetDevice> device, ns3::Ptr<const ns3::Packet> packet,
                      std::uint16_t protocol, const ns3::Address& source,
                      const ns3::Address& destination, ns3::NetDevice::PacketType type);

  ns3::Ptr<ns3::NetDevice> device_;
  ns3::Ptr<BurstNetDevice> burst_device_;  ///< device_, or null if it is another kind.
  std::vector<FrameView> views_;
  std::vector<std::byte> scratch_;
  FrameWatcher watcher_;
  Counters counters_;
};

}  // namespace sluice

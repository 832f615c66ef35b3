#pragma once

#include <cstdint>
#include <span>

#include "backends/ns3/burst_net_device.hpp"
#include "backends/ns3/sim_port.hpp"

namespace sluice {

/// The port on a BurstNetDevice: bytes from slab to packet memory and back, no ns3::Packet.
class BurstPort final : public SimPort, private BurstReceiver {
 public:
  BurstPort(const Options& options, ns3::Ptr<BurstNetDevice> device);
  ~BurstPort() override;

  std::uint32_t transmit(std::span<const Packet> packets, const PacketMemory& memory,
                         Instant now) noexcept override;
  [[nodiscard]] std::uint32_t transmit_room() noexcept override;

 private:
  void receive_burst(BurstPtr burst) noexcept override { arrived(std::move(burst)); }

  ns3::Ptr<BurstNetDevice> device_;
};

}  // namespace sluice

#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "backends/ns3/ns3.hpp"
#include "backends/ns3/sim_port.hpp"

namespace sluice {

/// The port on any device of ns-3: point-to-point, CSMA or another of an ns-3 user's own.
///
/// Such devices speak ns3::Packet without its link header, so the Ethernet header is taken off on
/// the way out and made anew on the way in, from the addresses and protocol that the device
/// reports. Point-to-point (PPP) carries IPv4 and IPv6 only: other frames are lost as tx_refused.
class StockPort final : public SimPort {
 public:
  StockPort(const Options& options, ns3::Ptr<ns3::NetDevice> device);
  ~StockPort() override;

  std::uint32_t transmit(std::span<const Packet> packets, const PacketMemory& memory,
                         Instant now) noexcept override;
  [[nodiscard]] std::uint32_t transmit_room() noexcept override;

 private:
  bool received(ns3::Ptr<ns3::NetDevice> device, ns3::Ptr<const ns3::Packet> packet,
                std::uint16_t protocol, const ns3::Address& source, const ns3::Address& destination,
                ns3::NetDevice::PacketType type);

  ns3::Ptr<ns3::NetDevice> device_;
  ns3::Ptr<ns3::Queue<ns3::Packet>> queue_;  ///< The device's; null if it has none that we know.
  std::shared_ptr<BurstPool> pool_;
  std::vector<std::byte> scratch_;
};

}  // namespace sluice

#include "backends/ns3/stock_port.hpp"

#include <algorithm>

#include "backends/ns3/ethernet.hpp"
#include "backends/ns3/sim_time.hpp"

namespace sluice {

StockPort::StockPort(const Options& options, ns3::Ptr<ns3::NetDevice> device)
    : SimPort(options),
      device_(device),
      pool_(std::make_shared<BurstPool>(BurstPool::Options{
          .frame_count_max = 32, .frame_size_max = std::uint32_t{device->GetMtu()} + 22u})) {
  if (const auto ppp = ns3::DynamicCast<ns3::PointToPointNetDevice>(device)) {
    queue_ = ppp->GetQueue();
  } else if (const auto csma = ns3::DynamicCast<ns3::CsmaNetDevice>(device)) {
    queue_ = csma->GetQueue();
  }
  device_->SetPromiscReceiveCallback(ns3::MakeCallback(&StockPort::received, this));
}

StockPort::~StockPort() {
  device_->SetPromiscReceiveCallback(ns3::NetDevice::PromiscReceiveCallback());
}

std::uint32_t StockPort::transmit(std::span<const Packet> packets, const PacketMemory& memory,
                                  Instant /*now*/) noexcept {
  std::uint32_t count = 0;
  for (const Packet& packet : packets) {
    if (queue_ && transmit_room() == 0) break;
    if (!send_frame(device_, memory.bytes(packet), origin(packet))) {
      if (!queue_) break;
      ++counters_.tx_refused;
    }
    ++count;
    counters_.tx_bytes += packet.length;
  }
  counters_.tx_frames += count;
  return count;
}

std::uint32_t StockPort::transmit_room() noexcept {
  if (!queue_) return PacketBatch::kCapacity;
  const ns3::QueueSize max = queue_->GetMaxSize();
  if (max.GetUnit() == ns3::QueueSizeUnit::PACKETS) {
    return max.GetValue() - std::min(max.GetValue(), queue_->GetNPackets());
  }
  const std::uint32_t used = queue_->GetNBytes();
  return used >= max.GetValue()
             ? 0
             : (max.GetValue() - used) / (std::uint32_t{device_->GetMtu()} + 14u);
}

bool StockPort::received(ns3::Ptr<ns3::NetDevice> /*device*/, ns3::Ptr<const ns3::Packet> packet,
                         std::uint16_t protocol, const ns3::Address& source,
                         const ns3::Address& destination, ns3::NetDevice::PacketType /*type*/) {
  write_ethernet_frame(*packet, source, destination, protocol, scratch_);
  const ns3::Ptr<const ns3::Packet> tagged = tagged_copy(*packet);
  arrived(scratch_, simulated_now(), *pool_, ns3::PeekPointer(tagged));
  return true;
}

}  // namespace sluice

#include "backends/ns3/burst_port.hpp"

#include <algorithm>
#include <array>

#include "core/check.hpp"

namespace sluice {

BurstPort::BurstPort(const Options& options, ns3::Ptr<BurstNetDevice> device)
    : SimPort(options), device_(device) {
  device_->set_receiver(this);
}

BurstPort::~BurstPort() {
  device_->set_receiver(nullptr);
}

std::uint32_t BurstPort::transmit(std::span<const Packet> packets, const PacketMemory& memory,
                                  Instant now) noexcept {
  constexpr std::size_t kGroup = PacketBatch::kCapacity;
  packets = packets.first(std::min<std::size_t>(packets.size(), device_->queue_room()));
  std::array<OutFrame, kGroup> frames;
  for (std::size_t done = 0; done < packets.size(); done += kGroup) {
    const auto group = packets.subspan(done, std::min(kGroup, packets.size() - done));
    for (std::size_t i = 0; i < group.size(); ++i) {
      frames[i] = {.bytes = memory.bytes(group[i]), .ready = now, .origin = origin(group[i])};
      counters_.tx_bytes += group[i].length;
    }
    const std::uint32_t sent = device_->send_burst(std::span{frames}.first(group.size()));
    counters_.tx_refused += group.size() - sent;
  }
  counters_.tx_frames += packets.size();
  return static_cast<std::uint32_t>(packets.size());
}

std::uint32_t BurstPort::transmit_room() noexcept {
  return device_->queue_room();
}

}  // namespace sluice

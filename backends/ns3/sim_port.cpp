#include "backends/ns3/sim_port.hpp"

namespace sluice {

std::uint32_t SimPort::receive(PacketBatch& batch, BufferPool& pool, Instant now) noexcept {
  const std::uint32_t dropped = queue_.take(batch, pool, options_.id, now, tags_).dropped;
  counters_.rx_no_buffer += dropped;
  return dropped;
}

void SimPort::arrived(BurstPtr burst) {
  std::uint32_t kept = burst->size();
  std::uint64_t size_bytes = 0;
  const std::uint32_t room = queue_.room();
  if (kept > room) {
    counters_.rx_missed += kept - room;
    kept = room;
  }
  for (const BurstFrame& frame : burst->frames().first(kept)) size_bytes += frame.length;
  counters_.rx_frames += kept;
  counters_.rx_bytes += size_bytes;
  queue_.push(std::move(burst));
  if (wake_ && kept > 0) wake_();
}

void SimPort::arrived(std::span<const std::byte> frame, Instant arrival, BurstPool& pool,
                      const ns3::Packet* origin) {
  if (frame.size() > pool.options().frame_size_max) {
    ++counters_.rx_oversize;
    return;
  }
  if (!queue_.push(frame, arrival, pool, origin)) {
    ++counters_.rx_missed;
    return;
  }
  ++counters_.rx_frames;
  counters_.rx_bytes += frame.size();
  if (wake_) wake_();
}

}  // namespace sluice

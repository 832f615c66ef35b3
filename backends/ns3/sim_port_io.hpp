#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "backends/ns3/sim_port.hpp"
#include "backends/ns3/sim_time.hpp"
#include "core/host/packet_io.hpp"
#include "core/packet/buffer_pool.hpp"
#include "core/packet/packet_batch.hpp"
#include "core/packet/packet_memory.hpp"

namespace sluice {

/// The PacketIo of a simulated worker: all of a host's ports, by their numbers, and its pool.
///
/// Time is the simulator's. It owns nothing: ports and pool outlive it.
class SimPortIo {
 public:
  SimPortIo(std::span<const std::unique_ptr<SimPort>> ports, BufferPool& pool, PacketMemory memory)
      : ports_(ports), pool_(pool), memory_(memory) {}

  std::uint32_t receive(PortId port, PacketBatch& batch) noexcept {
    return ports_[index_of(port)]->receive(batch, pool_, simulated_now());
  }
  /// Sent bytes are copied out, so the buffers are free at once.
  std::uint32_t transmit(PortId port, std::span<const Packet> packets) noexcept {
    const std::uint32_t sent = ports_[index_of(port)]->transmit(packets, memory_, simulated_now());
    std::array<std::uint32_t, PacketBatch::kCapacity> buffers;
    for (std::uint32_t done = 0; done < sent;) {
      std::uint32_t count = 0;
      while (done < sent && count < buffers.size()) buffers[count++] = packets[done++].buffer;
      pool_.release({buffers.data(), count});
    }
    return sent;
  }
  std::uint32_t allocate(std::span<std::uint32_t> to_fill) noexcept {
    return pool_.allocate(to_fill);
  }
  void release(std::span<const std::uint32_t> to_free) noexcept { pool_.release(to_free); }

 private:
  std::span<const std::unique_ptr<SimPort>> ports_;
  BufferPool& pool_;
  PacketMemory memory_;
};
static_assert(PacketIo<SimPortIo>);

}  // namespace sluice

#pragma once

#include <concepts>
#include <cstdint>
#include <span>

#include "core/packet/packet_batch.hpp"
#include "core/units.hpp"

namespace sluice {

/// What a backend offers one worker: its ports and the free list of the packet memory.
///
/// A template where the build decides: the compiler names the requirement that a type misses.
/// Nothing here blocks.
template <class T>
concept PacketIo = requires(T io, PortId port, PacketBatch& batch, std::span<const Packet> packets,
                            std::span<std::uint32_t> to_fill,
                            std::span<const std::uint32_t> to_free) {
  /// Appends what arrived, as far as the batch has room. A packet comes with buffer, offset,
  /// length, ingress and arrival set, and its first bytes on the way into the cache if they were
  /// not there. Returns how many frames were lost for want of a buffer.
  { io.receive(port, batch) }
  noexcept->std::same_as<std::uint32_t>;
  /// Sends the first n of `packets` and owns their buffers then; the rest stays ours. Returns n.
  { io.transmit(port, packets) }
  noexcept->std::same_as<std::uint32_t>;
  /// Takes free buffers, as many as there are. Returns how many.
  { io.allocate(to_fill) }
  noexcept->std::same_as<std::uint32_t>;
  { io.release(to_free) }
  noexcept->std::same_as<void>;
};

}  // namespace sluice

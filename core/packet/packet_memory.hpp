#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/packet/packet.hpp"

namespace sluice {

/// Free bytes before a received frame, for headers that the way adds (DESIGN 7).
inline constexpr std::uint16_t kHeadroom = 256;

/// A view of a host's packet memory: `buffer_count` buffers of `buffer_size` bytes, side by side.
///
/// It owns nothing: the simulator and tests back it by a vector, the DPDK backend and the NF
/// processes by a shared mapping. Copy it freely.
class PacketMemory {
 public:
  constexpr PacketMemory() = default;
  constexpr PacketMemory(std::span<std::byte> bytes, std::uint32_t buffer_size)
      : base_(bytes.data()),
        buffer_size_(buffer_size),
        buffer_count_(buffer_size == 0 ? 0
                                       : static_cast<std::uint32_t>(bytes.size() / buffer_size)) {}

  [[nodiscard]] constexpr std::uint32_t buffer_size() const { return buffer_size_; }
  [[nodiscard]] constexpr std::uint32_t buffer_count() const { return buffer_count_; }

  /// The whole buffer `index`, which must be below buffer_count().
  [[nodiscard]] std::span<std::byte> buffer(std::uint32_t index) const noexcept {
    return {base_ + std::size_t{index} * buffer_size_, buffer_size_};
  }
  /// The frame of `packet`. The descriptor must be valid (see contains()).
  [[nodiscard]] std::span<std::byte> bytes(const Packet& packet) const noexcept {
    return {base_ + std::size_t{packet.buffer} * buffer_size_ + packet.offset, packet.length};
  }
  /// Whether a descriptor from outside points into one buffer of this memory.
  [[nodiscard]] bool contains(const Packet& packet) const noexcept {
    return packet.buffer < buffer_count_ &&
           std::uint32_t{packet.offset} + packet.length <= buffer_size_;
  }

 private:
  std::byte* base_ = nullptr;
  std::uint32_t buffer_size_ = 0;
  std::uint32_t buffer_count_ = 0;
};

}  // namespace sluice

#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "core/check.hpp"
#include "core/packet/packet.hpp"
#include "core/packet/packet_memory.hpp"

namespace sluice {

/// Up to 32 packets handled together, with the memory that their bytes lie in.
class PacketBatch {
 public:
  static constexpr std::uint32_t kCapacity = 32;

  PacketBatch() = default;
  explicit PacketBatch(PacketMemory memory) : memory_(memory) {}

  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] bool full() const noexcept { return size_ == kCapacity; }
  [[nodiscard]] std::uint32_t room() const noexcept { return kCapacity - size_; }

  void push(const Packet& packet) noexcept {
    SLUICE_CHECK(size_ < kCapacity);
    packets_[size_++] = packet;
  }
  void append(std::span<const Packet> packets) noexcept {
    SLUICE_CHECK(packets.size() <= room());
    std::copy(packets.begin(), packets.end(), end());
    size_ += static_cast<std::uint32_t>(packets.size());
  }
  void clear() noexcept { size_ = 0; }
  /// Makes room to write `size` descriptors in place; the new ones are what stood there before.
  void resize(std::uint32_t size) noexcept {
    SLUICE_CHECK(size <= kCapacity);
    size_ = size;
  }

  Packet* data() noexcept { return packets_.data(); }
  Packet* begin() noexcept { return packets_.data(); }
  Packet* end() noexcept { return packets_.data() + size_; }
  [[nodiscard]] const Packet* begin() const noexcept { return packets_.data(); }
  [[nodiscard]] const Packet* end() const noexcept { return packets_.data() + size_; }
  Packet& operator[](std::uint32_t i) noexcept { return packets_[i]; }
  const Packet& operator[](std::uint32_t i) const noexcept { return packets_[i]; }

  [[nodiscard]] const PacketMemory& memory() const noexcept { return memory_; }
  /// The frame of a packet of this batch, from its first Ethernet byte.
  [[nodiscard]] std::span<std::byte> bytes(const Packet& packet) const noexcept {
    return memory_.bytes(packet);
  }

 private:
  std::array<Packet, kCapacity> packets_;
  std::uint32_t size_ = 0;
  PacketMemory memory_;
};

}  // namespace sluice

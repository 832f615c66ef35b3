#pragma once

#include <array>
#include <cstdint>

#include "core/host/worker.hpp"

// What only the sources of Worker share.

namespace sluice {

inline constexpr std::uint32_t kExpireBudgetOfTick = 1024;
inline constexpr std::uint8_t kReverseKnown = 0x04;
/// Packet::step of a packet that another worker only has to send.
inline constexpr std::uint8_t kStepLeaving = 0xff;
inline constexpr std::uint16_t kChainNone = 0xffff;

struct Worker::Fresh {
  std::array<Packet, PacketBatch::kCapacity> packets;
  std::array<FlowKey, PacketBatch::kCapacity> keys;
  std::array<std::uint8_t, PacketBatch::kCapacity> tcp_flags;
  std::array<std::uint32_t, PacketBatch::kCapacity> slots;
  std::uint32_t size = 0;
};

}  // namespace sluice

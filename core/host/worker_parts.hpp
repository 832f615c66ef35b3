#pragma once

#include <cstdint>
#include <span>

#include "core/host/worker.hpp"

// What only the sources of Worker share.

namespace sluice {

inline constexpr std::uint32_t kExpireBudgetOfTick = 1024;
inline constexpr std::uint8_t kReverseKnown = 0x04;
/// Packet::step of a packet that another worker only has to send.
inline constexpr std::uint8_t kStepLeaving = 0xff;
/// Of one that has gone through its chain at other hosts, and is back at the host with its flow.
/// Both lie beyond all steps.
inline constexpr std::uint8_t kStepEnded = 0xfe;
static_assert(kStepCountMax <= kStepEnded);
inline constexpr std::uint16_t kChainNone = 0xffff;

/// Whether two packets stand at the same step of the same chain, with the same verdict.
inline bool stands_as(const Packet& packet, const Packet& other) {
  return packet.chain == other.chain && packet.step == other.step &&
         packet.verdict == other.verdict;
}

inline bool all_stand_alike(std::span<const Packet> packets) {
  bool alike = true;
  for (const Packet& packet : packets) alike &= stands_as(packet, packets.front());
  return alike;
}

}  // namespace sluice

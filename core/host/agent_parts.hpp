#pragma once

#include <cstdint>

#include "core/host/load_sample.hpp"
#include "core/units.hpp"

/// What the parts of Agent share, a source file each. Private to this folder.
namespace sluice {

constexpr std::uint16_t kIndexNone = 0xffff;
/// A chain version's number rests this long after its last flow, for packets that are still held.
constexpr Duration kChainRest = std::chrono::seconds{60};

inline bool serves(InstanceState state) {
  return state == InstanceState::kStarting || state == InstanceState::kRunning;
}

inline bool is_alive(InstanceState state) {
  return serves(state) || state == InstanceState::kDraining || state == InstanceState::kHung;
}

}  // namespace sluice

#pragma once

#include <cstdint>
#include <type_traits>

#include "core/units.hpp"

namespace sluice {

/// Which instance on which host a flow uses at one step of its chain. Four bytes, as on the wire.
struct Pin {
  std::uint16_t host = 0xffff;
  std::uint16_t instance = 0xffff;

  [[nodiscard]] constexpr bool is_set() const { return instance != 0xffff; }
  constexpr bool operator==(const Pin&) const = default;
};
static_assert(sizeof(Pin) == 4 && std::is_trivially_copyable_v<Pin>);

}  // namespace sluice

#pragma once

#include <cstdint>
#include <optional>

#include "core/chain/chain.hpp"

namespace sluice {

/// Where a packet with labels `tag` goes after `step`: the first branch in file order whose label
/// it carries, else what follows.
[[nodiscard]] constexpr Hop hop_after(const Step& step, std::uint32_t tag) noexcept {
  for (const Branch& branch : step.branches) {
    if ((tag & branch.label_bits) != 0) return branch.hop;
  }
  return step.next;
}

/// The first step of a chain that `service` does; nothing when the chain has none.
[[nodiscard]] constexpr std::optional<std::uint8_t> first_step_of(const ChainVersion& chain,
                                                                  ServiceId service) noexcept {
  for (std::size_t i = 0; i < chain.steps.size(); ++i) {
    if (chain.steps[i].service == service) return static_cast<std::uint8_t>(i);
  }
  return std::nullopt;
}

/// The step behind `step` that `service` does; nothing when the chain has none there. A verdict "to
/// service" goes forward only: a packet that could go back could turn in circles for ever.
[[nodiscard]] constexpr std::optional<std::uint8_t> step_of_service(const ChainVersion& chain,
                                                                    std::uint8_t step,
                                                                    ServiceId service) noexcept {
  for (std::size_t i = std::size_t{step} + 1; i < chain.steps.size(); ++i) {
    if (chain.steps[i].service == service) return static_cast<std::uint8_t>(i);
  }
  return std::nullopt;
}

}  // namespace sluice

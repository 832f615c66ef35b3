#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/units.hpp"

namespace sluice::sim {

/// A mark in the payload of a made-up frame: which source sent it, and when. Whoever receives the
/// frame on the same machine knows from it how long it was under way.
struct Probe {
  /// Its bytes, the first of the UDP or TCP payload: "SLTP", source (u16), zero (u16), time (u64).
  static constexpr std::size_t kSize = 16;

  std::uint16_t source = 0;  ///< The traffic entry's place in the file.
  Instant sent{};            ///< CLOCK_MONOTONIC.
  bool operator==(const Probe&) const = default;
};

/// Writes a probe over the first payload bytes of a whole frame; the checksum stays as right as it
/// was.
/// @return Whether there was a UDP or TCP payload with room for it; if not, nothing is written.
bool write_probe(std::span<std::byte> frame, const Probe& probe) noexcept;

/// The probe of a whole frame, if it has one.
[[nodiscard]] std::optional<Probe> read_probe(std::span<const std::byte> frame) noexcept;

}  // namespace sluice::sim

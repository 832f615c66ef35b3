#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/units.hpp"

namespace sluice {

/// A workload: an endless or finite row of frames, each with its time. Knows no simulator, so that
/// a test or a file writer can pull from it too.
class FrameGenerator {
 public:
  struct Frame {
    Instant at{};  ///< When its first bit may leave; never before that of the frame before.
    std::uint16_t length = 0;  ///< Bytes written to the front of `room`, without FCS.
  };
  virtual ~FrameGenerator() = default;

  /// Writes the next frame's bytes, from the first Ethernet byte, to the front of `room`.
  /// @return Nothing when there are no more, for good.
  [[nodiscard]] virtual std::optional<Frame> next(std::span<std::byte> room) = 0;
};

}  // namespace sluice

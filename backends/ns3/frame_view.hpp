#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "core/units.hpp"

namespace sluice {

/// A frame as an end point saw it.
struct FrameView {
  std::span<const std::byte> bytes;
  Instant when{};  ///< Sent: when it was due. Received: when its last bit arrived.
};

/// Told of frames, in order, several a call. The bytes are valid during the call only.
using FrameWatcher = std::function<void(std::span<const FrameView>)>;

}  // namespace sluice

#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backends/ns3/frame_generator.hpp"
#include "core/packet/bytes.hpp"
#include "core/packet/checksum.hpp"
#include "core/packet/headers.hpp"

namespace sluice::sim {

/// A frame with what its headers say.
struct SeenFrame {
  Duration at{};
  std::uint16_t length = 0;
  FlowKey key;
  Headers headers;
  ChecksumState checksum = ChecksumState::kAbsent;
  std::uint32_t sequence = 0;
};

/// All frames of a generator, at most `count_max`. A frame that does not parse fails the test.
inline std::vector<SeenFrame> all_frames(FrameGenerator& generator, std::size_t count_max) {
  std::vector<SeenFrame> frames;
  std::array<std::byte, 2048> room;
  while (frames.size() < count_max) {
    const auto frame = generator.next(room);
    if (!frame) break;
    SeenFrame seen;
    seen.at = frame->at.time_since_epoch();
    seen.length = frame->length;
    const std::span<const std::byte> bytes{room.data(), frame->length};
    const auto headers = parse(bytes);
    if (headers) {
      seen.headers = *headers;
      seen.key = flow_key(bytes, *headers, kNoPort);
      seen.checksum = verify_l4_checksum(bytes, *headers);
      if (headers->l4 == L4::kTcp) seen.sequence = load_be32(&bytes[headers->l4_offset + 4u]);
    } else {
      ADD_FAILURE() << "frame " << frames.size() << ": " << to_string(headers.error());
    }
    frames.push_back(seen);
  }
  return frames;
}

}  // namespace sluice::sim

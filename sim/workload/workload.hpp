#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "backends/ns3/frame_generator.hpp"
#include "core/deployment/deployment.hpp"
#include "core/result.hpp"
#include "sim/workload/replay_generator.hpp"

namespace sluice::sim {

/// Makes the generator that a `traffic:` entry describes. TCP transfers are no generator: they
/// react, so ns-3's own end points make them; asking for one is our mistake (checked).
/// @param frame_size_max The largest frame that its port takes.
/// @param folder What a capture's path is relative to: the deployment file's folder; may be empty.
/// @param side Of a replay: whose frames. Others have no sides (checked).
/// @param seed Of the run; `number` is the entry's place in the file, so that each draws its own.
[[nodiscard]] Result<std::unique_ptr<FrameGenerator>> make_generator(
    const TrafficSpec& traffic, std::uint16_t frame_size_max, const std::string& folder,
    std::uint64_t seed, std::uint64_t number,
    ReplayGenerator::Side side = ReplayGenerator::Side::kAll);

}  // namespace sluice::sim

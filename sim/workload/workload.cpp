#include "sim/workload/workload.hpp"

#include <filesystem>
#include <utility>
#include <variant>

#include "core/check.hpp"
#include "core/prng.hpp"
#include "sim/workload/capture.hpp"
#include "sim/workload/replay_generator.hpp"
#include "sim/workload/synthetic_generator.hpp"

namespace sluice::sim {
namespace {

Result<std::unique_ptr<FrameGenerator>> make_replay(const TrafficSpec& traffic,
                                                    const ReplayTraffic& replay,
                                                    std::uint16_t frame_size_max,
                                                    const std::string& folder, std::uint64_t seed,
                                                    ReplayGenerator::Side side) {
  const auto path = (std::filesystem::path(folder) / replay.file).string();
  Capture::Options limits;
  limits.frame_size_max = frame_size_max;
  auto capture = Capture::load(path, limits);
  if (!capture) return tl::unexpected(std::move(capture).error());
  return std::make_unique<ReplayGenerator>(
      std::make_shared<const Capture>(std::move(*capture)),
      ReplayGenerator::Options{.side = side,
                               .rewrite = replay.rewrite,
                               .pass_count_max = replay.pass_count_max,
                               .rate = traffic.rate,
                               .start = traffic.start,
                               .stop = traffic.stop,
                               .seed = seed});
}

Result<std::unique_ptr<FrameGenerator>> make_synthetic(const TrafficSpec& traffic,
                                                       const SyntheticTraffic& synthetic,
                                                       std::uint16_t frame_size_max,
                                                       std::uint64_t seed) {
  const std::uint64_t largest = synthetic.frame_sizes.points.back().size_bytes;
  if (largest > frame_size_max) {
    return tl::unexpected(ConfigError{traffic.place,
                                      "traffic." + traffic.name +
                                          ": frames larger than the port "
                                          "takes",
                                      std::to_string(largest) + " B",
                                      "at most " + std::to_string(frame_size_max) + " B"});
  }
  return std::make_unique<SyntheticGenerator>(SyntheticGenerator::Options{.traffic = synthetic,
                                                                          .rate = traffic.rate,
                                                                          .start = traffic.start,
                                                                          .stop = traffic.stop,
                                                                          .seed = seed});
}

}  // namespace

Result<std::unique_ptr<FrameGenerator>> make_generator(const TrafficSpec& traffic,
                                                       std::uint16_t frame_size_max,
                                                       const std::string& folder,
                                                       std::uint64_t seed, std::uint64_t number,
                                                       ReplayGenerator::Side side) {
  Prng root{seed};
  const std::uint64_t own_seed = root.fork(0x7472616666696300u + number).next();
  if (const auto* replay = std::get_if<ReplayTraffic>(&traffic.kind)) {
    return make_replay(traffic, *replay, frame_size_max, folder, own_seed, side);
  }
  const auto* synthetic = std::get_if<SyntheticTraffic>(&traffic.kind);
  SLUICE_CHECK(synthetic != nullptr && side == ReplayGenerator::Side::kAll);
  return make_synthetic(traffic, *synthetic, frame_size_max, own_seed);
}

}  // namespace sluice::sim

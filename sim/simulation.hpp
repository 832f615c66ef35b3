#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/results/run_writer.hpp"
#include "core/deployment/deployment.hpp"
#include "core/host/observer.hpp"
#include "core/result.hpp"
#include "core/units.hpp"
#include "sim/checkers/violation_log.hpp"

namespace sluice::sim {

struct SimulationOptions {
  std::string folder;  ///< What paths in the deployment are relative to; may be empty.
  cli::RunWriter* writer = nullptr;  ///< Where series, events and captures go; null: nowhere.
  Observer* observer = nullptr;  ///< Told what all hosts do, beside the checkers; outlives the run.
  Duration series_interval = std::chrono::milliseconds{100};
  /// Asked a hundred times a simulated second whether to end early; may be empty.
  std::function<bool()> interrupted;
  /// Told as often how far the run is, with the packets that hosts received so far; may be empty.
  std::function<void(Instant, std::uint64_t)> progress;
  std::uint32_t batch_max = 32;  ///< Packets that an instance takes at once; 1 for queueing theory.
};

/// What a run was, in numbers. All but the events come from the same simulated time and so are the
/// same in every run of the same file, seed and commit.
struct SimulationResult {
  bool complete = false;  ///< False when it was interrupted.
  std::string trace_hash;
  nlohmann::ordered_json summary;
  std::vector<Violation> violations;
  std::uint64_t violation_count = 0;
  std::array<std::uint64_t, kPropertyCount> evaluations{};
  /// By name ("kill_instance", "loss"): how often a fault happened.
  std::map<std::string, std::uint64_t> fault_counts;
  std::uint64_t received_packets = 0;
  std::uint64_t event_count = 0;          ///< Of the simulator.
  std::size_t memory_per_host_bytes = 0;  ///< Of the largest host.
};

/// Simulates a checked deployment from 0 to run.duration, with its traffic, faults and changes,
/// under the checkers if it asks for them. Uses ns-3's global simulator: one at a time, and not
/// after another user of it that did not call Simulator::Destroy().
/// @return An error when what the deployment names cannot be used (a capture, a size file, a fault
/// on a link that cannot have it).
[[nodiscard]] Result<SimulationResult> simulate(const Deployment& deployment,
                                                const SimulationOptions& options);

}  // namespace sluice::sim

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "sim/simulation.hpp"

namespace sluice::sim {

/// A swarm of this many seeds or more must reach each fault kind and each checked property ...
inline constexpr std::uint32_t kSwarmSeedsForReach = 50;
/// ... this often, or it has tested less than it claims.
inline constexpr std::uint64_t kSwarmReachMin = 1000;

/// A random deployment, load and fault plan: the text of a deployment file, always the same for one
/// seed. Hosts are small and many, so that one run sees many faults.
[[nodiscard]] std::string swarm_deployment(std::uint64_t seed);

/// Simulates the deployment of one seed under all checkers.
[[nodiscard]] Result<SimulationResult> run_swarm_seed(std::uint64_t seed);

/// What a swarm has reached so far.
class SwarmTotals {
 public:
  void add(const SimulationResult& result);
  /// Name and count, a line each.
  [[nodiscard]] std::string table() const;
  [[nodiscard]] std::vector<std::string> reached_less_than(std::uint64_t count) const;
  [[nodiscard]] std::uint64_t count_of(const std::string& name) const;

 private:
  std::map<std::string, std::uint64_t> counts_;
  std::uint64_t runs_ = 0;
  std::uint64_t packets_ = 0;
};

}  // namespace sluice::sim

#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <utility>

#include "core/deployment/parser.hpp"
#include "core/function/registry.hpp"
#include "sim/simulation.hpp"

/// Whole simulations from the text of a deployment file.
namespace sluice::test {

/// Reads what a deployment names, from the root of the source tree.
inline Result<std::string, std::string> read_source_file(const std::string& path) {
  std::ifstream file(std::string{SLUICE_SOURCE_DIR "/"} + path, std::ios::binary);
  if (!file) return unexpected(std::string{"no such file"});
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

/// The deployment that `yaml` means; a wrong file fails the test with its message.
inline Deployment deployment_of(const std::string& yaml) {
  auto parsed = parse_deployment(yaml, "test.yaml", built_in_functions(), read_source_file);
  if (parsed) return std::move(*parsed);
  ADD_FAILURE() << parsed.error().to_string();
  return {};
}

/// Runs a deployment to its end.
inline sim::SimulationResult run(const Deployment& deployment,
                                 sim::SimulationOptions options = {}) {
  if (options.folder.empty()) options.folder = SLUICE_SOURCE_DIR;
  if (deployment.hosts.empty()) return {};  // Its failure is said already.
  auto result = sim::simulate(deployment, options);
  if (result) return std::move(*result);
  ADD_FAILURE() << result.error().to_string();
  return {};
}

inline sim::SimulationResult run(const std::string& yaml,
                                 const sim::SimulationOptions& options = {}) {
  return run(deployment_of(yaml), options);
}

inline std::uint64_t evaluations(const sim::SimulationResult& result, sim::Property property) {
  return result.evaluations[static_cast<std::size_t>(property)];
}

/// The run came to its end, and every checker looked and found nothing.
inline void expect_clean(const sim::SimulationResult& result) {
  EXPECT_TRUE(result.complete);
  EXPECT_EQ(result.violation_count, 0u);
  for (const sim::Violation& violation : result.violations) {
    ADD_FAILURE() << violation.invariant << " at " << violation.when.time_since_epoch().count()
                  << " ns: " << violation.text;
  }
  using enum sim::Property;
  for (const sim::Property each : {kConservation, kSingleOwner, kChainOrder, kVersionFixed,
                                   kAffinity, kFlowsBounded, kTimeMonotonic, kNothingLeft}) {
    EXPECT_GT(evaluations(result, each), 0u) << to_string(each) << " was never looked at";
  }
}

/// A number of the summary by its path, as "drops/ring_full"; 0 when there is none.
inline std::uint64_t count_at(const sim::SimulationResult& result, const std::string& path) {
  const nlohmann::ordered_json::json_pointer pointer("/" + path);
  return result.summary.contains(pointer) ? result.summary.at(pointer).get<std::uint64_t>() : 0;
}

}  // namespace sluice::test

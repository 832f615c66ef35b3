#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/deployment/deployment.hpp"
#include "core/function/registry.hpp"
#include "core/result.hpp"

namespace sluice {

/// What packets cost on a real machine, as `sluice bench calibrate` measured it. A deployment that
/// is checked with it simulates that machine: its clock and worker cost become those of all hosts,
/// and its services cost what was measured, whatever the deployment file says.
struct Costs {
  std::string machine;  ///< For people: where it was measured.
  std::optional<Frequency> clock;
  std::optional<Cost> worker;
  std::map<std::string, Cost, std::less<>> functions;  ///< By name, with their default settings.
  std::map<std::string, Cost, std::less<>> services;   ///< By name, with those of a deployment.

  /// Of a service: its own, else its function's; null when neither was measured.
  [[nodiscard]] const Cost* find(std::string_view service, std::string_view function) const;
};

/// Reads such a file.
[[nodiscard]] Result<Costs> parse_costs(std::string_view text, const std::string& file_name);
/// The file that parse_costs() reads as `costs`, but for what is not ASCII in the machine's name.
[[nodiscard]] std::string costs_text(const Costs& costs);

/// The entries that say nothing about `deployment`, as "functions.fuzz": services that it does not
/// have, functions that nobody knows.
[[nodiscard]] std::vector<std::string> entries_ignored(const Costs& costs,
                                                       const Deployment& deployment,
                                                       const FunctionRegistry& functions);

}  // namespace sluice

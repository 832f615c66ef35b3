#include "core/deployment/costs.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "core/deployment/checker.hpp"

namespace sluice {
namespace {

using deployment::check_name;
using deployment::cost_text;
using deployment::error_at;
using deployment::Failure;
using deployment::read_cost;

constexpr std::array<std::string_view, 5> kKeys{"machine", "clock", "worker_cost", "functions",
                                                "services"};

Failure read_costs(MapReader& reader, std::string_view key,
                   std::map<std::string, Cost, std::less<>>& costs) {
  const ConfigValue* value = reader.value(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_map()) {
    return error_at(value->place(), reader.path_of(key), "not a map", value->describe(),
                    "a map of costs");
  }
  MapReader entries(*value, reader.path_of(key));
  for (const auto& entry : value->entries()) {
    if (auto error = check_name(entry.key, entry.place, entries.path_of(entry.key))) return error;
    read_cost(entries, entry.key, costs[entry.key]);
  }
  return entries.finish();
}

/// With as many digits as Frequency has.
std::string clock_text(Frequency clock) {
  return std::to_string(clock.hz) + " Hz";
}

std::string entries_text(std::string_view key,
                         const std::map<std::string, Cost, std::less<>>& costs) {
  if (costs.empty()) return {};
  std::string text = std::string(key) + ":\n";
  for (const auto& [name, cost] : costs) text += "  " + name + ": " + cost_text(cost) + "\n";
  return text;
}

/// Inside the double quotes of YAML.
std::string escaped(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string result;
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (code >= 0x80) {
      result += '?';  // Some of those are line breaks to YAML.
      continue;
    }
    if (code < 0x20 || code == 0x7f) {
      result += {'\\', 'x', kDigits[code >> 4], kDigits[code & 15]};
      continue;
    }
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

}  // namespace

const Cost* Costs::find(std::string_view service, std::string_view function) const {
  if (const auto found = services.find(service); found != services.end()) return &found->second;
  const auto found = functions.find(function);
  return found == functions.end() ? nullptr : &found->second;
}

Result<Costs> parse_costs(std::string_view text, const std::string& file_name) {
  const auto tree = parse_yaml(text, file_name);
  if (!tree) return unexpected(tree.error());
  MapReader reader(*tree, "");
  reader.know(kKeys);
  Costs costs;
  costs.machine = reader.string("machine");
  if (reader.has("clock")) {
    costs.clock = reader.frequency("clock", Frequency{1});
    if (costs.clock->hz == 0) {
      const ConfigValue& clock = *reader.value("clock");
      reader.fail(clock.place(), "clock", "out of range", clock.describe(), "a frequency above 0");
    }
  }
  if (reader.has("worker_cost")) read_cost(reader, "worker_cost", costs.worker.emplace());
  // First the slips in keys: a misspelt "functions" would make everything below it vanish.
  if (auto error = reader.finish()) return unexpected(std::move(*error));
  if (auto error = read_costs(reader, "functions", costs.functions)) {
    return unexpected(std::move(*error));
  }
  if (auto error = read_costs(reader, "services", costs.services)) {
    return unexpected(std::move(*error));
  }
  return costs;
}

std::string costs_text(const Costs& costs) {
  std::string text;
  if (!costs.machine.empty()) text += "machine: \"" + escaped(costs.machine) + "\"\n";
  if (costs.clock) text += "clock: " + clock_text(*costs.clock) + "\n";
  if (costs.worker) text += "worker_cost: " + cost_text(*costs.worker) + "\n";
  return text + entries_text("functions", costs.functions) +
         entries_text("services", costs.services);
}

std::vector<std::string> entries_ignored(const Costs& costs, const Deployment& deployment,
                                         const FunctionRegistry& functions) {
  std::vector<std::string> ignored;
  for (const auto& [name, cost] : costs.functions) {
    if (functions.find(name) == nullptr) ignored.push_back("functions." + name);
  }
  for (const auto& entry : costs.services) {
    const bool known = std::ranges::any_of(deployment.services, [&](const ServiceSpec& service) {
      return service.service.name == entry.first;
    });
    if (!known) ignored.push_back("services." + entry.first);
  }
  return ignored;
}

}  // namespace sluice

#include <algorithm>
#include <utility>

#include "core/deployment/checker.hpp"
#include "core/deployment/fingerprint.hpp"

namespace sluice::deployment {
namespace {

using Limits = DeploymentLimits;

constexpr std::string_view kChoiceNames[] = {"least_loaded", "maglev"};
constexpr std::string_view kRunNames[] = {"inline", "process", "container"};
constexpr std::string_view kReservedNames[] = {"copy", "drop", "out"};
// What a service costs when nobody said so; in the class of a small header rewriting function.
constexpr Cost kDefaultCost{.packet_cycles = 200};
constexpr MapReader::DurationLimits kWindow{std::chrono::milliseconds{1}, std::chrono::hours{24}};

bool is_shared_key(std::string_view key) {
  return std::ranges::find(keys_of(MapKind::kService), key) != keys_of(MapKind::kService).end();
}

// What was measured takes the place of what the file says.
void take_measured_cost(const Draft& draft, ServiceSpec& spec) {
  if (draft.costs == nullptr) return;
  const Cost* measured = draft.costs->find(spec.service.name, spec.service.function);
  if (measured != nullptr) spec.cost = *measured;
}

// The function's own keys: what is left of the service's map without those that all services share.
ConfigValue own_settings(const ConfigValue& value) {
  std::vector<ConfigValue::Entry> entries;
  for (const auto& entry : value.entries()) {
    if (!is_shared_key(entry.key)) entries.push_back(entry);
  }
  return ConfigValue::map(std::move(entries), value.place());
}

// A function knows only its own keys, so for a misspelt shared one it cannot name the nearest.
ConfigError with_shared_hint(ConfigError error, const ConfigValue& settings) {
  for (const auto& entry : settings.entries()) {
    const bool unknown = entry.place == error.place && error.problem.ends_with(": unknown key");
    if (!unknown || error.expected.find("did you mean") != std::string::npos) continue;
    const std::string_view near = nearest(entry.key, keys_of(MapKind::kService));
    if (!near.empty()) error.expected += "; did you mean " + std::string(near) + "?";
  }
  return error;
}

// The function is known already.
Failure make_program(Draft& draft, ServiceSpec& spec, const std::string& path) {
  const ProgramFactory* factory = draft.functions.find(spec.service.function);
  SLUICE_CHECK(factory != nullptr);
  Fingerprint fingerprint;
  fingerprint.add(spec.settings);
  const FileReader read_file = [&](const std::string& file) {
    auto bytes = draft.read_file(file);
    fingerprint.add(file);
    if (bytes) fingerprint.add(*bytes);
    return bytes;
  };
  auto program = (*factory)(spec.settings, path, read_file);
  if (!program) return with_shared_hint(std::move(program.error()), spec.settings);
  spec.program = std::shared_ptr<const Program>(std::move(*program));
  spec.fingerprint = fingerprint.text();
  spec.traits = spec.program->traits();
  spec.service.keeps_flow_state = spec.traits.keeps_flow_state;
  spec.service.generates = spec.traits.generates;
  return std::nullopt;
}

Failure add_label(Draft& draft, Service& service, const std::string& name, bool sticky,
                  const Place& place, const std::string& path) {
  if (auto error = check_name(name, place, path)) return error;
  if (std::ranges::find(service.labels, name) != service.labels.end()) {
    return error_at(place, path, "duplicate label", quoted(name), "each label once");
  }
  if (draft.label_count >= kLabelCountMax) {
    return error_at(place, path, "too many labels", quoted(name),
                    "at most " + std::to_string(kLabelCountMax) + " in all services together");
  }
  const std::uint32_t bit = 1u << draft.label_count++;
  service.labels.push_back(name);
  service.label_bits.push_back(bit);
  if (sticky) service.sticky_bits |= bit;
  return std::nullopt;
}

// [suspicious, {bad: sticky}]; without the key, the labels that the function knows.
Failure check_labels(Draft& draft, const ConfigValue* labels, ServiceSpec& spec,
                     const std::string& path) {
  if (labels == nullptr) {
    for (const std::string& name : spec.traits.labels) {
      if (auto error = add_label(draft, spec.service, name, false, spec.place, path)) return error;
    }
    return std::nullopt;
  }
  if (!labels->is_list()) {
    return error_at(labels->place(), path, "not a list", labels->describe(),
                    "a list as [suspicious, {bad: sticky}]");
  }
  for (std::size_t i = 0; i < labels->items().size(); ++i) {
    const ConfigValue& item = labels->items()[i];
    const std::string item_path = path + "[" + std::to_string(i) + "]";
    const bool sticky = item.is_map() && item.entries().size() == 1 &&
                        item.entries().front().value.text() == "sticky";
    if (!item.is_scalar() && !sticky) {
      return error_at(item.place(), item_path, "not a label", item.describe(),
                      "LABEL or {LABEL: sticky}");
    }
    const std::string& name = sticky ? item.entries().front().key : item.text();
    if (auto error = add_label(draft, spec.service, name, sticky, item.place(), item_path)) {
      return error;
    }
  }
  return std::nullopt;
}

// [2, 1]: the first instance gets twice the new flows of each other one.
Failure check_weights(Section& section, ServiceSpec& spec) {
  constexpr std::uint64_t kWeightMax = 1000;
  const ConfigValue* weights = section.value("weights");
  if (weights == nullptr) return std::nullopt;
  const std::string path = section.path_of("weights");
  if (spec.service.choice != InstanceChoice::kMaglev) {
    return error_at(weights->place(), path, "only with choose: maglev", weights->describe(),
                    "choose: maglev, or no weights");
  }
  const std::size_t count = weights->items().size();
  if (!weights->is_list() || count == 0 || count > Limits::kInstanceCountMax) {
    return error_at(weights->place(), path, "not a list of weights",
                    weights->is_list() ? "a list of " + std::to_string(count) : weights->describe(),
                    "1 to " + std::to_string(Limits::kInstanceCountMax) + " weights as [2, 1]");
  }
  for (std::size_t i = 0; i < count; ++i) {
    const ConfigValue& item = weights->items()[i];
    const auto weight = parse_integer(item.text());
    if (!item.is_scalar() || !weight || *weight < 1 || *weight > kWeightMax) {
      return error_at(item.place(), path + "[" + std::to_string(i) + "]", "not a weight",
                      item.describe(), "a whole number from 1 to " + std::to_string(kWeightMax));
    }
    spec.service.weights.push_back(static_cast<std::uint32_t>(*weight));
  }
  return std::nullopt;
}

// {min: 1, max: 4, start: 2}, or one number for all three.
Failure check_instances(const ConfigValue& value, const std::string& path, ServiceSpec& spec) {
  constexpr MapReader::IntegerLimits kLimits{1, Limits::kInstanceCountMax};
  ScalePolicy& policy = spec.scaling;
  if (value.is_scalar()) {
    const auto count = parse_integer(value.text());
    if (!count || *count < kLimits.min || *count > kLimits.max) {
      return error_at(value.place(), path, "not a count of instances", value.describe(),
                      "a number from 1 to 256 or a map of min, max, start");
    }
    policy.instance_count_min = policy.instance_count_max = static_cast<std::uint32_t>(*count);
    spec.instance_count_start = policy.instance_count_min;
    return std::nullopt;
  }
  Section section(value, path, MapKind::kInstances);
  const auto number = [&](std::string_view key, std::uint32_t fallback) {
    return static_cast<std::uint32_t>(section.integer(key, fallback, kLimits));
  };
  policy.instance_count_min = number("min", 1);
  policy.instance_count_max = number("max", policy.instance_count_min);
  spec.instance_count_start = number("start", policy.instance_count_min);
  const auto within = [&](std::string_view key, std::uint32_t count, std::uint32_t low,
                          std::uint32_t high, std::string expected) {
    const ConfigValue* given = section.value(key);
    if (given == nullptr || (count >= low && count <= high)) return;
    section.fail(given->place(), key, "out of range", given->describe(), std::move(expected));
  };
  const std::string min_text = std::to_string(policy.instance_count_min);
  within("max", policy.instance_count_max, policy.instance_count_min, Limits::kInstanceCountMax,
         "at least min, which is " + min_text);
  within("start", spec.instance_count_start, policy.instance_count_min, policy.instance_count_max,
         "from min to max, " + min_text + " to " + std::to_string(policy.instance_count_max));
  return section.close();
}

Failure check_service_scaling(Draft& draft, Section& section, ServiceSpec& spec) {
  spec.scaling = draft.result.scaling;
  spec.scalable = section.boolean("scalable", true);
  const ConfigValue* instances = section.value("instances");
  const ConfigValue* scaling = section.value("scaling");
  if (spec.service.run == RunMode::kInline) {
    for (const std::string_view key : {"instances", "scaling", "weights"}) {
      const ConfigValue* value = section.value(key);
      if (value == nullptr) continue;
      return error_at(value->place(), section.path_of(key), "an inline service is not scaled",
                      value->describe(), "run: process, or no " + std::string(key));
    }
  }
  if (instances != nullptr) {
    if (auto error = check_instances(*instances, section.path_of("instances"), spec)) return error;
  }
  if (!spec.traits.scalable && spec.scaling.instance_count_max > 1) {
    return error_at(instances->place(), section.path_of("instances"),
                    "this function runs as one instance only", instances->describe(), "1");
  }
  if (scaling != nullptr) {
    Section own(*scaling, section.path_of("scaling"), MapKind::kServiceScaling);
    read_scale_policy(own, spec.scaling);
    if (auto error = own.close()) return error;
  }
  spec.scaling.enabled =
      spec.scalable && spec.traits.scalable && spec.service.run != RunMode::kInline;
  return std::nullopt;
}

Failure check_service(Draft& draft, const ConfigValue& value, const std::string& path,
                      ServiceSpec& spec) {
  if (!value.is_map()) {
    return error_at(value.place(), path, "not a map", value.describe(), "a map with function");
  }
  Section section(value, path, MapKind::kService);
  section.require("function");
  spec.service.function = section.string("function");
  spec.settings = own_settings(value);
  for (const auto& entry : spec.settings.entries()) section.value(entry.key);
  if (auto error = section.finish()) return error;  // Without a function nothing else has a sense.
  if (draft.functions.find(spec.service.function) == nullptr) {
    return error_at(section.value("function")->place(), section.path_of("function"),
                    "unknown function", quoted(spec.service.function),
                    one_of_with_hint(spec.service.function, draft.functions.names()));
  }
  spec.function_place = section.value("function")->place();
  if (auto error = make_program(draft, spec, path)) return error;
  spec.cost = kDefaultCost;
  read_cost(section, "cost", spec.cost);
  take_measured_cost(draft, spec);
  spec.service.affinity = static_cast<Affinity>(
      section.choice("affinity", kAffinityNames, static_cast<std::size_t>(spec.traits.affinity)));
  spec.service.choice = static_cast<InstanceChoice>(section.choice("choose", kChoiceNames, 0));
  spec.service.run = static_cast<RunMode>(section.choice("run", kRunNames, 1));
  if (!spec.traits.external_program.empty() && spec.service.run == RunMode::kInline) {
    const ConfigValue& run = *section.value("run");
    section.fail(run.place(), "run", "an external program is no part of the host", run.describe(),
                 "process or container");
  }
  spec.service.ring_capacity =
      static_cast<std::uint32_t>(section.integer("ring", 512, {8, 1u << 16}));
  if ((spec.service.ring_capacity & (spec.service.ring_capacity - 1)) != 0) {
    const ConfigValue& ring = *section.value("ring");
    section.fail(ring.place(), "ring", "not a power of two", ring.describe(),
                 "a power of two from 8 to 65536");
  }
  if (section.failed()) return section.finish();
  if (auto error = check_labels(draft, section.value("labels"), spec, section.path_of("labels"))) {
    return error;
  }
  if (auto error = check_service_scaling(draft, section, spec)) return error;
  if (auto error = check_weights(section, spec)) return error;
  return section.finish();
}

void read_up(Section& section, ScalePolicy& policy) {
  const ConfigValue* value = section.value("up");
  if (value == nullptr) return;
  Section up(*value, section.path_of("up"), MapKind::kScaleUp);
  policy.up_occupancy = up.ratio("occupancy", policy.up_occupancy);
  policy.up_for = up.duration("for", policy.up_for, kWindow);
  policy.up_drop_ratio = up.ratio("drops", policy.up_drop_ratio);
  policy.step = static_cast<std::uint32_t>(up.integer("step", policy.step, {1, 64}));
  if (auto error = up.close()) section.fail(std::move(*error));
}

void read_down(Section& section, ScalePolicy& policy) {
  const ConfigValue* value = section.value("down");
  if (value == nullptr) return;
  Section down(*value, section.path_of("down"), MapKind::kScaleDown);
  policy.down_load = down.ratio("load", policy.down_load);
  policy.down_for = down.duration("for", policy.down_for, kWindow);
  if (auto error = down.close()) section.fail(std::move(*error));
}

void read_drain(Section& section, ScalePolicy& policy) {
  constexpr std::string_view kThenNames[] = {"wait", "cut"};
  const ConfigValue* value = section.value("drain");
  if (value == nullptr) return;
  Section drain(*value, section.path_of("drain"), MapKind::kDrain);
  policy.drain_timeout = drain.duration("timeout", policy.drain_timeout, kWindow);
  policy.drain_cut = drain.choice("then", kThenNames, policy.drain_cut ? 1 : 0) == 1;
  if (auto error = drain.close()) section.fail(std::move(*error));
}

}  // namespace

void read_scale_policy(Section& section, ScalePolicy& policy) {
  read_up(section, policy);
  read_down(section, policy);
  read_drain(section, policy);
  policy.cooldown =
      section.duration("cooldown", policy.cooldown, {Duration::zero(), std::chrono::hours{24}});
}

Failure check_scaling(Draft& draft, const ConfigValue* scaling) {
  constexpr std::string_view kStrategyNames[] = {"spread", "fill"};
  if (scaling == nullptr) return std::nullopt;
  Section section(*scaling, "scaling", MapKind::kScaling);
  read_scale_policy(section, draft.result.scaling);
  draft.result.strategy = static_cast<ScaleStrategy>(section.choice("strategy", kStrategyNames, 0));
  return section.close();
}

Failure check_services(Draft& draft, const ConfigValue* services) {
  if (services == nullptr) return std::nullopt;  // Chains may name functions alone.
  if (!services->is_map()) {
    return error_at(services->place(), "services", "not a map", services->describe(),
                    "a map of services");
  }
  for (const auto& entry : services->entries()) {
    const std::string path = "services." + entry.key;
    if (draft.result.services.size() >= Limits::kServiceCountMax) {
      return error_at(entry.place, path, "too many services", "",
                      "at most " + std::to_string(Limits::kServiceCountMax));
    }
    if (auto error = check_name(entry.key, entry.place, path)) return error;
    if (std::ranges::find(kReservedNames, entry.key) != std::end(kReservedNames)) {
      return error_at(entry.place, path, "a name with a meaning in chains", quoted(entry.key),
                      "another name than copy, drop, out");
    }
    ServiceSpec spec;
    spec.service.id = static_cast<ServiceId>(draft.result.services.size());
    spec.service.name = entry.key;
    spec.place = entry.place;
    if (auto error = check_service(draft, entry.value, path, spec)) return error;
    draft.result.services.push_back(std::move(spec));
  }
  return std::nullopt;
}

Result<std::optional<ServiceId>> add_implicit_service(Draft& draft, const std::string& name,
                                                      const Place& place, const std::string& path) {
  if (draft.functions.find(name) == nullptr) return std::optional<ServiceId>{};
  if (draft.result.services.size() >= Limits::kServiceCountMax) {
    return unexpected(error_at(place, path, "too many services", "",
                               "at most " + std::to_string(Limits::kServiceCountMax)));
  }
  ServiceSpec spec;
  spec.service.id = static_cast<ServiceId>(draft.result.services.size());
  spec.service.name = name;
  spec.service.function = name;
  spec.settings = ConfigValue::map({}, place);
  spec.place = place;
  spec.function_place = place;
  spec.implicit = true;
  spec.cost = kDefaultCost;
  take_measured_cost(draft, spec);
  spec.scaling = draft.result.scaling;
  if (auto error = make_program(draft, spec, path)) return unexpected(std::move(*error));
  spec.service.affinity = spec.traits.affinity;
  spec.scaling.enabled = spec.traits.scalable;
  if (auto error = check_labels(draft, nullptr, spec, path)) return unexpected(std::move(*error));
  draft.result.services.push_back(std::move(spec));
  return std::optional<ServiceId>{draft.result.services.back().service.id};
}

std::optional<ServiceId> find_service(const Draft& draft, std::string_view name) {
  for (const ServiceSpec& spec : draft.result.services) {
    if (spec.service.name == name) return spec.service.id;
  }
  return std::nullopt;
}

std::vector<std::string_view> service_names(const Draft& draft) {
  std::vector<std::string_view> names;
  for (const ServiceSpec& spec : draft.result.services) names.push_back(spec.service.name);
  for (const std::string_view name : draft.functions.names()) {
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  return names;
}

}  // namespace sluice::deployment

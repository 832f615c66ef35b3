#include <algorithm>
#include <utility>

#include "core/deployment/checker.hpp"

namespace sluice::deployment {
namespace {

using Limits = DeploymentLimits;

// A step while its branches still wait for the names of the steps behind it.
struct DraftStep {
  Step step;
  std::string name;
  bool named = false;  ///< By `name`, not by its service.
  const ConfigValue* on = nullptr;
  const ConfigValue* next = nullptr;
  Place place;
  std::string path;
};

Result<ServiceId> service_of(Draft& draft, const ConfigValue& value, const std::string& name,
                             const Place& place, const std::string& path) {
  if (const auto found = find_service(draft, name)) return *found;
  auto added = add_implicit_service(draft, name, place, path);
  if (!added) return unexpected(std::move(added.error()));
  if (*added) return **added;
  const bool scalar = value.is_scalar();
  return unexpected(error_at(place, path, "unknown service",
                             scalar ? value.describe() : quoted(name),
                             one_of_with_hint(name, service_names(draft))));
}

// {ids: {name: second, on: {...}, next: out}}
Failure read_step_map(const ConfigValue& options, DraftStep& step, const std::string& path) {
  if (options.is_null()) return std::nullopt;  // "- ids:" says as much as "- ids".
  Section section(options, path, MapKind::kStep);
  if (section.has("name")) {
    step.name = section.string("name");
    step.named = true;
    if (auto error = check_name(step.name, section.value("name")->place(), path + ".name")) {
      section.fail(std::move(*error));
    }
  }
  step.on = section.value("on");
  step.next = section.value("next");
  if (step.on != nullptr && !step.on->is_map()) {
    section.fail(step.on->place(), "on", "not a map", step.on->describe(),
                 "a map as {LABEL: drop}");
  }
  return section.close();
}

Result<DraftStep> read_step(Draft& draft, const ConfigValue& value, const std::string& path) {
  DraftStep step;
  step.place = value.place();
  step.path = path;
  if (!value.is_scalar() && (!value.is_map() || value.entries().size() != 1)) {
    return unexpected(error_at(value.place(), path, "not a step", value.describe(),
                               "SERVICE, {SERVICE: {on: ...}} or {copy: SERVICE}"));
  }
  std::string service = value.text();
  const ConfigValue* named_by = &value;
  if (value.is_map()) {
    const auto& entry = value.entries().front();
    service = entry.key;
    if (entry.key == "copy") {
      step.step.copy = true;
      named_by = &entry.value;
      service = entry.value.text();
      if (!entry.value.is_scalar()) {
        return unexpected(error_at(entry.value.place(), path + ".copy", "not a service",
                                   entry.value.describe(), "the name of a service"));
      }
    }
  }
  const auto id = service_of(draft, *named_by, service, named_by->place(), path);
  if (!id) return unexpected(id.error());
  step.step.service = *id;
  step.name = service;
  if (value.is_map() && !step.step.copy) {
    const auto& entry = value.entries().front();
    if (auto error = read_step_map(entry.value, step, path + "." + entry.key)) {
      return unexpected(std::move(*error));
    }
  }
  return step;
}

Failure check_step_names(const std::vector<DraftStep>& steps) {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const DraftStep& step = steps[i];
      if (step.name != steps[j].name || (!step.named && !steps[j].named)) continue;
      return error_at(
          step.place, step.path, "duplicate step name", quoted(step.name),
          "a name that no other step has; step " + std::to_string(j) + " has it as well");
    }
  }
  return std::nullopt;
}

// "drop", "out" or the name of a later step.
Result<Hop> hop_to(const std::vector<DraftStep>& steps, std::size_t from, const ConfigValue& target,
                   const std::string& path) {
  if (target.text() == "drop") return Hop{Hop::Kind::kDrop, 0};
  if (target.text() == "out") return Hop{Hop::Kind::kOut, 0};
  std::vector<std::string_view> names;
  for (std::size_t i = from + 1; i < steps.size(); ++i) names.push_back(steps[i].name);
  names.push_back("drop");
  names.push_back("out");
  const auto named = [&](const DraftStep& step) {
    return target.is_scalar() && step.name == target.text();
  };
  const auto found = std::ranges::find_if(steps, named);
  if (found == steps.end()) {
    return unexpected(error_at(target.place(), path, "unknown step", target.describe(),
                               one_of_with_hint(target.text(), names)));
  }
  if (std::ranges::count_if(steps, named) > 1) {
    return unexpected(error_at(target.place(), path, "several steps of this service",
                               target.describe(), "a step with a `name` of its own"));
  }
  const auto index = static_cast<std::size_t>(found - steps.begin());
  if (index <= from) {
    return unexpected(error_at(target.place(), path, "goes back, so the chain turns in a circle",
                               target.describe(), one_of_with_hint("", names)));
  }
  return Hop{Hop::Kind::kStep, static_cast<std::uint8_t>(index)};
}

// The bit of a label: of the step's own service first, else of the nearest step before it.
std::optional<std::uint32_t> label_bit(const Draft& draft, const std::vector<DraftStep>& steps,
                                       std::size_t at, const std::string& label) {
  for (std::size_t i = at + 1; i-- > 0;) {
    const Service& service = draft.result.services[index_of(steps[i].step.service)].service;
    const auto found = std::ranges::find(service.labels, label);
    if (found == service.labels.end()) continue;
    return service.label_bits[static_cast<std::size_t>(found - service.labels.begin())];
  }
  return std::nullopt;
}

ConfigError unknown_label(const Draft& draft, const std::vector<DraftStep>& steps, std::size_t at,
                          const ConfigValue::Entry& branch, const std::string& path) {
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i <= at; ++i) {
    const Service& service = draft.result.services[index_of(steps[i].step.service)].service;
    for (const std::string& label : service.labels) {
      if (std::ranges::find(names, label) == names.end()) names.push_back(label);
    }
  }
  return error_at(branch.place, path, "unknown label", quoted(branch.key),
                  names.empty() ? "a label that this service or one before it declares; none does"
                                : one_of_with_hint(branch.key, names));
}

Failure resolve_hops(const Draft& draft, std::vector<DraftStep>& steps, std::size_t at) {
  DraftStep& step = steps[at];
  const std::string path =
      step.path + "." + draft.result.services[index_of(step.step.service)].service.name;
  step.step.next = at + 1 < steps.size() ? Hop{Hop::Kind::kStep, static_cast<std::uint8_t>(at + 1)}
                                         : Hop{Hop::Kind::kOut, 0};
  if (step.next != nullptr) {
    const auto hop = hop_to(steps, at, *step.next, path + ".next");
    if (!hop) return hop.error();
    step.step.next = *hop;
  }
  if (step.on == nullptr) return std::nullopt;
  for (const auto& entry : step.on->entries()) {
    const std::string branch_path = path + ".on." + entry.key;
    const auto bit = label_bit(draft, steps, at, entry.key);
    if (!bit) return unknown_label(draft, steps, at, entry, branch_path);
    const auto hop = hop_to(steps, at, entry.value, branch_path);
    if (!hop) return hop.error();
    step.step.branches.push_back(Branch{*bit, *hop});
  }
  return std::nullopt;
}

// Hops go forward only, so one pass in order sees everything that can be reached.
Failure check_reachable(const std::vector<DraftStep>& steps) {
  std::vector<bool> reached(steps.size(), false);
  reached[0] = true;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (!reached[i]) {
      return error_at(steps[i].place, steps[i].path, "never reached", quoted(steps[i].name),
                      "a step that some branch or step before it leads to");
    }
    const auto mark = [&](const Hop& hop) {
      if (hop.kind == Hop::Kind::kStep) reached[hop.step] = true;
    };
    mark(steps[i].step.next);
    for (const Branch& branch : steps[i].step.branches) mark(branch.hop);
  }
  return std::nullopt;
}

Result<std::vector<Step>> read_steps(Draft& draft, const ConfigValue& value,
                                     const std::string& path) {
  if (!value.is_list() || value.items().empty()) {
    return unexpected(error_at(value.place(), path, "no steps",
                               value.is_list() ? "an empty list" : value.describe(),
                               "a list of at least one step"));
  }
  if (value.items().size() > kStepCountMax) {
    return unexpected(error_at(value.place(), path, "too many steps",
                               std::to_string(value.items().size()),
                               "at most " + std::to_string(kStepCountMax)));
  }
  std::vector<DraftStep> steps;
  for (std::size_t i = 0; i < value.items().size(); ++i) {
    auto step = read_step(draft, value.items()[i], path + "[" + std::to_string(i) + "]");
    if (!step) return unexpected(std::move(step.error()));
    steps.push_back(std::move(*step));
  }
  if (auto error = check_step_names(steps)) return unexpected(std::move(*error));
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (auto error = resolve_hops(draft, steps, i)) return unexpected(std::move(*error));
  }
  if (auto error = check_reachable(steps)) return unexpected(std::move(*error));
  std::vector<Step> result;
  for (DraftStep& step : steps) result.push_back(std::move(step.step));
  return result;
}

// Whether the steps, walked backwards, still say what they said: all but drop and out lead to the
// next step.
bool is_reversible(const std::vector<Step>& steps) {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const bool last = i + 1 == steps.size();
    const Hop straight = last ? Hop{} : Hop{Hop::Kind::kStep, static_cast<std::uint8_t>(i + 1)};
    const auto leads_to_step = [](const Branch& branch) {
      return branch.hop.kind == Hop::Kind::kStep;
    };
    if (steps[i].next != straight || std::ranges::any_of(steps[i].branches, leads_to_step)) {
      return false;
    }
  }
  return true;
}

std::vector<Step> reversed(const std::vector<Step>& steps) {
  std::vector<Step> result(steps.rbegin(), steps.rend());
  for (std::size_t i = 0; i < result.size(); ++i) {
    const bool last = i + 1 == result.size();
    result[i].next = last ? Hop{} : Hop{Hop::Kind::kStep, static_cast<std::uint8_t>(i + 1)};
  }
  return result;
}

ConfigError not_reversible(const Place& place, const std::string& path) {
  return error_at(place, path, "has branches to steps, which cannot be walked backwards", "",
                  "branches to drop and out alone in a chain that has an opposite direction");
}

void use_service(Draft& draft, ServiceId id, HostId host) {
  auto& hosts = draft.result.services[index_of(id)].hosts;
  const auto at = std::ranges::lower_bound(hosts, host);
  if (at == hosts.end() || *at != host) hosts.insert(at, host);
}

ChainSpec* find_chain(Draft& draft, std::string_view name) {
  const auto found = std::ranges::find_if(
      draft.result.chains, [&](const ChainSpec& chain) { return chain.version.name == name; });
  return found == draft.result.chains.end() ? nullptr : &*found;
}

std::vector<std::string_view> chain_names(const Draft& draft) {
  std::vector<std::string_view> names;
  for (const ChainSpec& chain : draft.result.chains) names.push_back(chain.version.name);
  return names;
}

Failure check_ends(Draft& draft, Section& section, ChainSpec& chain) {
  section.require("from");
  section.require("to");
  const auto from = read_port_ref(draft, section, "from");
  const auto to = read_port_ref(draft, section, "to");
  if (!from || !to) return section.close();
  if (from->host != to->host) {
    section.fail(section.value("to")->place(), "to", "chains across hosts are not supported yet",
                 section.value("to")->describe(),
                 "a port of " + draft.result.hosts[index_of(from->host)].name);
    return section.close();
  }
  chain.host = from->host;
  chain.version.from = from->port;
  chain.version.to = to->port;
  return std::nullopt;
}

Failure check_plan(Section& section, ChainSpec& chain) {
  constexpr std::string_view kNames[] = {"dynamic", "provisioned"};
  chain.provisioned = section.choice("scaling", kNames, 0) == 1;
  chain.rate = section.rate("rate", Rate{});
  chain.frame_size = static_cast<std::uint32_t>(section.size_bytes("frame_size", 512, {64, 16384}));
  if (chain.provisioned && !section.has("rate")) {
    section.require("rate");
  } else if (!chain.provisioned) {
    for (const std::string_view key : {"rate", "frame_size"}) {
      if (!section.has(key)) continue;
      section.fail(section.value(key)->place(), key, "only for provisioned chains",
                   section.value(key)->describe(),
                   "scaling: provisioned, or no " + std::string(key));
    }
  } else if (chain.rate.bps == 0) {
    section.fail(section.value("rate")->place(), "rate", "out of range",
                 section.value("rate")->describe(), "a rate above 0");
  }
  return section.failed() ? section.close() : std::nullopt;
}

Failure check_forward(Draft& draft, Section& section, ChainSpec& chain) {
  if (auto error = check_ends(draft, section, chain)) return error;
  if (const ConfigValue* match = section.value("match")) {
    Section conditions(*match, section.path_of("match"), MapKind::kMatch);
    read_match(conditions, chain.match);
    if (auto error = conditions.close()) return error;
  }
  chain.match.ingress = chain.version.from;
  if (auto error = check_plan(section, chain)) return error;
  section.require("steps");
  const ConfigValue* steps = section.value("steps");
  if (steps == nullptr) return section.close();
  auto read = read_steps(draft, *steps, section.path_of("steps"));
  if (!read) return std::move(read.error());
  chain.version.steps = std::move(*read);
  for (const Step& step : chain.version.steps) use_service(draft, step.service, chain.host);
  return section.close();
}

FlowMatch mirrored(FlowMatch match, PortId ingress) {
  std::swap(match.source, match.destination);
  std::swap(match.source_port, match.destination_port);
  match.ingress = ingress;
  return match;
}

Failure check_reverse(Draft& draft, Section& section, ChainSpec& chain) {
  if (auto error = check_ends(draft, section, chain)) return error;
  for (const std::string_view key : {"steps", "match", "scaling", "rate", "frame_size"}) {
    if (!section.has(key)) continue;
    return error_at(section.value(key)->place(), section.path_of(key),
                    "a reverse chain has that of the other", section.value(key)->describe(),
                    "no " + std::string(key));
  }
  const ConfigValue& name = *section.value("reverse_of");
  ChainSpec* forward = find_chain(draft, name.text());
  const auto fail = [&](std::string_view problem, std::string expected) {
    section.fail(name.place(), "reverse_of", problem, name.describe(), std::move(expected));
    return section.close();
  };
  if (!name.is_scalar() || forward == nullptr) {
    return fail("unknown chain", one_of_with_hint(name.text(), chain_names(draft)));
  }
  if (forward == &chain) return fail("the chain itself", "another chain");
  if (forward->version.is_reverse) return fail("itself a reverse chain", "a chain with steps");
  if (forward->version.reverse != kNoChain) {
    return fail("reversed already",
                "a chain that " +
                    draft.result.chains[index_of(forward->version.reverse)].version.name +
                    " does not reverse");
  }
  if (chain.host != forward->host || chain.version.from != forward->version.to ||
      chain.version.to != forward->version.from) {
    return fail("does not enter where that one leaves, or the other way round",
                "from and to of " + name.text() + " exchanged");
  }
  if (!is_reversible(forward->version.steps)) {
    return not_reversible(name.place(), section.path_of("reverse_of"));
  }
  chain.version.steps = reversed(forward->version.steps);
  chain.match = mirrored(forward->match, chain.version.from);
  chain.version.reverse = forward->version.chain;
  forward->version.reverse = chain.version.chain;
  return section.close();
}

// Where ARP goes when the port's own settings do not say it: along the chains.
void fill_neighbours(Draft& draft) {
  for (HostSpec& host : draft.result.hosts) {
    for (PortSpec& port : host.ports) {
      const PortRef ref{host.id, port.id};
      if (port.neighbours_to || std::ranges::count(draft.neighbours_given, ref) > 0) continue;
      for (const ChainSpec& chain : draft.result.chains) {
        if (port.neighbours_to || chain.host != host.id) continue;
        if (chain.version.from == port.id) port.neighbours_to = chain.version.to;
        if (chain.version.to == port.id) port.neighbours_to = chain.version.from;
      }
    }
  }
}

Failure check_all(Draft& draft, const ConfigValue& chains, bool reverse) {
  for (std::size_t i = 0; i < chains.entries().size(); ++i) {
    const auto& entry = chains.entries()[i];
    ChainSpec& chain = draft.result.chains[i];
    if (chain.version.is_reverse != reverse) continue;
    Section section(entry.value, "chains." + entry.key, MapKind::kChain);
    if (auto error =
            reverse ? check_reverse(draft, section, chain) : check_forward(draft, section, chain)) {
      return error;
    }
  }
  return std::nullopt;
}

struct DraftChange {
  ChainChange change;
  const ConfigValue* steps = nullptr;
  ChainId chain = kNoChain;
  std::string path;
};

Result<DraftChange> read_change(Draft& draft, const ConfigValue& value, const std::string& path) {
  Section section(value, path, MapKind::kChange);
  DraftChange draft_change;
  section.require("at");
  section.require("chain");
  section.require("steps");
  const Duration at = section.duration("at", {}, {Duration::zero(), draft.result.run.duration});
  draft_change.change.at = Instant{at};
  draft_change.change.place = value.place();
  draft_change.path = path;
  draft_change.steps = section.value("steps");
  const std::string name = section.string("chain");
  const ConfigValue* name_value = section.value("chain");
  if (name_value != nullptr && !section.failed()) {
    const ChainSpec* chain = find_chain(draft, name);
    if (chain == nullptr) {
      section.fail(name_value->place(), "chain", "unknown chain", name_value->describe(),
                   one_of_with_hint(name, chain_names(draft)));
    } else if (chain->version.is_reverse) {
      section.fail(name_value->place(), "chain", "changes with the chain that it reverses",
                   name_value->describe(),
                   draft.result.chains[index_of(chain->version.reverse)].version.name);
    } else {
      draft_change.chain = chain->version.chain;
      draft_change.change.host = chain->host;
    }
  }
  if (auto error = section.close()) return unexpected(std::move(*error));
  return draft_change;
}

Failure apply_change(Draft& draft, DraftChange& change, std::vector<ChainVersion>& newest) {
  auto steps = read_steps(draft, *change.steps, change.path + ".steps");
  if (!steps) return std::move(steps.error());
  for (const Step& step : *steps) use_service(draft, step.service, change.change.host);
  const auto add = [&](ChainId id, std::vector<Step> new_steps) {
    ChainVersion& version = newest[index_of(id)];
    ++version.version;
    version.index = draft.version_count++;
    version.steps = std::move(new_steps);
    change.change.versions.push_back(version);
  };
  const ChainId reverse = newest[index_of(change.chain)].reverse;
  if (reverse != kNoChain && !is_reversible(*steps)) {
    return not_reversible(change.steps->place(), change.path + ".steps");
  }
  if (draft.version_count + 2u > Limits::kVersionCountMax) {
    return error_at(change.change.place, change.path, "too many chains and changes", "",
                    "at most " + std::to_string(Limits::kVersionCountMax) + " versions");
  }
  add(change.chain, *steps);
  if (reverse != kNoChain) add(reverse, reversed(*steps));
  draft.result.changes.push_back(std::move(change.change));
  return std::nullopt;
}

}  // namespace

Failure check_chains(Draft& draft, const ConfigValue& chains) {
  if (!chains.is_map() || chains.entries().empty()) {
    return error_at(chains.place(), "chains", "no chains", chains.describe(),
                    "a map of at least one chain");
  }
  if (chains.entries().size() > Limits::kChainCountMax) {
    return error_at(chains.place(), "chains", "too many chains",
                    std::to_string(chains.entries().size()),
                    "at most " + std::to_string(Limits::kChainCountMax));
  }
  for (const auto& entry : chains.entries()) {
    if (auto error = check_name(entry.key, entry.place, "chains." + entry.key)) return error;
    ChainSpec chain;
    chain.version.chain = static_cast<ChainId>(draft.result.chains.size());
    chain.version.index = draft.version_count++;
    chain.version.name = entry.key;
    chain.version.is_reverse = entry.value.find("reverse_of") != nullptr;
    chain.place = entry.place;
    draft.result.chains.push_back(std::move(chain));
  }
  if (auto error = check_all(draft, chains, false)) return error;
  if (auto error = check_all(draft, chains, true)) return error;
  fill_neighbours(draft);
  return std::nullopt;
}

Failure check_changes(Draft& draft, const ConfigValue* changes) {
  if (changes == nullptr) return std::nullopt;
  if (!changes->is_list()) {
    return error_at(changes->place(), "changes", "not a list", changes->describe(),
                    "a list of changes");
  }
  std::vector<DraftChange> drafts;
  for (std::size_t i = 0; i < changes->items().size(); ++i) {
    auto change = read_change(draft, changes->items()[i], "changes[" + std::to_string(i) + "]");
    if (!change) return std::move(change.error());
    drafts.push_back(std::move(*change));
  }
  // Versions count in the order of time, whatever that of the file.
  std::ranges::stable_sort(drafts, {}, [](const DraftChange& change) { return change.change.at; });
  std::vector<ChainVersion> newest;
  for (const ChainSpec& chain : draft.result.chains) newest.push_back(chain.version);
  for (DraftChange& change : drafts) {
    if (auto error = apply_change(draft, change, newest)) return error;
  }
  return std::nullopt;
}

}  // namespace sluice::deployment

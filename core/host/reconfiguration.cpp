#include "core/host/reconfiguration.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "core/check.hpp"

namespace sluice {
namespace {

using Failure = std::optional<ConfigError>;

template <class Id>
Id id_of(std::size_t number) {
  return Id{static_cast<std::uint16_t>(number)};
}

ConfigError refusal(const Reconfigure& wanted, std::string problem, std::string got,
                    std::string expected) {
  return ConfigError{Place{wanted.file, 0, 0}, std::move(problem), std::move(got),
                     std::move(expected)};
}

/// Labels by their place in the service; which bits stand for them does not matter.
bool same_labels(const Service& a, const Service& b) {
  if (a.labels != b.labels) return false;
  for (std::size_t i = 0; i < a.labels.size(); ++i) {
    const bool sticky_a = (a.sticky_bits & a.label_bits[i]) != 0;
    const bool sticky_b = (b.sticky_bits & b.label_bits[i]) != 0;
    if (sticky_a != sticky_b) return false;
  }
  return true;
}

/// Whether the instances of one can do the work of the other. How new flows choose among them may
/// differ; what the data path remembers of living flows may not, and that depends on the affinity.
bool same_instances(const ServiceSettings& a, const ServiceSettings& b) {
  return a.service.name == b.service.name && a.service.function == b.service.function &&
         a.fingerprint == b.fingerprint && a.service.run == b.service.run &&
         a.service.ring_capacity == b.service.ring_capacity &&
         a.service.affinity == b.service.affinity && same_labels(a.service, b.service) &&
         a.service.keeps_flow_state == b.service.keeps_flow_state &&
         a.service.generates == b.service.generates;
}

/// A number that was never used, while there is one, so that what counts by number starts at 0.
template <class IsFree>
std::optional<std::size_t> take_number(std::size_t used_count, std::size_t count_max,
                                       std::vector<bool>& taken, IsFree is_free) {
  taken.resize(std::max(taken.size(), count_max));
  const auto try_range = [&](std::size_t from, std::size_t to) -> std::optional<std::size_t> {
    for (std::size_t i = from; i < to; ++i) {
      if (taken[i] || (i < used_count && !is_free(i))) continue;
      taken[i] = true;
      return i;
    }
    return std::nullopt;
  };
  if (const auto fresh = try_range(used_count, count_max)) return fresh;
  return try_range(0, std::min(used_count, count_max));
}

class Planner {
 public:
  Planner(const RunningHost& running, const Reconfigure& wanted)
      : running_(running), wanted_(wanted) {}

  Result<ReconfigurationPlan> make() {
    if (auto error = check_ports()) return unexpected(std::move(*error));
    if (auto error = number_services()) return unexpected(std::move(*error));
    give_label_bits();
    if (auto error = check_room_for_instances()) return unexpected(std::move(*error));
    if (auto error = number_chains()) return unexpected(std::move(*error));
    if (auto error = translate_chains()) return unexpected(std::move(*error));
    plan_.core_count = wanted_.core_count;
    plan_.ports = wanted_.ports;
    for (const Classifier::Rule& rule : wanted_.rules) {
      plan_.rules.push_back({rule.match, plan_.chains[index_of(rule.chain)].chain});
    }
    return std::move(plan_);
  }

 private:
  Failure check_ports() const {
    const bool same = std::ranges::equal(wanted_.ports, running_.ports, {}, &PortSettings::worker,
                                         &PortSettings::worker);
    if (same) return std::nullopt;
    return refusal(wanted_, "hosts." + wanted_.host + ".ports: cannot change while the host runs",
                   std::to_string(wanted_.ports.size()), std::to_string(running_.ports.size()));
  }

  Failure number_services() {
    std::vector<bool> kept(running_.services.size());
    std::vector<bool> taken;
    for (const ServiceSettings& settings : wanted_.services) {
      plan_.services.push_back(settings);
      ServiceSettings& planned = plan_.services.back();
      if (const auto number = find_running(settings)) {
        kept[*number] = true;
        planned.service.id = id_of<ServiceId>(*number);
        if (running_.services[*number].instance_count_start == 0 &&
            settings.instance_count_start > 0) {
          plan_.awaited.push_back(planned.service.id);
        }
        continue;
      }
      const auto number =
          take_number(running_.services.size(), running_.service_count_max, taken,
                      [&](std::size_t i) { return running_.uses[i] == ServiceUse::kFree; });
      if (!number) return no_number("services", settings.service.name, running_.service_count_max);
      planned.service.id = id_of<ServiceId>(*number);
      plan_.added.push_back(planned.service.id);
      if (settings.instance_count_start > 0) plan_.awaited.push_back(planned.service.id);
      if (auto error = check_affinity(settings.service)) return error;
    }
    for (std::size_t i = 0; i < running_.services.size(); ++i) {
      if (running_.uses[i] == ServiceUse::kActive && !kept[i]) {
        plan_.retired.push_back(id_of<ServiceId>(i));
      }
    }
    return std::nullopt;
  }

  /// The running service whose instances stay. One that the host no longer needs goes as if it were
  /// gone from the file.
  std::optional<std::size_t> find_running(const ServiceSettings& settings) const {
    for (std::size_t i = 0; i < running_.services.size(); ++i) {
      const ServiceSettings& candidate = running_.services[i];
      if (running_.uses[i] != ServiceUse::kActive || !same_instances(candidate, settings)) continue;
      if (candidate.instance_count_start > 0 && settings.instance_count_start == 0) continue;
      return i;
    }
    return std::nullopt;
  }

  Failure check_affinity(const Service& service) const {
    const bool by_address =
        service.affinity == Affinity::kSource || service.affinity == Affinity::kDestination;
    if (!by_address || running_.remembers_addresses) return std::nullopt;
    return refusal(wanted_,
                   "services." + service.name + ".affinity: the host has no table of addresses",
                   std::string(kAffinityNames[static_cast<std::size_t>(service.affinity)]),
                   "flow, session or none, or a restart of the host");
  }

  ConfigError no_number(const std::string& what, const std::string& name,
                        std::uint32_t count_max) const {
    return refusal(
        wanted_,
        what + "." + name + ": no number is free, since old " + what + " live while flows use them",
        "", "at most " + std::to_string(count_max) + " at a time");
  }

  /// Who keeps its instances keeps its bits; the others get what is left. Two services of one chain
  /// never share a bit: the new file has no more labels than there are bits.
  void give_label_bits() {
    std::uint32_t used = 0;
    const auto is_added = [&](const ServiceSettings& planned) {
      return std::ranges::find(plan_.added, planned.service.id) != plan_.added.end();
    };
    for (ServiceSettings& planned : plan_.services) {
      if (is_added(planned)) continue;
      const Service& old = running_.services[index_of(planned.service.id)].service;
      planned.service.label_bits = old.label_bits;
      planned.service.sticky_bits = old.sticky_bits;
      for (const std::uint32_t bit : old.label_bits) used |= bit;
    }
    for (std::size_t i = 0; i < plan_.services.size(); ++i) {
      const Service& file = wanted_.services[i].service;
      Service& service = plan_.services[i].service;
      if (is_added(plan_.services[i])) service.sticky_bits = 0;
      for (std::size_t j = 0; j < file.label_bits.size(); ++j) {
        if (is_added(plan_.services[i])) {
          SLUICE_CHECK(~used != 0);
          const std::uint32_t bit = ~used & (used + 1);  // The lowest that is free.
          used |= bit;
          service.label_bits[j] = bit;
          if ((file.sticky_bits & file.label_bits[j]) != 0) service.sticky_bits |= bit;
        }
        bit_of_[file.label_bits[j]] = service.label_bits[j];
      }
    }
  }

  /// Each awaited service needs at least one instance, beside those that stay. What retires leaves
  /// its cores to its successors.
  Failure check_room_for_instances() const {
    std::uint32_t cores = running_.worker_count;
    std::uint32_t instances = 0;
    std::string names;
    for (const ServiceSettings& planned : plan_.services) {
      const ServiceId id = planned.service.id;
      const bool awaited = std::ranges::find(plan_.awaited, id) != plan_.awaited.end();
      const bool is_inline = planned.service.run == RunMode::kInline;
      if (index_of(id) < running_.core_counts.size() &&
          running_.uses[index_of(id)] == ServiceUse::kActive) {
        cores += running_.core_counts[index_of(id)];
      }
      if (!awaited) continue;
      names += (names.empty() ? "" : ", ") + planned.service.name;
      cores += is_inline ? 0 : 1;
      instances += is_inline ? running_.worker_count : 1;
    }
    const std::string host = "hosts." + wanted_.host;
    if (cores > wanted_.core_count) {
      return refusal(wanted_,
                     host + ".cores: too few for what is new (" + names + ") beside what stays",
                     std::to_string(wanted_.core_count), std::to_string(cores));
    }
    if (instances > running_.instance_count_free) {
      return refusal(wanted_, host + ": no room for the first instances of " + names,
                     std::to_string(running_.instance_count_free) + " free numbers",
                     std::to_string(instances));
    }
    return std::nullopt;
  }

  Failure number_chains() {
    std::vector<bool> kept(running_.active.size());
    std::vector<bool> taken;
    for (const ChainVersion& chain : wanted_.chains) {
      plan_.chains.push_back(chain);
      ChainVersion& planned = plan_.chains.back();
      const auto found = std::ranges::find_if(running_.active, [&](const ChainVersion* active) {
        return active != nullptr && active->name == chain.name &&
               active->is_reverse == chain.is_reverse;
      });
      std::optional<std::size_t> number;
      if (found != running_.active.end()) {
        number = static_cast<std::size_t>(found - running_.active.begin());
        kept[*number] = true;
      } else {
        number = take_number(running_.active.size(), running_.chain_count_max, taken,
                             [&](std::size_t i) { return !running_.chain_in_use[i]; });
      }
      if (!number) return no_number("chains", chain.name, running_.chain_count_max);
      planned.chain = id_of<ChainId>(*number);
    }
    for (std::size_t i = 0; i < running_.active.size(); ++i) {
      if (running_.active[i] != nullptr && !kept[i]) plan_.removed.push_back(id_of<ChainId>(i));
    }
    return std::nullopt;
  }

  Failure translate_chains() {
    for (ChainVersion& chain : plan_.chains) {
      if (chain.steps.size() > running_.step_count_max) {
        return refusal(
            wanted_, "chains." + chain.name + ".steps: more than the host has room for",
            std::to_string(chain.steps.size()),
            "at most " + std::to_string(running_.step_count_max) + ", or a restart of the host");
      }
      if (chain.reverse != kNoChain) chain.reverse = plan_.chains[index_of(chain.reverse)].chain;
      for (Step& step : chain.steps) {
        step.service = plan_.services[index_of(step.service)].service.id;
        for (Branch& branch : step.branches) branch.label_bits = bit_of_.at(branch.label_bits);
      }
    }
    const std::size_t change_count = chains_to_change(running_.active, plan_.chains).size();
    if (change_count <= running_.chain_version_count_free) return std::nullopt;
    return refusal(wanted_,
                   "chains: no room for new versions, since old ones live while flows use them",
                   std::to_string(change_count),
                   "at most " + std::to_string(running_.chain_version_count_free));
  }

  const RunningHost& running_;
  const Reconfigure& wanted_;
  ReconfigurationPlan plan_;
  std::map<std::uint32_t, std::uint32_t> bit_of_;  ///< By the file's bit: the host's.
};

bool same_way(const ChainVersion& a, const ChainVersion& b) {
  return a.steps == b.steps && a.from == b.from && a.to == b.to && a.reverse == b.reverse &&
         a.is_reverse == b.is_reverse;
}

}  // namespace

Result<ReconfigurationPlan> plan_reconfiguration(const RunningHost& running,
                                                 const Reconfigure& wanted) {
  return Planner(running, wanted).make();
}

std::vector<std::size_t> chains_to_change(std::span<const ChainVersion* const> active,
                                          std::span<const ChainVersion> wanted) {
  const auto differs = [&](const ChainVersion& chain) {
    const std::size_t number = index_of(chain.chain);
    return number >= active.size() || active[number] == nullptr ||
           !same_way(*active[number], chain);
  };
  std::vector<std::size_t> changed;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const bool with_it = std::ranges::any_of(wanted, [&](const ChainVersion& other) {
      return other.chain == wanted[i].reverse && differs(other);
    });
    if (differs(wanted[i]) || with_it) changed.push_back(i);
  }
  return changed;
}

}  // namespace sluice

#include <algorithm>
#include <utility>

#include "core/check.hpp"
#include "core/host/agent.hpp"
#include "core/host/agent_parts.hpp"

/// How an Agent carries out a ReconfigurationPlan, in three parts. It starts what is new; when an
/// instance of each new service serves, new flows take the new way at once, all of them; and what
/// is old goes as its flows end. Until the second part nothing has changed, so the change can still
/// be taken back.
namespace sluice {
namespace {

using Outcome = ReconfigureEnded::Outcome;

bool uses(const ChainVersion& chain, ServiceId service) {
  return std::any_of(chain.steps.begin(), chain.steps.end(),
                     [&](const Step& step) { return step.service == service; });
}

/// Room for the number `id` in a vector by number.
template <class T, class Id>
void make_room(std::vector<T>& values, Id id, const T& value) {
  if (index_of(id) >= values.size()) values.resize(std::size_t{index_of(id)} + 1, value);
}

}  // namespace

void Agent::on(const Reconfigure& event, Instant now) {
  if (pending_) {
    const ConfigError error{Place{event.file, 0, 0}, "another change is still under way",
                            pending_->file, "one at a time"};
    commands_.push_back(ReconfigureEnded{Outcome::kRefused, error.to_string()});
    return;
  }
  auto plan = plan_reconfiguration(running_host(), event);
  if (!plan) {
    commands_.push_back(ReconfigureEnded{Outcome::kRefused, plan.error().to_string()});
    return;
  }
  begin(std::move(*plan), event, now);
  advance_reconfiguration(now);
}

RunningHost Agent::running_host() const {
  RunningHost running;
  running.services = options_.services;
  running.core_counts.resize(services_.size());
  for (const ServiceState& service : services_) running.uses.push_back(service.use);
  for (const auto& [id, instance] : instances_) {
    if (is_inline(instance.service) || !is_alive(instance.state)) continue;
    ++running.core_counts[index_of(instance.service)];
  }
  running.chain_in_use.resize(active_.size());
  for (const std::uint16_t index : active_) {
    running.active.push_back(index == kIndexNone ? nullptr : chains_[index].get());
  }
  for (const auto& chain : chains_) {
    if (chain == nullptr) {
      ++running.chain_version_count_free;
      continue;
    }
    running.chain_in_use[index_of(chain->chain)] = true;
    if (chain->reverse != kNoChain) running.chain_in_use[index_of(chain->reverse)] = true;
  }
  running.ports = options_.ports;
  running.worker_count = options_.worker_count;
  for (std::uint16_t i = 0; i < options_.instance_count_max; ++i) {
    if (!instances_.contains(InstanceId{i}) && pinned_flows_[i] == 0) ++running.instance_count_free;
  }
  running.service_count_max = options_.service_count_max;
  running.chain_count_max = options_.chain_count_max;
  running.step_count_max = options_.step_count_max;
  running.remembers_addresses = options_.remembers_addresses;
  return running;
}

/// Everything up to here can be undone: no flow meets what is added.
void Agent::begin(ReconfigurationPlan plan, const Reconfigure& event, Instant now) {
  Renumbered numbers;
  for (const ServiceSettings& settings : plan.services) {
    numbers.services.push_back(settings.service.id);
  }
  for (const ChainVersion& chain : plan.chains) numbers.chains.push_back(chain.chain);
  commands_.push_back(std::move(numbers));
  for (const ServiceSettings& settings : plan.services) {
    const ServiceId id = settings.service.id;
    const bool is_added = std::ranges::find(plan.added, id) != plan.added.end();
    const bool is_awaited = std::ranges::find(plan.awaited, id) != plan.awaited.end();
    make_room(options_.services, id, ServiceSettings{});
    make_room(services_, id, ServiceState{.use = ServiceUse::kFree});
    ServiceState& service = services_[index_of(id)];
    if (is_added) {
      service = ServiceState{};
      options_.services[index_of(id)] = settings;
      note(Note::Kind::kServiceAdded, id, kNoInstance, settings.service.name);
    }
    if (is_awaited) service.wanted = settings.instance_count_start;
    if (!is_inline(id) || !is_awaited) continue;
    // One on each worker, which the numbers tell.
    const std::uint32_t count = options_.worker_count;
    service.wanted = count;
    service.next_number = (next_number(settings.service.name) + count - 2) / count * count + 1;
  }
  pending_ = Pending{std::move(plan), event.file, now + options_.reconfigure_limit};
  publish(now);
}

/// The name of an awaited service of which not enough instances serve; empty: all do.
std::string Agent::missing_service() const {
  for (const ServiceId id : pending_->plan.awaited) {
    const auto count = static_cast<std::uint32_t>(
        std::count_if(instances_.begin(), instances_.end(), [&](const auto& entry) {
          return entry.second.service == id && entry.second.state == InstanceState::kRunning;
        }));
    if (count < (is_inline(id) ? options_.worker_count : 1u)) {
      return options_.services[index_of(id)].service.name;
    }
  }
  return {};
}

void Agent::advance_reconfiguration(Instant now) {
  if (!pending_) return;
  const std::string missing = missing_service();
  if (missing.empty()) {
    commit(now);
  } else if (now >= pending_->deadline) {
    take_back("services." + missing + ": no instance came up in time", now);
  }
}

void Agent::commit(Instant now) {
  std::vector<const ChainVersion*> active = running_host().active;
  const auto changed = chains_to_change(active, pending_->plan.chains);
  const auto room = static_cast<std::size_t>(
      std::count(chains_.begin(), chains_.end(), std::shared_ptr<const ChainVersion>{}));
  if (changed.size() > room) {  // A ChainUpdate came in between.
    take_back("chains: no room for new versions", now);
    return;
  }
  const ReconfigurationPlan plan = std::move(pending_->plan);
  pending_.reset();
  options_.core_count = plan.core_count;
  options_.ports = plan.ports;
  options_.classifier = std::make_shared<const Classifier>(plan.rules);
  change_chains(plan, now);
  retire(plan.retired, now);
  for (const ServiceSettings& settings : plan.services) keep_service(settings, now);
  commands_.push_back(ReconfigureEnded{Outcome::kDone, {}});
}

void Agent::change_chains(const ReconfigurationPlan& plan, Instant now) {
  std::vector<ChainVersion> versions;
  const std::vector<const ChainVersion*> active = running_host().active;
  for (const std::size_t i : chains_to_change(active, plan.chains)) {
    ChainVersion version = plan.chains[i];
    make_room(active_, version.chain, kIndexNone);
    const std::uint16_t old = active_[index_of(version.chain)];
    version.version = old == kIndexNone ? 1 : chains_[old]->version + 1;
    versions.push_back(std::move(version));
  }
  add_chain_versions(versions, now);
  for (const ChainVersion& version : versions) {
    note(Note::Kind::kChainChanged, kNoService, kNoInstance, version.name);
  }
  for (const ChainId chain : plan.removed) {
    std::uint16_t& index = active_[index_of(chain)];
    note(Note::Kind::kChainRemoved, kNoService, kNoInstance, chains_[index]->name);
    chain_retired_[index] = now;
    index = kIndexNone;
  }
}

/// Gives a service its new settings. What its policy no longer allows drains.
void Agent::keep_service(const ServiceSettings& settings, Instant now) {
  const ServiceId id = settings.service.id;
  const ScalePolicy& policy = settings.policy;
  ServiceState& service = services_[index_of(id)];
  options_.services[index_of(id)] = settings;
  if (is_inline(id) || settings.instance_count_start == 0) return;
  service.wanted = policy.enabled ? std::clamp(service.wanted, policy.instance_count_min,
                                               policy.instance_count_max)
                                  : settings.instance_count_start;
  while (instance_count(id) > service.wanted) {
    InstanceId victim = kNoInstance;  // The one with the fewest flows; of equals the last.
    for (const auto& [instance_id, instance] : instances_) {
      if (instance.service != id || instance.state != InstanceState::kRunning) continue;
      if (victim == kNoInstance ||
          pinned_flows_[index_of(instance_id)] <= pinned_flows_[index_of(victim)]) {
        victim = instance_id;
      }
    }
    if (victim == kNoInstance) return;  // Those that start are left to the scaling policy.
    drain(victim, "above max", now);
  }
}

/// No new flow meets these services any more. All their instances drain, whatever their policies
/// say of a timeout: a change of the deployment cuts no flow.
void Agent::retire(std::span<const ServiceId> services, Instant now) {
  std::vector<InstanceId> draining;
  for (const ServiceId id : services) {
    ServiceState& service = services_[index_of(id)];
    service.use = ServiceUse::kRetiring;
    service.wanted = 0;
    service.in_demand = has_chain_version(id);
    service.retire_version = snapshot_version_ + 1;  // That of the publish below.
    note(Note::Kind::kServiceRetiring, id, kNoInstance,
         options_.services[index_of(id)].service.name);
  }
  for (const auto& [id, instance] : instances_) {
    const bool retires = services_[index_of(instance.service)].use == ServiceUse::kRetiring;
    if (retires && instance.state == InstanceState::kRunning) draining.push_back(id);
  }
  publish(now);
  for (const InstanceId id : draining) mark_draining(id, instances_.at(id), now);
}

void Agent::take_back(const std::string& problem, Instant now) {
  const ReconfigurationPlan plan = std::move(pending_->plan);
  const ConfigError error{Place{pending_->file, 0, 0}, problem, {}, {}};
  pending_.reset();
  for (const ServiceId id : plan.awaited) {
    ServiceState& service = services_[index_of(id)];
    service.wanted = 0;
    if (std::ranges::find(plan.added, id) != plan.added.end()) continue;
    for (auto& [instance_id, instance] : instances_) {
      if (instance.service != id || instance.state != InstanceState::kRunning) continue;
      drain(instance_id, "taken back", now);
    }
  }
  retire(plan.added, now);
  commands_.push_back(ReconfigureEnded{Outcome::kTakenBack, error.to_string()});
}

// --- The end of what is old ----------------------------------------------------------------------

void Agent::advance_retirement(const Readings& readings) {
  for (std::size_t i = 0; i < services_.size(); ++i) {
    const ServiceState& service = services_[i];
    if (service.use != ServiceUse::kRetiring) continue;
    if (readings.snapshot_version < service.retire_version) continue;
    advance_retirement(ServiceId{static_cast<std::uint16_t>(i)}, readings.flow_count_of_chain);
  }
}

/// A flow may come to a service as long as it lives on a chain version that has it. One without a
/// pin there (affinity none) or whose instance died needs an instance that is left, so the last one
/// stays, and with affinity none all do.
void Agent::advance_retirement(ServiceId id, std::span<const std::uint32_t> flow_count_of_chain) {
  ServiceState& service = services_[index_of(id)];
  const Service& settings = options_.services[index_of(id)].service;
  service.in_demand = false;
  for (std::size_t i = 0; i < chains_.size() && i < flow_count_of_chain.size(); ++i) {
    if (flow_count_of_chain[i] > 0 && uses(*chains_[i], id)) service.in_demand = true;
  }
  stop_idle(id);
  keep_one_while_in_demand(id);
  const bool any = std::any_of(instances_.begin(), instances_.end(),
                               [&](const auto& entry) { return entry.second.service == id; });
  // The last version that names it has to have rested as well.
  if (any || service.wanted > 0 || has_chain_version(id)) return;
  note(Note::Kind::kServiceRetired, id, kNoInstance, settings.name);
  service = ServiceState{.use = ServiceUse::kFree};
  options_.services[index_of(id)] = ServiceSettings{};
  options_.services[index_of(id)].service.id = id;
}

/// Stops instances of a retiring service that no flow needs, in two readings: the first one takes
/// it from those that a flow may choose, the second one finds it still empty.
void Agent::stop_idle(ServiceId id) {
  const ServiceState& service = services_[index_of(id)];
  const Service& settings = options_.services[index_of(id)].service;
  const bool keep_all = service.in_demand &&
                        (settings.affinity == Affinity::kNone || settings.run == RunMode::kInline);
  if (keep_all) return;
  std::vector<InstanceId> idle;
  bool others = false;  // Some stay for flows of their own, and can do for the rest.
  for (auto& [instance_id, instance] : instances_) {
    if (instance.service != id || instance.state != InstanceState::kDraining) continue;
    if (instance.stop_sent || counted_version_ < instance.drain_version) continue;
    const bool empty = pinned_flows_[index_of(instance_id)] == 0 && instance.last.outstanding == 0;
    if (instance.leaving && empty) {
      instance.stop_sent = true;
      commands_.push_back(StopInstance{instance_id});
    } else if (!instance.leaving && empty) {
      idle.push_back(instance_id);
    } else if (!instance.leaving) {
      others = true;
    }
  }
  if (service.in_demand && !others && !idle.empty()) idle.erase(idle.begin());
  for (const InstanceId each : idle) {
    instances_.at(each).leaving = true;
    instances_.at(each).drain_version = snapshot_version_ + 1;  // That of the publish below.
  }
  if (!idle.empty()) publish(sample_.when);
}

/// Restarts the last instance of a retiring service that died under its flows.
void Agent::keep_one_while_in_demand(ServiceId id) {
  ServiceState& service = services_[index_of(id)];
  const bool any = std::any_of(instances_.begin(), instances_.end(), [&](const auto& entry) {
    const Instance& instance = entry.second;
    return instance.service == id && !instance.leaving &&
           (serves(instance.state) || instance.state == InstanceState::kDraining);
  });
  service.wanted = service.in_demand && !any ? 1 : 0;
}

bool Agent::has_chain_version(ServiceId service) const {
  return std::any_of(chains_.begin(), chains_.end(),
                     [&](const auto& chain) { return chain != nullptr && uses(*chain, service); });
}

}  // namespace sluice

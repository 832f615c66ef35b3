#include "core/host/agent.hpp"

#include <algorithm>
#include <utility>

#include "core/check.hpp"
#include "core/host/agent_parts.hpp"

namespace sluice {

const char* to_string(InstanceState state) noexcept {
  switch (state) {
    case InstanceState::kStarting:
      return "starting";
    case InstanceState::kRunning:
      return "running";
    case InstanceState::kDraining:
      return "draining";
    case InstanceState::kStopped:
      return "stopped";
    case InstanceState::kDead:
      return "dead";
    case InstanceState::kHung:
      return "hung";
  }
  return "?";
}

const char* to_string(Note::Kind kind) noexcept {
  switch (kind) {
    case Note::Kind::kInstanceStarted:
      return "instance_started";
    case Note::Kind::kInstanceDraining:
      return "instance_draining";
    case Note::Kind::kInstanceStopped:
      return "instance_stopped";
    case Note::Kind::kInstanceDied:
      return "instance_died";
    case Note::Kind::kInstanceHung:
      return "instance_hung";
    case Note::Kind::kInstanceQuarantined:
      return "instance_quarantined";
    case Note::Kind::kScaleUp:
      return "scale_up";
    case Note::Kind::kScaleDown:
      return "scale_down";
    case Note::Kind::kScaleBlocked:
      return "scale_blocked";
    case Note::Kind::kChainChanged:
      return "chain_changed";
    case Note::Kind::kChainRemoved:
      return "chain_removed";
    case Note::Kind::kServiceAdded:
      return "service_added";
    case Note::Kind::kServiceRetiring:
      return "service_retiring";
    case Note::Kind::kServiceRetired:
      return "service_retired";
  }
  return "?";
}

Agent::Agent(Options options)
    : options_(std::move(options)),
      services_(options_.services.size()),
      chains_(options_.chain_version_count_max),
      active_(options_.chains.size(), kIndexNone),
      chain_retired_(options_.chain_version_count_max),
      pinned_flows_(options_.instance_count_max) {
  for (std::size_t i = 0; i < services_.size(); ++i) {
    SLUICE_CHECK(index_of(options_.services[i].service.id) == i);
    services_[i].wanted = options_.services[i].instance_count_start;
    if (is_inline(ServiceId{static_cast<std::uint16_t>(i)}) && services_[i].wanted > 0) {
      services_[i].wanted = options_.worker_count;
    }
  }
  for (std::size_t i = 0; i < options_.chains.size(); ++i) {
    SLUICE_CHECK(index_of(options_.chains[i].chain) == i);
    options_.chains[i].version = 1;
  }
  add_chain_versions(options_.chains, Instant{});
}

std::vector<AgentCommand> Agent::start(Instant now) {
  publish(now);
  reconcile(now);
  return std::exchange(commands_, {});
}

std::vector<AgentCommand> Agent::handle(const AgentEvent& event, Instant now) {
  std::visit([&](const auto& each) { on(each, now); }, event);
  reconcile(now);
  return std::exchange(commands_, {});
}

// --- Events --------------------------------------------------------------------------------------

void Agent::on(const InstanceStarted& event, Instant now) {
  const auto found = instances_.find(event.instance);
  SLUICE_CHECK(found != instances_.end() && event.channel != nullptr);
  Instance& instance = found->second;
  instance.channel = event.channel;
  instance.worker = event.worker;
  instance.running_since = now;
  instance.heartbeat_changed = now;
  if (instance.state == InstanceState::kStarting) instance.state = InstanceState::kRunning;
  note(Note::Kind::kInstanceStarted, instance.service, event.instance);
  publish(now);
  ServiceState& service = services_[index_of(instance.service)];
  if (service.use == ServiceUse::kRetiring && instance.state == InstanceState::kRunning) {
    service.wanted = 0;  // It stands in for the last one, which died.
    mark_draining(event.instance, instance, now);
  }
  advance_reconfiguration(now);
}

void Agent::on(const InstanceEnded& event, Instant now) {
  const auto found = instances_.find(event.instance);
  if (found == instances_.end()) return;  // Ended and reported twice: the first time counted.
  const Instance instance = found->second;
  const bool planned = instance.stop_sent;
  ServiceState& service = services_[index_of(instance.service)];
  if (planned) {
    note(Note::Kind::kInstanceStopped, instance.service, event.instance);
  } else {
    note(Note::Kind::kInstanceDied, instance.service, event.instance);
    const bool healthy = instance.state != InstanceState::kStarting &&
                         now - instance.running_since >= options_.healthy_after;
    // The first restart is at once; only one that fails again soon has to wait.
    service.restart_at = now + (healthy ? Duration::zero() : service.backoff);
    service.backoff =
        healthy ? options_.backoff_min
                : std::clamp(service.backoff * 2, options_.backoff_min, options_.backoff_max);
  }
  instances_.erase(found);
  if (service.use == ServiceUse::kRetiring) keep_one_while_in_demand(instance.service);
  publish(now);
  const DropReason reason = planned ? DropReason::kInstanceStopped : DropReason::kInstanceDied;
  if (instance.channel != nullptr) commands_.push_back(ReclaimInstance{event.instance, reason});
}

void Agent::on(const InstanceMisbehaved& event, Instant) {
  terminate(event.instance, Note::Kind::kInstanceQuarantined, {});
}

void Agent::on(const ChainUpdate& event, Instant now) {
  std::vector<ChainVersion> versions;
  for (const ChainUpdate::Entry& entry : event.chains) {
    const std::uint16_t chain = index_of(entry.chain);
    SLUICE_CHECK(chain < active_.size() && active_[chain] != kIndexNone);
    ChainVersion version = *chains_[active_[chain]];
    ++version.version;
    version.steps = entry.steps;
    versions.push_back(std::move(version));
  }
  add_chain_versions(versions, now);
  for (const ChainVersion& version : versions) {
    note(Note::Kind::kChainChanged, kNoService, kNoInstance, version.name);
  }
  publish(now);
}

// --- Instances -----------------------------------------------------------------------------------

void Agent::reconcile(Instant now) {
  for (std::size_t i = 0; i < services_.size(); ++i) {
    const ServiceId id{static_cast<std::uint16_t>(i)};
    ServiceState& service = services_[i];
    while (instance_count(id) < service.wanted && now >= service.restart_at) {
      if (!start_one(id, now)) break;
    }
  }
}

bool Agent::start_one(ServiceId id, Instant) {
  ServiceState& service = services_[index_of(id)];
  const InstanceId number = free_number();
  const bool needs_core = !is_inline(id) && service.use != ServiceUse::kRetiring;
  if (number == kNoInstance || (needs_core && cores_free() == 0)) {
    if (!service.blocked) {
      note(Note::Kind::kScaleBlocked, id, kNoInstance,
           number == kNoInstance ? "no free instance number" : "no free core");
    }
    service.blocked = true;
    return false;
  }
  service.blocked = false;
  last_instance_ = index_of(number);
  Instance instance{Ewma{options_.occupancy_tau}};
  instance.service = id;
  instance.number = next_number(options_.services[index_of(id)].service.name);
  service.next_number = instance.number + 1;
  instance.place = place_for_another(id);
  commands_.push_back(StartInstance{number, id, instance.number});
  instances_.emplace(number, std::move(instance));
  return true;
}

/// The next number that no instance has and no flow still names: a flow of a dead instance is
/// pinned anew only when its next packet comes, and must not find a stranger there.
InstanceId Agent::free_number() const {
  for (std::uint32_t i = 1; i <= options_.instance_count_max; ++i) {
    const auto number = static_cast<std::uint16_t>((std::uint32_t{last_instance_} + i) %
                                                   options_.instance_count_max);
    if (!instances_.contains(InstanceId{number}) && pinned_flows_[number] == 0) {
      return InstanceId{number};
    }
  }
  return kNoInstance;
}

/// Counts up over all services of a name, old ones too: names of instances are unique.
std::uint32_t Agent::next_number(const std::string& service_name) const {
  std::uint32_t number = 1;
  for (std::size_t i = 0; i < services_.size(); ++i) {
    if (options_.services[i].service.name != service_name) continue;
    number = std::max(number, services_[i].next_number);
  }
  return number;
}

/// The first place of a service that no serving instance has. Numbers count up for ever, so weights
/// go by places: who replaces an instance takes its share, and nobody else's changes.
std::uint32_t Agent::place_for_another(ServiceId service) const {
  std::vector<bool> taken(instances_.size() + 1);
  for (const auto& [id, instance] : instances_) {
    const bool counts = instance.service == service && serves(instance.state);
    if (counts && instance.place < taken.size()) taken[instance.place] = true;
  }
  return static_cast<std::uint32_t>(std::find(taken.begin(), taken.end(), false) - taken.begin());
}

void Agent::note(Note::Kind kind, ServiceId service, InstanceId instance, std::string text) {
  commands_.push_back(Note{kind, service, instance,
                           instance == kNoInstance ? std::string{} : name_of(instance),
                           std::move(text)});
}

// --- Questions -----------------------------------------------------------------------------------

bool Agent::is_inline(ServiceId service) const {
  return options_.services[index_of(service)].service.run == RunMode::kInline;
}

std::uint32_t Agent::instance_count(ServiceId service) const {
  return static_cast<std::uint32_t>(
      std::count_if(instances_.begin(), instances_.end(), [&](const auto& entry) {
        return entry.second.service == service && serves(entry.second.state);
      }));
}

std::uint32_t Agent::cores_free() const {
  std::uint32_t used = options_.worker_count;
  for (const auto& [id, instance] : instances_) {
    if (holds_core(instance.service) && is_alive(instance.state)) ++used;
  }
  // What a Reconfigure waits for starts on the cores that it will have.
  const std::uint32_t count = pending_ ? pending_->plan.core_count : options_.core_count;
  return count > used ? count - used : 0;
}

bool Agent::holds_core(ServiceId service) const {
  if (is_inline(service) || services_[index_of(service)].use == ServiceUse::kRetiring) return false;
  if (!pending_) return true;
  const auto& retired = pending_->plan.retired;
  return std::find(retired.begin(), retired.end(), service) == retired.end();
}

ServiceUse Agent::use_of(ServiceId service) const {
  return index_of(service) < services_.size() ? services_[index_of(service)].use
                                              : ServiceUse::kFree;
}

InstanceState Agent::state_of(InstanceId instance) const {
  const auto found = instances_.find(instance);
  return found == instances_.end() ? InstanceState::kStopped : found->second.state;
}

ServiceId Agent::service_of(InstanceId instance) const {
  const auto found = instances_.find(instance);
  return found == instances_.end() ? kNoService : found->second.service;
}

std::string Agent::name_of(InstanceId instance) const {
  const auto found = instances_.find(instance);
  if (found == instances_.end()) return "?";
  return options_.services[index_of(found->second.service)].service.name + "." +
         std::to_string(found->second.number);
}

}  // namespace sluice

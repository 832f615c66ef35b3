#include <algorithm>
#include <utility>

#include "core/host/agent.hpp"
#include "core/host/agent_parts.hpp"

/// What a scaling policy or an operator asks of an Agent.
namespace sluice {
namespace {

using Kind = ScaleRequest::Kind;

tl::unexpected<ConfigError> refuse(const std::string& name, std::string problem,
                                   std::string got = {}, std::string expected = {}) {
  return unexpected(
      ConfigError{Place{name, 0, 0}, std::move(problem), std::move(got), std::move(expected)});
}

}  // namespace

ServiceId Agent::service_named(std::string_view name) const {
  for (std::size_t i = 0; i < options_.services.size(); ++i) {
    const bool active = services_[i].use == ServiceUse::kActive;
    if (active && options_.services[i].service.name == name) {
      return ServiceId{static_cast<std::uint16_t>(i)};
    }
  }
  return kNoService;
}

InstanceId Agent::instance_named(std::string_view name) const {
  for (const auto& [id, instance] : instances_) {
    if (name_of(id) == name) return id;
  }
  return kNoInstance;
}

Result<void> Agent::check_start(const ScaleRequest& request) const {
  // A policy may not have heard yet that a service is on its way out.
  if (use_of(request.service) != ServiceUse::kActive) return refuse("service", "it is no more");
  const ServiceSettings& settings = options_.services[index_of(request.service)];
  const std::string& name = settings.service.name;
  if (is_inline(request.service)) return refuse(name, "an inline service is not scaled");
  const std::uint32_t wanted = services_[index_of(request.service)].wanted;
  const std::uint32_t count_max = settings.policy.instance_count_max;
  if (wanted >= count_max || (request.by_operator && wanted + request.count > count_max)) {
    return refuse(name, "too many instances", std::to_string(wanted + request.count),
                  "at most " + std::to_string(count_max) + ", its maximum");
  }
  if (request.by_operator && cores_free() < request.count) {
    return refuse(name, "no free core", std::to_string(cores_free()) + " free",
                  std::to_string(request.count));
  }
  return {};
}

Result<void> Agent::check(const ScaleRequest& request) const {
  if (request.kind == Kind::kStart) return check_start(request);
  const auto found = instances_.find(request.instance);
  if (found == instances_.end()) return refuse("instance", "it is no more");
  const Instance& instance = found->second;
  const std::string name = name_of(request.instance);
  if (is_inline(instance.service)) return refuse(name, "an inline instance ends with its host");
  const InstanceState state = instance.state;
  bool fits = state == InstanceState::kRunning;
  std::string expected = "running";
  if (request.kind == Kind::kStop) {
    fits = (fits || state == InstanceState::kDraining) && !instance.stop_sent;
    expected = "running or draining";
  } else if (request.kind != Kind::kDrain) {
    fits = is_alive(state) && state != InstanceState::kHung;
    expected = "one that is not being killed";
  }
  if (!fits) {
    return refuse(name, "cannot be asked for that now",
                  instance.stop_sent ? "stopping" : to_string(state), expected);
  }
  const std::uint32_t count_min =
      options_.services[index_of(instance.service)].policy.instance_count_min;
  const std::uint32_t wanted = services_[index_of(instance.service)].wanted;
  if (request.kind == Kind::kDrain && !request.by_operator && wanted <= count_min) {
    return refuse(name, "the service is at its minimum", std::to_string(wanted));
  }
  return {};
}

void Agent::on(const ScaleRequest& event, Instant now) {
  if (!check(event)) return;
  switch (event.kind) {
    case Kind::kStart: {
      ServiceState& service = services_[index_of(event.service)];
      const ScalePolicy& policy = options_.services[index_of(event.service)].policy;
      service.wanted = std::min(service.wanted + event.count, policy.instance_count_max);
      note(Note::Kind::kScaleUp, event.service, kNoInstance, event.reason);
      return;
    }
    case Kind::kDrain: {
      ServiceState& service = services_[index_of(service_of(event.instance))];
      service.wanted -= std::min(service.wanted, 1u);
      drain(event.instance, event.reason, now);
      return;
    }
    case Kind::kReplace:
      terminate(event.instance, std::nullopt, event.reason);
      return;
    case Kind::kStop:
      stop_now(event.instance, event.reason, now);
      return;
    case Kind::kQuarantine:
      terminate(event.instance, Note::Kind::kInstanceQuarantined, event.reason);
      return;
  }
}

/// New flows go elsewhere from here on; those that it has, when it has ended.
void Agent::stop_now(InstanceId id, const std::string& reason, Instant now) {
  Instance& instance = instances_.at(id);
  ServiceState& service = services_[index_of(instance.service)];
  if (instance.state == InstanceState::kRunning) service.wanted -= std::min(service.wanted, 1u);
  note(Note::Kind::kScaleDown, instance.service, id, reason);
  instance.state = InstanceState::kDraining;
  instance.draining_since = now;
  instance.stop_sent = true;
  publish(now);
  commands_.push_back(StopInstance{id});
}

/// Kills it; another one starts when it has ended. With a note of `kind`, if there is one.
void Agent::terminate(InstanceId id, std::optional<Note::Kind> kind, std::string reason) {
  const auto found = instances_.find(id);
  if (found == instances_.end() || found->second.state == InstanceState::kHung) return;
  found->second.state = InstanceState::kHung;
  if (kind) note(*kind, found->second.service, id, std::move(reason));
  commands_.push_back(TerminateInstance{id});
}

}  // namespace sluice

#include <algorithm>
#include <utility>

#include "backends/dpdk/host_daemon.hpp"
#include "backends/process/idle.hpp"
#include "core/deployment/host_change.hpp"
#include "core/deployment/host_options.hpp"

/// What operators ask of a host, and functions that come by themselves.
namespace sluice::dpdk {
namespace {

using Json = nlohmann::ordered_json;

Json refuse(const std::string& error) {
  return {{"ok", false}, {"error", error}};
}

}  // namespace

std::string HostDaemon::unknown_service(const std::string& name) const {
  std::vector<std::string_view> names;
  for (const ServiceSpec& each : deployment_->services) names.push_back(each.service.name);
  return "unknown service; got " + name + "; expected " + one_of_with_hint(name, names);
}

std::string HostDaemon::offered(const std::string& name) {
  const ServiceId service = agent_->service_named(name);
  if (service == kNoService) return unknown_service(name);
  const ServiceSettings& settings = agent_->services()[index_of(service)];
  if (settings.service.run == RunMode::kInline) return "service " + name + " runs inline";
  const std::uint32_t count = agent_->instance_count(service);
  if (const std::uint32_t most = settings.policy.instance_count_max; count >= most) {
    return "service " + name + " has all its instances; got " + std::to_string(count + 1) +
           "; expected at most " + std::to_string(most);
  }
  ScaleRequest request;
  request.kind = ScaleRequest::Kind::kStart;
  request.service = service;
  request.reason = "offered";
  handle(std::move(request));
  return {};
}

HostDaemon::Answer HostDaemon::answer(const nlohmann::json& request,
                                      ControlServer::ClientId client) {
  const std::string verb = request.value("do", "");
  if (verb == "status") {
    statistics_asked_ = true;  // For the next one, if it comes soon.
    return to_json(status());
  }
  if (verb == "shutdown") {
    stopping_ = true;
    return Json{{"ok", true}};
  }
  if (listener_.request) {
    if (auto reply = listener_.request(request)) return reply;
  }
  if (verb == "apply") return apply(request, client);
  return operate(verb, request);
}

Json HostDaemon::operate(const std::string& verb, const nlohmann::json& request) {
  using Verb = std::pair<std::string_view, ScaleRequest::Kind>;
  constexpr Verb kKinds[] = {{"start", ScaleRequest::Kind::kStart},
                             {"stop", ScaleRequest::Kind::kStop},
                             {"drain", ScaleRequest::Kind::kDrain},
                             {"quarantine", ScaleRequest::Kind::kQuarantine}};
  const auto kind = std::ranges::find(kKinds, verb, &Verb::first);
  if (kind == std::end(kKinds)) {
    return refuse("unknown request; got " + verb +
                  "; expected status, apply, start, stop, drain, quarantine or shutdown");
  }
  ScaleRequest wanted;
  wanted.kind = kind->second;
  wanted.reason = "operator";
  wanted.by_operator = true;
  if (wanted.kind == ScaleRequest::Kind::kStart) {
    const std::string service = request.value("service", "");
    wanted.service = agent_->service_named(service);
    if (wanted.service == kNoService) return refuse("start: " + unknown_service(service));
  } else {
    const std::string instance = request.value("instance", "");
    wanted.instance = agent_->instance_named(instance);
    if (wanted.instance == kNoInstance) return refuse(verb + ": unknown instance; got " + instance);
    wanted.service = agent_->service_of(wanted.instance);
  }
  if (const auto fits = agent_->check(wanted); !fits) {
    return refuse(verb + ": " + fits.error().to_string());
  }
  handle(std::move(wanted));
  return {{"ok", true}};
}

// --- Another deployment file ---------------------------------------------------------------------

/// Whether it fits is known at once; whether what is new comes up, the Agent says later.
HostDaemon::Answer HostDaemon::apply(const nlohmann::json& request,
                                     ControlServer::ClientId client) {
  if (change_) {
    return refuse("apply: another change is still under way; got a second one; expected its end");
  }
  auto wanted =
      options_.parse(request.at("file").get<std::string>(), request.at("path").get<std::string>());
  if (!wanted) return refuse(wanted.error().to_string());
  auto event = reconfiguration(*deployment_, host_, *wanted->deployment);
  if (!event) return refuse(event.error().to_string());
  change_ = Change{std::move(*wanted), client};
  handle(std::move(*event));
  return std::nullopt;
}

/// The Agent has numbered what is new, and starts it next.
void HostDaemon::carry_out(const Renumbered& command) {
  const std::vector<HostedService> wanted = hosted_services(change_->wanted);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const std::size_t number = index_of(command.services[i]);
    if (number >= services_.size()) services_.resize(number + 1);
    services_[number] = wanted[i];
    services_[number].spec.service = agent_->services()[number].service;
  }
  for (std::size_t i = 0; i < command.chains.size(); ++i) {
    const std::size_t number = index_of(command.chains[i]);
    if (number >= chain_names_.size()) chain_names_.resize(number + 1);
    chain_names_[number] = change_->wanted.deployment->chains[i].version.name;
  }
}

void HostDaemon::carry_out(const ReconfigureEnded& command) {
  const Change change = std::move(*change_);
  change_.reset();
  if (command.outcome != ReconfigureEnded::Outcome::kDone) {
    control_->answer(change.client, refuse(command.reason));
    return;
  }
  const std::string name = spec().name;
  deployment_ = change.wanted.deployment;
  host_ = std::ranges::find(deployment_->hosts, name, &HostSpec::name)->id;
  autoscaler_->set_policies(policies());
  if (listener_.applied) listener_.applied(monotonic_now(), *deployment_);
  control_->answer(change.client, Json{{"ok", true}, {"deployment", deployment_->name}});
}

}  // namespace sluice::dpdk

#include "core/deployment/host_change.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "core/deployment/host_options.hpp"
#include "core/deployment/quantity_text.hpp"

namespace sluice {
namespace {

using Failure = std::optional<ConfigError>;

std::string port_names(const HostSpec& host) {
  std::string names;
  for (const PortSpec& port : host.ports) names += (names.empty() ? "" : ", ") + port.name;
  return names;
}

Failure check_same_host(const HostSpec& running, const HostSpec& wanted) {
  Failure failure;
  const auto same = [&](const std::string& key, const std::string& is, const std::string& shall) {
    if (failure || is == shall) return;
    failure = ConfigError{
        wanted.place, "hosts." + wanted.name + "." + key + ": cannot change while the host runs",
        shall, is + ", or a restart of the host"};
  };
  const auto number = [](std::uint64_t value) { return std::to_string(value); };
  same("workers", number(running.worker_count), number(wanted.worker_count));
  same("buffers", number(running.buffer_count), number(wanted.buffer_count));
  same("buffer_size", bytes_text(running.buffer_size), bytes_text(wanted.buffer_size));
  same("flows", number(running.flow_count_max), number(wanted.flow_count_max));
  same("flow_idle", text_of(running.flow_idle), text_of(wanted.flow_idle));
  same("ports", port_names(running), port_names(wanted));
  return failure;
}

}  // namespace

Result<Reconfigure> reconfiguration(const Deployment& running, HostId host,
                                    const Deployment& wanted) {
  const HostSpec& spec = running.hosts[index_of(host)];
  const auto found = std::ranges::find(wanted.hosts, spec.name, &HostSpec::name);
  if (found == wanted.hosts.end()) {
    std::string names;
    for (const HostSpec& each : wanted.hosts) names += (names.empty() ? "" : ", ") + each.name;
    return unexpected(ConfigError{Place{wanted.file, 0, 0},
                                  "hosts." + spec.name + ": the host that runs is missing", names,
                                  spec.name});
  }
  if (auto failure = check_same_host(spec, *found)) return unexpected(std::move(*failure));
  Agent::Options options = agent_options(wanted, found->id);
  Reconfigure event;
  event.file = wanted.file;
  event.host = spec.name;
  event.core_count = options.core_count;
  event.services = std::move(options.services);
  event.chains = std::move(options.chains);
  event.rules = classifier_rules(wanted, found->id);
  event.ports = std::move(options.ports);
  return event;
}

}  // namespace sluice

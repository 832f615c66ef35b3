#include "core/deployment/host_options.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "core/deployment/parser.hpp"

namespace sluice {
namespace {

constexpr std::uint32_t kChainVersionCountMax = 1024;
constexpr std::uint32_t kPinCountMin = 8;  ///< Room for longer chains that are applied later.

bool runs_on(const ServiceSpec& service, HostId host) {
  return std::find(service.hosts.begin(), service.hosts.end(), host) != service.hosts.end();
}

std::uint32_t step_count_max(const Deployment& deployment) {
  std::size_t count = 1;
  for (const ChainSpec& chain : deployment.chains) {
    count = std::max(count, chain.version.steps.size());
  }
  for (const ChainChange& change : deployment.changes) {
    for (const ChainVersion& version : change.versions) {
      count = std::max(count, version.steps.size());
    }
  }
  return static_cast<std::uint32_t>(count);
}

bool chooses_by_address(const Deployment& deployment) {
  return std::any_of(deployment.services.begin(), deployment.services.end(),
                     [](const ServiceSpec& service) {
                       const Affinity affinity = service.service.affinity;
                       return affinity == Affinity::kSource || affinity == Affinity::kDestination;
                     });
}

}  // namespace

std::vector<Classifier::Rule> classifier_rules(const Deployment& deployment, HostId host) {
  std::vector<Classifier::Rule> rules;
  for (const ChainSpec& chain : deployment.chains) {
    // A reverse chain without a match of its own takes replies only, which the flow table knows.
    FlowMatch anything;
    anything.ingress = chain.version.from;
    if (chain.host == host && !(chain.version.is_reverse && chain.match == anything)) {
      rules.push_back({chain.match, chain.version.chain});
    }
  }
  return rules;
}

Agent::Options agent_options(const Deployment& deployment, HostId host, HostGrowth growth) {
  const HostSpec& spec = deployment.hosts[index_of(host)];
  Agent::Options agent;
  agent.host = host;
  agent.core_count = spec.core_count;
  agent.worker_count = static_cast<std::uint16_t>(spec.worker_count);
  agent.chain_version_count_max = kChainVersionCountMax;
  for (const ServiceSpec& service : deployment.services) {
    agent.services.push_back({service.service, service.scaling,
                              runs_on(service, host) ? service.instance_count_start : 0,
                              service.fingerprint});
  }
  for (const ChainSpec& chain : deployment.chains) agent.chains.push_back(chain.version);
  agent.classifier = std::make_shared<const Classifier>(classifier_rules(deployment, host));
  std::uint16_t next_worker = 0;
  for (const PortSpec& port : spec.ports) {
    agent.ports.push_back({port.pass_to ? UnmatchedPolicy::kPass : UnmatchedPolicy::kDrop,
                           port.pass_to.value_or(kNoPort), port.neighbours_to.value_or(kNoPort),
                           port.frame_size_max, next_worker});
    next_worker = static_cast<std::uint16_t>((next_worker + 1) % spec.worker_count);
  }
  const Worker::Options worker = worker_options(deployment, host, 0, growth);
  agent.service_count_max = worker.service_count_max;
  agent.chain_count_max = worker.chain_count_max;
  agent.step_count_max = worker.flows.pin_count_max;
  agent.remembers_addresses = worker.address_count_max != 1;
  return agent;
}

Worker::Options worker_options(const Deployment& deployment, HostId host, std::uint16_t index,
                               HostGrowth growth) {
  const HostSpec& spec = deployment.hosts[index_of(host)];
  Worker::Options worker;
  worker.host = host;
  worker.index = index;
  worker.worker_count = static_cast<std::uint16_t>(spec.worker_count);
  worker.port_count_max = static_cast<std::uint32_t>(spec.ports.size());
  worker.chain_version_count_max = kChainVersionCountMax;
  worker.chain_count_max = static_cast<std::uint32_t>(deployment.chains.size());
  worker.flows.flow_count_max = spec.flow_count_max;
  worker.flows.idle_timeout = spec.flow_idle;
  worker.flows.pin_count_max = step_count_max(deployment);
  worker.address_count_max = chooses_by_address(deployment) ? 0 : 1;
  if (growth == HostGrowth::kChangeable) {
    worker.chain_count_max = DeploymentLimits::kChainCountMax;
    worker.flows.pin_count_max = std::max(worker.flows.pin_count_max, kPinCountMin);
    worker.address_count_max = 0;
  }
  return worker;
}

std::vector<ScaledService> scaled_services(const Deployment& deployment, HostId host) {
  std::vector<ScaledService> services;
  for (const ServiceSpec& service : deployment.services) {
    if (runs_on(service, host) && service.service.run != RunMode::kInline) {
      services.push_back({service.service.id, service.scaling});
    }
  }
  return services;
}

std::vector<ScaledService> scaled_services(const Agent& agent) {
  std::vector<ScaledService> services;
  for (const ServiceSettings& settings : agent.services()) {
    const Service& service = settings.service;
    if (agent.use_of(service.id) == ServiceUse::kActive && settings.instance_count_start > 0 &&
        service.run != RunMode::kInline) {
      services.push_back({service.id, settings.policy});
    }
  }
  return services;
}

std::uint16_t worker_of_instance(const Service& service, InstanceId instance, std::uint32_t number,
                                 std::size_t worker_count) {
  const std::size_t place = service.run == RunMode::kInline ? number - 1 : index_of(instance);
  return static_cast<std::uint16_t>(place % worker_count);
}

}  // namespace sluice

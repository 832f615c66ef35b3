#pragma once

#include <cstdint>
#include <vector>

#include "core/deployment/deployment.hpp"
#include "core/host/agent.hpp"
#include "core/host/worker.hpp"

/// How a checked deployment sets up the core of one of its hosts: the same for simulated and real
/// ones.
namespace sluice {

/// Whether a host can change to other deployments while it runs (Reconfigure), which takes memory
/// for what these may need. A simulated one is made for its one file.
enum class HostGrowth : std::uint8_t { kFixed, kChangeable };

/// All of the Agent's options that the file decides.
[[nodiscard]] Agent::Options agent_options(const Deployment& deployment, HostId host,
                                           HostGrowth growth = HostGrowth::kFixed);

/// The rules by which new flows on the host find their chains.
[[nodiscard]] std::vector<Classifier::Rule> classifier_rules(const Deployment& deployment,
                                                             HostId host);

/// All of the Worker's options that the file decides; hash keys, memory, ledger, observer and rings
/// are the backend's. `index` counts the host's workers.
[[nodiscard]] Worker::Options worker_options(const Deployment& deployment, HostId host,
                                             std::uint16_t index,
                                             HostGrowth growth = HostGrowth::kFixed);

/// A service of the host whose number of instances may follow the load, and how.
struct ScaledService {
  ServiceId service = kNoService;
  ScalePolicy policy;
};
/// Those that the host runs and that are not inline, ordered by number.
[[nodiscard]] std::vector<ScaledService> scaled_services(const Deployment& deployment, HostId host);
/// The same of a host that may have changed since, by the numbers that it has now.
[[nodiscard]] std::vector<ScaledService> scaled_services(const Agent& agent);

/// Which of `worker_count` workers owns an instance. An inline service has one instance on each, in
/// the order of their numbers (InstanceConfig::number, from 1).
[[nodiscard]] std::uint16_t worker_of_instance(const Service& service, InstanceId instance,
                                               std::uint32_t number, std::size_t worker_count);

}  // namespace sluice

#pragma once

#include "backends/ns3/host_object.hpp"
#include "backends/ns3/sim_host.hpp"
#include "core/deployment/deployment.hpp"
#include "core/deployment/host_options.hpp"
#include "scaling/host_autoscaler.hpp"

namespace sluice::sim {

/// The default policy for the services that `host` runs, as `deployment` sets them: what
/// SimHost::set_sampler takes. Here and not in the backend, which may not know scaling/. Keeps
/// nothing of `deployment`.
[[nodiscard]] inline HostAutoscaler make_autoscaler(const Deployment& deployment, HostId host,
                                                    HostAutoscaler::BlockedStart blocked = {}) {
  std::vector<ServicePolicy> policies;
  for (const ScaledService& service : scaled_services(deployment, host)) {
    policies.push_back({service.service, service.policy});
  }
  return HostAutoscaler{std::move(policies), std::move(blocked)};
}

/// Scales the instances of a host in an ns-3 script as `sluice sim` would.
inline void attach_autoscaler(SluiceHost& host) {
  host.SetSampler(make_autoscaler(host.GetDeployment(), host.GetHostId()));
}

}  // namespace sluice::sim

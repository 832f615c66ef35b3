#pragma once

#include <functional>

#include "backends/ns3/host_object.hpp"
#include "backends/ns3/sim_host.hpp"
#include "core/deployment/deployment.hpp"
#include "scaling/autoscaler.hpp"

namespace sluice::sim {

/// Told of a start that is due while no core is free for it; once, until it is so no more.
using BlockedStart = std::function<void(const LoadSample&, const ScaleAction&)>;

/// The default policy (scaling/autoscaler.hpp) for the services that `host` runs, as `deployment`
/// sets them: what SimHost::set_sampler takes. Here and not in the backend, which may not know
/// scaling/. It remembers what it saw, so each host needs one of its own; keeps nothing of
/// `deployment`. Restoring what was lost stays with the host's Agent.
[[nodiscard]] SimHost::Sampler make_autoscaler(const Deployment& deployment, HostId host,
                                               BlockedStart blocked = {});

/// Scales the instances of a host in an ns-3 script as `sluice sim` would.
inline void attach_autoscaler(SluiceHost& host) {
  host.SetSampler(make_autoscaler(host.GetDeployment(), host.GetHostId()));
}

}  // namespace sluice::sim

#pragma once

#include "core/deployment/deployment.hpp"
#include "core/host/reconfiguration.hpp"
#include "core/result.hpp"

namespace sluice {

/// How the Agent of host `host` of `running` gets from there to `wanted`, which has a host of the
/// same name. Fails when the host itself would have to change (workers, memory, ports, flow table):
/// that takes a restart. What else fails, the Agent says (ReconfigureEnded).
///
/// Costs, traffic, faults and `changes:` of the file are nothing to a running host. When the change
/// is done, `wanted` is what runs.
[[nodiscard]] Result<Reconfigure> reconfiguration(const Deployment& running, HostId host,
                                                  const Deployment& wanted);

}  // namespace sluice

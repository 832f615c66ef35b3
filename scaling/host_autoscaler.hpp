#pragma once

#include <functional>
#include <vector>

#include "core/host/agent.hpp"
#include "core/host/load_sample.hpp"
#include "scaling/autoscaler.hpp"

namespace sluice {

/// The default policy (plan()) of one host, from sample to sample: what it wants of the host's
/// Agent, in the Agent's words. The same in the simulator and in the daemon. It remembers what it
/// saw, so each host needs one of its own. Restoring what was lost stays with the Agent.
class HostAutoscaler {
 public:
  /// Told of a start that is due while no core is free for it; once, until it is so no more.
  using BlockedStart = std::function<void(const LoadSample&, const ScaleAction&)>;

  /// `policies` ordered by service.
  explicit HostAutoscaler(std::vector<ServicePolicy> policies, BlockedStart blocked = {});

  /// Samples come in order of time. The requests are to be handled before the next one.
  [[nodiscard]] std::vector<ScaleRequest> operator()(const LoadSample& sample);
  /// Other policies from now on; what was seen of services that stay is kept.
  void set_policies(std::vector<ServicePolicy> policies) { policies_ = std::move(policies); }

 private:
  std::vector<ServicePolicy> policies_;
  BlockedStart blocked_;
  AutoscalerState state_;
};

}  // namespace sluice

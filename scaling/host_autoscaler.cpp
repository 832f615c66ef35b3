#include "sim/attach_autoscaler.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace sluice::sim {

namespace {

std::vector<ServicePolicy> policies_of(const Deployment& deployment, HostId host) {
  std::vector<ServicePolicy> policies;
  for (const ServiceSpec& service : deployment.services) {
    const bool here =
        std::find(service.hosts.begin(), service.hosts.end(), host) != service.hosts.end();
    if (here && service.service.run != RunMode::kInline) {
      policies.push_back({service.service.id, service.scaling});
    }
  }
  return policies;
}

/// Nothing for an action that a host cannot be asked for.
std::optional<ScaleRequest::Kind> request_kind(ScaleAction::Kind kind) {
  switch (kind) {
    case ScaleAction::Kind::kStart:
      return ScaleRequest::Kind::kStart;
    case ScaleAction::Kind::kDrain:
      return ScaleRequest::Kind::kDrain;
    case ScaleAction::Kind::kReplace:
      return ScaleRequest::Kind::kReplace;
    case ScaleAction::Kind::kBlocked:
      break;
  }
  return std::nullopt;
}

struct Autoscaler {
  std::vector<ServicePolicy> policies;
  BlockedStart blocked;
  AutoscalerState state;

  std::vector<ScaleRequest> operator()(const LoadSample& sample) {
    ScalePlan planned = plan(std::move(state), policies, sample);
    state = std::move(planned.state);
    std::vector<ScaleRequest> requests;
    for (const ScaleAction& action : planned.actions) {
      if (restores(action)) continue;
      const auto kind = request_kind(action.kind);
      if (!kind) {
        if (blocked) blocked(sample, action);
        continue;
      }
      ScaleRequest request;
      request.kind = *kind;
      request.service = action.service;
      request.instance = action.instance;
      request.reason = to_string(action.reason);
      requests.push_back(std::move(request));
    }
    return requests;
  }
};

}  // namespace

SimHost::Sampler make_autoscaler(const Deployment& deployment, HostId host, BlockedStart blocked) {
  return Autoscaler{policies_of(deployment, host), std::move(blocked), {}};
}

}  // namespace sluice::sim

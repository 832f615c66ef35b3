#include "scaling/host_autoscaler.hpp"

#include <optional>
#include <utility>

namespace sluice {
namespace {

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

}  // namespace

HostAutoscaler::HostAutoscaler(std::vector<ServicePolicy> policies, BlockedStart blocked)
    : policies_(std::move(policies)), blocked_(std::move(blocked)) {}

std::vector<ScaleRequest> HostAutoscaler::operator()(const LoadSample& sample) {
  ScalePlan planned = plan(std::move(state_), policies_, sample);
  state_ = std::move(planned.state);
  std::vector<ScaleRequest> requests;
  for (const ScaleAction& action : planned.actions) {
    if (restores(action)) continue;
    const auto kind = request_kind(action.kind);
    if (!kind) {
      if (blocked_) blocked_(sample, action);
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

}  // namespace sluice

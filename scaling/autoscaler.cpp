#include "scaling/autoscaler.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include "core/check.hpp"

namespace sluice {
namespace {

using Kind = ScaleAction::Kind;
using Reason = ScaleAction::Reason;

/// What one sample says about one service.
struct Picture {
  std::vector<InstanceId> serving;  ///< Starting or running.
  std::vector<InstanceId> hung;
  std::uint32_t running_count = 0;
  std::uint32_t draining_count = 0;
  std::uint64_t occupancy_ppm = 0;  ///< Sum over the running ones, like all below.
  std::uint64_t load_ppm = 0;
  std::uint64_t packet_count = 0;
  std::uint64_t drop_count = 0;
  InstanceId victim = kNoInstance;  ///< The running one that is easiest to give up.

  [[nodiscard]] std::uint32_t serving_count() const {
    return static_cast<std::uint32_t>(serving.size());
  }
};

Picture look_at(const LoadSample& sample, ServiceId service) {
  Picture picture;
  std::uint32_t victim_flow_count = 0;
  for (const InstanceSample& instance : sample.instances) {
    if (instance.service != service) continue;
    switch (instance.state) {
      case InstanceState::kStarting:
        picture.serving.push_back(instance.instance);
        break;
      case InstanceState::kRunning:
        picture.serving.push_back(instance.instance);
        ++picture.running_count;
        picture.occupancy_ppm += instance.occupancy.value;
        picture.load_ppm += instance.load.value;
        picture.packet_count += instance.packet_count;
        picture.drop_count += instance.drop_count;
        // `<=` because instances come by id: of equals the highest id is taken.
        if (picture.victim == kNoInstance || instance.flow_count <= victim_flow_count) {
          picture.victim = instance.instance;
          victim_flow_count = instance.flow_count;
        }
        break;
      case InstanceState::kDraining:
        ++picture.draining_count;
        break;
      case InstanceState::kHung:
        picture.hung.push_back(instance.instance);
        break;
      case InstanceState::kStopped:
      case InstanceState::kDead:
        break;
    }
  }
  return picture;
}

/// How many of those that served after the last plan stopped since without having died: by hand.
std::uint32_t stopped_by_hand(const ServiceScaling& memory, const LoadSample& sample) {
  std::uint32_t count = 0;
  for (const InstanceSample& instance : sample.instances) {
    const bool stops =
        instance.state == InstanceState::kDraining || instance.state == InstanceState::kStopped;
    if (stops && std::ranges::binary_search(memory.serving, instance.instance)) ++count;
  }
  return count;
}

/// Lets the wanted number follow what others did: an operator, or a change of policy.
void adopt(ServiceScaling& memory, const ScalePolicy& policy, const Picture& picture,
           const LoadSample& sample) {
  const std::uint32_t stopped = stopped_by_hand(memory, sample);
  memory.wanted =
      std::max(memory.wanted - std::min(memory.wanted, stopped), picture.serving_count());
  if (policy.enabled) memory.wanted = std::min(memory.wanted, policy.instance_count_max);
  if (memory.wanted < policy.instance_count_min) {
    memory.wanted = policy.instance_count_min;
    memory.below_min = true;
  }
}

/// Since when `holds` has held without a break.
void track(std::optional<Instant>& since, bool holds, Instant now) {
  if (!holds) {
    since.reset();
  } else if (!since) {
    since = now;
  }
}

bool held_for(const std::optional<Instant>& since, Duration window, Instant now) {
  return since && now - *since >= window;
}

/// Thresholds are compared as products, so that no rounding of a mean moves a boundary.
void track_load(ServiceScaling& memory, const ScalePolicy& policy, const Picture& picture,
                Instant now) {
  const std::uint64_t n = picture.running_count;
  track(memory.busy_since, n > 0 && picture.occupancy_ppm >= policy.up_occupancy.value * n, now);
  const bool settled =
      picture.draining_count == 0 && n == picture.serving_count() && n == memory.wanted;
  track(memory.calm_since,
        settled && n > 1 && n > policy.instance_count_min &&
            picture.load_ppm < policy.down_load.value * (n - 1),
        now);
}

bool drops_too_much(const ScalePolicy& policy, const Picture& picture) {
  if (policy.up_drop_ratio.value == 0 || picture.drop_count == 0) return false;
  const Uint128 offered = Uint128{picture.packet_count} + picture.drop_count;
  return Uint128{picture.drop_count} * kPpmOne.value >= offered * policy.up_drop_ratio.value;
}

/// The plan while it is made: which cores are left, and what was decided.
struct Draft {
  std::uint32_t cores_free = 0;
  std::vector<ScaleAction> actions;

  void add(Kind kind, ServiceId service, InstanceId instance, Reason reason) {
    actions.push_back({.kind = kind, .service = service, .instance = instance, .reason = reason});
  }

  /// Starts up to `count` instances; says once when not even one of them finds a core.
  std::uint32_t start(ServiceScaling& memory, ServiceId service, std::uint32_t count,
                      Reason reason) {
    const std::uint32_t started = std::min(count, cores_free);
    for (std::uint32_t i = 0; i < started; ++i) add(Kind::kStart, service, kNoInstance, reason);
    cores_free -= started;
    if (started == 0 && !memory.blocked) add(Kind::kBlocked, service, kNoInstance, reason);
    memory.blocked = started == 0;
    return started;
  }
};

/// Replaces what was lost. @return Whether something is still missing.
bool replace_lost(ServiceScaling& memory, ServiceId service, const Picture& picture, Draft& draft) {
  std::uint32_t missing = memory.wanted - std::min(memory.wanted, picture.serving_count());
  for (const InstanceId hung : picture.hung) {
    if (missing == 0) break;
    draft.add(Kind::kReplace, service, hung, Reason::kHung);
    draft.cores_free -= std::min(draft.cores_free, 1u);
    --missing;
  }
  if (missing > 0) {
    const Reason reason = memory.below_min ? Reason::kBelowMin : Reason::kDied;
    missing -= draft.start(memory, service, missing, reason);
  }
  if (missing == 0) memory.below_min = false;
  return missing > 0;
}

/// Starts a step's worth of instances. @return How many found a core.
std::uint32_t start_step(ServiceScaling& memory, const ServicePolicy& entry, Reason reason,
                         Draft& draft) {
  const std::uint32_t count =
      std::min(entry.policy.step, entry.policy.instance_count_max - memory.wanted);
  const std::uint32_t started = draft.start(memory, entry.service, count, reason);
  memory.wanted += started;
  return started;
}

void drain(ServiceScaling& memory, ServiceId service, Reason reason, const Picture& picture,
           Draft& draft) {
  draft.add(Kind::kDrain, service, picture.victim, reason);
  std::erase(memory.serving, picture.victim);
  memory.wanted = picture.serving_count() - 1;
}

/// At most one step up or one drain, for the sake of the load or the limits. Nothing is missing, so
/// `wanted` counts those that serve and those that this plan already starts.
/// @return Whether a start was due, be it that no core was free for it.
bool follow_load(ServiceScaling& memory, const ServicePolicy& entry, const Picture& picture,
                 Instant now, Draft& draft) {
  const ScalePolicy& policy = entry.policy;
  if (memory.last_action && now - *memory.last_action < policy.cooldown) return false;
  const bool busy = held_for(memory.busy_since, policy.up_for, now);
  const bool start_due = (busy || drops_too_much(policy, picture)) &&
                         memory.wanted < policy.instance_count_max &&
                         picture.serving_count() <= memory.wanted;
  const bool drain_allowed = picture.draining_count == 0 && picture.victim != kNoInstance;
  bool acted = false;
  if (start_due) {
    acted = start_step(memory, entry, busy ? Reason::kOccupancy : Reason::kDrops, draft) > 0;
  } else if (drain_allowed && picture.serving_count() > policy.instance_count_max) {
    drain(memory, entry.service, Reason::kAboveMax, picture, draft);
    acted = true;
  } else if (drain_allowed && held_for(memory.calm_since, policy.down_for, now)) {
    drain(memory, entry.service, Reason::kLowLoad, picture, draft);
    acted = true;
  }
  if (acted) {
    memory.last_action = now;
    memory.busy_since.reset();
    memory.calm_since.reset();
  }
  return start_due;
}

}  // namespace

ScalePlan plan(AutoscalerState state, std::span<const ServicePolicy> policies,
               const LoadSample& sample) {
  SLUICE_CHECK(sample.when >= state.when);
  SLUICE_CHECK(std::ranges::adjacent_find(policies, std::greater_equal{},
                                          &ServicePolicy::service) == policies.end());
  SLUICE_CHECK(std::ranges::is_sorted(sample.instances, {}, &InstanceSample::instance));
  ScalePlan next;
  next.state.when = sample.when;
  Draft draft{.cores_free = sample.cores_free, .actions = {}};

  // Losses of all services first: the last core goes to what worked before, not to what wants more.
  std::vector<std::pair<Picture, bool>> pictures;
  for (const ServicePolicy& entry : policies) {
    SLUICE_CHECK(entry.policy.instance_count_min <= entry.policy.instance_count_max);
    const auto known = state.services.find(entry.service);
    ServiceScaling& memory = next.state.services[entry.service];
    if (known != state.services.end()) memory = std::move(known->second);
    Picture picture = look_at(sample, entry.service);
    adopt(memory, entry.policy, picture, sample);
    const bool missing = replace_lost(memory, entry.service, picture, draft);
    memory.serving = picture.serving;
    pictures.emplace_back(std::move(picture), missing);
  }
  for (std::size_t i = 0; i < policies.size(); ++i) {
    const ServicePolicy& entry = policies[i];
    const auto& [picture, missing] = pictures[i];
    ServiceScaling& memory = next.state.services[entry.service];
    bool start_due = missing;
    if (entry.policy.enabled) {
      track_load(memory, entry.policy, picture, sample.when);
      if (!missing) start_due = follow_load(memory, entry, picture, sample.when, draft);
    }
    if (!start_due) memory.blocked = false;
  }
  next.actions = std::move(draft.actions);
  return next;
}

const char* to_string(ScaleAction::Kind kind) noexcept {
  switch (kind) {
    case Kind::kStart:
      return "start";
    case Kind::kDrain:
      return "drain";
    case Kind::kReplace:
      return "replace";
    case Kind::kBlocked:
      return "blocked";
  }
  return "?";
}

const char* to_string(ScaleAction::Reason reason) noexcept {
  switch (reason) {
    case Reason::kOccupancy:
      return "occupancy";
    case Reason::kDrops:
      return "drops";
    case Reason::kLowLoad:
      return "low_load";
    case Reason::kDied:
      return "died";
    case Reason::kHung:
      return "hung";
    case Reason::kBelowMin:
      return "below_min";
    case Reason::kAboveMax:
      return "above_max";
  }
  return "?";
}

}  // namespace sluice

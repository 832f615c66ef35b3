#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "core/host/load_sample.hpp"
#include "core/host/scale_policy.hpp"
#include "core/units.hpp"

namespace sluice {

/// One thing that should happen to the instances of a service.
struct ScaleAction {
  enum class Kind : std::uint8_t {
    kStart,    ///< Start one instance, on a free core.
    kDrain,    ///< Give `instance` no new flows; stop it when its last flow ended.
    kReplace,  ///< Kill `instance` and start one, on a free core or else on that of the killed one.
    kBlocked,  ///< A start was due and no core is free. Nothing to do but say so; said once.
  };
  enum class Reason : std::uint8_t {
    kOccupancy,  ///< The rings were full enough for long enough.
    kDrops,      ///< Too large a part of a sample was dropped.
    kLowLoad,    ///< One instance fewer can carry the load.
    kDied,       ///< An instance was lost.
    kHung,       ///< An instance answers no more.
    kBelowMin,   ///< Fewer than the policy's minimum: at start, or after a change of policy.
    kAboveMax,   ///< More than the policy's maximum: after a change of policy.
  };

  Kind kind = Kind::kStart;
  ServiceId service = kNoService;
  InstanceId instance = kNoInstance;   ///< The victim of kDrain and kReplace.
  Reason reason = Reason::kOccupancy;  ///< With kBlocked: why the start was due.

  bool operator==(const ScaleAction&) const = default;
};
/// Whether the action only restores the number that was wanted before, rather than changing it. An
/// Agent does that by itself, with its back-off, so its caller hands on only the other actions; one
/// that does both starts two for one that died.
[[nodiscard]] constexpr bool restores(const ScaleAction& action) noexcept {
  using Reason = ScaleAction::Reason;
  return action.reason == Reason::kDied || action.reason == Reason::kHung ||
         action.reason == Reason::kBelowMin;
}
[[nodiscard]] const char* to_string(ScaleAction::Kind kind) noexcept;
[[nodiscard]] const char* to_string(ScaleAction::Reason reason) noexcept;

/// What the autoscaler remembers of one service between two samples.
struct ServiceScaling {
  std::uint32_t wanted = 0;            ///< How many instances should serve.
  std::vector<InstanceId> serving;     ///< Starting or running, by the last plan; by id.
  std::optional<Instant> busy_since;   ///< Since when the occupancy is at or above its threshold.
  std::optional<Instant> calm_since;   ///< Since when one instance fewer would do.
  std::optional<Instant> last_action;  ///< The last start or drain for the sake of the load.
  bool below_min = false;              ///< What is missing never served; it was not lost.
  bool blocked = false;                ///< kBlocked was said, and is still so.

  bool operator==(const ServiceScaling&) const = default;
};

/// What the autoscaler of one host remembers. A value: copy it to ask "what if".
struct AutoscalerState {
  Instant when{};  ///< Of the last sample.
  std::map<ServiceId, ServiceScaling> services;

  bool operator==(const AutoscalerState&) const = default;
};

struct ServicePolicy {
  ServiceId service = kNoService;
  ScalePolicy policy;
};

struct ScalePlan {
  AutoscalerState state;             ///< To be passed to the next plan().
  std::vector<ScaleAction> actions;  ///< In order; replacements of what was lost come first.
};

/// Decides what to start, drain and replace on one host after one sample (DESIGN 8). Pure: the same
/// arguments give the same plan. The same call in a unit test, in the simulator and in the daemon.
///
/// `policies` are ordered by service, each once, and samples come in order of time (both checked).
/// A service without a policy is forgotten. The rules, for each service:
///
/// - Lost instances (dead, hung, or gone without having been listed as stopped) are replaced at
/// once,
///   whatever the cooldown, up to the number that was wanted before; a hung one also at the
///   maximum, since it is being killed. This holds also where `enabled` is false; there it is all
///   that is done.
/// - Up by `step` when sum(occupancy) >= up_occupancy * n over the running instances for `up_for`,
/// or
///   when drops / (packets + drops) of theirs in this sample is at or above `up_drop_ratio`.
///   Starting ones count against the maximum; draining ones do not, for they are on their way out.
/// - Down by one when sum(load) < down_load * (n - 1) for `down_for` and n > min, while none starts
/// or
///   drains: the running one with the fewest flows, of equals the one with the highest id.
/// - `cooldown` passes between two actions for the sake of the load. An action clears what was seen
///   before it, for that says nothing about the number of instances that it made.
///
/// The caller carries the actions out before the next sample: what it started is listed there as
/// kStarting, and what it drained as kDraining. An instance that an operator starts or stops is
/// adopted: the wanted number follows, within min and max.
[[nodiscard]] ScalePlan plan(AutoscalerState state, std::span<const ServicePolicy> policies,
                             const LoadSample& sample);

}  // namespace sluice

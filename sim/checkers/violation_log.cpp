#include "sim/checkers/violation_log.hpp"

#include <utility>

namespace sluice::sim {

std::string_view invariant_of(Property property) noexcept {
  switch (property) {
    case Property::kConservation:
      return "I-1";
    case Property::kSingleOwner:
      return "I-2";
    case Property::kChainOrder:
    case Property::kVersionFixed:
      return "I-5";
    case Property::kAffinity:
      return "I-6";
    case Property::kDrainRespected:
      return "I-7";
    case Property::kFlowsBounded:
    case Property::kHeldBounded:
    case Property::kRingBounded:
      return "I-17";
    case Property::kTimeMonotonic:
      return "I-20";
    case Property::kProgress:
    case Property::kHoldTime:
    case Property::kNothingLeft:
      return "I-21";
  }
  return "I-?";
}

std::string_view to_string(Property property) noexcept {
  static constexpr std::array<std::string_view, kPropertyCount> kNames = {
      "conservation",    "single_owner",  "chain_order",  "version_fixed", "affinity",
      "drain_respected", "flows_bounded", "held_bounded", "ring_bounded",  "time_monotonic",
      "progress",        "hold_time",     "nothing_left"};
  return kNames[static_cast<std::size_t>(property)];
}

void ViolationLog::report(Property property, Instant when, std::string text) {
  ++violation_count_;
  if (violations_.size() >= kept_max_) return;
  violations_.push_back({property, std::string(invariant_of(property)), when, std::move(text)});
}

}  // namespace sluice::sim

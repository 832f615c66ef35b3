#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/units.hpp"

namespace sluice::sim {

/// What the checkers hold a host to. Each has the number of its invariant in RELIABILITY.md.
enum class Property : std::uint8_t {
  kConservation,    ///< I-1: in = out + dropped + held, per host, port, chain, instance.
  kSingleOwner,     ///< I-2: each buffer has one owner at a time.
  kChainOrder,      ///< I-5: a packet visits exactly the steps of its chain version, in order.
  kVersionFixed,    ///< I-5: the chain version of a flow is fixed at its first packet.
  kAffinity,        ///< I-6: one flow, one instance per step, save for death or a logged move.
  kDrainRespected,  ///< I-7: no new flow is given to an instance that drains or ended.
  kFlowsBounded,    ///< I-17: live flows are at most the capacity.
  kHeldBounded,     ///< I-17: an instance has at most its limit of packets in its hands.
  kRingBounded,     ///< I-17: ring entries are at most the capacity.
  kTimeMonotonic,   ///< I-20: time does not go back; no packet is handled before its arrival.
  kProgress,        ///< I-21: an instance with packets gets on with them.
  kHoldTime,        ///< I-21: no packet stays longer than the limit.
  kNothingLeft,     ///< I-21: at the end nothing is in flight.
};
inline constexpr std::size_t kPropertyCount = 13;

/// "I-1" and the like.
[[nodiscard]] std::string_view invariant_of(Property property) noexcept;
/// A name for results, e.g. "chain_order".
[[nodiscard]] std::string_view to_string(Property property) noexcept;

/// One observed breach.
struct Violation {
  Property property{};
  std::string invariant;
  Instant when{};
  std::string text;
};

/// Where the checkers of one host write down what they saw broken and how often they looked.
///
/// Keeps the first violations only: after one the shadow state is a guess, and thousands of
/// consequences would hide the cause.
class ViolationLog {
 public:
  explicit ViolationLog(std::size_t kept_max = 100) : kept_max_(kept_max) {}

  /// `property` was tested `count` times, whatever came out.
  void evaluated(Property property, std::uint64_t count = 1) noexcept {
    evaluation_counts_[static_cast<std::size_t>(property)] += count;
  }
  void report(Property property, Instant when, std::string text);

  [[nodiscard]] const std::vector<Violation>& violations() const { return violations_; }
  /// All, the ones not kept too.
  [[nodiscard]] std::uint64_t violation_count() const { return violation_count_; }
  [[nodiscard]] std::uint64_t evaluation_count(Property property) const {
    return evaluation_counts_[static_cast<std::size_t>(property)];
  }

 private:
  std::size_t kept_max_;
  std::vector<Violation> violations_;
  std::uint64_t violation_count_ = 0;
  std::array<std::uint64_t, kPropertyCount> evaluation_counts_{};
};

}  // namespace sluice::sim

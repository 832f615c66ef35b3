#pragma once

#include <cstdint>
#include <vector>

#include "core/deployment/deployment.hpp"
#include "core/units.hpp"

namespace sluice::sim {

/// A TCP transfer that shall be made.
struct PlannedTransfer {
  Instant start{};
  std::uint64_t size_bytes = 0;
  bool operator==(const PlannedTransfer&) const = default;
};

/// The transfers of a `tcp` entry, in order of their start: Poisson arrivals at a rate that moves
/// along straight lines, sizes drawn from its distribution. The simulator's end points and a
/// testbed's real clients make the same ones.
/// @param seed Of the run; `number` is the entry's place in the file, so that each draws its own.
[[nodiscard]] std::vector<PlannedTransfer> plan_transfers(const TrafficSpec& traffic,
                                                          const TcpTraffic& tcp, std::uint64_t seed,
                                                          std::uint64_t number);

}  // namespace sluice::sim

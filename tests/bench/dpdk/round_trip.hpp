#pragma once

#include <cstdint>
#include <optional>

namespace sluice::bench {

/// Nanoseconds a descriptor from this process to another one and back, through two of our rings in
/// shared memory, in batches of 32; the other process writes into each packet's header, this one
/// checks on return that the buffer was away. Each is pinned to a processor of its own. It is what
/// a hop to an NF costs at least. Nothing on a machine with one processor.
[[nodiscard]] std::optional<double> ring_round_trip_ns(std::uint64_t lap_count);

}  // namespace sluice::bench

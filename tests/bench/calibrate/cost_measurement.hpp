#pragma once

#include <cstdint>
#include <vector>

#include "core/chain/chain.hpp"
#include "core/function/network_function.hpp"
#include "tests/bench/calibrate/cost_fit.hpp"

/// How long batches of few and many, small and large packets take.
namespace sluice::bench {

struct MeasurementOptions {
  int laps = 201;             ///< Medians are of so many: short ones, for some get disturbed.
  std::uint32_t turns = 100;  ///< Batches a lap.
};

/// Which packets a function meets.
struct CostTraffic {
  std::uint8_t protocol = 17;  ///< 6 or 17.
  std::uint16_t destination_port = 80;
};

/// A turn of an instance's loop: a batch out of its ring, through the function, into the ring back,
/// and the look at the clock. Holding functions are called on until all is back.
[[nodiscard]] std::vector<CostSample> measure_function(const Program& program,
                                                       const std::vector<std::uint32_t>& label_bits,
                                                       const CostTraffic& traffic,
                                                       const MeasurementOptions& options);

/// A poll of a worker with a chain of one process: a batch from the port into the ring, one from
/// the ring back to the other port. Without the driver of the ports.
[[nodiscard]] std::vector<CostSample> measure_worker(const MeasurementOptions& options);

}  // namespace sluice::bench

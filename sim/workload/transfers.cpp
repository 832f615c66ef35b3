#include "sim/workload/transfers.hpp"

#include "core/prng.hpp"
#include "sim/workload/random.hpp"
#include "sim/workload/rate_curve.hpp"
#include "sim/workload/synthetic_generator.hpp"

namespace sluice::sim {

std::vector<PlannedTransfer> plan_transfers(const TrafficSpec& traffic, const TcpTraffic& tcp,
                                            std::uint64_t seed, std::uint64_t number) {
  constexpr double kUnitsOfArrival = 1000;  // Rates are per 1000 s, the curve's are per second.
  Prng prng{seed * 0x9e3779b97f4a7c15u + number};
  std::vector<RatePoint> points;
  for (const ArrivalPoint& point : tcp.arrivals) {
    points.push_back({point.at, Rate{point.per_kilosecond}});
  }
  RateCurve curve{points};
  std::vector<PlannedTransfer> transfers;
  double due = curve.bits_at(traffic.start.time_since_epoch());
  while (tcp.transfer_count_max == 0 || transfers.size() < tcp.transfer_count_max) {
    due += exponential(prng) * kUnitsOfArrival;
    const auto at = curve.time_of(due);
    if (!at || Instant{*at} >= traffic.stop) break;
    transfers.push_back({Instant{*at}, 0});
  }
  for (PlannedTransfer& transfer : transfers) {
    transfer.size_bytes = draw_size(tcp.transfer_sizes, prng);
  }
  return transfers;
}

}  // namespace sluice::sim

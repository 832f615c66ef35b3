#pragma once

#include <cstdint>
#include <string>

#include "core/units.hpp"

namespace sluice::bench {

struct StockRunOptions {
  Rate link_rate{10'000'000'000};
  std::uint32_t frame_size_bytes =
      1000;  ///< With an Ethernet header's 14 bytes, like ours; 64 to 1514.
  std::uint64_t packet_count = 200'000;
  Rate offered{9'000'000'000};  ///< Evenly spaced, of frame bits; at most link_rate.
  std::string scheduler = "ns3::PriorityQueueScheduler";
};

struct StockRun {
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  std::uint64_t events = 0;
  double wall_seconds = 0;

  [[nodiscard]] double packets_per_second() const {
    return static_cast<double>(received) / wall_seconds;
  }
};

/// What ns-3 itself makes of the job: UDP between two nodes over a point-to-point link, by its own
/// OnOffApplication and PacketSink, with nothing traced and nothing added per packet. The peer of
/// our simulator's benchmark. Uses the process's one simulator: not during another run.
[[nodiscard]] StockRun run_stock_udp(const StockRunOptions& options);

}  // namespace sluice::bench

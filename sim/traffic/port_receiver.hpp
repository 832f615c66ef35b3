#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>

#include "core/host/latency_histogram.hpp"
#include "core/units.hpp"
#include "sim/traffic/link_disturber.hpp"
#include "sim/traffic/wire.hpp"

namespace sluice::sim {

/// Counts what comes out of one port, and how long frames with a probe were under way.
///
/// The link's faults are done here too, to this direction: nothing behind the port reacts, so a
/// frame that is not counted is a frame that the link lost.
class PortReceiver {
 public:
  struct Counters {
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
  };
  /// What arrived of a source.
  struct Arrived {
    std::uint64_t packets = 0;
    LatencyHistogram interval;  ///< Since end_interval().
    LatencyHistogram total;
  };
  /// Told of each frame that is counted; may be empty.
  using Watcher = std::function<void(Instant when, std::span<const std::byte> frame)>;

  PortReceiver(Instant time_zero, LinkDisturber disturber, Watcher watcher);

  void receive(std::span<const WireReceiver::Frame> frames);
  void end_interval();
  /// Forgets the latencies so far: the end of a warm-up.
  void reset_latencies();

  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }
  /// By the traffic entry's place in the file.
  [[nodiscard]] const std::map<std::uint16_t, Arrived>& arrived() const noexcept {
    return arrived_;
  }
  [[nodiscard]] const LinkDisturber::Counters& link_counters() const noexcept {
    return disturber_.counters();
  }

 private:
  void count(std::span<const std::byte> frame, Instant when);

  Instant time_zero_;
  LinkDisturber disturber_;
  Watcher watcher_;
  Counters counters_;
  std::map<std::uint16_t, Arrived> arrived_;
};

}  // namespace sluice::sim

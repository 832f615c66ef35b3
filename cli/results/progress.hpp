#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "core/units.hpp"

namespace sluice::cli {

/// The line that says how far a run is: percent, simulated to real time, packets per second, time
/// left.
///
/// On a terminal one line is rewritten, five times a second; elsewhere (a log) there is a line each
/// 10 s. Time and output are arguments, so that a test tells both.
class Progress {
 public:
  struct Options {
    Duration total{};  ///< Of simulated time.
    bool terminal = false;
    std::string label;                            ///< In front, for runs of a sweep; may be empty.
    std::function<Duration()> clock;              ///< Real time; never goes back.
    std::function<void(std::string_view)> write;  ///< Takes text as it is to appear.
  };
  explicit Progress(Options options);

  /// The run has come to `simulated`, with `packet_count` packets so far. Cheap when nothing is
  /// due.
  void update(Instant simulated, std::uint64_t packet_count);
  /// Ends the line on a terminal. The last update is shown in any case.
  void finish(Instant simulated, std::uint64_t packet_count);

 private:
  void show(Duration now, Instant simulated, std::uint64_t packet_count);

  Options options_;
  Duration started_;
  Duration shown_;
};

}  // namespace sluice::cli

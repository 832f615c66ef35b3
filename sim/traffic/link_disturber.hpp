#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/deployment/deployment.hpp"
#include "core/prng.hpp"
#include "core/units.hpp"

namespace sluice::sim {

/// The link faults of one port, done to one direction of frames that pass through our hands: what
/// BurstLink does in simulation, with the same meaning of each number.
class LinkDisturber {
 public:
  struct Counters {
    std::uint64_t lost = 0;
    std::uint64_t duplicated = 0;
    std::uint64_t reordered = 0;
    std::uint64_t delayed = 0;
  };
  /// What becomes of a frame: when it arrives, and perhaps when its copy does. Neither: it is lost.
  struct Fate {
    std::optional<Instant> arrival;
    std::optional<Instant> copy;
  };
  /// How late a reordered frame is, so that those behind it overtake it.
  static constexpr Duration kReorderDelay = std::chrono::microseconds{100};

  /// Keeps those of `faults` that disturb the link at `port`.
  LinkDisturber(std::span<const FaultSpec> faults, PortRef port, Prng prng);

  /// Whether it ever does anything; if not, decide() need not be called.
  [[nodiscard]] bool active() const noexcept { return !windows_.empty(); }
  /// The fate of a frame that passes at `now`, a time of the run that never goes back.
  [[nodiscard]] Fate decide(Instant now) noexcept;
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }

 private:
  struct Window {
    Instant from{};
    Instant until{};
    DisturbLink what;
  };
  [[nodiscard]] bool happens(Ppm probability) noexcept;

  std::vector<Window> windows_;
  Prng prng_;
  Instant last_arrival_{};
  Counters counters_;
};

}  // namespace sluice::sim

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backends/ns3/frame_generator.hpp"
#include "core/units.hpp"
#include "sim/traffic/link_disturber.hpp"

namespace sluice::sim {

/// Plays the sources of one port in real time: each frame as soon after it is due as the caller
/// comes round, never before, and none is left out for being late.
///
/// Knows neither clock nor socket: time and the wire are arguments. Times are those of the run.
class PortSender {
 public:
  struct Source {
    std::string name;
    std::uint16_t number = 0;  ///< The entry's place in the file.
    std::unique_ptr<FrameGenerator> generator;
    bool probes = false;  ///< Its frames may carry a Probe: they are made up.
  };
  /// What a source has sent. A frame that the link lost on purpose was sent.
  struct Counters {
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
    std::uint64_t refused = 0;  ///< Packets that the wire did not take; in neither of the above.
    std::uint64_t late_packets = 0;  ///< Sent more than kLate after they were due.
    Duration late_max{};
  };
  static constexpr Duration kLate = std::chrono::milliseconds{1};

  /// Sends frames in their order until one is refused, and says how many it sent.
  using Wire = std::function<std::size_t(std::span<const std::span<const std::byte>>)>;
  /// Writes a probe of source `number` into a frame that is about to be sent.
  using Mark = std::function<void(std::span<std::byte>, std::uint16_t number)>;

  struct Options {
    std::uint16_t frame_size_max = 1522;
    std::size_t batch_max = 32;  ///< Frames that go to the wire at once. At least 1.
    Wire wire;
    Mark mark;  ///< May be empty.
  };
  PortSender(std::vector<Source> sources, LinkDisturber disturber, Options options);

  /// When the next frame is due; nothing when all sources have ended.
  [[nodiscard]] std::optional<Instant> next_due() const noexcept;
  /// Sends a batch of what is due by `now`, which never goes back.
  /// @return Whether there may be more.
  bool send_due(Instant now);

  [[nodiscard]] std::size_t source_count() const noexcept { return sources_.size(); }
  [[nodiscard]] const std::string& name(std::size_t source) const noexcept {
    return sources_[source].source.name;
  }
  [[nodiscard]] const Counters& counters(std::size_t source) const noexcept {
    return sources_[source].counters;
  }
  [[nodiscard]] const LinkDisturber::Counters& link_counters() const noexcept {
    return disturber_.counters();
  }

 private:
  /// A source with the frame that it sends next.
  struct Playing {
    Source source;
    std::vector<std::byte> room;
    std::optional<FrameGenerator::Frame> next;
    Counters counters;
  };
  /// A frame that the link delays; the key of the map is when it arrives.
  struct Delayed {
    std::size_t source = 0;
    std::vector<std::byte> bytes;
  };
  struct Staged {
    std::size_t source = 0;
    Instant due{};
    std::uint16_t length = 0;
    bool counted = false;  ///< Before, when it went into the delay.
  };

  void pull(Playing& playing);
  [[nodiscard]] Playing* earliest() noexcept;
  void stage(std::size_t source, std::span<const std::byte> bytes, Instant due, bool counted);
  void disturb(Playing& playing, Instant now);
  void count(Playing& playing, std::uint16_t length, Duration late);
  void flush(Instant now);

  std::vector<Playing> sources_;
  LinkDisturber disturber_;
  Options options_;
  std::multimap<Instant, Delayed> delayed_;
  std::vector<Staged> staged_;
  std::vector<std::byte> slots_;  ///< batch_max of frame_size_max each.
};

}  // namespace sluice::sim

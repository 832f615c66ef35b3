#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "backends/ns3/frame_generator.hpp"
#include "core/deployment/deployment.hpp"
#include "core/prng.hpp"
#include "sim/workload/rate_curve.hpp"

namespace sluice::sim {

/// Makes up frames of made-up flows: evenly spaced, Poisson, or Poisson in on/off phases, at a rate
/// that follows a curve.
///
/// Poisson arrivals of a moving rate are made by time rescaling: bits due are drawn as exponential
/// steps, and the curve says when so many are due. A flow's frames are UDP or look like TCP: SYN,
/// then data with rising sequence numbers, FIN at its end; nothing reacts, and the SYN carries
/// payload too, so that the rate is exact. All checksums are right; they cost O(1) a frame, since
/// the payload is a piece of one pattern whose sums are known. `flow_count` flows live at a time;
/// evenly spaced frames visit them in turn, Poisson frames at random. A flow that ended is replaced
/// by a new one.
class SyntheticGenerator final : public FrameGenerator {
 public:
  struct Options {
    SyntheticTraffic traffic;
    std::vector<RatePoint> rate;  ///< Not empty.
    Instant start{};
    Instant stop{};
    std::uint64_t seed = 1;
  };
  explicit SyntheticGenerator(const Options& options);

  /// `room` must take the longest frame (checked).
  [[nodiscard]] std::optional<Frame> next(std::span<std::byte> room) override;

  /// How many flows have begun.
  [[nodiscard]] std::uint64_t flow_count() const noexcept { return flow_count_; }
  /// Ethernet, IP and L4 headers; a frame is never shorter than they are.
  [[nodiscard]] std::uint16_t header_size() const noexcept { return payload_offset_; }

 private:
  struct Flow {
    std::array<std::uint8_t, 16> source{};
    std::array<std::uint8_t, 16> destination{};
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    std::uint32_t sequence = 0;
    std::uint32_t constant_sum = 0;  ///< Addresses, ports, protocol: of the L4 checksum.
    std::uint32_t packet_count = 0;
    std::uint64_t packets_left = 0;
    std::int64_t bytes_left = 0;
  };

  void start_flow(Flow& flow);
  [[nodiscard]] std::uint16_t draw_length();
  [[nodiscard]] std::optional<Duration> advance(double bits);
  [[nodiscard]] bool next_phase();
  void write(std::span<std::byte> frame, Flow& flow, bool last);
  void write_ip(std::span<std::byte> frame, const Flow& flow) const;
  void write_l4(std::span<std::byte> frame, Flow& flow, bool last) const;

  Options options_;
  Prng prng_;
  RateCurve curve_;
  bool is_v6_ = false;
  bool is_tcp_ = false;
  std::uint16_t l4_offset_ = 0;
  std::uint16_t payload_offset_ = 0;
  double mean_bits_ = 0;       ///< Of a frame.
  double bits_ = 0;            ///< Due when the next frame goes out, by the curve.
  double phase_end_bits_ = 0;  ///< kOnOff: due at the end of the current on phase.
  Duration phase_end_{};
  std::uint32_t burst_left_ = 0;
  double burst_bits_ = 0;
  Duration last_{};
  std::vector<std::byte> pattern_;           ///< Headers that never change, then payload.
  std::vector<std::uint32_t> payload_sums_;  ///< Of the first n payload words.
  std::vector<Flow> flows_;
  std::size_t turn_ = 0;
  std::uint64_t flow_count_ = 0;
};

/// One value of a distribution, by inversion. Cost: a binary search.
[[nodiscard]] std::uint64_t draw_size(const SizeSpec& sizes, Prng& prng);

}  // namespace sluice::sim

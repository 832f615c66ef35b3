#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "backends/ns3/frame_generator.hpp"
#include "core/deployment/deployment.hpp"
#include "core/packet/headers.hpp"
#include "core/prng.hpp"
#include "sim/workload/capture.hpp"
#include "sim/workload/rate_curve.hpp"

namespace sluice::sim {

/// Plays a capture again and again, each pass with other clients, so that each pass brings new
/// flows.
///
/// Who opened a session (SYN, echo request, else the first packet seen) is its client; its address
/// and port are rewritten, in both directions alike, and the server's stay, so that rules on
/// well-known ports still match. Of an IPv4 address the last 16 bits change, of an IPv6 address
/// too, so that rules on prefixes up to /16 still match; ports move within 1024..65535, and one
/// below stays. Later fragments follow the addresses of their first. What an ICMP error quotes is
/// left as it was. Checksums change by difference: wrong ones in the capture stay wrong.
class ReplayGenerator final : public FrameGenerator {
 public:
  /// Whose frames to give out. The others pass in their time too, unseen: two generators with the
  /// same seed play the two sides of the same sessions.
  enum class Side : std::uint8_t { kAll, kClients, kServers };
  struct Options {
    Side side = Side::kAll;
    bool rewrite = true;
    std::uint32_t pass_count_max = 0;  ///< 0: until `stop`.
    std::vector<RatePoint> rate;       ///< Empty: at the capture's own times.
    Instant start{};
    Instant stop{};
    std::uint64_t seed = 1;
  };
  /// Shares `capture`, which must have frames.
  ReplayGenerator(std::shared_ptr<const Capture> capture, const Options& options);

  /// `room` must take the capture's longest frame (checked).
  [[nodiscard]] std::optional<Frame> next(std::span<std::byte> room) override;

  /// How many passes have begun.
  [[nodiscard]] std::uint64_t pass_count() const noexcept { return pass_ + 1; }

 private:
  enum class Client : std::uint8_t { kNone, kSource, kDestination };
  /// What to do with a frame of the capture, found out once.
  struct Plan {
    Headers headers;
    Client client = Client::kNone;
    bool has_ports = false;  ///< The client's port can be rewritten.
    IpBytes address{};       ///< The client's in the capture.
  };

  void make_plans();
  void begin_pass() noexcept;
  void rewrite(std::span<std::byte> frame, const Plan& plan) const noexcept;
  [[nodiscard]] bool is_ours(const Plan& plan) const noexcept;
  void advance() noexcept;
  [[nodiscard]] std::optional<Duration> time_of_next();

  std::shared_ptr<const Capture> capture_;
  Options options_;
  std::optional<RateCurve> curve_;
  double bits_ = 0;         ///< Due when the next frame goes out.
  Duration pass_period_{};  ///< At the capture's own times.
  std::vector<Plan> plans_;
  std::size_t position_ = 0;  ///< In the capture.
  std::uint64_t pass_ = 0;
  std::uint32_t address_stride_ = 1, address_start_ = 0;
  std::uint32_t port_stride_ = 1, port_start_ = 0;
  std::uint32_t address_shift_ = 0;  ///< Of this pass.
  std::uint32_t port_shift_ = 0;
};

}  // namespace sluice::sim

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/packet/packet.hpp"
#include "sim/checkers/violation_log.hpp"

namespace sluice::sim {

/// Liveness after faults end (I-21), bounded hands (I-17) and time (I-20): an instance with packets
/// gets on with them, no packet stays for ever, no instance has more than its limit, and time goes
/// forward.
class LivenessChecker {
 public:
  struct Options {
    std::uint32_t instance_count_max = 256;
    Duration progress_max = std::chrono::seconds{5};  ///< How long nothing may happen.
    Instant faults_end{};  ///< Waiting before this moment does not count.
  };
  LivenessChecker(const Options& options, std::uint32_t buffer_count, ViolationLog& log);

  /// At most `held_max` packets may be in the hands of `instance`, and `lent_max` lent to it.
  void instance_started(InstanceId instance, std::uint32_t held_max, std::uint32_t lent_max);
  void instance_ended(InstanceId instance) noexcept;

  /// To be called first, with each event's time: time must not go back.
  void at(Instant now) noexcept {
    log_.evaluated(Property::kTimeMonotonic);
    if (now < last_) [[unlikely]]
      report_time(now);
    last_ = now;
    if (now >= next_scan_) [[unlikely]]
      scan(now);
  }
  void received(Instant now, std::span<const Packet> packets) noexcept;
  void copied(Instant now, const Packet& copy) noexcept;
  void delivered(Instant now, InstanceId instance, std::span<const Packet> packets) noexcept;
  void returned(Instant now, InstanceId instance, std::span<const Packet> packets) noexcept;
  void generated(Instant now, InstanceId instance, std::span<const Packet> packets) noexcept;
  void sent(std::span<const Packet> packets) noexcept;
  void dropped(std::span<const Packet> packets) noexcept;
  void lent(Instant now, InstanceId instance, std::size_t count) noexcept;
  void unlent(InstanceId instance, std::size_t count) noexcept;
  /// A ring of `instance` was seen with `entries`.
  void ring_seen(Instant now, InstanceId instance, std::uint32_t entries, std::uint32_t capacity);
  /// The last look.
  void end(Instant now) noexcept;

 private:
  struct Hands {
    Instant progress{};  ///< When it last returned something, or got its first packet.
    std::uint32_t held = 0;
    std::uint32_t held_max = UINT32_MAX;
    std::uint32_t lent = 0;
    std::uint32_t lent_max = UINT32_MAX;
    bool reported = false;
  };
  static constexpr std::int64_t kNowhere = -1;

  void report_time(Instant now);
  void scan(Instant now) noexcept;
  void scan_buffers(Instant now);
  void enter(Instant now, std::uint32_t buffer) noexcept;
  void leave(std::uint32_t buffer) noexcept;
  [[nodiscard]] bool too_long(Instant since, Instant now) const noexcept;

  Options options_;
  std::vector<Hands> hands_;            ///< By instance.
  std::vector<std::int64_t> since_ns_;  ///< By buffer: when its packet came; kNowhere: no packet.
  std::vector<std::uint16_t> holder_;   ///< By buffer: the instance that has it; 0xffff: none.
  Instant last_{};
  Instant next_scan_{};
  Instant next_buffer_scan_{};
  ViolationLog& log_;
};

}  // namespace sluice::sim

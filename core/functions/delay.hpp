#pragma once

#include <cstdint>

#include "core/function/network_function.hpp"
#include "core/functions/hold_queue.hpp"

namespace sluice {

/// `delay`: holds each packet for a constant time, and lets at most one per `pace` go on, without
/// burning a core. Order is kept.
///
/// Settings: `delay` (default 100 us), `pace` (least time between two packets, default 0 s: no
/// limit), `hold` (how many packets it holds at most, default 256), `full` (`drop`, the default:
/// what exceeds it is dropped as DropReason::kHoldLimit; `wait`: it stays in the ring until half of
/// the room is free again, so that an instance with a pace fills its ring under load as one that
/// computes does). A packet goes on at the first call at or after its time; a late call shifts
/// nobody's place in the schedule. The pace counts as busy time.
class Delay final : public NetworkFunction {
 public:
  struct Options {
    Duration delay = std::chrono::microseconds{100};
    Duration pace = Duration::zero();
    std::uint32_t hold_count_max = 256;  ///< 1 to 4096.
    bool wait_when_full = false;
  };
  Delay(const Options& options, const InstanceConfig& config);

  void process(PacketBatch& batch, Context& context) noexcept override;
  void tick(Context& context) noexcept override;
  [[nodiscard]] Instant wake_at() const noexcept override { return queue_.next_due(); }
  [[nodiscard]] std::uint32_t room() const noexcept override;

  /// When a packet that comes at `now` may go on; each call takes a place in the schedule.
  [[nodiscard]] Instant schedule(Instant now) noexcept;

 private:
  Options options_;
  HoldQueue queue_;
  Instant next_slot_{};  // No packet goes on before it.
};

}  // namespace sluice

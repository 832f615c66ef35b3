#pragma once

#include <cstdint>

#include "core/function/network_function.hpp"
#include "core/functions/hold_queue.hpp"
#include "core/functions/token_bucket.hpp"

namespace sluice {

/// `rate_limiter`: shapes all packets of an instance to a rate, in their order.
///
/// Settings: `rate` (default 100 Mbps), `burst` (64 kB; a larger packet never passes), `queue` (how
/// many packets it holds at most, 64; 0: it only polices), `delay_max` (20 ms: a packet that would
/// wait longer is dropped at once). What exceeds them is dropped as DropReason::kRateLimit. Over
/// any time t it lets at most rate * t + burst bytes pass, of frames without FCS. The limit is per
/// instance: not scalable, for n instances would pass n times the rate.
class RateLimiter final : public NetworkFunction {
 public:
  struct Options {
    TokenBucket::Options bucket;
    std::uint32_t queue_count_max = 64;  ///< At most 4096.
    Duration delay_max = std::chrono::milliseconds{20};
  };
  RateLimiter(const Options& options, const InstanceConfig& config);

  void process(PacketBatch& batch, Context& context) noexcept override;
  void tick(Context& context) noexcept override;
  [[nodiscard]] Instant wake_at() const noexcept override { return wake_at_; }

 private:
  void decide(Packet& packet, Instant now) noexcept;
  void release_ready(Context& context) noexcept;

  Options options_;
  TokenBucket bucket_;
  HoldQueue queue_;
  std::uint64_t held_bytes_ = 0;
  Instant wake_at_ = Instant::max();
};

}  // namespace sluice

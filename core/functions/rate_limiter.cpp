#include "core/functions/rate_limiter.hpp"

#include "core/functions/function_program.hpp"
#include "core/functions/functions.hpp"

namespace sluice {

RateLimiter::RateLimiter(const Options& options, const InstanceConfig&)
    : options_(options), bucket_(options.bucket), queue_(options.queue_count_max) {}

void RateLimiter::process(PacketBatch& batch, Context& context) noexcept {
  release_ready(context);
  for (Packet& packet : batch) decide(packet, context.now());
  wake_at_ =
      queue_.empty() ? Instant::max() : bucket_.ready_at(queue_.front().length, context.now());
}

void RateLimiter::tick(Context& context) noexcept {
  release_ready(context);
  wake_at_ =
      queue_.empty() ? Instant::max() : bucket_.ready_at(queue_.front().length, context.now());
}

void RateLimiter::decide(Packet& packet, Instant now) noexcept {
  if (queue_.empty() && bucket_.take(packet.length, now)) {
    packet.next();
    return;
  }
  const Instant ready = bucket_.ready_at(held_bytes_ + packet.length, now);
  if (queue_.full() || packet.length > options_.bucket.burst_bytes ||
      ready - now > options_.delay_max) {
    packet.drop(DropReason::kRateLimit);
    return;
  }
  held_bytes_ += packet.length;
  queue_.hold(packet, now);
}

// Tokens are taken when a packet goes, not when it comes: so the rate holds however late the host
// calls.
void RateLimiter::release_ready(Context& context) noexcept {
  while (!queue_.empty() && context.release_room() > 0) {
    const std::uint16_t length = queue_.front().length;
    if (!bucket_.take(length, context.now())) return;
    SLUICE_CHECK(queue_.release_front(context));
    held_bytes_ -= length;
  }
}

ProgramResult make_rate_limiter_program(const ConfigValue& config, const std::string& path,
                                        const FileReader&) {
  MapReader reader(config, path);
  RateLimiter::Options options;
  options.bucket.rate = reader.rate("rate", options.bucket.rate);
  if (options.bucket.rate.bps == 0) {
    const ConfigValue* value = reader.value("rate");
    reader.fail(value->place(), "rate", "out of range", value->describe(), "a rate above 0");
  }
  options.bucket.burst_bytes = reader.size_bytes("burst", options.bucket.burst_bytes,
                                                 {.min = 64, .max = TokenBucket::kBurstBytesMax});
  options.queue_count_max = static_cast<std::uint32_t>(
      reader.integer("queue", options.queue_count_max, {.min = 0, .max = 4096}));
  options.delay_max =
      reader.duration("delay_max", options.delay_max, {.max = std::chrono::seconds{10}});
  if (auto error = reader.finish()) return unexpected(*error);
  Traits traits;
  traits.name = "rate_limiter";
  traits.scalable = false;
  return std::make_unique<FunctionProgram<RateLimiter>>(std::move(traits), options);
}

}  // namespace sluice

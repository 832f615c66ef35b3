#include "core/functions/delay.hpp"

#include <algorithm>

#include "core/functions/function_program.hpp"
#include "core/functions/functions.hpp"

namespace sluice {

Delay::Delay(const Options& options, const InstanceConfig&)
    : options_(options), queue_(options.hold_count_max) {}

Instant Delay::schedule(Instant now) noexcept {
  const Instant due = std::max(now + options_.delay, next_slot_);
  next_slot_ = due + options_.pace;
  return due;
}

void Delay::process(PacketBatch& batch, Context& context) noexcept {
  queue_.release_due(context);
  for (Packet& packet : batch) {
    if (queue_.full()) {
      packet.drop(DropReason::kHoldLimit);
    } else {
      queue_.hold(packet, schedule(context.now()));
      context.add_busy(options_.pace);
    }
  }
}

std::uint32_t Delay::room() const noexcept {
  if (!options_.wait_when_full) return PacketBatch::kCapacity;
  // Not each freed place by itself: that would be batches of one, each with a wake-up of its own.
  const std::uint32_t free = options_.hold_count_max - queue_.size();
  return free * 2 >= options_.hold_count_max ? free : 0;
}

void Delay::tick(Context& context) noexcept {
  queue_.release_due(context);
}

ProgramResult make_delay_program(const ConfigValue& config, const std::string& path,
                                 const FileReader&) {
  MapReader reader(config, path);
  Delay::Options options;
  const MapReader::DurationLimits limits{.max = std::chrono::minutes{1}};
  options.delay = reader.duration("delay", options.delay, limits);
  options.pace = reader.duration("pace", options.pace, limits);
  options.hold_count_max = static_cast<std::uint32_t>(
      reader.integer("hold", options.hold_count_max, {.min = 1, .max = 4096}));
  constexpr std::string_view kFullNames[] = {"drop", "wait"};
  options.wait_when_full = reader.choice("full", kFullNames, 0) == 1;
  if (auto error = reader.finish()) return unexpected(*error);
  Traits traits;
  traits.name = "delay";
  return std::make_unique<FunctionProgram<Delay>>(std::move(traits), options);
}

}  // namespace sluice

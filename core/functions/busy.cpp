#include "core/functions/busy.hpp"

#include "core/functions/function_program.hpp"
#include "core/functions/functions.hpp"

namespace sluice {

std::uint64_t Busy::spin(std::uint64_t count) noexcept {
  std::uint64_t sum = 0;
  for (std::uint64_t i = 1; i <= count; ++i) {
    sum += i;
    __asm__ volatile("" : "+r"(sum));  // Else the compiler finds the closed form.
  }
  return sum;
}

void Busy::process(PacketBatch& batch, Context&) noexcept {
  for (Packet& packet : batch) {
    if (options_.burn) spin(options_.cycle_count);
    packet.next();
  }
}

ProgramResult make_busy_program(const ConfigValue& config, const std::string& path,
                                const FileReader&) {
  MapReader reader(config, path);
  Busy::Options options;
  options.cycle_count = reader.integer("cycles", options.cycle_count, {.max = 1'000'000'000});
  options.burn = reader.boolean("burn", options.burn);
  if (auto error = reader.finish()) return unexpected(*error);
  Traits traits;
  traits.name = "busy";
  return std::make_unique<FunctionProgram<Busy>>(std::move(traits), options);
}

}  // namespace sluice

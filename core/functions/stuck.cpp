#include "core/functions/stuck.hpp"

#include <algorithm>
#include <limits>

#include "core/functions/function_program.hpp"
#include "core/functions/functions.hpp"

namespace sluice {
namespace {

[[noreturn]] void never_return() noexcept {
  volatile std::uint64_t turns = 0;  // A loop without effect may be assumed to end.
  for (;;) turns = turns + 1;
}

std::vector<std::uint32_t> read_only(MapReader& reader) {
  std::vector<std::uint32_t> numbers;
  const ConfigValue* value = reader.value("only");
  if (value == nullptr) return numbers;
  if (!value->is_list() || value->items().empty()) {
    reader.fail(value->place(), "only", "not a list of instance numbers", value->describe(),
                "a list of numbers from 1 to 65535");
    return numbers;
  }
  for (const ConfigValue& item : value->items()) {
    const auto number = parse_integer(item.text());
    if (!item.is_scalar() || !number || *number < 1 || *number > 65535) {
      reader.fail(item.place(), "only", "no instance number", item.describe(),
                  "a number from 1 to 65535");
      return numbers;
    }
    numbers.push_back(static_cast<std::uint32_t>(*number));
  }
  return numbers;
}

}  // namespace

Stuck::Stuck(const Options& options, const InstanceConfig& config)
    : left_(options.after),
      never_(!options.only.empty() && std::find(options.only.begin(), options.only.end(),
                                                config.number) == options.only.end()) {}

void Stuck::process(PacketBatch& batch, Context&) noexcept {
  for (Packet& packet : batch) {
    if (!never_) {
      if (left_ == 0) never_return();
      --left_;
    }
    packet.next();
  }
}

ProgramResult make_stuck_program(const ConfigValue& config, const std::string& path,
                                 const FileReader&) {
  MapReader reader(config, path);
  Stuck::Options options;
  options.after = reader.integer("after", options.after, {});
  options.only = read_only(reader);
  if (auto error = reader.finish()) return unexpected(*error);
  Traits traits;
  traits.name = "stuck";
  traits.stuck_after = options.after;
  traits.stuck_instances = options.only;
  return std::make_unique<FunctionProgram<Stuck>>(std::move(traits), std::move(options));
}

}  // namespace sluice

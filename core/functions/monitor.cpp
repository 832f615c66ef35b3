#include "core/functions/monitor.hpp"

#include <algorithm>

#include "core/functions/function_program.hpp"
#include "core/functions/functions.hpp"
#include "core/packet/headers.hpp"

namespace sluice {
namespace {

// Bounds the work of one batch: two at most come for each packet, so that the table drains.
constexpr std::uint32_t kExpireBudget = 2 * PacketBatch::kCapacity;

}  // namespace

Monitor::Monitor(const Options& options, const InstanceConfig&)
    : options_(options), flows_(options.flow_count_max) {}

void Monitor::rekey_once(Context& context) noexcept {
  if (keyed_) return;
  keyed_ = true;
  flows_.rekey({context.prng().next(), context.prng().next()});
}

void Monitor::process(PacketBatch& batch, Context& context) noexcept {
  rekey_once(context);
  expire(context.now(), kExpireBudget);
  for (Packet& packet : batch) {
    const auto frame = batch.bytes(packet);
    packet.next();
    const auto headers = parse(frame);
    if (!headers) {
      totals_.total.add(frame.size());
      totals_.malformed.add(frame.size());
      continue;
    }
    count(flow_key(frame, *headers, PortId{packet.ingress}), frame.size(), context.now());
  }
}

void Monitor::tick(Context& context) noexcept {
  expire(context.now(), kExpireBudget);
}

void Monitor::count(const FlowKey& key, std::uint64_t bytes, Instant now) noexcept {
  totals_.total.add(bytes);
  auto* entry = flows_.find(key);
  if (entry != nullptr) {
    flows_.touch(*entry, 0, now);
  } else {
    entry = flows_.insert(key, 0, now);
    if (entry == nullptr) {
      totals_.untracked.add(bytes);
      return;
    }
    entry->value.first_seen = now;
  }
  entry->value.count.add(bytes);
}

void Monitor::end(FlowMap<Value>::Entry& entry) noexcept {
  totals_.ended.add(entry.value.count);
  flows_.erase(entry);
}

void Monitor::expire(Instant now, std::uint32_t budget) noexcept {
  while (budget-- > 0) {
    auto* entry = flows_.oldest(0);
    if (entry == nullptr || now - entry->seen <= options_.idle_timeout) return;
    end(*entry);
  }
}

std::vector<Monitor::FlowCount> Monitor::top_flows(std::size_t count) const {
  std::vector<FlowCount> result;
  flows_.for_each([&](const FlowMap<Value>::Entry& entry) {
    result.push_back({entry.key, entry.value.count, entry.value.first_seen, entry.seen});
  });
  std::stable_sort(result.begin(), result.end(), [](const FlowCount& a, const FlowCount& b) {
    return a.count.byte_count > b.count.byte_count;
  });
  if (result.size() > count) result.resize(count);
  return result;
}

ProgramResult make_monitor_program(const ConfigValue& config, const std::string& path,
                                   const FileReader&) {
  MapReader reader(config, path);
  Monitor::Options options;
  options.flow_count_max = static_cast<std::uint32_t>(
      reader.integer("flows", options.flow_count_max, {.min = 1, .max = 1u << 24}));
  options.idle_timeout =
      reader.duration("idle", options.idle_timeout, {.min = std::chrono::milliseconds{1}});
  if (auto error = reader.finish()) return unexpected(*error);
  Traits traits;
  traits.name = "monitor";
  traits.affinity = Affinity::kFlow;
  return std::make_unique<FunctionProgram<Monitor>>(std::move(traits), options);
}

}  // namespace sluice

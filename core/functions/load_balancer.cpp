#include "core/functions/load_balancer.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/functions/function_program.hpp"
#include "core/functions/functions.hpp"
#include "core/functions/settings.hpp"
#include "core/packet/mac_text.hpp"

namespace sluice {
namespace {

constexpr std::uint32_t kExpireBudget = 2 * PacketBatch::kCapacity;

// A flow's key wherever it comes in.
FlowKey without_ingress(FlowKey key) noexcept {
  key.ingress = index_of(kNoPort);
  return key;
}

std::optional<ConfigError> read_backend(const ConfigValue& value, const std::string& path,
                                        LoadBalancer::Backend& backend) {
  MapReader reader(value, path);
  reader.require("ip");
  if (const auto address = read_text(reader, "ip", IpAddress::parse)) backend.address = *address;
  backend.weight = static_cast<std::uint32_t>(
      reader.integer("weight", backend.weight, {.min = 1, .max = MaglevTable::kWeightMax}));
  backend.mac = read_text(reader, "mac", parse_mac);
  return reader.finish();
}

// Whether `backend` can stand beside those before it; if not, the reader has the error.
bool check_backend(MapReader& reader, const LoadBalancer::Options& options, const Place& place,
                   const std::string& key, const LoadBalancer::Backend& backend) {
  const std::string text = backend.address.to_string();
  if (backend.address.ip_version != options.vip.ip_version) {
    reader.fail(place, key, "of another IP version than the vip", text,
                options.vip.ip_version == 4 ? "an IPv4 address" : "an IPv6 address");
    return false;
  }
  const auto same = [&](const LoadBalancer::Backend& b) { return b.address == backend.address; };
  if (backend.address == options.vip || std::ranges::any_of(options.backends, same)) {
    reader.fail(place, key, "address used twice", text, "each address once, none the vip's");
    return false;
  }
  return true;
}

void read_backends(MapReader& reader, LoadBalancer::Options& options) {
  reader.require("backends");
  const ConfigValue* list = reader.value("backends");
  if (list == nullptr || reader.failed()) return;
  if (!list->is_list() || list->items().empty() ||
      list->items().size() > LoadBalancer::kBackendCountMax) {
    reader.fail(list->place(), "backends", "not a list of backends", list->describe(),
                "1 to " + std::to_string(LoadBalancer::kBackendCountMax) + " backends");
    return;
  }
  for (const ConfigValue& item : list->items()) {
    const std::string key = "backends[" + std::to_string(options.backends.size()) + "]";
    LoadBalancer::Backend backend;
    if (auto error = read_backend(item, reader.path_of(key), backend)) {
      reader.fail(std::move(*error));
      return;
    }
    if (!check_backend(reader, options, item.place(), key, backend)) return;
    options.backends.push_back(backend);
  }
}

}  // namespace

LoadBalancer::LoadBalancer(const Options& options, const InstanceConfig&)
    : options_(options), flows_(options.flow_count_max), fragments_(FragmentTracker::Options{}) {}

void LoadBalancer::start_once(Context& context) noexcept {
  now_ = context.now();
  if (started_) return;
  started_ = true;
  flows_.rekey({context.prng().next(), context.prng().next()});
  flows_.restamp(now_);
}

void LoadBalancer::expire(Instant now) noexcept {
  for (std::uint32_t budget = kExpireBudget; budget > 0; --budget) {
    auto* entry = flows_.oldest(0);
    if (entry == nullptr || now - entry->seen <= options_.idle_timeout) return;
    flows_.erase(*entry);
  }
}

void LoadBalancer::process(PacketBatch& batch, Context& context) noexcept {
  start_once(context);
  expire(context.now());
  for (Packet& packet : batch) balance(packet, batch.bytes(packet), context.now());
}

void LoadBalancer::tick(Context& context) noexcept {
  start_once(context);
  expire(context.now());
}

void LoadBalancer::balance(Packet& packet, std::span<std::byte> frame, Instant now) noexcept {
  packet.next();
  const auto headers = parse(frame);
  if (!headers) {
    packet.drop(DropReason::kParseError);
    return;
  }
  FlowKey key = flow_key(frame, *headers, kNoPort);
  if (key.ip_version != options_.vip.ip_version) return;
  if (headers->later_fragment) {
    // Without its first one its flow, and so its backend, is unknown; elsewhere bound it may pass.
    const bool known = fragments_.find(key, headers->fragment_id, now);
    if (!known && key.destination == options_.vip.bytes) {
      packet.drop(DropReason::kFragmentTable);
      return;
    }
  } else if (headers->fragment) {
    fragments_.remember(key, headers->fragment_id, now);
  }
  if (key.destination == options_.vip.bytes) {
    to_backend(packet, frame, *headers, key, now);
  } else {
    to_client(frame, *headers, key, now);
  }
}

void LoadBalancer::to_backend(Packet& packet, std::span<std::byte> frame, const Headers& headers,
                              const FlowKey& key, Instant now) noexcept {
  auto* entry = flows_.find(key);
  if (entry != nullptr && now - entry->seen > options_.idle_timeout) {
    flows_.erase(*entry);
    entry = nullptr;
  }
  if (entry == nullptr) {
    entry = flows_.insert(key, 0, now);
    if (entry == nullptr) {
      packet.drop(DropReason::kTableFull);
      return;
    }
    // The one hash key of all instances, so that they choose alike.
    entry->value = options_.maglev->lookup(hash(key, HashKey{}));
  }
  flows_.touch(*entry, 0, now);
  const Backend& backend = options_.backends[entry->value];
  if (set_destination_address(frame, headers, backend.address.bytes) != Rewrite::kDone) {
    packet.drop(DropReason::kFunction);
    return;
  }
  if (backend.mac) set_destination_mac(frame, *backend.mac);
}

void LoadBalancer::to_client(std::span<std::byte> frame, const Headers& headers, const FlowKey& key,
                             Instant now) noexcept {
  FlowKey forward = key.reversed(kNoPort);
  forward.destination = options_.vip.bytes;
  auto* entry = flows_.find(forward);
  if (entry == nullptr || now - entry->seen > options_.idle_timeout) return;
  if (options_.backends[entry->value].address.bytes != key.source) return;
  flows_.touch(*entry, 0, now);
  // It cannot fail: the frame has the address that its key was read from.
  SLUICE_CHECK(set_source_address(frame, headers, options_.vip.bytes) == Rewrite::kDone);
}

std::vector<FlowState> LoadBalancer::export_state(std::span<const FlowKey> keys) {
  std::vector<FlowState> states;
  const auto add = [&](const Flows::Entry& entry) {
    const auto& bytes = options_.backends[entry.value].address.bytes;
    FlowState state{entry.key, std::vector<std::byte>(bytes.size())};
    std::memcpy(state.bytes.data(), bytes.data(), bytes.size());
    states.push_back(std::move(state));
  };
  if (keys.empty()) flows_.for_each(add);
  for (const FlowKey& key : keys) {
    if (const auto* entry = flows_.find(without_ingress(key))) add(*entry);
  }
  return states;
}

void LoadBalancer::import_state(std::span<const FlowState> states) {
  for (const FlowState& state : states) {
    IpBytes bytes{};
    if (state.bytes.size() != bytes.size()) continue;
    std::memcpy(bytes.data(), state.bytes.data(), bytes.size());
    const auto backend = std::ranges::find_if(
        options_.backends, [&](const Backend& b) { return b.address.bytes == bytes; });
    if (backend == options_.backends.end()) continue;
    const FlowKey key = without_ingress(state.key);
    if (auto* present = flows_.find(key)) flows_.erase(*present);
    if (auto* entry = flows_.insert(key, 0, now_)) {
      entry->value = static_cast<std::uint16_t>(backend - options_.backends.begin());
    }
  }
}

ProgramResult make_load_balancer_program(const ConfigValue& config, const std::string& path,
                                         const FileReader&) {
  MapReader reader(config, path);
  LoadBalancer::Options options;
  reader.require("vip");
  if (const auto vip = read_text(reader, "vip", IpAddress::parse)) options.vip = *vip;
  read_backends(reader, options);
  options.flow_count_max = static_cast<std::uint32_t>(
      reader.integer("flows", options.flow_count_max, {.min = 1, .max = 1u << 24}));
  options.idle_timeout =
      reader.duration("idle", options.idle_timeout, {.min = std::chrono::milliseconds{1}});
  if (auto error = reader.finish()) return unexpected(*error);
  std::vector<MaglevMember> members;
  for (const LoadBalancer::Backend& backend : options.backends) {
    members.push_back({static_cast<std::uint16_t>(members.size()), backend.weight});
  }
  options.maglev = std::make_shared<const MaglevTable>(members);
  Traits traits;
  traits.name = "load_balancer";
  traits.affinity = Affinity::kSession;
  traits.bidirectional = true;
  return std::make_unique<FunctionProgram<LoadBalancer>>(std::move(traits), std::move(options));
}

}  // namespace sluice

#include "core/functions/firewall.hpp"

#include <array>
#include <utility>

#include "core/functions/function_program.hpp"
#include "core/functions/functions.hpp"
#include "core/functions/settings.hpp"
#include "core/packet/headers.hpp"

namespace sluice {
namespace {

// Ended flows leave faster than new ones come: two for each packet of a full batch.
constexpr std::uint32_t kExpireBudget = 2 * PacketBatch::kCapacity;
constexpr std::array<std::string_view, 2> kDefaultNames{"deny", "allow"};

FlowMatch read_match(const ConfigValue& value, const std::string& path,
                     std::optional<ConfigError>& error) {
  FlowMatch match;
  MapReader reader(value, path);
  match.protocol = read_text(reader, "proto", parse_protocol);
  match.source = read_text(reader, "src", IpPrefix::parse);
  match.destination = read_text(reader, "dst", IpPrefix::parse);
  match.source_port = read_text(reader, "src_port", PortRange::parse);
  match.destination_port = read_text(reader, "dst_port", PortRange::parse);
  if (reader.has("vlan")) {
    match.vlan = static_cast<std::uint16_t>(reader.integer("vlan", 0, {.max = 4094}));
  }
  constexpr std::array<std::string_view, 2> kVersions{"4", "6"};
  if (reader.has("ip_version")) {
    match.ip_version = static_cast<std::uint8_t>(4 + 2 * reader.choice("ip_version", kVersions, 0));
  }
  error = reader.finish();
  return match;
}

std::vector<Firewall::Rule> read_rules(MapReader& reader) {
  std::vector<Firewall::Rule> rules;
  const ConfigValue* list = reader.value("rules");
  if (list == nullptr) return rules;
  if (!list->is_list()) {
    reader.fail(list->place(), "rules", "not a list", list->describe(),
                "a list such as [{allow: {proto: tcp, dst_port: 80}}]");
    return rules;
  }
  if (list->items().size() > Firewall::kRuleCountMax) {
    reader.fail(list->place(), "rules", "too many rules", std::to_string(list->items().size()),
                "at most " + std::to_string(Firewall::kRuleCountMax));
    return rules;
  }
  for (const ConfigValue& item : list->items()) {
    const std::string key = "rules[" + std::to_string(rules.size()) + "]";
    const auto& entries = item.entries();
    if (entries.size() != 1 || (entries[0].key != "allow" && entries[0].key != "deny")) {
      const bool named = item.is_map() && !entries.empty();
      reader.fail(item.place(), key, "not a rule",
                  named ? "\"" + entries[0].key + "\"" : item.describe(),
                  "{allow: MATCH} or {deny: MATCH}");
      return rules;
    }
    std::optional<ConfigError> error;
    const std::string path = reader.path_of(key) + "." + entries[0].key;
    rules.push_back({read_match(entries[0].value, path, error), entries[0].key == "allow"});
    if (error) {
      reader.fail(std::move(*error));
      return rules;
    }
  }
  return rules;
}

}  // namespace

Firewall::Firewall(const Options& options, const InstanceConfig&)
    : options_(options),
      state_(options.stateful ? options.state : FirewallState::Options{.flow_count_max = 0}),
      fragments_(FragmentTracker::Options{}) {}

void Firewall::start_once(Context& context) noexcept {
  now_ = context.now();
  if (started_) return;
  started_ = true;
  state_.rekey({context.prng().next(), context.prng().next()});
  state_.restamp(now_);
}

void Firewall::process(PacketBatch& batch, Context& context) noexcept {
  start_once(context);
  state_.expire(context.now(), kExpireBudget);
  for (Packet& packet : batch) {
    const auto frame = batch.bytes(packet);
    const auto headers = parse(frame);
    if (!headers) {
      packet.drop(DropReason::kParseError);
      continue;
    }
    const FlowKey key = flow_key(frame, *headers, PortId{packet.ingress});
    const DropReason reason = decide(key, *headers, context.now());
    if (reason == DropReason::kNone) {
      packet.next();
    } else {
      packet.drop(reason);
    }
  }
}

void Firewall::tick(Context& context) noexcept {
  start_once(context);
  state_.expire(context.now(), kExpireBudget);
}

bool Firewall::allowed(const Options& options, const FlowKey& key) noexcept {
  for (const Rule& rule : options.rules) {
    if (rule.match.matches(key)) return rule.allow;
  }
  return options.allow_by_default;
}

DropReason Firewall::decide_flow(const FlowKey& key, const Headers& headers, Instant now) noexcept {
  const bool follows = options_.stateful && key.ip_version != 0;
  if (follows && state_.passes(key, headers.tcp_flags, now)) return DropReason::kNone;
  if (!allowed(options_, key)) return DropReason::kRule;
  if (follows && !state_.open(key, headers.tcp_flags, now)) return DropReason::kTableFull;
  return DropReason::kNone;
}

DropReason Firewall::decide(FlowKey key, const Headers& headers, Instant now) noexcept {
  if (headers.later_fragment) {
    if (!fragments_.find(key, headers.fragment_id, now)) return DropReason::kFragmentTable;
  } else if (headers.fragment) {
    fragments_.remember(key, headers.fragment_id, now);
  }
  return decide_flow(key, headers, now);
}

std::vector<FlowState> Firewall::export_state(std::span<const FlowKey> keys) {
  return state_.export_state(keys);
}

void Firewall::import_state(std::span<const FlowState> states) {
  state_.import_state(states, now_);
}

ProgramResult make_firewall_program(const ConfigValue& config, const std::string& path,
                                    const FileReader&) {
  MapReader reader(config, path);
  Firewall::Options options;
  options.rules = read_rules(reader);
  options.allow_by_default = reader.choice("default", kDefaultNames, 0) == 1;
  options.stateful = reader.boolean("stateful", options.stateful);
  FirewallState::Options& state = options.state;
  state.flow_count_max = static_cast<std::uint32_t>(
      reader.integer("flows", state.flow_count_max, {.min = 1, .max = 1u << 24}));
  const MapReader::DurationLimits limits{.min = std::chrono::milliseconds{1}};
  state.tcp_idle = reader.duration("tcp_idle", state.tcp_idle, limits);
  state.udp_idle = reader.duration("udp_idle", state.udp_idle, limits);
  state.icmp_idle = reader.duration("icmp_idle", state.icmp_idle, limits);
  if (auto error = reader.finish()) return unexpected(*error);
  Traits traits;
  traits.name = "firewall";
  traits.affinity = options.stateful ? Affinity::kSession : Affinity::kFlow;
  traits.bidirectional = options.stateful;
  return std::make_unique<FunctionProgram<Firewall>>(std::move(traits), std::move(options));
}

}  // namespace sluice

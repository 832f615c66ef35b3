#include <bit>

#include "core/deployment/checker.hpp"
#include "core/packet/packet_memory.hpp"

namespace sluice::deployment {
namespace {

using Limits = DeploymentLimits;

constexpr Duration kLinkDelayMax = std::chrono::seconds{10};

// "drop" or {pass: PORT}, for unmatched and neighbours.
void read_policy(const HostSpec& host, Section& section, std::string_view key,
                 std::optional<PortId>& pass_to) {
  const ConfigValue* value = section.value(key);
  if (value == nullptr) return;
  if (value->is_scalar() && value->text() == "drop") {
    pass_to.reset();
    return;
  }
  if (!value->is_map()) {
    section.fail(value->place(), key, "unknown policy", value->describe(), "drop or {pass: PORT}");
    return;
  }
  Section pass(*value, section.path_of(key), MapKind::kPass);
  pass.require("pass");
  std::vector<std::string_view> names;
  for (const PortSpec& port : host.ports) names.push_back(port.name);
  pass_to = static_cast<PortId>(pass.choice("pass", names, 0));
  if (auto error = pass.close()) section.fail(std::move(*error));
}

Failure check_port(Draft& draft, const ConfigValue& value, const std::string& path, HostSpec& host,
                   PortSpec& port) {
  Section section(value, path, MapKind::kPort);
  section.require("rate");
  port.rate = section.rate("rate", Rate{});
  if (const ConfigValue* rate = section.value("rate"); rate != nullptr && port.rate.bps == 0) {
    section.fail(rate->place(), "rate", "out of range", rate->describe(), "a rate above 0");
  }
  const std::uint64_t frame_room = host.buffer_size - kHeadroom;
  port.frame_size_max = static_cast<std::uint16_t>(
      section.size_bytes("frame_max", std::min<std::uint64_t>(1522, frame_room), {64, frame_room}));
  port.link = draft.result.link;
  if (auto error = check_link(section, port.link)) return error;
  read_policy(host, section, "unmatched", port.pass_to);
  // Without a word of its own, neighbour discovery goes where unmatched packets do, else along the
  // first chain (check_chains).
  port.neighbours_to = port.pass_to;
  read_policy(host, section, "neighbours", port.neighbours_to);
  if (section.has("neighbours")) draft.neighbours_given.push_back({host.id, port.id});
  return section.close();
}

Failure check_ports(Draft& draft, Section& section, HostSpec& host) {
  const ConfigValue* ports = section.value("ports");
  if (ports == nullptr) return std::nullopt;  // Required; close() says so.
  const std::string path = section.path_of("ports");
  if (!ports->is_map() || ports->entries().empty()) {
    return error_at(ports->place(), path, "no ports", ports->describe(),
                    "a map of at least one port");
  }
  if (ports->entries().size() > Limits::kPortCountMax) {
    return error_at(ports->place(), path, "too many ports", std::to_string(ports->entries().size()),
                    "at most " + std::to_string(Limits::kPortCountMax));
  }
  for (const auto& entry : ports->entries()) {
    if (auto error = check_name(entry.key, entry.place, path + "." + entry.key)) return error;
    PortSpec port;
    port.name = entry.key;
    port.id = static_cast<PortId>(host.ports.size());
    port.place = entry.place;
    host.ports.push_back(std::move(port));
  }
  for (std::size_t i = 0; i < host.ports.size(); ++i) {
    const auto& entry = ports->entries()[i];
    if (auto error = check_port(draft, entry.value, path + "." + entry.key, host, host.ports[i])) {
      return error;
    }
  }
  return std::nullopt;
}

void check_power_of_two(Section& section, std::string_view key, std::uint32_t value) {
  if (std::has_single_bit(value)) return;
  const ConfigValue* given = section.value(key);
  if (given == nullptr) return;
  section.fail(given->place(), key, "not a power of two", given->describe(),
               std::to_string(std::bit_floor(value)) + " or " +
                   std::to_string(std::uint64_t{std::bit_floor(value)} * 2));
}

Failure check_host(Draft& draft, const ConfigValue& value, const std::string& path,
                   HostSpec& host) {
  Section section(value, path, MapKind::kHost);
  section.require("cores");
  section.require("clock");
  section.require("ports");
  const auto number = [&](std::string_view key, std::uint32_t fallback,
                          MapReader::IntegerLimits limits) {
    return static_cast<std::uint32_t>(section.integer(key, fallback, limits));
  };
  host.core_count = number("cores", 1, {1, 1024});
  host.clock = section.frequency("clock", Frequency{1});
  if (const ConfigValue* clock = section.value("clock"); clock != nullptr && host.clock.hz == 0) {
    section.fail(clock->place(), "clock", "out of range", clock->describe(), "a frequency above 0");
  }
  host.worker_count = number("workers", 1, {1, 64});
  host.worker_cost = Cost{.packet_cycles = 100};
  read_cost(section, "worker_cost", host.worker_cost);
  if (draft.costs != nullptr) {
    host.clock = draft.costs->clock.value_or(host.clock);
    host.worker_cost = draft.costs->worker.value_or(host.worker_cost);
  }
  host.buffer_count = number("buffers", 8192, {64, 1u << 22});
  host.buffer_size =
      static_cast<std::uint32_t>(section.size_bytes("buffer_size", 2048, {512, 16384}));
  host.flow_count_max = number("flows", 1u << 16, {64, 1u << 22});
  check_power_of_two(section, "flows", host.flow_count_max);
  host.flow_idle = section.duration("flow_idle", host.flow_idle,
                                    {std::chrono::milliseconds{1}, std::chrono::hours{24}});
  // A wrong buffer size makes every check of a frame size wrong as well.
  if (section.failed()) return section.close();
  if (auto error = check_ports(draft, section, host)) return error;
  return section.close();
}

}  // namespace

Failure check_link(Section& section, LinkSpec& link) {
  link.kind = static_cast<LinkSpec::Kind>(
      section.choice("link", LinkSpec::kKindNames, static_cast<std::size_t>(link.kind)));
  link.delay = section.duration("delay", link.delay, {Duration::zero(), kLinkDelayMax});
  link.burst_count_max =
      static_cast<std::uint32_t>(section.integer("burst", link.burst_count_max, {1, 256}));
  link.burst_window = section.duration("burst_window", link.burst_window,
                                       {Duration::zero(), std::chrono::milliseconds{10}});
  return std::nullopt;
}

Failure check_hosts(Draft& draft, const ConfigValue& hosts) {
  if (!hosts.is_map() || hosts.entries().empty()) {
    return error_at(hosts.place(), "hosts", "no hosts", hosts.describe(),
                    "a map of at least one host");
  }
  if (hosts.entries().size() > Limits::kHostCountMax) {
    return error_at(hosts.place(), "hosts", "too many hosts",
                    std::to_string(hosts.entries().size()),
                    "at most " + std::to_string(Limits::kHostCountMax));
  }
  for (const auto& entry : hosts.entries()) {
    const std::string path = "hosts." + entry.key;
    if (auto error = check_name(entry.key, entry.place, path)) return error;
    HostSpec host;
    host.name = entry.key;
    host.id = static_cast<HostId>(draft.result.hosts.size());
    host.place = entry.place;
    if (auto error = check_host(draft, entry.value, path, host)) return error;
    draft.result.hosts.push_back(std::move(host));
  }
  return std::nullopt;
}

}  // namespace sluice::deployment

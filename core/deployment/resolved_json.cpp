#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/deployment/checker.hpp"
#include "core/deployment/quantity_text.hpp"

namespace sluice {
namespace {

using Json = nlohmann::ordered_json;
using deployment::cost_text;

class Writer {
 public:
  explicit Writer(const Deployment& deployment) : deployment_(deployment) {}
  [[nodiscard]] Json write() const;

 private:
  [[nodiscard]] const std::string& host_name(HostId id) const {
    return deployment_.hosts[index_of(id)].name;
  }
  [[nodiscard]] const std::string& port_name(HostId host, PortId port) const {
    return deployment_.hosts[index_of(host)].ports[index_of(port)].name;
  }
  [[nodiscard]] std::string ref(const PortRef& port) const {
    return host_name(port.host) + "." + port_name(port.host, port.port);
  }
  [[nodiscard]] const std::string& service_name(ServiceId id) const {
    return deployment_.services[index_of(id)].service.name;
  }
  [[nodiscard]] Json policy(HostId host, const std::optional<PortId>& pass_to) const {
    if (!pass_to) return "drop";
    return Json{{"pass", port_name(host, *pass_to)}};
  }
  [[nodiscard]] Json host(const HostSpec& spec) const;
  [[nodiscard]] Json service(const ServiceSpec& spec) const;
  [[nodiscard]] std::string label_of(std::uint32_t bit) const;
  [[nodiscard]] std::vector<std::string> step_names(const std::vector<Step>& steps) const;
  [[nodiscard]] Json steps(const std::vector<Step>& steps) const;
  [[nodiscard]] Json chain(const ChainSpec& spec) const;
  [[nodiscard]] Json traffic(const TrafficSpec& spec) const;
  [[nodiscard]] Json fault(const FaultSpec& spec) const;
  [[nodiscard]] Json run() const;
  void add(Json& json, const ReplayTraffic& kind) const;
  void add(Json& json, const SyntheticTraffic& kind) const;
  void add(Json& json, const TcpTraffic& kind) const;
  void add(Json& json, const KillInstance& what) const;
  void add(Json& json, const HangInstance& what) const;
  void add(Json& json, const SlowInstance& what) const;
  void add(Json& json, const KillHost& what) const;
  void add(Json& json, const PauseHost& what) const;
  void add(Json& json, const DisturbLink& what) const;

  const Deployment& deployment_;
};

void add_link(Json& json, const LinkSpec& link) {
  json["link"] = LinkSpec::kKindNames[static_cast<std::size_t>(link.kind)];
  json["delay"] = text_of(link.delay);
  json["burst"] = link.burst_count_max;
  json["burst_window"] = text_of(link.burst_window);
}

Json scaling_json(const ScalePolicy& policy) {
  return Json{
      {"up",
       {{"occupancy", text_of(policy.up_occupancy)},
        {"for", text_of(policy.up_for)},
        {"drops", text_of(policy.up_drop_ratio)},
        {"step", policy.step}}},
      {"down", {{"load", text_of(policy.down_load)}, {"for", text_of(policy.down_for)}}},
      {"cooldown", text_of(policy.cooldown)},
      {"drain",
       {{"timeout", text_of(policy.drain_timeout)}, {"then", policy.drain_cut ? "cut" : "wait"}}}};
}

Json raw_json(const ConfigValue& value) {
  switch (value.kind()) {
    case ConfigValue::Kind::kNull:
      return nullptr;
    case ConfigValue::Kind::kScalar:
      return value.text();
    case ConfigValue::Kind::kList: {
      Json list = Json::array();
      for (const ConfigValue& item : value.items()) list.push_back(raw_json(item));
      return list;
    }
    case ConfigValue::Kind::kMap:
      break;
  }
  Json map = Json::object();
  for (const auto& entry : value.entries()) map[entry.key] = raw_json(entry.value);
  return map;
}

Json match_json(const FlowMatch& match) {
  Json json = Json::object();
  if (match.protocol) json["proto"] = *match.protocol;
  if (match.source) json["src"] = match.source->to_string();
  if (match.destination) json["dst"] = match.destination->to_string();
  if (match.source_port) json["src_port"] = match.source_port->to_string();
  if (match.destination_port) json["dst_port"] = match.destination_port->to_string();
  if (match.vlan) json["vlan"] = *match.vlan;
  if (match.ip_version) json["ip_version"] = *match.ip_version;
  return json;
}

void add_sizes(Json& json, const SizeSpec& sizes) {
  if (sizes.file.empty()) {
    json["size"] = bytes_text(sizes.points.front().size_bytes);
  } else {
    json["sizes"] = sizes.file;
  }
}

void add_addresses(Json& json, const AddressSpec& addresses) {
  json["src"] = addresses.source.to_string();
  json["dst"] = addresses.destination.to_string();
  json["src_port"] = addresses.source_port.to_string();
  json["dst_port"] = addresses.destination_port.to_string();
}

Json Writer::host(const HostSpec& spec) const {
  Json json{{"cores", spec.core_count},     {"clock", text_of(spec.clock)},
            {"workers", spec.worker_count}, {"worker_cost", cost_text(spec.worker_cost)},
            {"buffers", spec.buffer_count}, {"buffer_size", bytes_text(spec.buffer_size)},
            {"flows", spec.flow_count_max}, {"flow_idle", text_of(spec.flow_idle)}};
  for (const PortSpec& port : spec.ports) {
    Json& out = json["ports"][port.name];
    out["rate"] = text_of(port.rate);
    out["unmatched"] = policy(spec.id, port.pass_to);
    out["neighbours"] = policy(spec.id, port.neighbours_to);
    out["frame_max"] = bytes_text(port.frame_size_max);
    add_link(out, port.link);
  }
  return json;
}

Json Writer::service(const ServiceSpec& spec) const {
  constexpr std::string_view kRunNames[] = {"inline", "process", "container"};
  const Service& service = spec.service;
  Json json{{"function", service.function}};
  const Json settings = raw_json(spec.settings);
  for (const auto& entry : settings.items()) json[entry.key()] = entry.value();
  json["cost"] = cost_text(spec.cost);
  json["affinity"] = kAffinityNames[static_cast<std::size_t>(service.affinity)];
  json["choose"] = service.choice == InstanceChoice::kMaglev ? "maglev" : "least_loaded";
  if (!service.weights.empty()) json["weights"] = service.weights;
  json["run"] = kRunNames[static_cast<std::size_t>(service.run)];
  json["ring"] = service.ring_capacity;
  json["labels"] = Json::array();
  for (std::size_t i = 0; i < service.labels.size(); ++i) {
    const bool sticky = (service.sticky_bits & service.label_bits[i]) != 0;
    json["labels"].push_back(sticky ? Json{{service.labels[i], "sticky"}}
                                    : Json(service.labels[i]));
  }
  json["scalable"] = spec.scalable;
  if (service.run == RunMode::kInline) return json;
  json["instances"] = {{"min", spec.scaling.instance_count_min},
                       {"max", spec.scaling.instance_count_max},
                       {"start", spec.instance_count_start}};
  json["scaling"] = scaling_json(spec.scaling);
  return json;
}

std::string Writer::label_of(std::uint32_t bit) const {
  for (const ServiceSpec& spec : deployment_.services) {
    const auto& bits = spec.service.label_bits;
    const auto found = std::ranges::find(bits, bit);
    if (found == bits.end()) continue;
    return spec.service.labels[static_cast<std::size_t>(found - bits.begin())];
  }
  SLUICE_CHECK(false);
  return {};
}

// A name for each step that no other has: the service's where that is enough.
std::vector<std::string> Writer::step_names(const std::vector<Step>& steps) const {
  std::vector<std::string> names;
  for (const Step& step : steps) names.push_back(service_name(step.service));
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].copy || std::ranges::count(names, names[i]) == 1) continue;
    std::string name = names[i] + "-" + std::to_string(i);
    while (std::ranges::count(names, name) > 0) name += "-";
    names[i] = std::move(name);
  }
  return names;
}

Json Writer::steps(const std::vector<Step>& steps) const {
  const std::vector<std::string> names = step_names(steps);
  const auto target = [&](const Hop& hop) -> std::string {
    if (hop.kind == Hop::Kind::kDrop) return "drop";
    return hop.kind == Hop::Kind::kOut ? "out" : names[hop.step];
  };
  Json list = Json::array();
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const Step& step = steps[i];
    const std::string& service = service_name(step.service);
    const bool last = i + 1 == steps.size();
    const Hop straight = last ? Hop{} : Hop{Hop::Kind::kStep, static_cast<std::uint8_t>(i + 1)};
    Json options = Json::object();
    if (step.copy) {
      list.push_back(Json{{"copy", service}});
      continue;
    }
    if (names[i] != service) options["name"] = names[i];
    for (const Branch& branch : step.branches) {
      options["on"][label_of(branch.label_bits)] = target(branch.hop);
    }
    if (step.next != straight) options["next"] = target(step.next);
    list.push_back(options.empty() ? Json(service) : Json{{service, options}});
  }
  return list;
}

Json Writer::chain(const ChainSpec& spec) const {
  Json json{{"from", ref({spec.host, spec.version.from})},
            {"to", ref({spec.host, spec.version.to})}};
  if (spec.version.is_reverse) {
    json["reverse_of"] = deployment_.chains[index_of(spec.version.reverse)].version.name;
    return json;
  }
  json["match"] = match_json(spec.match);
  json["steps"] = steps(spec.version.steps);
  json["scaling"] = spec.provisioned ? "provisioned" : "dynamic";
  if (spec.provisioned) {
    json["rate"] = text_of(spec.rate);
    json["frame_size"] = bytes_text(spec.frame_size);
  }
  return json;
}

void Writer::add(Json& json, const ReplayTraffic& kind) const {
  json["kind"] = "replay";
  json["replay"] = kind.file;
  json["rewrite"] = kind.rewrite;
  if (kind.to) json["to"] = ref(*kind.to);
  json["passes"] = kind.pass_count_max;
}

void Writer::add(Json& json, const SyntheticTraffic& kind) const {
  constexpr std::string_view kNames[] = {"constant", "poisson", "on_off"};
  json["kind"] = kNames[static_cast<std::size_t>(kind.arrivals)];
  add_sizes(json, kind.frame_sizes);
  json["flows"] = kind.flow_count;
  if (kind.flow_sizes) {
    json["flow_sizes"] = kind.flow_sizes->file;
  } else {
    json["flow_packets"] = kind.flow_packets;
  }
  json["burst"] = kind.burst;
  if (kind.arrivals == SyntheticTraffic::Arrivals::kOnOff) {
    json["on"] = text_of(kind.on_mean);
    json["off"] = text_of(kind.off_mean);
  }
  if (kind.to) json["to"] = ref(*kind.to);
  json["proto"] = kind.addresses.protocol;
  add_addresses(json, kind.addresses);
}

void Writer::add(Json& json, const TcpTraffic& kind) const {
  json["kind"] = "tcp";
  json["to"] = ref(kind.to);
  add_sizes(json, kind.transfer_sizes);
  for (const ArrivalPoint& point : kind.arrivals) {
    // Thousandths of a second's arrivals; written with all three decimals.
    const std::string decimals = std::to_string(1000 + point.per_kilosecond % 1000).substr(1);
    json["arrivals"].push_back(Json::array(
        {text_of(point.at), std::to_string(point.per_kilosecond / 1000) + "." + decimals + "/s"}));
  }
  json["count"] = kind.transfer_count_max;
  add_addresses(json, kind.addresses);
}

Json Writer::traffic(const TrafficSpec& spec) const {
  Json json{{"name", spec.name},
            {"into", ref(spec.into)},
            {"start", text_of(spec.start)},
            {"stop", text_of(spec.stop)}};
  for (const RatePoint& point : spec.rate) {
    json["rate"].push_back(Json::array({text_of(point.at), text_of(point.rate)}));
  }
  std::visit([&](const auto& kind) { add(json, kind); }, spec.kind);
  if (spec.client) json["client"] = kTrafficClientNames[static_cast<std::size_t>(*spec.client)];
  return json;
}

void Writer::add(Json& json, const KillInstance& what) const {
  json["kill"] = {{"service", service_name(what.service)}, {"instance", what.instance}};
}
void Writer::add(Json& json, const HangInstance& what) const {
  json["hang"] = {{"service", service_name(what.service)}, {"instance", what.instance}};
}
void Writer::add(Json& json, const SlowInstance& what) const {
  json["slow"] = {{"service", service_name(what.service)},
                  {"instance", what.instance},
                  {"factor", what.factor}};
}
void Writer::add(Json& json, const KillHost& what) const {
  json["kill"] = {{"host", host_name(what.host)}};
}
void Writer::add(Json& json, const PauseHost& what) const {
  json["pause"] = {{"host", host_name(what.host)}};
}
void Writer::add(Json& json, const DisturbLink& what) const {
  json["link"] = {{"port", ref(what.port)},
                  {"loss", text_of(what.loss)},
                  {"duplicate", text_of(what.duplicate)},
                  {"reorder", text_of(what.reorder)},
                  {"delay", text_of(what.delay)}};
}

Json Writer::fault(const FaultSpec& spec) const {
  Json json{{"at", text_of(spec.at)}};
  if (spec.duration) json["for"] = text_of(*spec.duration);
  std::visit([&](const auto& what) { add(json, what); }, spec.what);
  return json;
}

Json Writer::run() const {
  const RunSpec& spec = deployment_.run;
  Json json{{"duration", text_of(spec.duration)},
            {"seed", spec.seed},
            {"sample", text_of(spec.sample_interval)},
            {"warmup", text_of(spec.warmup)},
            {"checkers", spec.checkers},
            {"captures", Json::array()}};
  for (const PortRef& port : spec.captures) json["captures"].push_back(ref(port));
  return json;
}

Json Writer::write() const {
  Json json{{"name", deployment_.name}, {"description", deployment_.description}};
  for (const HostSpec& spec : deployment_.hosts) json["hosts"][spec.name] = host(spec);
  for (const ServiceSpec& spec : deployment_.services) {
    json["services"][spec.service.name] = service(spec);
  }
  for (const ChainSpec& spec : deployment_.chains) json["chains"][spec.version.name] = chain(spec);
  json["scaling"] = scaling_json(deployment_.scaling);
  json["scaling"]["strategy"] = deployment_.strategy == ScaleStrategy::kFill ? "fill" : "spread";
  json["traffic"] = Json::array();
  for (const TrafficSpec& spec : deployment_.traffic) json["traffic"].push_back(traffic(spec));
  json["faults"] = Json::array();
  for (const FaultSpec& spec : deployment_.faults) json["faults"].push_back(fault(spec));
  json["changes"] = Json::array();
  for (const ChainChange& change : deployment_.changes) {
    json["changes"].push_back({{"at", text_of(change.at)},
                               {"chain", change.versions.front().name},
                               {"steps", steps(change.versions.front().steps)}});
  }
  add_link(json["sim"], deployment_.link);
  json["run"] = run();
  return json;
}

}  // namespace

std::string resolved_json(const Deployment& deployment) {
  return Writer(deployment).write().dump(2) + "\n";
}

}  // namespace sluice

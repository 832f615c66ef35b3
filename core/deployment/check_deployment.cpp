#include <algorithm>
#include <utility>

#include "core/deployment/checker.hpp"

namespace sluice::deployment {
namespace {

using Limits = DeploymentLimits;

// How many instances of a service the provisioned chains of a host keep busy, each packet in a
// batch of its own: the plan errs to the safe side.
std::uint64_t instances_for(const Draft& draft, const ServiceSpec& service, const HostSpec& host) {
  Uint128 cycles_per_second = 0;
  for (const ChainSpec& chain : draft.result.chains) {
    if (!chain.provisioned || chain.host != host.id) continue;
    const auto uses = [&](const Step& step) { return step.service == service.service.id; };
    const auto visits =
        static_cast<std::uint64_t>(std::ranges::count_if(chain.version.steps, uses));
    const std::uint64_t frame_bits = std::uint64_t{chain.frame_size} * 8;
    const std::uint64_t packets = (chain.rate.bps + frame_bits - 1) / frame_bits;
    cycles_per_second += Uint128{visits} * packets * service.cost.cycles_for(1, chain.frame_size);
  }
  return static_cast<std::uint64_t>((cycles_per_second + host.clock.hz - 1) / host.clock.hz);
}

Failure provision(Draft& draft) {
  for (ServiceSpec& service : draft.result.services) {
    for (const ChainSpec& chain : draft.result.chains) {
      const auto uses = [&](const Step& step) { return step.service == service.service.id; };
      if (!chain.provisioned || service.service.run == RunMode::kInline ||
          std::ranges::none_of(chain.version.steps, uses)) {
        continue;
      }
      const HostSpec& host = draft.result.hosts[index_of(chain.host)];
      const std::uint64_t needed = instances_for(draft, service, host);
      if (needed > service.scaling.instance_count_max) {
        return error_at(
            chain.place, "chains." + chain.version.name,
            "its rate needs more instances of " + service.service.name + " than are allowed",
            std::to_string(needed),
            "at most " + std::to_string(service.scaling.instance_count_max));
      }
      service.instance_count_start =
          std::max(service.instance_count_start, static_cast<std::uint32_t>(needed));
      service.scaling.enabled = false;
    }
  }
  return std::nullopt;
}

Failure check_host_budget(const Draft& draft, const HostSpec& host) {
  std::uint64_t cores = host.worker_count;
  std::uint64_t instances = 0;
  std::string parts =
      std::to_string(host.worker_count) + " worker" + (host.worker_count == 1 ? "" : "s");
  for (const ServiceSpec& service : draft.result.services) {
    if (std::ranges::find(service.hosts, host.id) == service.hosts.end()) continue;
    const bool is_inline = service.service.run == RunMode::kInline;
    instances += is_inline ? host.worker_count : service.scaling.instance_count_max;
    if (is_inline) continue;
    cores += service.instance_count_start;
    parts += " + " + std::to_string(service.instance_count_start) + " " + service.service.name;
  }
  const std::string path = "hosts." + host.name;
  if (cores > host.core_count) {
    return error_at(host.place, path + ".cores", "too few for what starts on it",
                    std::to_string(host.core_count), std::to_string(cores) + ": " + parts);
  }
  if (instances > Limits::kInstanceCountMax) {
    return error_at(host.place, path, "too many instances when every service is at its max",
                    std::to_string(instances),
                    "at most " + std::to_string(Limits::kInstanceCountMax));
  }
  return std::nullopt;
}

Failure check_sections(Draft& draft, Section& section) {
  const ConfigValue* sim = section.value("sim");
  if (sim != nullptr) {
    Section link(*sim, "sim", MapKind::kSim);
    if (auto error = check_link(link, draft.result.link)) return error;
    if (auto error = link.close()) return error;
  }
  if (auto error = check_run(draft, section.value("run"))) return error;
  if (auto error = check_hosts(draft, *section.value("hosts"))) return error;
  if (auto error = check_scaling(draft, section.value("scaling"))) return error;
  if (auto error = check_services(draft, section.value("services"))) return error;
  if (auto error = check_chains(draft, *section.value("chains"))) return error;
  if (auto error = check_changes(draft, section.value("changes"))) return error;
  if (auto error = check_budget(draft)) return error;
  if (auto error = check_captures(draft, section.value("run"))) return error;
  if (auto error = check_traffic(draft, section.value("traffic"))) return error;
  return check_faults(draft, section.value("faults"));
}

}  // namespace

Failure check_budget(Draft& draft) {
  if (auto error = provision(draft)) return error;
  for (const HostSpec& host : draft.result.hosts) {
    if (auto error = check_host_budget(draft, host)) return error;
  }
  return std::nullopt;
}

Failure check_run(Draft& draft, const ConfigValue* run) {
  RunSpec& spec = draft.result.run;
  if (run == nullptr) return std::nullopt;
  Section section(*run, "run", MapKind::kRun);
  spec.duration = section.duration("duration", spec.duration,
                                   {std::chrono::milliseconds{1}, std::chrono::hours{24}});
  spec.seed = section.integer("seed", spec.seed, {});
  spec.sample_interval = section.duration(
      "sample", spec.sample_interval, {std::chrono::microseconds{100}, std::chrono::seconds{60}});
  spec.warmup = section.duration("warmup", spec.warmup, {Duration::zero(), spec.duration});
  spec.checkers = section.boolean("checkers", spec.checkers);
  return section.close();
}

Failure check_captures(Draft& draft, const ConfigValue* run) {
  const ConfigValue* captures = run == nullptr ? nullptr : run->find("captures");
  if (captures == nullptr) return std::nullopt;
  if (!captures->is_list()) {
    return error_at(captures->place(), "run.captures", "not a list", captures->describe(),
                    "a list of ports as HOST.PORT");
  }
  for (std::size_t i = 0; i < captures->items().size(); ++i) {
    // Read as a map of one key, so that the message names the item.
    const ConfigValue& item = captures->items()[i];
    const std::string key = "captures[" + std::to_string(i) + "]";
    const ConfigValue map = ConfigValue::map({{key, item.place(), item}}, item.place());
    MapReader reader(map, "run");
    const auto port = read_port_ref(draft, reader, key);
    if (auto error = reader.finish()) return error;
    draft.result.run.captures.push_back(*port);
  }
  return std::nullopt;
}

}  // namespace sluice::deployment

namespace sluice {

Result<Deployment> check_deployment(const ConfigValue& tree, const FunctionRegistry& functions,
                                    const FileReader& read_file, const Costs* costs) {
  using namespace deployment;
  Draft draft{.functions = functions, .read_file = read_file, .costs = costs, .result = {}};
  draft.result.file = tree.place().file;
  Section section(tree, "", MapKind::kTop);
  section.require("name");
  section.require("hosts");
  section.require("chains");
  draft.result.name = section.string("name");
  draft.result.description = section.string("description");
  // An unknown or missing section first: what the others say would follow from it.
  if (auto error = section.close()) return unexpected(std::move(*error));
  if (auto error = check_name(draft.result.name, section.value("name")->place(), "name")) {
    return unexpected(std::move(*error));
  }
  if (auto error = check_sections(draft, section)) return unexpected(std::move(*error));
  return std::move(draft.result);
}

Result<Deployment> parse_deployment(std::string_view text, const std::string& file_name,
                                    const FunctionRegistry& functions,
                                    const FileReader& read_file) {
  const auto tree = parse_yaml(text, file_name);
  if (!tree) return unexpected(tree.error());
  return check_deployment(*tree, functions, read_file);
}

}  // namespace sluice

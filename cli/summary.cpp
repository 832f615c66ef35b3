#include "cli/summary.hpp"

#include <algorithm>
#include <span>

#include "core/deployment/quantity_text.hpp"

namespace sluice::cli {
namespace {

std::string counted(std::uint64_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string host_line(const HostSpec& host) {
  std::string text = "  host " + host.name + ": " + counted(host.core_count, "core") + " at " +
                     text_of(host.clock) + ", " + counted(host.worker_count, "worker") + "; ports";
  for (const PortSpec& port : host.ports) {
    text += (port.id == PortId{0} ? " " : ", ") + port.name + " (" + text_of(port.rate) + ")";
  }
  return text + "\n";
}

std::string service_line(const ServiceSpec& spec) {
  std::string text = "  service " + spec.service.name + ": " + spec.service.function;
  const std::uint32_t min = spec.scaling.instance_count_min;
  const std::uint32_t max = spec.scaling.instance_count_max;
  if (spec.service.run == RunMode::kInline) {
    text += ", inline";
  } else if (min == max || !spec.scaling.enabled) {
    text += ", " + counted(spec.instance_count_start, "instance");
  } else {
    text += ", " + std::to_string(min) + " to " + counted(max, "instance");
  }
  if (!spec.service.labels.empty()) text += "; labels";
  for (const std::string& label : spec.service.labels) text += " " + label;
  if (spec.hosts.empty()) text += "; used by no chain";
  return text + "\n";
}

std::string label_of(const Deployment& deployment, std::uint32_t bit) {
  for (const ServiceSpec& spec : deployment.services) {
    for (std::size_t i = 0; i < spec.service.labels.size(); ++i) {
      if (spec.service.label_bits[i] == bit) return spec.service.labels[i];
    }
  }
  return {};
}

std::string hop_text(const Deployment& deployment, const std::vector<Step>& steps, const Hop& hop) {
  if (hop.kind == Hop::Kind::kDrop) return "drop";
  if (hop.kind == Hop::Kind::kOut) return "out";
  return deployment.services[index_of(steps[hop.step].service)].service.name;
}

std::string steps_text(const Deployment& deployment, const std::vector<Step>& steps) {
  std::string text;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const Step& step = steps[i];
    const std::string& name = deployment.services[index_of(step.service)].service.name;
    text += step.copy ? "copy to " + name : name;
    std::string notes;
    for (const Branch& branch : step.branches) {
      notes += (notes.empty() ? "" : ", ") + label_of(deployment, branch.label_bits) + ": " +
               hop_text(deployment, steps, branch.hop);
    }
    const bool last = i + 1 == steps.size();
    const Hop straight = last ? Hop{} : Hop{Hop::Kind::kStep, static_cast<std::uint8_t>(i + 1)};
    if (step.next != straight) {
      notes += (notes.empty() ? "" : ", ") + ("else: " + hop_text(deployment, steps, step.next));
    }
    if (!notes.empty()) text += " [" + notes + "]";
    text += " -> ";
  }
  return text;
}

std::string chain_line(const Deployment& deployment, const ChainSpec& chain) {
  const HostSpec& host = deployment.hosts[index_of(chain.host)];
  const auto port = [&](PortId id) { return host.name + "." + host.ports[index_of(id)].name; };
  std::string text = "  chain " + chain.version.name + ": " + port(chain.version.from) + " -> " +
                     steps_text(deployment, chain.version.steps) + port(chain.version.to);
  if (chain.version.is_reverse) {
    text += " (reverse of " + deployment.chains[index_of(chain.version.reverse)].version.name + ")";
  }
  return text + "\n";
}

std::string cores_text(const std::string& what, std::span<const std::uint32_t> cores) {
  if (cores.empty()) return {};
  std::string text = "; " + what + " on core" + (cores.size() == 1 ? "" : "s");
  for (const std::uint32_t core : cores) text += " " + std::to_string(core);
  return text;
}

std::string site_line(const HostSpec& spec, const SiteHost& host) {
  constexpr std::string_view kKinds[] = {"interface", "vdev", "pci"};
  std::string text = "  host " + spec.name + ":";
  for (std::size_t i = 0; i < host.ports.size(); ++i) {
    text += (i == 0 ? " " : ", ") + spec.ports[i].name + " = ";
    if (const auto& port = host.ports[i]) {
      text += std::string(kKinds[static_cast<std::size_t>(port->kind)]) + " " + port->device;
    } else {
      text += "no device";
    }
  }
  text += cores_text("workers", host.worker_cores) + cores_text("instances", host.instance_cores);
  if (host.control_core) text += cores_text("control", {&*host.control_core, 1});
  return text + "; metrics " + (host.metrics.empty() ? "off" : "at " + host.metrics) + "\n";
}

}  // namespace

std::string summary(const Deployment& deployment) {
  std::string text = deployment.file + ": ok, deployment " + deployment.name + "\n";
  for (const HostSpec& host : deployment.hosts) text += host_line(host);
  for (const ServiceSpec& service : deployment.services) text += service_line(service);
  for (const ChainSpec& chain : deployment.chains) text += chain_line(deployment, chain);
  for (const ChainChange& change : deployment.changes) {
    const ChainVersion& version = change.versions.front();
    text += "  at " + text_of(change.at) + " chain " + version.name + " becomes " +
            steps_text(deployment, version.steps) + "out\n";
  }
  text += "  " + counted(deployment.traffic.size(), "traffic source") + ", " +
          counted(deployment.faults.size(), "fault") + "; runs " +
          text_of(deployment.run.duration) + ", seed " + std::to_string(deployment.run.seed) + "\n";
  return text;
}

std::string summary(const Site& site, const std::string& file, const Deployment& deployment) {
  std::string text = file + ": ok, site\n";
  for (const HostSpec& spec : deployment.hosts) {
    text += site_line(spec, site.hosts[index_of(spec.id)]);
  }
  return text;
}

}  // namespace sluice::cli

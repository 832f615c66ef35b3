#include "backends/ns3/host_helper.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>
#include <vector>

#include "backends/ns3/simulable.hpp"
#include "backends/ns3/tcp_transfers.hpp"
#include "core/deployment/parser.hpp"
#include "core/function/registry.hpp"

namespace sluice {

namespace {

namespace fs = std::filesystem;

Result<std::string, std::string> read_file(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return unexpected(std::string{"it is a directory"});
  errno = 0;
  std::ifstream file{path, std::ios::binary};
  std::ostringstream bytes;
  if (file) bytes << file.rdbuf();
  // An empty file sets failbit in `bytes`, not in `file`.
  if (!file) return unexpected(std::string{std::strerror(errno != 0 ? errno : EIO)});
  return std::move(bytes).str();
}

FileReader reader_in(const fs::path& folder) {
  return [folder](const std::string& path) { return read_file(folder / path); };
}

/// A deployment that a simulation can run, or why not.
Result<Deployment> parse_simulable(std::string_view text, const std::string& name,
                                   const fs::path& folder) {
  auto deployment = parse_deployment(text, name, built_in_functions(), reader_in(folder));
  if (!deployment) return deployment;
  if (auto simulable = check_simulable(*deployment); !simulable) {
    return unexpected(simulable.error());
  }
  return deployment;
}

ConfigError problem_at(const Place& place, std::string problem, std::string got,
                       std::string expected) {
  ConfigError error;
  error.place = place;
  error.problem = std::move(problem);
  error.got = std::move(got);
  error.expected = std::move(expected);
  return error;
}

std::string counted(std::size_t count, const std::string& thing) {
  return std::to_string(count) + " " + thing + (count == 1 ? "" : "s");
}

template <class Items>
std::string names_of(const Items& items) {
  std::string text;
  for (const auto& each : items) text += (text.empty() ? "" : ", ") + each.name;
  return text;
}

std::string to_text(const ns3::Ptr<ns3::Node>& node) {
  return "node " + std::to_string(node->GetId());
}

}  // namespace

HostHelper::HostHelper(Deployment deployment)
    : deployment_(std::make_shared<const Deployment>(std::move(deployment))) {
  factory_.SetTypeId(SluiceHost::GetTypeId());
}

Result<HostHelper> HostHelper::FromFile(const std::string& path) {
  const auto text = read_file(path);
  if (!text) {
    return unexpected(
        problem_at({path, 0, 0}, "cannot be read: " + text.error(), "", "a deployment file"));
  }
  auto deployment = parse_simulable(*text, path, fs::path{path}.parent_path());
  if (!deployment) return unexpected(deployment.error());
  return HostHelper{std::move(*deployment)};
}

Result<HostHelper> HostHelper::FromText(std::string_view text, const std::string& folder) {
  auto deployment = parse_simulable(text, "deployment", folder);
  if (!deployment) return unexpected(deployment.error());
  return HostHelper{std::move(*deployment)};
}

void HostHelper::SetAttribute(const std::string& name, const ns3::AttributeValue& value) {
  factory_.Set(name, value);
}

Result<ns3::Ptr<SluiceHost>> HostHelper::Install(ns3::Ptr<ns3::Node> node) const {
  if (deployment_->hosts.size() != 1) {
    return unexpected(problem_at({deployment_->file, 0, 0}, "hosts: which one is meant?",
                                 counted(deployment_->hosts.size(), "host"),
                                 "the name of one of " + names_of(deployment_->hosts)));
  }
  return Install(node, deployment_->hosts.front().name);
}

Result<ns3::Ptr<SluiceHost>> HostHelper::Install(ns3::Ptr<ns3::Node> node,
                                                 const std::string& host) const {
  const auto spec = find(host);
  if (!spec) return unexpected(spec.error());
  std::vector<ns3::Ptr<ns3::NetDevice>> devices;
  for (std::uint32_t i = 0; node && i < node->GetNDevices(); ++i) {
    const ns3::Ptr<ns3::NetDevice> device = node->GetDevice(i);
    if (!ns3::DynamicCast<ns3::LoopbackNetDevice>(device)) devices.push_back(device);
  }
  return install(node, **spec, std::move(devices));
}

Result<ns3::Ptr<SluiceHost>> HostHelper::Install(ns3::Ptr<ns3::Node> node, const std::string& host,
                                                 const Devices& devices) const {
  const auto spec = find(host);
  if (!spec) return unexpected(spec.error());
  const std::vector<PortSpec>& ports = (*spec)->ports;
  std::vector<ns3::Ptr<ns3::NetDevice>> ordered;
  for (const PortSpec& port : ports) {
    const auto found = devices.find(port.name);
    if (found != devices.end()) ordered.push_back(found->second);
  }
  for (const auto& [name, device] : devices) {
    const bool known =
        std::any_of(ports.begin(), ports.end(),
                    [&name = name](const PortSpec& each) { return each.name == name; });
    if (!known) {
      return unexpected(problem_at((*spec)->place, "hosts." + host + ".ports: no such port",
                                   "\"" + name + "\"", "one of " + names_of(ports)));
    }
  }
  return install(node, **spec, std::move(ordered));
}

Result<const HostSpec*> HostHelper::find(const std::string& host) const {
  for (const HostSpec& each : deployment_->hosts) {
    if (each.name == host) return &each;
  }
  return unexpected(problem_at({deployment_->file, 0, 0}, "hosts: no such host", "\"" + host + "\"",
                               "one of " + names_of(deployment_->hosts)));
}

Result<ns3::Ptr<SluiceHost>> HostHelper::install(
    const ns3::Ptr<ns3::Node>& node, const HostSpec& host,
    std::vector<ns3::Ptr<ns3::NetDevice>> devices) const {
  const std::string key = "hosts." + host.name;
  const auto refuse = [&](const std::string& problem, std::string got, std::string expected) {
    return unexpected(problem_at(host.place, key + problem, std::move(got), std::move(expected)));
  };
  if (!node) return refuse(": no node to install on", "null", "a node");
  if (node->GetObject<SluiceHost>()) {
    return refuse(": " + to_text(node) + " has a host already", "", "one host a node");
  }
  if (devices.size() != host.ports.size()) {
    return refuse(".ports: each needs a device of " + to_text(node),
                  counted(devices.size(), "device"),
                  counted(host.ports.size(), "device") + " (" + names_of(host.ports) + ")");
  }
  for (std::size_t i = 0; i < devices.size(); ++i) {
    const std::string port = ".ports." + host.ports[i].name;
    if (!devices[i] || devices[i]->GetNode() != node) {
      return refuse(port + ": its device is not on " + to_text(node),
                    devices[i] ? "a device of another node" : "null", "one of its devices");
    }
    if (std::count(devices.begin(), devices.end(), devices[i]) > 1) {
      return refuse(port + ": its device is another port's, too", "", "a device of its own");
    }
  }
  enable_checksums();
  const auto object = factory_.Create<SluiceHost>();
  object->Bind(deployment_, host.id, std::move(devices));
  node->AggregateObject(object);
  // A node that is running by now does not start what comes later.
  if (node->IsInitialized()) object->Initialize();
  return object;
}

}  // namespace sluice

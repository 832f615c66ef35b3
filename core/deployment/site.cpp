#include "core/deployment/site.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "core/deployment/checker.hpp"
#include "core/flow/flow_match.hpp"
#include "core/packet/mac_text.hpp"

namespace sluice::deployment {
namespace {

constexpr std::uint64_t kCoreMax = 1023;
constexpr std::array<std::string_view, 3> kDeviceKeys{"interface", "vdev", "pci"};  // By Kind.

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// What Linux takes for the name of an interface: dev_valid_name().
bool is_interface(std::string_view text) {
  constexpr std::size_t kNameBytesMax = 15;
  return !text.empty() && text.size() <= kNameBytesMax && text != "." && text != ".." &&
         std::ranges::none_of(text, [](char c) {
           return c == '/' || c == ':' || static_cast<unsigned char>(c) <= ' ';
         });
}

// DPDK names its virtual Ethernet devices so; arguments follow behind a comma.
bool is_vdev(std::string_view text) {
  const std::string_view name = text.substr(0, text.find(','));
  return name.starts_with("net_") && name.size() > 4 && std::ranges::all_of(name, is_word) &&
         std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) <= ' '; });
}

// "0000:00:04.0", or without the domain: the address with its domain, in small letters.
std::optional<std::string> pci_address(std::string_view text) {
  std::string full = std::string(text.size() == 7 ? "0000:" : "") + std::string(text);
  constexpr std::string_view kForm = "hhhh:hh:hh.f";
  if (full.size() != kForm.size()) return std::nullopt;
  for (std::size_t i = 0; i < full.size(); ++i) {
    const char c = full[i];
    const bool fits = kForm[i] == 'h'   ? is_hex(c)
                      : kForm[i] == 'f' ? c >= '0' && c <= '7'
                                        : c == kForm[i];
    if (!fits) return std::nullopt;
    if (c >= 'A' && c <= 'F') full[i] = static_cast<char>(c - 'A' + 'a');
  }
  if (full[8] > '1') return std::nullopt;  // Five bits of device.
  return full;
}

void read_device(Section& section, SitePort& port) {
  const std::string_view key = kDeviceKeys[static_cast<std::size_t>(port.kind)];
  const ConfigValue& value = *section.value(key);
  const std::string& text = value.text();
  const auto fail = [&](std::string_view problem, std::string expected) {
    section.fail(value.place(), key, problem, value.describe(), std::move(expected));
  };
  port.device = text;
  switch (port.kind) {
    case SitePort::Kind::kInterface:
      if (!is_interface(text)) {
        fail("not the name of an interface", "at most 15 bytes without /, : and spaces, as veth0");
      }
      return;
    case SitePort::Kind::kVdev:
      if (!is_vdev(text)) {
        fail("not a virtual device", "a name from net_ on and its arguments, as net_tap0,iface=t0");
      }
      return;
    case SitePort::Kind::kPci:
      if (const auto address = pci_address(text)) {
        port.device = *address;
      } else {
        fail("not a PCI address", "DOMAIN:BUS:DEVICE.FUNCTION, as 0000:00:04.0");
      }
      return;
  }
}

void read_addresses(Section& section, SitePort& port) {
  port.mac = section.string("mac");
  if (const ConfigValue* mac = section.value("mac"); mac != nullptr && mac->is_scalar()) {
    if (const auto parsed = parse_mac(port.mac); !parsed) {
      section.fail(mac->place(), "mac", parsed.error(), mac->describe(),
                   "the address of one station, as 02:00:00:00:00:01");
    }
  }
  port.ip = section.string("ip");
  if (const ConfigValue* ip = section.value("ip"); ip != nullptr && ip->is_scalar()) {
    if (!IpAddress::parse(port.ip)) {
      section.fail(ip->place(), "ip", "not an IP address", ip->describe(),
                   "an address as 10.0.0.1 or 2001:db8::1");
    }
  }
}

void read_pace(Section& section, SitePort& port) {
  constexpr std::uint64_t kPaceMaxBps = 1'000'000'000'000;
  const ConfigValue* value = section.value("pace");
  if (value == nullptr) return;
  port.pace = section.rate("pace", Rate{});
  if (section.failed() || (port.pace.bps > 0 && port.pace.bps <= kPaceMaxBps)) return;
  section.fail(value->place(), "pace", "out of range", value->describe(),
               "a rate above 0, up to 1000 Gbps");
}

Failure check_port(const ConfigValue& value, const std::string& path, SitePort& port) {
  Section section(value, path, MapKind::kSitePort);
  std::string_view first;
  for (std::size_t i = 0; i < kDeviceKeys.size(); ++i) {
    const std::string_view key = kDeviceKeys[i];
    if (!section.has(key)) continue;
    if (!first.empty()) {
      section.fail(section.value(key)->place(), key, "together with " + std::string(first),
                   section.value(key)->describe(), "one of " + one_of(kDeviceKeys));
      return section.close();
    }
    first = key;
    port.kind = static_cast<SitePort::Kind>(i);
  }
  read_addresses(section, port);
  read_pace(section, port);
  if (!first.empty()) read_device(section, port);
  if (auto error = section.close()) return error;
  if (!first.empty()) return std::nullopt;
  return error_at(value.place(), path, "no device", value.describe(),
                  "one of " + one_of(kDeviceKeys));
}

// Two virtual devices are the same by their name, whatever their arguments.
std::string_view identity(const SitePort& port) {
  const std::string_view device = port.device;
  return port.kind == SitePort::Kind::kVdev ? device.substr(0, device.find(',')) : device;
}

Failure check_device_is_free(const HostSpec& spec, const SiteHost& host, const SitePort& port,
                             const std::string& path) {
  for (std::size_t i = 0; i < host.ports.size(); ++i) {
    const auto& other = host.ports[i];
    if (!other || other->kind != port.kind || identity(*other) != identity(port)) continue;
    const std::string_view key = kDeviceKeys[static_cast<std::size_t>(port.kind)];
    return error_at(port.place, path + "." + std::string(key), "the same device twice",
                    quoted(identity(port)),
                    "a device that no other port has; " + spec.ports[i].name + " has it as well");
  }
  return std::nullopt;
}

Failure check_ports(const HostSpec& spec, const ConfigValue& ports, const std::string& path,
                    SiteHost& host) {
  if (!ports.is_map()) {
    return error_at(ports.place(), path, "not a map", ports.describe(), "a map of ports");
  }
  std::vector<std::string_view> names;
  for (const PortSpec& port : spec.ports) names.push_back(port.name);
  for (const auto& entry : ports.entries()) {
    const std::string port_path = path + "." + entry.key;
    const auto found = std::ranges::find(spec.ports, entry.key, &PortSpec::name);
    if (found == spec.ports.end()) {
      return error_at(entry.place, port_path, "unknown port", quoted(entry.key),
                      one_of_with_hint(entry.key, names));
    }
    SitePort port;
    port.place = entry.place;
    if (auto error = check_port(entry.value, port_path, port)) return error;
    if (auto error = check_device_is_free(spec, host, port, port_path)) return error;
    host.ports[index_of(found->id)] = std::move(port);
  }
  return std::nullopt;
}

Failure read_core_list(Section& section, std::string_view key, std::vector<std::uint32_t>& cores) {
  const ConfigValue* value = section.value(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_list()) {
    return error_at(value->place(), section.path_of(key), "not a list of cores", value->describe(),
                    "a list of numbers as [0, 1]");
  }
  for (std::size_t i = 0; i < value->items().size(); ++i) {
    const ConfigValue& item = value->items()[i];
    const auto core = parse_integer(item.text());
    if (!item.is_scalar() || !core || *core > kCoreMax) {
      return error_at(item.place(), section.path_of(key) + "[" + std::to_string(i) + "]",
                      "not a core", item.describe(),
                      "a whole number from 0 to " + std::to_string(kCoreMax));
    }
    cores.push_back(static_cast<std::uint32_t>(*core));
  }
  return std::nullopt;
}

Failure check_cores(const HostSpec& spec, const ConfigValue& cores, const std::string& path,
                    SiteHost& host) {
  Section section(cores, path, MapKind::kSiteCores);
  if (auto error = read_core_list(section, "workers", host.worker_cores)) return error;
  if (auto error = read_core_list(section, "instances", host.instance_cores)) return error;
  if (section.has("control")) {
    host.control_core = static_cast<std::uint32_t>(section.integer("control", 0, {0, kCoreMax}));
  }
  if (auto error = section.close()) return error;
  if (host.worker_cores.empty() || host.worker_cores.size() == spec.worker_count) {
    return std::nullopt;
  }
  return error_at(section.value("workers")->place(), section.path_of("workers"),
                  "not a core for each worker", std::to_string(host.worker_cores.size()),
                  std::to_string(spec.worker_count) + ", the workers of " + spec.name +
                      " in the deployment, or none");
}

// "127.0.0.1:9100" or "[::1]:9100".
bool is_endpoint(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  std::string_view address = text.substr(0, colon);
  const bool bracketed = address.starts_with('[') && address.ends_with(']') && address.size() > 2;
  if (bracketed) address = address.substr(1, address.size() - 2);
  const auto parsed = IpAddress::parse(address);
  if (!parsed || (parsed->ip_version == 6) != bracketed) return false;
  const auto port = parse_integer(text.substr(colon + 1));
  return port && *port >= 1 && *port <= 65535;
}

void read_metrics(Section& section, SiteHost& host) {
  const ConfigValue* value = section.value("metrics");
  if (value == nullptr) return;
  host.metrics = value->text() == "off" ? std::string{} : value->text();
  if (!host.metrics.empty() && is_endpoint(host.metrics)) return;
  if (value->is_scalar() && value->text() == "off") return;
  section.fail(value->place(), "metrics", "not an address with a port", value->describe(),
               "ADDRESS:PORT as 127.0.0.1:9100 or [::1]:9100, or off");
}

Failure check_host(const HostSpec& spec, const ConfigValue& value, const std::string& path,
                   SiteHost& host) {
  constexpr std::string_view kHugePages[] = {"auto", "yes", "no"};
  Section section(value, path, MapKind::kSiteHost);
  host.huge_pages = static_cast<HugePages>(section.choice("huge_pages", kHugePages, 0));
  host.sleep_max =
      section.duration("sleep_max", host.sleep_max, {Duration::zero(), std::chrono::seconds{1}});
  read_metrics(section, host);
  if (const ConfigValue* ports = section.value("ports"); ports != nullptr && !section.failed()) {
    if (auto error = check_ports(spec, *ports, section.path_of("ports"), host)) return error;
  }
  if (const ConfigValue* cores = section.value("cores"); cores != nullptr && !section.failed()) {
    if (auto error = check_cores(spec, *cores, section.path_of("cores"), host)) return error;
  }
  return section.close();
}

}  // namespace
}  // namespace sluice::deployment

namespace sluice {

Site default_site(const Deployment& deployment) {
  Site site;
  for (const HostSpec& spec : deployment.hosts) {
    site.hosts.emplace_back().ports.resize(spec.ports.size());
  }
  return site;
}

Result<Site> parse_site(std::string_view text, const std::string& file_name,
                        const Deployment& deployment) {
  using namespace sluice::deployment;
  const auto tree = parse_yaml(text, file_name);
  if (!tree) return unexpected(tree.error());
  Section section(*tree, "", MapKind::kSiteTop);
  section.require("hosts");
  if (auto error = section.close()) return unexpected(std::move(*error));
  const ConfigValue& hosts = *section.value("hosts");
  if (!hosts.is_map()) {
    return unexpected(
        error_at(hosts.place(), "hosts", "not a map", hosts.describe(), "a map of hosts"));
  }
  std::vector<std::string_view> names;
  for (const HostSpec& spec : deployment.hosts) names.push_back(spec.name);
  Site site = default_site(deployment);
  for (const auto& entry : hosts.entries()) {
    const std::string path = "hosts." + entry.key;
    const auto found = std::ranges::find(deployment.hosts, entry.key, &HostSpec::name);
    if (found == deployment.hosts.end()) {
      return unexpected(error_at(entry.place, path, "unknown host", quoted(entry.key),
                                 one_of_with_hint(entry.key, names)));
    }
    SiteHost& host = site.hosts[index_of(found->id)];
    if (auto error = check_host(*found, entry.value, path, host)) {
      return unexpected(std::move(*error));
    }
  }
  return site;
}

}  // namespace sluice

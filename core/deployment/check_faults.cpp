#include <algorithm>
#include <utility>

#include "core/deployment/checker.hpp"

namespace sluice::deployment {
namespace {

using Limits = DeploymentLimits;

constexpr std::string_view kWhats[] = {"kill", "hang", "slow", "pause", "link"};

std::optional<HostId> read_host(const Draft& draft, MapReader& reader) {
  reader.require("host");
  const ConfigValue* value = reader.value("host");
  if (value == nullptr) return std::nullopt;
  std::vector<std::string_view> names;
  for (const HostSpec& host : draft.result.hosts) {
    if (value->is_scalar() && host.name == value->text()) return host.id;
    names.push_back(host.name);
  }
  reader.fail(value->place(), "host", "unknown host", value->describe(),
              one_of_with_hint(value->text(), names));
  return std::nullopt;
}

struct InstanceRef {
  ServiceId service = kNoService;
  std::uint32_t instance = 1;
};

InstanceRef read_instance(const Draft& draft, MapReader& reader) {
  InstanceRef ref;
  reader.require("service");
  reader.require("instance");
  ref.instance = static_cast<std::uint32_t>(reader.integer("instance", 1, {1, 65'535}));
  const ConfigValue* value = reader.value("service");
  if (value == nullptr) return ref;
  const auto found = value->is_scalar() ? find_service(draft, value->text()) : std::nullopt;
  if (!found) {
    std::vector<std::string_view> names;
    for (const ServiceSpec& spec : draft.result.services) names.push_back(spec.service.name);
    reader.fail(value->place(), "service", "unknown service", value->describe(),
                one_of_with_hint(value->text(), names));
    return ref;
  }
  ref.service = *found;
  const ServiceSpec& spec = draft.result.services[index_of(*found)];
  if (spec.service.run == RunMode::kInline) {
    reader.fail(value->place(), "service", "an inline service has no instances to disturb",
                value->describe(), "a service with run: process");
  } else if (spec.hosts.empty()) {
    reader.fail(value->place(), "service", "no chain uses this service", value->describe(),
                "a service that some chain uses");
  }
  return ref;
}

void read_link_fault(Draft& draft, Section& section, FaultSpec& fault) {
  DisturbLink link;
  section.require("port");
  if (const auto port = read_port_ref(draft, section, "port")) link.port = *port;
  link.loss = section.ratio("loss", Ppm{});
  link.duplicate = section.ratio("duplicate", Ppm{});
  link.reorder = section.ratio("reorder", Ppm{});
  link.delay = section.duration("delay", {}, {Duration::zero(), std::chrono::seconds{10}});
  fault.what = link;
}

void read_slow(Draft& draft, Section& section, FaultSpec& fault) {
  const InstanceRef ref = read_instance(draft, section);
  section.require("factor");
  const auto factor = static_cast<std::uint32_t>(section.integer("factor", 2, {2, 1'000'000}));
  fault.what = SlowInstance{ref.service, ref.instance, factor};
}

Failure read_what(Draft& draft, const ConfigValue& value, const std::string& path,
                  std::string_view what, FaultSpec& fault) {
  const MapKind kind = what == "kill"    ? MapKind::kKill
                       : what == "hang"  ? MapKind::kHang
                       : what == "slow"  ? MapKind::kSlow
                       : what == "pause" ? MapKind::kPause
                                         : MapKind::kLinkFault;
  Section section(value, path, kind);
  if (kind == MapKind::kLinkFault) {
    read_link_fault(draft, section, fault);
  } else if (kind == MapKind::kSlow) {
    read_slow(draft, section, fault);
  } else if (kind == MapKind::kPause) {
    if (const auto host = read_host(draft, section)) fault.what = PauseHost{*host};
  } else if (kind == MapKind::kKill && section.has("host")) {
    if (const auto host = read_host(draft, section)) fault.what = KillHost{*host};
    for (const std::string_view key : {"service", "instance"}) {
      if (!section.has(key)) continue;
      section.fail(section.value(key)->place(), key, "together with host",
                   section.value(key)->describe(), "either host, or service and instance");
    }
  } else {
    const InstanceRef ref = read_instance(draft, section);
    if (kind == MapKind::kKill) {
      fault.what = KillInstance{ref.service, ref.instance};
    } else {
      fault.what = HangInstance{ref.service, ref.instance};
    }
  }
  return section.close();
}

// `at` and `from` say the same; `for` reads better with the second.
void read_time(const Draft& draft, Section& section, FaultSpec& fault) {
  const MapReader::DurationLimits in_run{Duration::zero(), draft.result.run.duration};
  if (section.has("at") && section.has("from")) {
    section.fail(section.value("from")->place(), "from", "together with at",
                 section.value("from")->describe(), "one of at, from");
  }
  if (!section.has("from")) section.require("at");
  const std::string_view key = section.has("from") ? "from" : "at";
  fault.at = Instant{section.duration(key, {}, in_run)};
  if (section.has("for")) {
    fault.duration = section.duration("for", {}, {std::chrono::nanoseconds{1}, in_run.max});
  }
}

Failure check_fault(Draft& draft, const ConfigValue& value, const std::string& path,
                    FaultSpec& fault) {
  Section section(value, path, MapKind::kFault);
  read_time(draft, section, fault);
  if (const ConfigValue* partition = section.value("partition")) {
    section.fail(partition->place(), "partition", "not supported yet: it comes with the cluster",
                 partition->describe(), "one of " + one_of(kWhats));
  }
  std::string_view found;
  for (const std::string_view what : kWhats) {
    if (!section.has(what)) continue;
    if (!found.empty()) {
      section.fail(section.value(what)->place(), what, "together with " + std::string(found),
                   section.value(what)->describe(), "one of them; a fault each");
    }
    found = what;
  }
  if (auto error = section.close()) return error;
  if (found.empty()) {
    return error_at(value.place(), path, "nothing happens", value.describe(),
                    "one of " + one_of(kWhats));
  }
  if (found == "kill" && fault.duration) {
    return error_at(section.value("for")->place(), path + ".for", "not with kill",
                    section.value("for")->describe(), "pause, or no for");
  }
  return read_what(draft, *section.value(found), path + "." + std::string(found), found, fault);
}

}  // namespace

Failure check_faults(Draft& draft, const ConfigValue* faults) {
  if (faults == nullptr) return std::nullopt;
  if (!faults->is_list()) {
    return error_at(faults->place(), "faults", "not a list", faults->describe(),
                    "a list of faults");
  }
  if (faults->items().size() > Limits::kFaultCountMax) {
    return error_at(faults->place(), "faults", "too many faults",
                    std::to_string(faults->items().size()),
                    "at most " + std::to_string(Limits::kFaultCountMax));
  }
  for (std::size_t i = 0; i < faults->items().size(); ++i) {
    const ConfigValue& item = faults->items()[i];
    FaultSpec fault;
    fault.place = item.place();
    if (auto error = check_fault(draft, item, "faults[" + std::to_string(i) + "]", fault)) {
      return error;
    }
    draft.result.faults.push_back(std::move(fault));
  }
  std::ranges::stable_sort(draft.result.faults, {}, &FaultSpec::at);
  return std::nullopt;
}

}  // namespace sluice::deployment

#include "core/deployment/keys.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "core/deployment/parser.hpp"
#include "core/deployment/site.hpp"

namespace sluice::deployment {
namespace {

using Keys = std::span<const std::string_view>;

// A map kind, where maps of the kind stand in the file, and their keys.
struct Row {
  MapKind kind;
  std::array<std::string_view, 2> paths;
  Keys keys;
};

constexpr std::string_view kTop[] = {"name",    "description", "hosts",   "services",
                                     "chains",  "scaling",     "traffic", "faults",
                                     "changes", "sim",         "run"};
constexpr std::string_view kHost[] = {"cores",       "clock", "workers",   "worker_cost", "buffers",
                                      "buffer_size", "flows", "flow_idle", "ports"};
constexpr std::string_view kPort[] = {"rate", "unmatched", "neighbours", "frame_max",
                                      "link", "delay",     "burst",      "burst_window"};
constexpr std::string_view kPass[] = {"pass"};
constexpr std::string_view kService[] = {"function",  "cost",    "affinity", "choose",
                                         "weights",   "run",     "ring",     "labels",
                                         "instances", "scaling", "scalable"};
constexpr std::string_view kInstances[] = {"min", "max", "start"};
constexpr std::string_view kServiceScaling[] = {"up", "down", "cooldown", "drain"};
constexpr std::string_view kScaleUp[] = {"occupancy", "for", "drops", "step"};
constexpr std::string_view kScaleDown[] = {"load", "for"};
constexpr std::string_view kDrain[] = {"timeout", "then"};
constexpr std::string_view kChain[] = {"from",       "to",      "match", "steps",
                                       "reverse_of", "scaling", "rate",  "frame_size"};
constexpr std::string_view kMatch[] = {"proto",    "src",  "dst",       "src_port",
                                       "dst_port", "vlan", "ip_version"};
constexpr std::string_view kStep[] = {"name", "on", "next"};
constexpr std::string_view kCopyStep[] = {"copy"};
constexpr std::string_view kScaling[] = {"up", "down", "cooldown", "drain", "strategy"};
constexpr std::string_view kTraffic[] = {
    "name",       "kind",     "into",   "start",    "stop",  "rate",  "flash",
    "replay",     "rewrite",  "passes", "size",     "sizes", "flows", "flow_packets",
    "flow_sizes", "burst",    "on",     "off",      "proto", "src",   "dst",
    "src_port",   "dst_port", "to",     "arrivals", "count", "client"};
constexpr std::string_view kFlash[] = {"at", "peak", "rise", "hold", "fall"};
constexpr std::string_view kFault[] = {"at",   "from",  "for",  "kill",     "hang",
                                       "slow", "pause", "link", "partition"};
constexpr std::string_view kKill[] = {"service", "instance", "host"};
constexpr std::string_view kHang[] = {"service", "instance"};
constexpr std::string_view kSlow[] = {"service", "instance", "factor"};
constexpr std::string_view kPause[] = {"host"};
constexpr std::string_view kLinkFault[] = {"port", "loss", "duplicate", "reorder", "delay"};
constexpr std::string_view kChange[] = {"at", "chain", "steps"};
constexpr std::string_view kSim[] = {"link", "delay", "burst", "burst_window"};
constexpr std::string_view kRun[] = {"duration", "seed",     "sample",
                                     "warmup",   "checkers", "captures"};
constexpr std::string_view kSiteTop[] = {"hosts"};
constexpr std::string_view kSiteHost[] = {"ports", "cores", "huge_pages", "sleep_max", "metrics"};
constexpr std::string_view kSitePort[] = {"interface", "vdev", "pci", "mac", "ip", "pace"};
constexpr std::string_view kSiteCores[] = {"workers", "instances", "control"};

constexpr std::size_t kSiteKindCount = 4;
constexpr std::array<Row, kMapKindCount> kRows{{
    {MapKind::kTop, {"", ""}, kTop},
    {MapKind::kHost, {"hosts.*.", ""}, kHost},
    {MapKind::kPort, {"hosts.*.ports.*.", ""}, kPort},
    {MapKind::kPass, {"hosts.*.ports.*.unmatched.", "hosts.*.ports.*.neighbours."}, kPass},
    {MapKind::kService, {"services.*.", ""}, kService},
    {MapKind::kInstances, {"services.*.instances.", ""}, kInstances},
    {MapKind::kServiceScaling, {"services.*.scaling.", ""}, kServiceScaling},
    {MapKind::kScaleUp, {"scaling.up.", "services.*.scaling.up."}, kScaleUp},
    {MapKind::kScaleDown, {"scaling.down.", "services.*.scaling.down."}, kScaleDown},
    {MapKind::kDrain, {"scaling.drain.", "services.*.scaling.drain."}, kDrain},
    {MapKind::kChain, {"chains.*.", ""}, kChain},
    {MapKind::kMatch, {"chains.*.match.", ""}, kMatch},
    {MapKind::kStep, {"chains.*.steps[].*.", "changes[].steps[].*."}, kStep},
    {MapKind::kCopyStep, {"chains.*.steps[].", "changes[].steps[]."}, kCopyStep},
    {MapKind::kScaling, {"scaling.", ""}, kScaling},
    {MapKind::kTraffic, {"traffic[].", ""}, kTraffic},
    {MapKind::kFlash, {"traffic[].flash.", ""}, kFlash},
    {MapKind::kFault, {"faults[].", ""}, kFault},
    {MapKind::kKill, {"faults[].kill.", ""}, kKill},
    {MapKind::kHang, {"faults[].hang.", ""}, kHang},
    {MapKind::kSlow, {"faults[].slow.", ""}, kSlow},
    {MapKind::kPause, {"faults[].pause.", ""}, kPause},
    {MapKind::kLinkFault, {"faults[].link.", ""}, kLinkFault},
    {MapKind::kChange, {"changes[].", ""}, kChange},
    {MapKind::kSim, {"sim.", ""}, kSim},
    {MapKind::kRun, {"run.", ""}, kRun},
    {MapKind::kSiteTop, {"", ""}, kSiteTop},
    {MapKind::kSiteHost, {"hosts.*.", ""}, kSiteHost},
    {MapKind::kSitePort, {"hosts.*.ports.*.", ""}, kSitePort},
    {MapKind::kSiteCores, {"hosts.*.cores.", ""}, kSiteCores},
}};

}  // namespace

Keys keys_of(MapKind kind) {
  const auto row = std::ranges::find(kRows, kind, &Row::kind);
  return row->keys;
}

std::vector<std::string> all_keys(std::span<const Row> rows) {
  std::vector<std::string> result;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.paths.size(); ++i) {
      if (i > 0 && row.paths[i].empty()) continue;
      for (const std::string_view key : row.keys) {
        result.push_back(std::string(row.paths[i]) + std::string(key));
      }
    }
  }
  std::ranges::sort(result);
  return result;
}

}  // namespace sluice::deployment

namespace sluice {

std::vector<std::string> deployment_keys() {
  return deployment::all_keys(
      std::span{deployment::kRows}.first(deployment::kRows.size() - deployment::kSiteKindCount));
}

std::vector<std::string> site_keys() {
  return deployment::all_keys(std::span{deployment::kRows}.last(deployment::kSiteKindCount));
}

}  // namespace sluice

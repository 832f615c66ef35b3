#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>

#include "core/cluster/membership.hpp"
#include "core/host/cluster_view.hpp"

namespace sluice {

/// How a host sees the cluster beyond what the datastore says.
struct RouteSettings {
  HostId self{};
  PortId underlay = kNoPort;
  std::uint32_t network = 0;
  HashKey secret{};
  /// The host's number of the service of this name; kNoService: it has none of that name.
  std::function<ServiceId(const std::string& name)> service_named;
  std::set<HostId> suspected{};  ///< Silent on the underlay, whatever the datastore says.
};

/// What this host's Agent is to be told now. Nothing while the host is no member: before it has
/// joined nobody believes its frames, and one that is fenced must not send any.
[[nodiscard]] std::optional<ClusterView> cluster_view(const Membership& membership,
                                                      const RouteSettings& settings);

}  // namespace sluice

#pragma once

#include <cstdint>
#include <vector>

#include "core/encapsulation/transit.hpp"
#include "core/packet/flow_key.hpp"
#include "core/units.hpp"

/// The rest of the cluster as a host's Agent is told of it, whatever it was learnt from.
namespace sluice {

inline constexpr std::uint32_t kRemoteShareMax = 16;

struct RemoteInstance {
  InstanceId id = kNoInstance;
  ServiceId service = kNoService;  ///< By the number that the service has on this host.
  bool accepts = true;             ///< Takes new flows; else only those that it has.
  std::uint32_t share = 1;         ///< Of the new flows that go to other hosts, relative; at most
                                   ///< kRemoteShareMax.
};

struct Member {
  TunnelEndpoint endpoint;
  /// False while it is suspected to be dead: its flows get other instances. What it still sends is
  /// taken, for only the datastore says that it is out.
  bool is_reachable = true;
  std::vector<RemoteInstance> instances;
};

/// Everything at one moment; the next view replaces it.
struct ClusterView {
  TunnelEndpoint local;       ///< As the others know this host.
  PortId underlay = kNoPort;  ///< Its port to them.
  std::uint32_t network = 0;  ///< The cluster's VNI.
  HashKey secret{};
  std::vector<Member> members;  ///< The others, ordered by host.
};

}  // namespace sluice

#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/chain/chain.hpp"
#include "core/chain/maglev.hpp"
#include "core/encapsulation/encapsulator.hpp"
#include "core/encapsulation/transit.hpp"
#include "core/flow/classifier.hpp"
#include "core/flow/pin.hpp"
#include "core/function/function_runtime.hpp"
#include "core/ring/spsc_ring.hpp"
#include "core/units.hpp"

namespace sluice {

/// The host's ends of one instance's wiring. Owned by the backend, which keeps it until the
/// snapshot that removed the instance is in use by every worker. Touched by the instance's worker
/// only.
struct InstanceChannel {
  SpscRing<Packet> receive;
  SpscRing<Packet> give_back;
  SpscRing<Message> messages;
  FunctionRuntime* inline_runtime =
      nullptr;  ///< Set: runs in the worker, and the rings are unused.
};

struct InstanceRoute {
  ServiceId service = kNoService;
  InstanceChannel* channel = nullptr;  ///< Null: no such instance, or it ended.
  std::uint16_t worker = 0;            ///< The worker that owns its rings.
};

struct ServiceRoute {
  Service service;
  std::vector<InstanceId> accepting;  ///< Those that take new flows, ordered by id.
  MaglevTable maglev;                 ///< Over `accepting`; built for InstanceChoice::kMaglev.
  /// Instances on other hosts that take new flows, each as often as its share of them.
  std::vector<Pin> remote;
};

enum class UnmatchedPolicy : std::uint8_t { kDrop, kPass };

struct PortRoute {
  UnmatchedPolicy unmatched = UnmatchedPolicy::kDrop;
  PortId pass_to = kNoPort;        ///< For kPass.
  PortId neighbours_to = kNoPort;  ///< Where ARP and neighbour discovery go; kNoPort: as unmatched.
  std::uint16_t worker = 0;        ///< The worker that polls it and sends by it.
  std::uint16_t frame_size_max = 1522;  ///< Larger frames are dropped for kMtu. With two VLAN tags.
};

/// Another host, as this one's workers reach it.
struct PeerRoute {
  std::shared_ptr<const Encapsulator> tunnel;  ///< Null: no member, or suspected to be dead.
  std::vector<ServiceId> services;             ///< By its instance numbers; kNoService: none.
};

/// The rest of the cluster, at one moment.
struct ClusterRoutes {
  std::uint64_t version = 0;  ///< Counts up.
  TunnelEndpoint local;
  PortId underlay = kNoPort;  ///< Tunnels go and come by it.
  std::uint32_t network = 0;
  HashKey secret{};
  std::vector<TunnelEndpoint> members;  ///< Whose frames are taken.
  std::vector<PeerRoute> peers;         ///< By host number.
};

/// Everything that the workers of a host must know to steer, at one moment. Immutable once
/// published; a change is a new snapshot, so no worker ever sees half of one.
struct RoutingSnapshot {
  std::uint64_t version = 0;
  HostId host{};
  std::uint16_t worker_count = 1;
  std::vector<std::shared_ptr<const ChainVersion>> chains;  ///< By ChainVersion::index; null: none.
  std::vector<std::uint16_t> active;     ///< By chain number: the index that new flows get.
  std::vector<ServiceRoute> services;    ///< By service number.
  std::vector<InstanceRoute> instances;  ///< By instance number.
  std::vector<PortRoute> ports;          ///< By port number.
  std::shared_ptr<const Classifier> classifier;
  std::shared_ptr<const ClusterRoutes> cluster;  ///< Null: the host is alone.
};

/// The version of a chain that a packet from another host is in; null: this host does not know it
/// (yet, or any more).
[[nodiscard]] inline const ChainVersion* chain_on_path(const RoutingSnapshot& snapshot,
                                                       std::uint32_t path,
                                                       std::uint32_t version) noexcept {
  for (const auto& chain : snapshot.chains) {
    if (chain != nullptr && chain->path == path && chain->version == version) return chain.get();
  }
  return nullptr;
}

/// The version that the opposite direction of a new session on `chain` gets: its partner, or if
/// that is no more the active one; 0xffff: none.
[[nodiscard]] inline std::uint16_t opposite_of(const RoutingSnapshot& snapshot,
                                               const ChainVersion& chain) noexcept {
  if (chain.partner < snapshot.chains.size()) {
    const ChainVersion* partner = snapshot.chains[chain.partner].get();
    if (partner != nullptr && partner->chain == chain.reverse && partner->partner == chain.index) {
      return chain.partner;
    }
  }
  return snapshot.active[index_of(chain.reverse)];
}

}  // namespace sluice

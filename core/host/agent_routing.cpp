#include <algorithm>
#include <utility>

#include "core/check.hpp"
#include "core/host/agent.hpp"
#include "core/host/agent_parts.hpp"

/// What an Agent publishes: chain versions, and the snapshot that the workers steer by.
namespace sluice {

void Agent::add_chain_versions(std::vector<ChainVersion> versions, Instant now) {
  for (ChainVersion& version : versions) {
    version.index = free_chain_index();
    chains_[version.index] = std::make_shared<const ChainVersion>();  // Taken.
  }
  for (ChainVersion& version : versions) {
    const auto partner = std::find_if(versions.begin(), versions.end(), [&](const auto& other) {
      return other.chain == version.reverse && other.reverse == version.chain;
    });
    version.partner = partner == versions.end() ? kIndexNone : partner->index;
  }
  for (ChainVersion& version : versions) {
    std::uint16_t& active = active_[index_of(version.chain)];
    if (active != kIndexNone) chain_retired_[active] = now;
    active = version.index;
    chains_[version.index] = std::make_shared<const ChainVersion>(std::move(version));
  }
}

std::uint16_t Agent::free_chain_index() {
  for (std::uint32_t i = 1; i <= chains_.size(); ++i) {
    const auto index =
        static_cast<std::uint16_t>((std::uint32_t{last_chain_index_} + i) % chains_.size());
    if (chains_[index] == nullptr) return last_chain_index_ = index;
  }
  constexpr bool room_for_another_chain_version = false;
  SLUICE_CHECK(room_for_another_chain_version);
  return kIndexNone;
}

/// Whether new flows may go to it. All those of a retiring service do while they run: no new flow
/// comes, but one that lives may have lost its instance or have none of its own.
bool Agent::accepts(const Instance& instance) const {
  if (instance.state == InstanceState::kRunning) return true;
  return instance.state == InstanceState::kDraining && !instance.leaving && !instance.stop_sent &&
         services_[index_of(instance.service)].use == ServiceUse::kRetiring;
}

void Agent::on(const ClusterView& event, Instant now) {
  auto routes = std::make_shared<ClusterRoutes>();
  routes->version = cluster_ == nullptr ? 1 : cluster_->version + 1;
  routes->local = event.local;
  routes->underlay = event.underlay;
  routes->network = event.network;
  routes->secret = event.secret;
  for (const Member& member : event.members) {
    const std::size_t host = index_of(member.endpoint.host);
    routes->members.push_back(member.endpoint);
    if (!member.is_reachable || member.endpoint.ip_version != event.local.ip_version) continue;
    if (routes->peers.size() <= host) routes->peers.resize(host + 1);
    PeerRoute& peer = routes->peers[host];
    peer.tunnel = std::make_shared<const Encapsulator>(
        Encapsulator::Options{event.local, member.endpoint, event.network, event.secret});
    for (const RemoteInstance& instance : member.instances) {
      const std::size_t number = index_of(instance.id);
      if (peer.services.size() <= number) peer.services.resize(number + 1, kNoService);
      peer.services[number] = instance.service;
    }
  }
  cluster_ = std::move(routes);
  members_ = event.members;
  publish(now);
}

/// Instances on other hosts that new flows may go to, each as often as its share says.
void Agent::add_remote(ServiceRoute& route) const {
  for (const Member& member : members_) {
    if (!member.is_reachable) continue;
    for (const RemoteInstance& instance : member.instances) {
      if (instance.service != route.service.id || !instance.accepts) continue;
      route.remote.insert(route.remote.end(), std::min(instance.share, kRemoteShareMax),
                          Pin{index_of(member.endpoint.host), index_of(instance.id)});
    }
  }
}

void Agent::publish(Instant) {
  auto snapshot = std::make_shared<RoutingSnapshot>();
  snapshot->version = ++snapshot_version_;
  snapshot->host = options_.host;
  snapshot->worker_count = options_.worker_count;
  const auto last = std::find_if(chains_.rbegin(), chains_.rend(),
                                 [](const auto& chain) { return chain != nullptr; });
  snapshot->chains.assign(chains_.begin(), last.base());
  snapshot->active = active_;
  snapshot->classifier = options_.classifier;
  snapshot->cluster = cluster_;
  for (const ServiceSettings& settings : options_.services) {
    ServiceRoute route;
    route.service = settings.service;
    add_remote(route);
    for (const auto& [id, instance] : instances_) {
      if (instance.service == settings.service.id && accepts(instance)) {
        route.accepting.push_back(id);
      }
    }
    if (settings.service.choice == InstanceChoice::kMaglev && !route.accepting.empty()) {
      std::vector<MaglevMember> members;
      for (const InstanceId id : route.accepting) {
        members.push_back({index_of(id), settings.service.weight_at(instances_.at(id).place)});
      }
      route.maglev = MaglevTable{members, options_.maglev_size};
    }
    snapshot->services.push_back(std::move(route));
  }
  for (const auto& [id, instance] : instances_) {
    if (instance.channel == nullptr) continue;
    snapshot->instances.resize(std::size_t{index_of(id)} + 1);
    snapshot->instances.back() = {instance.service, instance.channel, instance.worker};
  }
  // Pins of ended instances are looked up too, so every number that was ever used needs its place.
  if (snapshot->instances.size() < options_.instance_count_max) {
    snapshot->instances.resize(options_.instance_count_max);
  }
  for (const PortSettings& port : options_.ports) {
    snapshot->ports.push_back(
        {port.unmatched, port.pass_to, port.neighbours_to, port.worker, port.frame_size_max});
  }
  published_ = snapshot;
  commands_.push_back(Publish{std::move(snapshot)});
}

}  // namespace sluice

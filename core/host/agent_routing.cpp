#include <algorithm>
#include <utility>

#include "core/check.hpp"
#include "core/host/agent.hpp"
#include "core/host/agent_parts.hpp"

/// What an Agent publishes: chain versions, and the snapshot that the workers steer by.
namespace sluice {

void Agent::add_chain_version(ChainVersion version) {
  for (std::uint32_t i = 1; i <= chains_.size(); ++i) {
    const auto index =
        static_cast<std::uint16_t>((std::uint32_t{last_chain_index_} + i) % chains_.size());
    if (chains_[index] != nullptr) continue;
    version.index = index;
    last_chain_index_ = index;
    active_[index_of(version.chain)] = index;
    chains_[index] = std::make_shared<const ChainVersion>(std::move(version));
    return;
  }
  constexpr bool room_for_another_chain_version = false;
  SLUICE_CHECK(room_for_another_chain_version);
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
  for (const ServiceSettings& settings : options_.services) {
    ServiceRoute route{settings.service, {}, {}};
    for (const auto& [id, instance] : instances_) {
      if (instance.service == settings.service.id && instance.state == InstanceState::kRunning) {
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

#include "core/cluster/routes.hpp"

namespace sluice {
namespace {

TunnelEndpoint endpoint_of(HostId host, const HostRecord& record) {
  return {host, record.epoch, record.mac, record.address.ip_version, record.address.bytes};
}

}  // namespace

std::optional<ClusterView> cluster_view(const Membership& membership,
                                        const RouteSettings& settings) {
  const bool is_member =
      membership.standing() == Standing::kMember || membership.standing() == Standing::kAway;
  const auto self = membership.hosts().find(settings.self);
  if (!is_member || self == membership.hosts().end()) return std::nullopt;
  ClusterView view;
  view.local = endpoint_of(settings.self, self->second);
  view.local.epoch = membership.epoch();
  view.underlay = settings.underlay;
  view.network = settings.network;
  view.secret = settings.secret;
  for (const auto& [host, record] : membership.hosts()) {
    if (host == settings.self) continue;
    Member& member = view.members.emplace_back();
    member.endpoint = endpoint_of(host, record);
    member.is_reachable = !settings.suspected.contains(host);
    for (const auto& [name, instance] : membership.instances()) {
      if (instance.host != host) continue;
      const ServiceId service = settings.service_named(instance.service);
      if (service == kNoService) continue;  // Of a deployment that this host does not run.
      member.instances.push_back({instance.number, service, instance.accepts, 1});
    }
  }
  return view;
}

}  // namespace sluice

#include "core/functions/router.hpp"

#include <set>
#include <tuple>
#include <utility>

#include "core/functions/function_program.hpp"
#include "core/functions/functions.hpp"
#include "core/functions/settings.hpp"
#include "core/packet/mac_text.hpp"

namespace sluice {
namespace {

struct RouteSetting {
  IpPrefix prefix;
  Router::Hop hop;
};

std::optional<ConfigError> read_route(const ConfigValue& value, const std::string& path,
                                      RouteSetting& route) {
  MapReader reader(value, path);
  reader.require("prefix");
  if (const auto prefix = read_text(reader, "prefix", IpPrefix::parse)) route.prefix = *prefix;
  const ConfigValue* out = reader.value("out");
  if (out != nullptr && out->text() != "next") {
    const auto port = parse_integer(out->text());
    if (port && *port < index_of(kNoPort)) {
      route.hop.out = PortId{static_cast<std::uint16_t>(*port)};
    } else {
      reader.fail(out->place(), "out", "no port", out->describe(),
                  "next or a port's number, 0 to 65534");
    }
  }
  route.hop.destination_mac = read_text(reader, "next_hop_mac", parse_mac);
  route.hop.source_mac = read_text(reader, "source_mac", parse_mac);
  return reader.finish();
}

std::vector<RouteSetting> read_routes(MapReader& reader) {
  std::vector<RouteSetting> routes;
  reader.require("routes");
  const ConfigValue* list = reader.value("routes");
  if (list == nullptr) return routes;
  if (!list->is_list() || list->items().empty() || list->items().size() > Router::kRouteCountMax) {
    const bool list_size = list->is_list() && !list->items().empty();
    reader.fail(list->place(), "routes", list_size ? "too many routes" : "not a list of routes",
                list_size ? std::to_string(list->items().size()) : list->describe(),
                "1 to " + std::to_string(Router::kRouteCountMax) + " routes");
    return routes;
  }
  std::set<std::tuple<std::uint8_t, IpBytes, std::uint8_t>> seen;
  for (const ConfigValue& item : list->items()) {
    const std::string key = "routes[" + std::to_string(routes.size()) + "]";
    RouteSetting route;
    if (auto error = read_route(item, reader.path_of(key), route)) {
      reader.fail(std::move(*error));
      return routes;
    }
    const IpAddress& address = route.prefix.address;
    if (!seen.emplace(address.ip_version, address.bytes, route.prefix.length).second) {
      reader.fail(item.place(), key, "a second route for this prefix", route.prefix.to_string(),
                  "each prefix once");
      return routes;
    }
    routes.push_back(std::move(route));
  }
  return routes;
}

}  // namespace

void Router::route(Packet& packet, std::span<std::byte> frame) const noexcept {
  auto headers = parse(frame);
  if (!headers) {
    packet.drop(DropReason::kParseError);
    return;
  }
  if (headers->l3 != L3::kIpv4 && headers->l3 != L3::kIpv6) {
    packet.next();
    return;
  }
  const FlowKey key = flow_key(frame, *headers, PortId{packet.ingress});
  const std::uint32_t index = options_.table->find(key.ip_version, key.destination);
  if (index == PrefixTable::kNoRoute) {
    packet.drop(DropReason::kRule);
    return;
  }
  if (options_.lower_ttl && decrement_ttl(frame, *headers) != Rewrite::kDone) {
    packet.drop(DropReason::kTtl);
    return;
  }
  const Hop& hop = options_.hops[index];
  if (hop.destination_mac) set_destination_mac(frame, *hop.destination_mac);
  if (hop.source_mac) set_source_mac(frame, *hop.source_mac);
  if (hop.out) {
    packet.out(*hop.out);
  } else {
    packet.next();
  }
}

ProgramResult make_router_program(const ConfigValue& config, const std::string& path,
                                  const FileReader&) {
  MapReader reader(config, path);
  const std::vector<RouteSetting> settings = read_routes(reader);
  Router::Options options;
  options.lower_ttl = reader.boolean("ttl", options.lower_ttl);
  if (auto error = reader.finish()) return unexpected(*error);
  std::vector<PrefixTable::Route> routes;
  for (const RouteSetting& setting : settings) {
    routes.push_back({setting.prefix, static_cast<std::uint32_t>(options.hops.size())});
    options.hops.push_back(setting.hop);
  }
  options.table = std::make_shared<const PrefixTable>(routes);
  Traits traits;
  traits.name = "router";
  return std::make_unique<FunctionProgram<Router>>(std::move(traits), std::move(options));
}

}  // namespace sluice

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/function/network_function.hpp"
#include "core/functions/prefix_table.hpp"
#include "core/packet/headers.hpp"

namespace sluice {

/// `router`: forwards IP packets by the longest prefix that contains their destination.
///
/// Settings: `routes` (a list of maps with `prefix`; `out`: `next` (default: on along the chain) or
/// the number of a port; `next_hop_mac` and `source_mac`, written if given) and `ttl` (default
/// true: TTL or hop limit goes down by one, and a packet whose would reach 0 is dropped as
/// DropReason::kTtl). Without a route a packet is dropped as kRule, a malformed one as kParseError.
/// Frames without IP (ARP) go to the next step unchanged.
class Router final : public NetworkFunction {
 public:
  struct Hop {
    std::optional<PortId> out;  ///< None: the next step.
    std::optional<MacAddress> destination_mac;
    std::optional<MacAddress> source_mac;
  };
  struct Options {
    std::shared_ptr<const PrefixTable> table;  ///< Gives indices into `hops`.
    std::vector<Hop> hops;                     ///< At most kRouteCountMax.
    bool lower_ttl = true;
  };
  static constexpr std::size_t kRouteCountMax = 1u << 20;

  Router(const Options& options, const InstanceConfig&) : options_(options) {}

  void process(PacketBatch& batch, Context&) noexcept override {
    for (Packet& packet : batch) route(packet, batch.bytes(packet));
  }
  /// Decides and rewrites one packet. All the logic.
  void route(Packet& packet, std::span<std::byte> frame) const noexcept;

 private:
  Options options_;
};

}  // namespace sluice

#pragma once

#include <cstdint>
#include <string>

#include "core/chain/chain.hpp"
#include "core/host/routing.hpp"
#include "core/host/scale_policy.hpp"
#include "core/units.hpp"

/// What a deployment says of a host's services and ports, as its Agent reads it.
namespace sluice {

struct ServiceSettings {
  Service service;
  ScalePolicy policy;
  std::uint32_t instance_count_start = 1;  ///< 0: nothing on this host uses it.
  /// Stands for what its instances are made from, beside `service`: the function's own settings and
  /// the files that they name. Equal texts: an instance of the one can do the work of the other.
  std::string fingerprint{};
};

struct PortSettings {
  UnmatchedPolicy unmatched = UnmatchedPolicy::kDrop;
  PortId pass_to = kNoPort;
  PortId neighbours_to = kNoPort;  ///< Where ARP and neighbour discovery go.
  std::uint16_t frame_size_max = 1522;
  std::uint16_t worker = 0;
};

}  // namespace sluice

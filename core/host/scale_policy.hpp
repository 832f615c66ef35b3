#pragma once

#include <cstdint>

#include "core/units.hpp"

namespace sluice {

/// When instances of a service are started and stopped. The defaults are those of DESIGN 8; a file
/// sets them for all services under `scaling:` and for one under the service's own `scaling:`.
struct ScalePolicy {
  bool enabled = true;  ///< False for `scalable: false` and for provisioned chains.

  std::uint32_t instance_count_min = 1;
  std::uint32_t instance_count_max = 1;
  std::uint32_t step = 1;  ///< How many instances one scale-up starts.

  Ppm up_occupancy{700'000};  ///< Mean occupancy of the running instances, at or above ...
  Duration up_for = std::chrono::milliseconds{100};  ///< ... for this long.
  Ppm up_drop_ratio{1'000};  ///< Or this part of the packets of one sample dropped; 0: never.

  Ppm down_load{500'000};                       ///< sum(load) / (n - 1) below this ...
  Duration down_for = std::chrono::seconds{2};  ///< ... for this long.

  Duration cooldown = std::chrono::seconds{1};  ///< Between two actions on one service.

  Duration drain_timeout = std::chrono::seconds{30};
  bool drain_cut = false;  ///< At the timeout: cut the flows (true), or wait on (false).

  bool operator==(const ScalePolicy&) const = default;
};

enum class ScaleStrategy : std::uint8_t { kSpread, kFill };

}  // namespace sluice

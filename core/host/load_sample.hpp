#pragma once

#include <cstdint>
#include <vector>

#include "core/units.hpp"

namespace sluice {

/// The life of an instance, as its host sees it.
enum class InstanceState : std::uint8_t { kStarting, kRunning, kDraining, kStopped, kDead, kHung };
[[nodiscard]] const char* to_string(InstanceState state) noexcept;

/// What one instance did since the sample before, taken every 10 ms (DESIGN 8).
struct InstanceSample {
  InstanceId instance = kNoInstance;
  ServiceId service = kNoService;
  InstanceState state = InstanceState::kStarting;
  Ppm occupancy;  ///< Entries / capacity of its receive ring, smoothed (EWMA, tau 50 ms).
  Ppm load;       ///< Busy time / wall time, clamped to [0, 1].
  std::uint64_t packet_count = 0;  ///< Delivered to its ring in this sample.
  std::uint64_t drop_count = 0;    ///< Dropped in this sample because its ring was full.
  std::uint32_t flow_count = 0;    ///< Flows pinned to it now.
  Duration service_time{};         ///< Busy time per packet in this sample; 0 without packets.
};

/// All samples of one host of one moment, ordered by instance.
struct LoadSample {
  Instant when{};
  HostId host{};
  std::uint32_t cores_free = 0;
  std::vector<InstanceSample> instances;
};

}  // namespace sluice

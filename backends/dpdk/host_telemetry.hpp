#pragma once

#include <memory>

#include "backends/dpdk/status_board.hpp"

namespace sluice::dpdk {

/// DPDK's telemetry commands /sluice/status, /sluice/instances[,NAME] and /sluice/drops, answered
/// from the last status by a thread of DPDK. They end with this object: there is one, as there is
/// one EAL.
class HostTelemetry {
 public:
  /// After Eal::start.
  explicit HostTelemetry(std::shared_ptr<const StatusBoard> board);
  ~HostTelemetry();
  HostTelemetry(const HostTelemetry&) = delete;
  HostTelemetry& operator=(const HostTelemetry&) = delete;
};

}  // namespace sluice::dpdk

#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include "backends/dpdk/host_status.hpp"

namespace sluice::dpdk {

/// Where the control thread leaves what it last knew, for threads of libraries that show it to
/// others: Prometheus, DPDK's telemetry. Nobody who asks here makes a worker do anything.
class StatusBoard {
 public:
  void publish(const HostStatus& status) {
    auto next = std::make_shared<const HostStatus>(status);
    const std::lock_guard lock{mutex_};
    last_ = std::move(next);
  }
  /// Null before the first one.
  [[nodiscard]] std::shared_ptr<const HostStatus> last() const {
    const std::lock_guard lock{mutex_};
    return last_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const HostStatus> last_;
};

}  // namespace sluice::dpdk

#pragma once

#include <memory>
#include <string>

#include "backends/dpdk/status_board.hpp"
#include "core/result.hpp"

namespace sluice::dpdk {

/// Serves the last status of a host as Prometheus text at http://ADDRESS/metrics, in base units
/// (seconds, bytes, ratios), from threads of its own.
class HostMetrics {
 public:
  /// `address` as "127.0.0.1:9100". The error says that it cannot be had.
  [[nodiscard]] static Result<std::unique_ptr<HostMetrics>, std::string> serve(
      const std::string& address, std::shared_ptr<const StatusBoard> board);
  /// Ends its threads.
  ~HostMetrics();
  HostMetrics(const HostMetrics&) = delete;
  HostMetrics& operator=(const HostMetrics&) = delete;

 private:
  struct Parts;
  explicit HostMetrics(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace sluice::dpdk

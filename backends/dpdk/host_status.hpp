#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/host/latency_histogram.hpp"
#include "core/host/load_sample.hpp"
#include "core/host/statistics.hpp"

namespace sluice::dpdk {

/// All that a host shows of itself at one moment: what `sluice top`, Prometheus, DPDK's telemetry
/// and the result folder are made of. A plain value, put together by the control thread.
struct HostStatus {
  struct Port {
    std::string name;
    PortStatistics counted;
    std::uint64_t missed = 0;  ///< Lost by the device, before the host.
  };
  struct Instance {
    std::string name;  ///< "ids.1"
    std::string service;
    std::uint32_t number = 0;
    std::string state;  ///< As to_string(InstanceState).
    bool is_inline = false;
    pid_t pid = 0;  ///< 0: inline.
    std::uint32_t ring_size = 0;
    std::uint32_t ring_capacity = 0;
    std::uint32_t flows = 0;
    Ppm load;
    Ppm occupancy;
    InstanceStatistics counted;
    Duration start_time{};  ///< From spawn to the first packet that it could take.
  };
  struct Chain {
    std::string name;
    ChainStatistics counted;
  };

  std::string host;
  std::string deployment;
  bool ready = false;  ///< All wanted instances have started once.
  Instant now{};
  Instant counted{};  ///< When the first of its workers read its counters.
  Instant started{};
  std::vector<Port> ports;
  std::vector<Instance> instances;
  std::vector<std::string> services;
  std::vector<Chain> chains;
  DropCounts drops{};
  std::uint64_t flows = 0;
  std::uint64_t flows_started = 0;
  std::uint64_t generated_packets = 0;
  std::uint64_t copied_packets = 0;
  std::uint32_t buffers_total = 0;
  std::uint32_t buffers_free = 0;
  std::uint32_t cores_total = 0;
  std::uint32_t cores_used = 0;
  bool huge_pages = false;
};

/// For the control socket and for programs; counters as they are, times in nanoseconds.
[[nodiscard]] nlohmann::ordered_json to_json(const HostStatus& status);

}  // namespace sluice::dpdk

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backends/dpdk/host_status.hpp"
#include "cli/results/run_writer.hpp"
#include "core/host/agent.hpp"

namespace sluice::dpdk {

/// Writes what a host does into a result folder, with the simulator's names of entities, metrics
/// and events, so that one plot shows both. Times count from `time_zero`.
class HostRecorder {
 public:
  HostRecorder(std::unique_ptr<cli::RunWriter> writer, std::string host, Instant time_zero);

  /// A row for each thing that has a value, as rates since the status before.
  void record(const HostStatus& status);
  /// `service`: the name of the note's service; empty without one.
  void note(Instant now, const Note& note, const std::string& service);
  /// An operator changed the host to a deployment of this name.
  void applied(Instant now, const std::string& deployment);
  /// Writes the summary and gives the folder its name.
  [[nodiscard]] Result<void> finish(const HostStatus& last, const cli::RunManifest& manifest);

 private:
  struct ServiceTotals {
    double core_seconds = 0;
    std::uint64_t instances_max = 0;
    std::uint64_t instances_now = 0;
  };
  void record_services(const HostStatus& status, double seconds);
  void record_latency(const HostStatus& status);
  template <class Value>
  void row(Instant now, const std::string& entity, std::string_view metric, Value value,
           std::string_view unit);
  [[nodiscard]] nlohmann::ordered_json summary(const HostStatus& last) const;

  std::unique_ptr<cli::RunWriter> writer_;
  std::string host_;
  Instant time_zero_;
  std::unique_ptr<HostStatus> before_;
  std::map<std::string, ServiceTotals> services_;
  std::map<std::string, std::uint64_t> event_counts_;
};

}  // namespace sluice::dpdk

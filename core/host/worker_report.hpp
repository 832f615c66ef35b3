#pragma once

#include <cstdint>
#include <vector>

#include "core/function/control_page.hpp"
#include "core/host/agent.hpp"
#include "core/host/statistics.hpp"

namespace sluice {

/// What a worker alone knows of its instances, copied out for the control side (Worker::report): a
/// plain value, so that a host whose workers are threads of their own can hand it over.
struct WorkerReport {
  std::vector<InstanceStatistics> instances;          ///< By instance number.
  std::vector<std::uint32_t> outstanding;             ///< By instance number.
  std::vector<std::uint32_t> flow_count_of_instance;  ///< By instance number, ended ones too.
  std::vector<std::uint32_t> flow_count_of_chain;     ///< By chain version index.
  std::uint64_t flow_count = 0;                       ///< In the flow table.
  std::uint64_t snapshot_version = 0;                 ///< By which it steered until now.
};

/// Puts together what an Agent reads each sampling interval (Readings) from the reports of the
/// host's workers and the control pages of its instances. Reused from interval to interval; the
/// same for simulated and real hosts.
class ReadingTable {
 public:
  ReadingTable(std::uint32_t instance_count_max, std::uint32_t chain_version_count_max);

  /// Begins a new interval.
  void clear();
  /// Each worker once an interval.
  void add(const WorkerReport& report);
  /// Each instance that has rings once, in the order of their numbers. `waiting`: descriptors in
  /// its receive ring; `report` is that of the worker that owns it.
  void add(InstanceId instance, const WorkerReport& report, std::uint32_t waiting,
           const ControlPage& page);
  /// Valid until the next call of another function.
  [[nodiscard]] Readings readings() const;

 private:
  std::vector<InstanceReading> instances_;
  std::vector<std::uint32_t> flow_count_of_instance_;
  std::vector<std::uint32_t> flow_count_of_chain_;
  std::uint64_t snapshot_version_ = kNewest;

  static constexpr std::uint64_t kNewest = ~std::uint64_t{0};
};

}  // namespace sluice

#include "core/host/worker_report.hpp"

#include <algorithm>

#include "core/check.hpp"

namespace sluice {
namespace {

void add_each(std::vector<std::uint32_t>& sums, const std::vector<std::uint32_t>& counts) {
  SLUICE_CHECK(counts.size() <= sums.size());
  std::transform(counts.begin(), counts.end(), sums.begin(), sums.begin(), std::plus<>{});
}

}  // namespace

ReadingTable::ReadingTable(std::uint32_t instance_count_max, std::uint32_t chain_version_count_max)
    : flow_count_of_instance_(instance_count_max), flow_count_of_chain_(chain_version_count_max) {
  instances_.reserve(instance_count_max);
}

void ReadingTable::clear() {
  instances_.clear();
  std::fill(flow_count_of_instance_.begin(), flow_count_of_instance_.end(), 0);
  std::fill(flow_count_of_chain_.begin(), flow_count_of_chain_.end(), 0);
  snapshot_version_ = kNewest;
}

void ReadingTable::add(const WorkerReport& report) {
  add_each(flow_count_of_instance_, report.flow_count_of_instance);
  add_each(flow_count_of_chain_, report.flow_count_of_chain);
  snapshot_version_ = std::min(snapshot_version_, report.snapshot_version);
}

void ReadingTable::add(InstanceId instance, const WorkerReport& report, std::uint32_t waiting,
                       const ControlPage& page) {
  const InstanceStatistics& counted = report.instances[index_of(instance)];
  instances_.push_back({.instance = instance,
                        .ring_size = waiting,
                        .outstanding = report.outstanding[index_of(instance)],
                        .heartbeat = page.heartbeat.load(std::memory_order_relaxed),
                        .busy_ns = page.busy_ns.load(std::memory_order_relaxed),
                        .delivered_packets = counted.delivered_packets,
                        .returned_packets = counted.returned_packets,
                        .drop_count = counted.ring_full_drops});
}

Readings ReadingTable::readings() const {
  return {instances_, flow_count_of_instance_, flow_count_of_chain_, snapshot_version_};
}

}  // namespace sluice

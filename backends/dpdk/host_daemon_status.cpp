#include <algorithm>
#include <numeric>

#include "backends/dpdk/host_daemon.hpp"
#include "backends/process/idle.hpp"

namespace sluice::dpdk {
namespace {

void add(PortStatistics& sum, const PortStatistics& each) {
  sum.received_packets += each.received_packets;
  sum.received_bytes += each.received_bytes;
  sum.sent_packets += each.sent_packets;
  sum.sent_bytes += each.sent_bytes;
  sum.no_buffer += each.no_buffer;
}

void add(ChainStatistics& sum, const ChainStatistics& each) {
  sum.entered_packets += each.entered_packets;
  sum.left_packets += each.left_packets;
  sum.left_bytes += each.left_bytes;
  sum.dropped_packets += each.dropped_packets;
  sum.latency.merge(each.latency);
}

void add(HostStatus& status, const WorkerStatistics& worker) {
  for (std::size_t i = 0; i < status.ports.size(); ++i) {
    add(status.ports[i].counted, worker.ports[i]);
  }
  for (std::size_t i = 0; i < status.chains.size(); ++i) {
    add(status.chains[i].counted, worker.chains[i]);
  }
  for (std::size_t i = 0; i < status.drops.size(); ++i) status.drops[i] += worker.drops[i];
  status.flows_started += worker.flows_started;
  status.generated_packets += worker.generated_packets;
  status.copied_packets += worker.copied_packets;
}

}  // namespace

/// As of the last exchange of statistics, at most 100 ms ago, or 10 ms for who asks again and
/// again; instances as they are now.
HostStatus HostDaemon::status() const {
  HostStatus status;
  status.host = spec().name;
  status.deployment = deployment_->name;
  status.ready = ready_;
  status.now = monotonic_now();
  status.started = started_;
  status.counted = status.now;
  for (std::size_t i = 0; i < ports_.size(); ++i) {
    status.ports.push_back({ports_[i]->name(), {}, ports_[i]->missed()});
  }
  for (const std::string& name : chain_names_) status.chains.push_back({name, {}});
  for (const ServiceSpec& service : deployment_->services) {
    status.services.push_back(service.service.name);
  }
  for (const auto& worker : workers_) {
    add(status, worker->exchange().statistics);
    status.counted = std::min(status.counted, worker->exchange().counted);
    status.flows += worker->exchange().report.flow_count;
  }
  for (const auto& [id, instance] : supervisor_->instances()) {
    HostStatus::Instance shown;
    shown.name = instance->name;
    shown.service = services_[index_of(instance->service)].spec.service.name;
    shown.number = instance->number;
    shown.state = to_string(agent_->state_of(id));
    shown.is_inline = instance->inline_runtime != nullptr;
    shown.pid = instance->process.pid;
    shown.ring_size = instance->memory.waiting();
    shown.ring_capacity = instance->memory.capacities().receive;
    shown.start_time = instance->start_time;
    shown.counted = workers_[instance->worker]->exchange().report.instances[index_of(id)];
    for (const InstanceSample& sample : agent_->sample().instances) {
      if (sample.instance != id) continue;
      shown.load = sample.load;
      shown.occupancy = sample.occupancy;
      shown.flows = sample.flow_count;
    }
    status.instances.push_back(std::move(shown));
  }
  status.buffers_total = spec().buffer_count;
  status.buffers_free = memory_->available();
  status.cores_total = spec().core_count;
  status.cores_used = spec().core_count - agent_->cores_free();
  status.huge_pages = memory_->pages() == SharedMemory::Pages::kHuge;
  return status;
}

/// The accounts at the end, when nothing moves any more: what came in or was made went out or was
/// dropped, for a reason.
void HostDaemon::audit(std::vector<std::string>& problems) const {
  std::uint64_t in = 0, out = 0;
  std::vector<ChainStatistics> chains(chain_names_.size());
  for (const auto& worker : workers_) {
    const WorkerStatistics& counted = worker->worker().statistics();
    for (const PortStatistics& port : counted.ports) {
      in += port.received_packets;
      out += port.sent_packets;
    }
    in += counted.generated_packets + counted.copied_packets + counted.copies_missed;
    out = std::accumulate(counted.drops.begin(), counted.drops.end(), out);
    for (std::size_t i = 0; i < chains.size(); ++i) add(chains[i], counted.chains[i]);
  }
  if (in != out) {
    problems.push_back("I-1: packets unaccounted for; got " + std::to_string(out) +
                       " sent and dropped; expected " + std::to_string(in));
  }
  for (std::size_t i = 0; i < chains.size(); ++i) {
    const std::uint64_t ended = chains[i].left_packets + chains[i].dropped_packets;
    if (chains[i].entered_packets == ended) continue;
    problems.push_back("I-1: chain " + chain_names_[i] + ": packets unaccounted for; got " +
                       std::to_string(ended) + " left and dropped; expected " +
                       std::to_string(chains[i].entered_packets));
  }
  const BufferLedger::Audit owners = ledger_->audit();
  if (owners.instance + owners.lent > 0) {
    problems.push_back("I-2: buffers still with instances; got " +
                       std::to_string(owners.instance + owners.lent) + "; expected 0");
  }
}

}  // namespace sluice::dpdk

#include "core/host/worker.hpp"

#include <algorithm>
#include <utility>

#include "core/check.hpp"
#include "core/host/worker_parts.hpp"

namespace sluice {

namespace {

constexpr std::uint32_t kExpireBudget = 64;

FlowTable::Options address_table_options(const Worker::Options& worker) {
  FlowTable::Options options = worker.flows;
  if (worker.address_count_max != 0) options.flow_count_max = worker.address_count_max;
  options.pin_count_max = 1;
  options.rest_time = Duration::zero();
  return options;
}

}  // namespace

Worker::Worker(Options options)
    : options_(std::move(options)),
      worker_hash_(options_.worker_hash_key),
      first_slot_(options_.index * options_.flows.flow_count_max),
      first_flow_((FlowId{index_of(options_.host)} << kFlowSlotBits) + first_slot_),
      flows_(options_.flow_storage.empty() ? FlowTable{options_.flows}
                                           : FlowTable{options_.flows, options_.flow_storage}),
      addresses_(address_table_options(options_)),
      fragments_(options_.fragments),
      lanes_(options_.instance_count_max),
      own_inline_(options_.service_count_max, kNoInstance),
      port_input_(options_.port_count_max, PacketBatch{options_.memory}),
      port_output_(options_.port_count_max),
      worker_input_(options_.worker_count, PacketBatch{options_.memory}),
      worker_output_(options_.worker_count, PacketBatch{options_.memory}),
      instance_flows_(options_.instance_count_max),
      chain_flows_(options_.chain_version_count_max),
      queries_(std::make_unique<Queries>()),
      decapsulator_(options_.transits.empty() ? nullptr : std::make_unique<Decapsulator>()) {
  SLUICE_CHECK(options_.transits.empty() ||
               options_.transits.size() == options_.memory.buffer_count());
  SLUICE_CHECK(options_.ledger != nullptr);
  SLUICE_CHECK(std::uint64_t{options_.flows.flow_count_max} * options_.worker_count <=
               (1u << kFlowSlotBits));
  SLUICE_CHECK(options_.to_workers.size() == options_.from_workers.size());
  SLUICE_CHECK(options_.worker_count == 1 || options_.to_workers.size() == options_.worker_count);
  for (Lane& each : lanes_) {
    each.input = PacketBatch{options_.memory};
    each.staged = PacketBatch{options_.memory};
  }
  const std::uint32_t buffer_count = options_.memory.buffer_count();
  for (auto& output : port_output_) output.reserve(buffer_count);
  to_free_.reserve(buffer_count);
  spare_.reserve(kSpareCount);
  own_.reserve(options_.instance_count_max);
  dirty_.reserve(options_.instance_count_max);
  quarantined_.reserve(options_.instance_count_max);
  touched_.reserve(options_.instance_count_max);
  statistics_.ports.resize(options_.port_count_max);
  statistics_.chains.resize(options_.chain_count_max);
  statistics_.instances.resize(options_.instance_count_max);
}

Worker::~Worker() = default;

void Worker::adopt(const RoutingSnapshot& snapshot) noexcept {
  SLUICE_CHECK(snapshot.ports.size() <= options_.port_count_max);
  SLUICE_CHECK(snapshot.instances.size() <= options_.instance_count_max);
  SLUICE_CHECK(snapshot.chains.size() <= options_.chain_version_count_max);
  SLUICE_CHECK(snapshot.active.size() <= options_.chain_count_max);
  SLUICE_CHECK(snapshot.services.size() <= own_inline_.size());
  snapshot_ = &snapshot;
  cluster_ = snapshot.cluster.get();
  if (cluster_ != nullptr && cluster_->version != cluster_version_) {
    SLUICE_CHECK(decapsulator_ != nullptr);
    decapsulator_->use({cluster_->local, cluster_->network, cluster_->secret}, cluster_->members);
    cluster_version_ = cluster_->version;
  }
  own_.clear();
  std::fill(own_inline_.begin(), own_inline_.end(), kNoInstance);
  for (std::uint16_t i = 0; i < snapshot.instances.size(); ++i) {
    const InstanceRoute& route = snapshot.instances[i];
    Lane& each = lanes_[i];
    const bool active = route.channel != nullptr && route.worker == options_.index;
    if (active && !each.active) {
      each.quarantined = false;
      each.outstanding_max =
          outstanding_max(snapshot.services[index_of(route.service)].service.ring_capacity);
      statistics_.instances[i] = InstanceStatistics{};
    }
    each.active = active;
    if (!active) continue;
    own_.push_back(InstanceId{i});
    if (route.channel->inline_runtime != nullptr) {
      own_inline_[index_of(route.service)] = InstanceId{i};
    }
  }
}

std::uint64_t Worker::snapshot_version() const noexcept {
  return snapshot_ == nullptr ? 0 : snapshot_->version;
}

void Worker::work(Instant now) noexcept {
  ++statistics_.polls;
  for (PacketBatch& batch : port_input_) {
    if (batch.empty()) continue;
    receive(batch, now);
    batch.clear();
  }
  for (const InstanceId instance : own_) {
    if (!lane(instance).input.empty()) take_back(instance, now);
  }
  for (PacketBatch& batch : worker_input_) {
    if (batch.empty()) continue;
    take_from_worker(batch, now);
    batch.clear();
  }
  flush_lanes(now);
  flush_workers(now);
  expire(now, kExpireBudget);
}

void Worker::tick(Instant now) noexcept {
  expire(now, kExpireBudgetOfTick);
  for (const InstanceId instance : own_) {
    const InstanceRoute& route = snapshot_->instances[index_of(instance)];
    if (snapshot_->services[index_of(route.service)].service.generates) lend(instance, now);
    if (route.channel->inline_runtime == nullptr) continue;
    route.channel->inline_runtime->tick(now);
    run_staged(instance, now);
  }
  flush_lanes(now);
  flush_workers(now);
}

// --- Ends ----------------------------------------------------------------------------------------

void Worker::reclaim(InstanceId instance, DropReason reason, Instant now) noexcept {
  Lane& from = lane(instance);
  auto& statistics = statistics_.instances[index_of(instance)];
  for (const Packet& packet : from.staged) drop(packet, reason, now);
  from.staged.clear();
  // What was gathered but not yet taken back is still in its name: the ledger has it too.
  from.input.clear();
  options_.ledger->reclaim(instance, [&](const Packet& packet, bool lent) {
    if (lent) {
      if (options_.observer != nullptr) {
        options_.observer->unlent(now, instance, {&packet.buffer, 1});
      }
      to_free_.push_back(packet.buffer);
      return;
    }
    ++statistics.reclaimed_packets;
    drop(packet, reason, now);
  });
  from.outstanding = 0;
  from.lent = 0;
  from.active = false;
  std::erase(own_, instance);
}

void Worker::shut_down(Instant now) noexcept {
  for (PacketBatch& batch : port_input_) {
    for (const Packet& packet : batch) drop(packet, DropReason::kShutdown, now);
    batch.clear();
  }
  while (!own_.empty()) reclaim(own_.back(), DropReason::kShutdown, now);
  for (std::uint16_t i = 0; i < options_.worker_count; ++i) {
    PacketBatch& batch = worker_input_[i];
    for (const Packet& packet : batch) drop(packet, DropReason::kShutdown, now);
    if (i == options_.index) continue;
    do {
      batch.resize(PacketBatch::kCapacity);
      batch.resize(options_.from_workers[i].dequeue({batch.data(), PacketBatch::kCapacity}));
      for (const Packet& packet : batch) drop(packet, DropReason::kShutdown, now);
    } while (!batch.empty());
  }
  to_free_.insert(to_free_.end(), spare_.begin(), spare_.end());
  spare_.clear();
}

// --- Small things --------------------------------------------------------------------------------

std::uint32_t Worker::flow_count(InstanceId instance) const noexcept {
  return instance_flows_[index_of(instance)];
}

std::uint32_t Worker::flow_count_of_chain(std::uint16_t chain_index) const noexcept {
  return chain_flows_[chain_index];
}

std::uint64_t Worker::gathered_bytes() const noexcept {
  std::uint64_t sum = 0;
  const auto add = [&](const PacketBatch& batch) {
    for (const Packet& packet : batch) sum += packet.length;
  };
  for (const PacketBatch& batch : port_input_) add(batch);
  for (const InstanceId instance : own_) add(lanes_[index_of(instance)].input);
  for (const PacketBatch& batch : worker_input_) add(batch);
  return sum;
}

bool Worker::has_input_from(std::uint16_t worker) const noexcept {
  return worker < options_.from_workers.size() && options_.from_workers[worker].size() > 0;
}

std::size_t Worker::memory_bytes() const noexcept {
  std::size_t sum = flows_.memory_bytes() + addresses_.memory_bytes() +
                    lanes_.size() * sizeof(Lane) + to_free_.capacity() * sizeof(std::uint32_t);
  for (const auto& output : port_output_) sum += output.capacity() * sizeof(Packet);
  return sum + sizeof(*this);
}

std::uint32_t Worker::outstanding(InstanceId instance) const noexcept {
  return lanes_[index_of(instance)].outstanding;
}

void Worker::report(WorkerReport& report) const noexcept {
  report.instances = statistics_.instances;
  report.outstanding.resize(lanes_.size());
  std::transform(lanes_.begin(), lanes_.end(), report.outstanding.begin(),
                 [](const Lane& each) { return each.outstanding; });
  report.flow_count_of_instance = instance_flows_;
  report.flow_count_of_chain = chain_flows_;
  report.flow_count = flows_.size();
  report.snapshot_version = snapshot_version();
}

}  // namespace sluice

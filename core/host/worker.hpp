#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/encapsulation/decapsulator.hpp"
#include "core/flow/flow_table.hpp"
#include "core/host/observer.hpp"
#include "core/host/packet_io.hpp"
#include "core/host/routing.hpp"
#include "core/host/statistics.hpp"
#include "core/host/worker_report.hpp"
#include "core/packet/buffer_ledger.hpp"
#include "core/packet/fragment_tracker.hpp"
#include "core/packet/headers.hpp"
#include "core/packet/packet_batch.hpp"
#include "core/packet/plain_flow.hpp"

namespace sluice {

/// The data path of a host, or one of several: polls ports and return rings, classifies, steers,
/// delivers, transmits, in batches of up to 32.
///
/// Pure: time and ports are arguments, decisions come out, and nothing is allocated after start. A
/// poll has three parts, so that a simulator can let time pass between them; a real loop calls
/// poll_once.
///
/// Two rules make several workers simple. A flow is steered only by its own worker, which the
/// symmetric hash over the addresses names, since that one has the flow's pins. An instance's
/// rings, and a port's queues, are touched only by the worker that owns them. A packet in the wrong
/// place is passed on over a ring between the two workers.
class Worker {
 public:
  struct Options {
    HostId host{};
    std::uint16_t index = 0;
    std::uint16_t worker_count = 1;
    std::uint32_t port_count_max = 16;
    std::uint32_t instance_count_max = 256;        ///< Instance numbers lie below.
    std::uint32_t service_count_max = 256;         ///< Service numbers lie below.
    std::uint32_t chain_count_max = 256;           ///< Chain numbers lie below.
    std::uint32_t chain_version_count_max = 1024;  ///< ChainVersion::index lies below.
    FlowTable::Options flows;
    /// For the flow table: FlowTable::storage_bytes(flows). Empty: it takes its own.
    std::span<std::byte> flow_storage;
    /// Addresses whose instance services of affinity source and destination remember; 0: as many as
    /// flows. 1 where no service has such an affinity, to save the memory.
    std::uint32_t address_count_max = 0;
    FragmentTracker::Options fragments;
    PacketMemory memory;
    HashKey worker_hash_key;         ///< The same for all workers of the host.
    BufferLedger* ledger = nullptr;  ///< Shared by the host's workers; outlives them.
    Observer* observer = nullptr;    ///< May be null; outlives the worker.
    /// By buffer: what came with packets from other hosts. Shared by the host's workers, as the
    /// buffers are; empty where there is no cluster.
    std::span<StoredTransit> transits;
    std::vector<SpscRing<Packet>> to_workers;    ///< By worker index; own entry unused.
    std::vector<SpscRing<Packet>> from_workers;  ///< By worker index; own entry unused.
  };
  explicit Worker(Options options);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Uses `snapshot` from now on; it must live until another one is adopted.
  void adopt(const RoutingSnapshot& snapshot) noexcept;
  [[nodiscard]] std::uint64_t snapshot_version() const noexcept;

  /// Takes up to a batch from each port, each own instance and each other worker.
  /// @return How many packets work() will find.
  template <PacketIo Io>
  std::uint32_t gather(Io& io, Instant now) noexcept;
  /// Decides everything gathered: classifies, steers, puts into rings. Expires a few idle flows.
  void work(Instant now) noexcept;
  /// Transmits and frees what work() decided.
  template <PacketIo Io>
  void flush(Io& io, Instant now) noexcept;
  /// All three at one moment.
  template <PacketIo Io>
  std::uint32_t poll_once(Io& io, Instant now) noexcept {
    const std::uint32_t count = gather(io, now);
    work(now);
    flush(io, now);
    return count;
  }

  /// Timers, about every 10 ms: expires idle flows, ticks inline functions, lends buffers.
  void tick(Instant now) noexcept;

  /// Tells an own instance something. @return False when its message ring is full: try again later.
  [[nodiscard]] bool post(InstanceId instance, const Message& message, Instant now) noexcept;
  /// Ends an own instance: every buffer in its hands is dropped for `reason` and its rings are not
  /// looked at again. Call it when the instance cannot touch packets any more. The instance must be
  /// gone from the snapshot, or go with the next one.
  void reclaim(InstanceId instance, DropReason reason, Instant now) noexcept;
  /// Ends everything at a stop: all that instances hold and rings contain is dropped for kShutdown.
  void shut_down(Instant now) noexcept;

  /// Instances that returned a bad descriptor and must be killed; each is named once.
  [[nodiscard]] std::span<const InstanceId> quarantined() const noexcept { return quarantined_; }
  void clear_quarantined() noexcept { quarantined_.clear(); }
  /// Own instances that got packets or messages in the last work(): for backends that wake them.
  [[nodiscard]] std::span<const InstanceId> touched() const noexcept { return touched_; }
  void clear_touched() noexcept;

  [[nodiscard]] std::uint32_t flow_count(InstanceId instance) const noexcept;
  [[nodiscard]] std::uint32_t flow_count_of_chain(std::uint16_t chain_index) const noexcept;
  [[nodiscard]] std::uint32_t outstanding(InstanceId instance) const noexcept;
  /// Copies what the control side reads each sampling interval. Allocates only when `report` is not
  /// yet as large as this worker's limits.
  void report(WorkerReport& report) const noexcept;
  /// Bytes of the frames in the last gather(), for backends that charge time by the byte.
  [[nodiscard]] std::uint64_t gathered_bytes() const noexcept;
  /// Whether another worker has put something into its ring to this one.
  [[nodiscard]] bool has_input_from(std::uint16_t worker) const noexcept;
  [[nodiscard]] std::size_t memory_bytes() const noexcept;
  [[nodiscard]] const FlowTable& flows() const noexcept { return flows_; }
  [[nodiscard]] const WorkerStatistics& statistics() const noexcept { return statistics_; }

 private:
  /// What the worker keeps for one instance number.
  struct Lane {
    PacketBatch input;
    PacketBatch staged;
    bool active = false;  ///< In the current snapshot and owned by this worker.
    bool dirty = false;   ///< Something is staged.
    bool touched = false;
    bool quarantined = false;
    std::uint32_t outstanding = 0;  ///< Buffers in its hands, without lent ones.
    std::uint32_t lent = 0;
    std::uint32_t outstanding_max = 0;
  };
  /// What is asked of the flow table for a batch of fresh packets; the note is a packet's TCP
  /// flags.
  using Queries = std::array<FlowTable::Query, PacketBatch::kCapacity>;
  /// Where packets go that stand at the same step.
  struct Way {
    const ChainVersion* chain = nullptr;
    Hop hop{};
    ServiceId service = kNoService;  ///< Set: straight to the flow's instance of it, if it has one.
  };

  // Input.
  void receive(PacketBatch& batch, Instant now) noexcept;
  bool parse_fresh(const PlainFlowReader& reader, const Packet& packet, FlowTable::Query& query,
                   Instant now) noexcept;
  bool parse_odd(const Packet& packet, FlowTable::Query& query, Instant now) noexcept;
  bool keep_own(const FlowKey& key, const Packet& packet, Instant now) noexcept;
  bool pass_unmatched(const Packet& packet, const Headers& headers,
                      std::span<const std::byte> bytes, Instant now) noexcept;
  void steer_fresh(PacketBatch& batch, Instant now) noexcept;
  std::uint32_t begin_or_end(const Packet& packet, const FlowTable::Query& query,
                             std::uint32_t slot, Instant now) noexcept;
  void enter_chains(std::span<const Packet> packets, Instant now) noexcept;
  void enter_alike(PacketBatch& batch, Instant now) noexcept;
  void take_back(InstanceId instance, Instant now) noexcept;
  void take_from_worker(PacketBatch& batch, Instant now) noexcept;
  void adopt_generated(InstanceId instance, std::span<Packet> packets, Instant now) noexcept;

  // Flows.
  std::uint32_t start_flow(const FlowKey& key, std::uint16_t chain_index, Instant now) noexcept;
  void begin_entry(std::uint32_t slot, const ChainVersion& chain) noexcept;
  void announce(std::uint32_t slot, const ChainVersion& chain, Instant now) noexcept;
  ChainId chain_of_reply(const FlowKey& key, Instant now) noexcept;
  void make_peers(std::uint32_t slot, std::uint32_t other) noexcept;
  void pin_flow(std::uint32_t slot, const ChainVersion& chain, Instant now) noexcept;
  void pin_steps(std::uint32_t slot, const ChainVersion& chain, std::uint32_t other,
                 bool is_session, Instant now) noexcept;
  void count_pin(Pin pin, int by) noexcept;
  [[nodiscard]] bool is_alive(Pin pin, ServiceId service) const noexcept;
  void link_reverse(const Packet& packet, Instant now) noexcept;
  void end_flow(std::uint32_t slot, Instant now) noexcept;
  void expire(Instant now, std::uint32_t budget) noexcept;
  void track_tcp(std::uint32_t slot, std::uint8_t tcp_flags, Instant now) noexcept;
  void reopen(std::uint32_t slot) noexcept;
  Pin choose(const ServiceRoute& service, const FlowKey& key, Instant now) noexcept;
  Pin choose_by_address(const ServiceRoute& service, const FlowKey& key, Instant now) noexcept;
  void forget_address(const ServiceRoute& service, const FlowKey& key, Instant now) noexcept;
  InstanceId least_loaded(const ServiceRoute& service) const noexcept;
  Pin pin_at(std::uint32_t slot, const ChainVersion& chain, std::uint8_t step,
             Instant now) noexcept;

  // Steering.
  void decide(const Packet& packet, Instant now) noexcept;
  void decide_in_chain(const Packet& packet, const ChainVersion& chain, Instant now) noexcept;
  void decide_all(std::span<const Packet> packets, Instant now) noexcept;
  [[nodiscard]] Way way_to(const ChainVersion& chain, Hop hop) const noexcept;
  [[nodiscard]] bool has_its_flow(const Packet& packet) const noexcept;
  void go_all(std::span<const Packet> packets, const Way& way, Instant now) noexcept;
  [[nodiscard]] Pin pin_of(const Packet& packet, const Way& way) const noexcept;
  [[nodiscard]] bool is_here(Pin pin, ServiceId service) const noexcept;
  [[nodiscard]] const ChainVersion* plain_chain_at(const Packet& packet) const noexcept;
  void decide_at_owner(const Packet& packet, Instant now) noexcept;
  void follow(const Packet& packet, const ChainVersion& chain, Hop hop, Instant now) noexcept;
  void copy_to(const Packet& original, const ChainVersion& chain, std::uint8_t step,
               Instant now) noexcept;
  void deliver(const Packet& packet, std::uint8_t step, InstanceId instance, Instant now) noexcept;
  void stage(const Packet& packet, std::uint8_t step, InstanceId instance, Instant now) noexcept;
  void stage_all(std::span<const Packet> packets, std::uint8_t step, InstanceId instance,
                 Instant now) noexcept;
  void leave(const Packet& packet, PortId port, Instant now) noexcept;
  void leave_all(std::span<const Packet> packets, const ChainVersion& chain, Instant now) noexcept;
  void drop(const Packet& packet, DropReason reason, Instant now) noexcept;
  void send_to_worker(std::uint16_t worker, const Packet& packet, Instant now) noexcept;
  void count_sent(std::span<const Packet> packets, PortId port, Instant now) noexcept;

  // Other hosts.
  void receive_tunnelled(PacketBatch& batch, Instant now) noexcept;
  void enter_transit(Packet packet, const ChainVersion* chain, Instant now) noexcept;
  void end_transit(const Packet& packet, const ChainVersion& chain, Instant now) noexcept;
  void leave_with_its_flow(const Packet& packet, Instant now) noexcept;
  void decide_transit(const Packet& packet, Instant now) noexcept;
  void go_to_host(const Packet& packet, const ChainVersion& chain, std::uint8_t step, HostId host,
                  Instant now) noexcept;
  void go_to_host_all(std::span<const Packet> packets, const ChainVersion& chain, std::uint8_t step,
                      HostId host, Instant now) noexcept;
  void put_into_tunnel(PacketBatch& batch, std::span<const Transit> transits,
                       const Encapsulator& tunnel, Instant now) noexcept;
  [[nodiscard]] Pin pin_of_transit(const Packet& packet, const ChainVersion& chain,
                                   std::uint8_t step) const noexcept;
  [[nodiscard]] Transit transit_of(const Packet& packet, const ChainVersion& chain) const noexcept;
  [[nodiscard]] Pin choose_remote(const ServiceRoute& service, const FlowKey& key) const noexcept;
  [[nodiscard]] bool is_foreign(const Packet& packet) const noexcept;
  [[nodiscard]] bool is_local(Pin pin) const noexcept;
  [[nodiscard]] bool is_other_host(HostId host) const noexcept;

  // Output.
  void put_out(const Packet& packet, PortId port, Instant now) noexcept;
  void flush_lanes(Instant now) noexcept;
  void flush_lane(InstanceId instance, Instant now) noexcept;
  void run_staged(InstanceId instance, Instant now) noexcept;
  void run_inline(PacketBatch& batch, InstanceId instance, Instant now) noexcept;
  void keep_held(PacketBatch& batch, InstanceId instance) noexcept;
  void take_outbox(InstanceId instance, Instant now) noexcept;
  bool advance_inline(PacketBatch& batch, InstanceId& instance) noexcept;
  void flush_workers(Instant now) noexcept;
  void lend(InstanceId instance, Instant now) noexcept;
  void touch(InstanceId instance) noexcept;
  void quarantine(InstanceId instance) noexcept;
  template <PacketIo Io>
  void transmit(Io& io, PortId port, Instant now) noexcept;

  [[nodiscard]] const ChainVersion* chain_of(const Packet& packet) const noexcept;
  [[nodiscard]] std::uint32_t slot_of(FlowId flow) const noexcept;
  [[nodiscard]] std::uint16_t worker_of(FlowId flow) const noexcept;
  [[nodiscard]] FlowId flow_of(std::uint32_t slot) const noexcept;
  [[nodiscard]] Lane& lane(InstanceId instance) noexcept { return lanes_[index_of(instance)]; }

  Options options_;
  FlowHash worker_hash_;
  std::uint32_t first_slot_;  ///< Of this worker, as FlowId counts slots: over all workers.
  FlowId first_flow_;         ///< The flow of this worker's slot 0.
  const RoutingSnapshot* snapshot_ = nullptr;
  FlowTable flows_;
  FlowTable addresses_;  ///< Instances by (service, address), for affinity source and destination.
  FragmentTracker fragments_;
  std::vector<Lane> lanes_;              ///< By instance number.
  std::vector<InstanceId> own_inline_;   ///< By service number: its inline instance here.
  std::vector<InstanceId> own_;          ///< Own instances of the snapshot, ordered.
  std::vector<InstanceId> dirty_;        ///< Lanes with something staged.
  std::vector<PacketBatch> port_input_;  ///< By port number.
  std::vector<std::vector<Packet>> port_output_;
  std::vector<PacketBatch> worker_input_;
  std::vector<PacketBatch> worker_output_;
  std::vector<std::uint32_t> to_free_;
  std::vector<std::uint32_t> spare_;  ///< Buffers kept for copies and for lending.
  std::vector<std::uint32_t> instance_flows_;
  std::vector<std::uint32_t> chain_flows_;
  std::vector<InstanceId> quarantined_;
  std::vector<InstanceId> touched_;
  std::unique_ptr<Queries> queries_;
  std::unique_ptr<Decapsulator> decapsulator_;  ///< Only in a cluster.
  const ClusterRoutes* cluster_ = nullptr;      ///< Of the snapshot.
  std::uint64_t cluster_version_ = 0;           ///< What the decapsulator knows.
  WorkerStatistics statistics_;

  static constexpr std::uint32_t kSpareCount = 128;
};

inline const ChainVersion* Worker::chain_of(const Packet& packet) const noexcept {
  if (packet.chain >= snapshot_->chains.size()) return nullptr;
  return snapshot_->chains[packet.chain].get();
}

/// Beyond the table for a flow of another host or worker.
inline std::uint32_t Worker::slot_of(FlowId flow) const noexcept {
  return flow - first_flow_;
}

/// Whether another host classified the packet, so that its flow is in none of our tables.
inline bool Worker::is_foreign(const Packet& packet) const noexcept {
  return packet.flow >> kFlowSlotBits != index_of(options_.host) && packet.flow != kNoFlow;
}

inline bool Worker::is_local(Pin pin) const noexcept {
  return pin.host == index_of(options_.host);
}

inline bool Worker::is_other_host(HostId host) const noexcept {
  return host != kNoHost && host != options_.host;
}

inline std::uint16_t Worker::worker_of(FlowId flow) const noexcept {
  return static_cast<std::uint16_t>((flow & ((1u << kFlowSlotBits) - 1)) /
                                    options_.flows.flow_count_max);
}

inline FlowId Worker::flow_of(std::uint32_t slot) const noexcept {
  return first_flow_ + slot;
}

template <PacketIo Io>
std::uint32_t Worker::gather(Io& io, Instant now) noexcept {
  std::uint32_t count = 0;
  for (std::uint16_t i = 0; i < snapshot_->ports.size(); ++i) {
    if (snapshot_->ports[i].worker != options_.index) continue;
    PacketBatch& batch = port_input_[i];
    const std::uint32_t lost = io.receive(PortId{i}, batch);
    auto& port = statistics_.ports[i];
    port.no_buffer += lost;
    port.received_packets += lost;
    statistics_.drops[static_cast<std::size_t>(DropReason::kNoBuffer)] += lost;
    if (options_.observer != nullptr && !batch.empty()) {
      options_.observer->received(now, PortId{i}, {batch.begin(), batch.size()});
    }
    count += batch.size();
  }
  for (const InstanceId instance : own_) {
    InstanceChannel& channel = *snapshot_->instances[index_of(instance)].channel;
    if (channel.inline_runtime != nullptr) continue;
    PacketBatch& batch = lane(instance).input;
    batch.resize(PacketBatch::kCapacity);
    batch.resize(channel.give_back.dequeue({batch.data(), PacketBatch::kCapacity}));
    count += batch.size();
  }
  for (std::uint16_t i = 0; i < options_.worker_count; ++i) {
    if (i == options_.index) continue;
    PacketBatch& batch = worker_input_[i];
    batch.resize(PacketBatch::kCapacity);
    batch.resize(options_.from_workers[i].dequeue({batch.data(), PacketBatch::kCapacity}));
    count += batch.size();
  }
  if (const auto kept = spare_.size(); kept < kSpareCount / 2) {
    spare_.resize(kSpareCount);
    const std::uint32_t got = io.allocate({spare_.data() + kept, kSpareCount - kept});
    spare_.resize(kept + got);
  }
  return count;
}

template <PacketIo Io>
void Worker::flush(Io& io, Instant now) noexcept {
  for (std::uint16_t i = 0; i < snapshot_->ports.size(); ++i) {
    if (!port_output_[i].empty()) transmit(io, PortId{i}, now);
  }
  if (!to_free_.empty()) {
    io.release(to_free_);
    to_free_.clear();
  }
}

template <PacketIo Io>
void Worker::transmit(Io& io, PortId port, Instant now) noexcept {
  auto& output = port_output_[index_of(port)];
  const std::uint32_t sent = io.transmit(port, output);
  const std::span<const Packet> packets{output};
  count_sent(packets.first(sent), port, now);
  for (const Packet& packet : packets.subspan(sent)) drop(packet, DropReason::kPortFull, now);
  output.clear();
}

}  // namespace sluice

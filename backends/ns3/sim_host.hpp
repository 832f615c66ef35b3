#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backends/ns3/sim_core.hpp"
#include "backends/ns3/sim_port.hpp"
#include "core/deployment/deployment.hpp"
#include "core/function/control_page.hpp"
#include "core/function/function_runtime.hpp"
#include "core/host/agent.hpp"
#include "core/host/observer.hpp"
#include "core/host/worker.hpp"
#include "core/host/worker_report.hpp"
#include "core/packet/buffer_ledger.hpp"
#include "core/packet/buffer_pool.hpp"

namespace sluice {

/// A host of the cluster in a simulation: the real Worker, Agent, rings and functions, on simulated
/// cores and ports.
///
/// A core is a server: it takes a batch, is busy for what the deployment says the batch costs, and
/// has decided it then. One core per worker and per instance. An idle core costs no events: it is
/// woken by what arrives. Lives as long as the simulation; not copied, not moved (events point at
/// it).
class SimHost {
 public:
  struct Options {
    std::uint64_t seed = 1;
    Observer* observer = nullptr;  ///< Outlives the host; may be null.
    /// From the decision to start an instance to its first packet; the first instances start at 0.
    Duration start_delay = std::chrono::milliseconds{3};
    /// From the end of an instance's process to the agent's knowing.
    Duration death_notice = std::chrono::milliseconds{1};
    Duration sample_interval = std::chrono::milliseconds{10};
    std::uint32_t batch_max = PacketBatch::kCapacity;  ///< Of an instance; 1 for queueing theory.
  };
  /// Host `host` of a checked deployment. `deployment` must outlive it.
  SimHost(const Deployment& deployment, HostId host, const Options& options);
  ~SimHost();
  SimHost(const SimHost&) = delete;
  SimHost& operator=(const SimHost&) = delete;

  /// Gives the host its port. All ports must be there before start().
  void attach(PortId port, std::unique_ptr<SimPort> sim_port);
  /// Starts the first instances and the timers, at the current simulated time.
  void start();

  /// Called with each load sample; what it returns is done. Where a scaling policy plugs in.
  using Sampler = std::function<std::vector<ScaleRequest>(const LoadSample&)>;
  void set_sampler(Sampler sampler) { sampler_ = std::move(sampler); }
  /// Called with everything that the agent notes, in order.
  using NoteSink = std::function<void(Instant, const Note&)>;
  void set_note_sink(NoteSink sink) { note_sink_ = std::move(sink); }

  /// New steps for chains from now on.
  void change(const ChainUpdate& update);
  /// What an operator or a test wants, past the policy.
  void request(const ScaleRequest& scale_request);

  // Faults. `number` counts the instances of a service that now run, in order of their start, from
  // 1; each returns false when there is none.
  bool kill(ServiceId service, std::uint32_t number);
  /// It stops answering, as in an endless loop: packets stay in its ring.
  bool hang(ServiceId service, std::uint32_t number);
  /// From its next batch on, a batch costs `factor` times as much; 1 ends the fault.
  bool slow(ServiceId service, std::uint32_t number, std::uint32_t factor);
  /// Ends hang(): it goes on where it was, unless it was replaced meanwhile.
  bool unhang(ServiceId service, std::uint32_t number);
  /// Nothing of the host runs until resume(); what arrives waits in its ports.
  void pause();
  void resume();
  /// The host is gone with all that it held; it does not come back.
  void kill_host();

  /// Ends everything: what instances hold is dropped for kShutdown. Then audit() must hold.
  void shut_down();
  /// Whether every buffer is free again. @return What is wrong, or an empty text.
  [[nodiscard]] std::string audit() const;

  [[nodiscard]] HostId id() const { return id_; }
  [[nodiscard]] const HostSpec& spec() const { return spec_; }
  [[nodiscard]] const Agent& agent() const { return *agent_; }
  [[nodiscard]] const Worker& worker(std::uint16_t index) const;
  [[nodiscard]] std::uint16_t worker_count() const {
    return static_cast<std::uint16_t>(workers_.size());
  }
  [[nodiscard]] SimPort& port(PortId port) { return *ports_[index_of(port)]; }
  /// What Observer's packets lie in.
  [[nodiscard]] const PacketMemory& memory() const { return memory_; }
  /// Calls `look(instance, entries, capacity)` for the receive ring of each instance.
  void for_each_ring(
      const std::function<void(InstanceId, std::uint32_t, std::uint32_t)>& look) const;
  /// Bytes that the host holds: packet memory, tables, rings.
  [[nodiscard]] std::size_t memory_bytes() const;

 private:
  struct PortIo;
  struct WorkerCore;
  struct InstanceCore;

  void wake(WorkerCore& worker);
  void begin(WorkerCore& worker);
  void complete(WorkerCore& worker);
  void after_work(WorkerCore& worker);
  void wake(InstanceCore& instance);
  void begin(InstanceCore& instance);
  void complete(InstanceCore& instance);
  void go_on(InstanceCore& instance);
  void schedule_wake_at(InstanceCore& instance);
  void tick(InstanceCore& instance);

  void sample();
  void handle(const AgentEvent& event);
  void run(std::vector<AgentCommand> commands);
  void carry_out(const StartInstance& command);
  void carry_out(const StopInstance& command);
  void carry_out(const TerminateInstance& command);
  void carry_out(const PostMessage& command);
  void carry_out(const Publish& command);
  void carry_out(const ReclaimInstance& command);
  // Answers to a Reconfigure, which nobody sends here: a simulation changes chains only.
  void carry_out(const Renumbered&) {}
  void carry_out(const ReconfigureEnded&) {}
  void carry_out(const Note& command);
  void finish_start(const StartInstance& command);
  void end_instance(InstanceId instance);
  InstanceCore* find(ServiceId service, std::uint32_t number);

  const Deployment& deployment_;
  const HostSpec& spec_;
  HostId id_;
  Options options_;
  std::vector<std::byte> bytes_;
  PacketMemory memory_;
  TagStore tags_;
  BufferPool pool_;
  BufferLedger ledger_;
  std::vector<std::unique_ptr<SimPort>> ports_;
  std::vector<std::vector<OwnedSpscRing<Packet>>> worker_rings_;  ///< [from][to]
  std::vector<std::unique_ptr<WorkerCore>> workers_;
  std::map<InstanceId, std::unique_ptr<InstanceCore>> instances_;
  std::vector<std::unique_ptr<InstanceCore>> ended_;  ///< Kept: an event may still name them.
  std::unique_ptr<Agent> agent_;
  ReadingTable readings_;
  std::shared_ptr<const RoutingSnapshot> snapshot_;
  Sampler sampler_;
  NoteSink note_sink_;
  bool started_ = false;
  bool paused_ = false;
  bool dead_ = false;
};

}  // namespace sluice

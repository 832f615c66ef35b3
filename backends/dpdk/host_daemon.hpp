#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "backends/dpdk/control_server.hpp"
#include "backends/dpdk/dpdk_memory.hpp"
#include "backends/dpdk/dpdk_port.hpp"
#include "backends/dpdk/host_deployment.hpp"
#include "backends/dpdk/host_status.hpp"
#include "backends/dpdk/port_capture.hpp"
#include "backends/dpdk/process_supervisor.hpp"
#include "backends/dpdk/worker_thread.hpp"
#include "backends/process/fd.hpp"
#include "backends/process/table_memory.hpp"
#include "core/deployment/site.hpp"
#include "core/host/agent.hpp"
#include "core/host/worker_report.hpp"
#include "core/packet/buffer_ledger.hpp"
#include "scaling/host_autoscaler.hpp"

namespace sluice::dpdk {

/// A real host: the core's Agent in a control thread, its Workers in threads of their own, its
/// instances in processes.
///
/// The control thread sleeps in epoll and is woken by the end of a process, a message on a socket,
/// a worker's answer, or the sampling timer (10 ms). It turns what happened into the Agent's events
/// and carries its commands out. Whatever it does, the data path does not wait for it.
class HostDaemon {
 public:
  struct Options {
    std::string run_dir;     ///< Of the sockets NAME.control and NAME.nf.
    std::string nf_program;  ///< Path of sluice-nf.
    SiteHost site;
    DeploymentParser parse;          ///< For what apply brings.
    std::uint64_t hash_seed = 0;     ///< From the system's random source; fixed for comparisons.
    PortCapture* capture = nullptr;  ///< Called by the worker's thread; only with one worker.
    SharedMemory::Pages pages = SharedMemory::Pages::kOrdinary;
  };
  /// Told what the agent notes, in order, and of other things worth a line in the log.
  struct Listener {
    std::function<void(Instant, const Note&, const std::string& service)> note;
    std::function<void(Instant, const Deployment&)> applied;  ///< What runs from now on.
    std::function<void(const std::string&)> complain;
    std::function<void(const HostStatus&)> status;  ///< Each 100 ms.
    /// Requests that the daemon itself does not know; may be empty.
    std::function<std::optional<nlohmann::ordered_json>(const nlohmann::json&)> request;
  };

  /// Host `host` of a checked deployment, which an operator may change later.
  HostDaemon(HostDeployment deployment, HostId host, Options options, Listener listener);
  ~HostDaemon();
  HostDaemon(const HostDaemon&) = delete;
  HostDaemon& operator=(const HostDaemon&) = delete;

  /// Takes memory, ports and sockets, and starts workers and first instances. The error says what
  /// the machine lacks; nothing runs then.
  [[nodiscard]] Result<void, std::string> start();
  /// Serves until stop() is called or a signal of `signal_fd` (signalfd(2)) comes.
  void run(int signal_fd);
  /// From within run()'s callbacks.
  void stop() { stopping_ = true; }
  /// Ends instances, workers and ports, and audits: every packet accounted for, every buffer free.
  /// @return What is wrong, one line each.
  [[nodiscard]] std::vector<std::string> shut_down();

  [[nodiscard]] HostStatus status() const;
  /// After shut_down(): with what happened in its course.
  [[nodiscard]] HostStatus final_status() const { return final_status_; }
  [[nodiscard]] const HostSpec& spec() const;

 private:
  Result<void, std::string> open_ports();
  void make_workers();
  [[nodiscard]] ProcessSupervisor::Callbacks supervisor_callbacks();
  /// Of what the host scales now.
  [[nodiscard]] std::vector<ServicePolicy> policies() const;
  void react(int fd);
  void handle(AgentEvent event);
  void handle_events();
  void carry_out(const StartInstance& command);
  void carry_out(const StopInstance& command);
  void carry_out(const TerminateInstance& command);
  void carry_out(const PostMessage& command);
  void carry_out(const Publish& command);
  void carry_out(const ReclaimInstance& command);
  void carry_out(const Renumbered& command);
  void carry_out(const ReconfigureEnded& command);
  void carry_out(const Note& command);
  void read_answers();
  void interval();
  void sample();
  void retire_snapshots();
  std::string offered(const std::string& service);
  [[nodiscard]] std::string unknown_service(const std::string& name) const;
  using Answer = std::optional<nlohmann::ordered_json>;
  Answer answer(const nlohmann::json& request, ControlServer::ClientId client);
  Answer apply(const nlohmann::json& request, ControlServer::ClientId client);
  nlohmann::ordered_json operate(const std::string& verb, const nlohmann::json& request);
  [[nodiscard]] bool all_started() const;
  void audit(std::vector<std::string>& problems) const;
  void watch(int fd) const;

  /// A change that the Agent works on.
  struct Change {
    HostDeployment wanted;
    ControlServer::ClientId client{};  ///< Who is to be told.
  };

  std::shared_ptr<const Deployment> deployment_;  ///< What new flows meet.
  HostId host_;
  std::vector<HostedService> services_;   ///< By the host's numbers, those that retire too.
  std::vector<std::string> chain_names_;  ///< By the host's numbers, old ones too.
  std::optional<Change> change_;
  Options options_;
  Listener listener_;
  Fd epoll_;
  Fd wake_;
  Fd timer_;
  std::unique_ptr<DpdkMemory> memory_;
  std::vector<std::unique_ptr<DpdkPort>> ports_;
  std::unique_ptr<BufferLedger> ledger_;
  std::vector<std::vector<OwnedSpscRing<Packet>>> worker_rings_;  ///< [from][to]
  std::vector<TableMemory> tables_;                               ///< By worker: of its flow table.
  std::vector<std::unique_ptr<WorkerThread>> workers_;
  std::unique_ptr<Agent> agent_;
  std::unique_ptr<HostAutoscaler> autoscaler_;
  std::unique_ptr<ReadingTable> readings_;
  std::unique_ptr<ProcessSupervisor> supervisor_;
  std::unique_ptr<ControlServer> control_;
  std::deque<std::shared_ptr<const RoutingSnapshot>> snapshots_;  ///< Some worker may use them.
  /// Whose memory can go, and the snapshot that every worker must have adopted before.
  std::vector<std::pair<InstanceId, std::uint64_t>> reclaimed_;
  std::deque<AgentEvent> events_;
  bool handling_ = false;
  std::uint32_t exchanges_missing_ = 0;
  std::uint64_t interval_count_ = 0;
  bool with_statistics_ = false;   ///< Of the present interval: for the listener.
  bool statistics_asked_ = false;  ///< Somebody asked for the status.
  bool ready_ = false;
  bool stopping_ = false;
  Instant started_{};
  HostStatus final_status_;
};

}  // namespace sluice::dpdk

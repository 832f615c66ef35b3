#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/dpdk/host_deployment.hpp"
#include "backends/dpdk/instance_process.hpp"
#include "backends/process/container.hpp"
#include "backends/process/unix_socket.hpp"
#include "core/deployment/site.hpp"
#include "core/host/agent.hpp"

namespace sluice::dpdk {

/// Starts, welcomes, stops and reaps the processes of a host's instances, and takes in those that
/// come by themselves. It decides nothing: the Agent's commands go in, and what happened comes out
/// by the callbacks. Control thread only; nothing in it blocks.
class ProcessSupervisor {
 public:
  struct Options {
    std::string host;              ///< Name of the host, for messages and names of memory.
    std::string program;           ///< Path of sluice-nf, which runs built-in functions.
    std::string nf_socket;         ///< Path of the socket for NFs that come by themselves.
    std::string container_folder;  ///< Path of the folder for containers, made when one is needed.
    PacketMemory packets;
    int packets_fd = -1;
    int epoll_fd = -1;  ///< Where pidfds and sockets are watched; see handle().
    std::uint16_t worker_count = 1;
    SiteHost site;
    std::uint64_t seed = 1;
  };
  struct Callbacks {
    std::function<void(InstanceProcess&)> started;  ///< Serves from now on.
    std::function<void(InstanceId, const std::string& how)> ended;
    /// Somebody offers an instance of the service of this name. The callee calls start() for it, or
    /// says why not.
    std::function<std::string(const std::string& service)> offered;
    std::function<void(const std::string&)> complain;
  };
  ProcessSupervisor(Options options, Callbacks callbacks);
  ~ProcessSupervisor();

  /// Opens the socket for NFs that come by themselves.
  [[nodiscard]] Result<void, std::string> listen();

  void start(const StartInstance& command, const HostedService& service);
  /// The worker was told to hand over kStop; it gets a second to end by itself.
  void stop(InstanceId instance, Instant now);
  /// SIGKILL.
  void terminate(InstanceId instance);
  /// The worker has reclaimed its buffers: its memory can go.
  void forget(InstanceId instance);

  /// Something happened at a watched descriptor. @return False when `fd` is not one of ours.
  bool handle(int fd, Instant now);
  /// Kills what should have ended or joined by now. Each 10 ms.
  void tick(Instant now);
  /// Ends all processes and waits for their end, at most a second for the polite way.
  void end_all();

  [[nodiscard]] const std::map<InstanceId, std::unique_ptr<InstanceProcess>>& instances() const {
    return instances_;
  }
  [[nodiscard]] InstanceProcess* find(InstanceId instance);

 private:
  static constexpr Duration kEndLimit = std::chrono::seconds{1};  ///< From request to end.

  /// A process that came by itself and has not been given an instance yet.
  struct Stranger {
    Fd socket;
    unix_socket::Peer peer;
    Instant since{};
  };

  Result<void, std::string> set_up(InstanceProcess& instance, const HostedService& service);
  Result<void, std::string> launch(InstanceProcess& instance, const HostedService& service);
  Result<void, std::string> launch_container(InstanceProcess& instance, const std::string& program,
                                             int socket);
  bool find_first_process(InstanceProcess& instance);
  void handle_runtime_end(InstanceProcess& instance);
  std::string leave_container(InstanceProcess& instance);
  void collect_containers();
  void end_containers();
  static void kill_now(const InstanceProcess& instance);
  void start_inline(InstanceProcess& instance, const ServiceSpec& spec);
  [[nodiscard]] InstanceDescription describe(const InstanceProcess& instance,
                                             const HostedService& service) const;
  void accept_strangers(Instant now);
  void handle_stranger(int fd);
  void handle_socket(InstanceProcess& instance, Instant now);
  void handle_end(InstanceProcess& instance);
  void release_fds(InstanceProcess& instance);
  bool welcome(InstanceProcess& instance);
  void watch(int fd) const;
  void unwatch(int fd) const;
  [[nodiscard]] wire::Welcome make_welcome(const InstanceProcess& instance) const;
  [[nodiscard]] std::uint64_t seed_of(const InstanceProcess& instance) const;
  static void refuse(int socket, const std::string& why);

  Options options_;
  Callbacks callbacks_;
  Fd listener_;
  std::map<InstanceId, std::unique_ptr<InstanceProcess>> instances_;
  std::map<int, InstanceId> by_fd_;
  std::map<int, Stranger> strangers_;
  std::optional<Stranger> offered_;  ///< Taken by the next start().
  std::optional<container::Folder> containers_;
  std::uint64_t container_count_ = 0;
  /// What crun still has to tidy up, by the name of the container; its function is gone.
  std::map<std::string, SpawnedProcess> leaving_;
};

}  // namespace sluice::dpdk

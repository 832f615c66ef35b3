#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

/// Real ZooKeeper servers on loopback, in a temporary folder, for tests.
namespace sluice::testing {

class ZookeeperServers {
 public:
  /// What of the programs is missing on this machine, in words; empty: nothing.
  [[nodiscard]] static std::string missing();

  /// One server, or an ensemble; starts all and waits until they serve (checked).
  explicit ZookeeperServers(std::size_t count);
  /// Kills what runs and removes the folder.
  ~ZookeeperServers();
  ZookeeperServers(const ZookeeperServers&) = delete;
  ZookeeperServers& operator=(const ZookeeperServers&) = delete;

  [[nodiscard]] std::size_t size() const { return servers_.size(); }
  [[nodiscard]] std::uint16_t port(std::size_t server) const { return servers_[server].port; }
  /// "standalone", "leader" or "follower"; empty: it does not serve.
  [[nodiscard]] std::string mode(std::size_t server) const;
  /// SIGKILL by its pid; its data stay.
  void kill(std::size_t server);
  void start(std::size_t server);
  /// Waits until each that runs serves (checked).
  void wait_until_ready() const;

 private:
  struct Server {
    std::uint16_t port = 0;
    pid_t pid = 0;  ///< 0: it does not run.
  };
  void write_config(std::size_t server, const std::string& peers) const;
  [[nodiscard]] std::filesystem::path folder(std::size_t server) const;

  std::filesystem::path root_;
  std::vector<Server> servers_;
};

/// Runs tests with `count` servers in `servers`.
/// @return What main() returns; 77, ctest's "skipped", when there is no ZooKeeper on this machine.
[[nodiscard]] int run_with_zookeeper(std::unique_ptr<ZookeeperServers>& servers, std::size_t count,
                                     int (*run)());

}  // namespace sluice::testing

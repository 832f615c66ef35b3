#include "tests/support/zookeeper_servers.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "core/check.hpp"
#include "tests/support/tcp_proxy.hpp"

namespace sluice::testing {

namespace {

constexpr const char* kJava = "/usr/bin/java";
constexpr const char* kJar = "/usr/share/java/zookeeper.jar";

/// Ports that were free a moment ago, all different.
std::vector<std::uint16_t> free_ports(std::size_t count) {
  std::vector<std::uint16_t> ports(count);
  std::vector<int> listeners;
  for (std::uint16_t& port : ports) listeners.push_back(listen_on_loopback(port));
  for (const int each : listeners) ::close(each);
  return ports;
}

/// In memory where there is such a place: a busy disk would stop a server for longer than a session
/// lasts.
std::filesystem::path temporary_folder() {
  constexpr const char* kInMemory = "/dev/shm";
  if (::access(kInMemory, W_OK) == 0) return kInMemory;
  return std::filesystem::temp_directory_path();
}

}  // namespace

std::string ZookeeperServers::missing() {
  if (::access(kJava, X_OK) != 0) return std::string{kJava} + " (default-jre-headless)";
  if (::access(kJar, R_OK) != 0) return std::string{kJar} + " (zookeeper)";
  return {};
}

ZookeeperServers::ZookeeperServers(std::size_t count) : servers_(count) {
  std::string pattern = (temporary_folder() / "sluice-zookeeper-XXXXXX").string();
  SLUICE_CHECK(::mkdtemp(pattern.data()));
  root_ = pattern;
  const auto ports = free_ports(3 * count);
  std::string peers;
  for (std::size_t i = 0; i < count && count > 1; ++i) {
    peers += "server." + std::to_string(i + 1) + "=127.0.0.1:" + std::to_string(ports[3 * i]) +
             ":" + std::to_string(ports[3 * i + 1]) + "\n";
  }
  for (std::size_t i = 0; i < count; ++i) {
    servers_[i].port = ports[3 * i + 2];
    write_config(i, peers);
    start(i);
  }
  wait_until_ready();
}

ZookeeperServers::~ZookeeperServers() {
  for (std::size_t i = 0; i < servers_.size(); ++i) kill(i);
  std::error_code ignored;
  std::filesystem::remove_all(root_, ignored);
}

std::filesystem::path ZookeeperServers::folder(std::size_t server) const {
  return root_ / std::to_string(server + 1);
}

void ZookeeperServers::write_config(std::size_t server, const std::string& peers) const {
  std::filesystem::create_directories(folder(server));
  std::ofstream{folder(server) / "myid"} << server + 1 << '\n';
  // Short ticks, so that sessions can be short and a new leader is found soon.
  std::ofstream{folder(server) / "zoo.cfg"}
      << "tickTime=200\ninitLimit=50\nsyncLimit=25\nmaxSessionTimeout=60000\nmaxClientCnxns=0\n"
      << "dataDir=" << folder(server).string() << "\nclientPortAddress=127.0.0.1\n"
      << "clientPort=" << servers_[server].port << "\nadmin.enableServer=false\n"
      << "4lw.commands.whitelist=srvr\nquorumListenOnAllIPs=false\n"
      << peers;
}

void ZookeeperServers::start(std::size_t server) {
  SLUICE_CHECK(servers_[server].pid == 0);
  const std::string config = (folder(server) / "zoo.cfg").string();
  const std::string log = (folder(server) / "log").string();
  const std::string class_path = std::string{kJar} + ":/usr/share/java/slf4j-simple.jar";
  const std::array<const char*, 14> command{
      kJava, "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
      // A killed process loses nothing that it wrote; only a power cut does.
      "-Dzookeeper.forceSync=no", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
      "-Djava.net.preferIPv4Stack=true", "-Xms16m", "-cp", class_path.c_str(),
      "org.apache.zookeeper.server.quorum.QuorumPeerMain", config.c_str(), nullptr};
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  SLUICE_CHECK(pid >= 0);
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    ::execv(kJava, const_cast<char* const*>(command.data()));
    ::_exit(127);
  }
  servers_[server].pid = pid;
}

void ZookeeperServers::kill(std::size_t server) {
  pid_t& pid = servers_[server].pid;
  if (pid == 0) return;
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  pid = 0;
}

std::string ZookeeperServers::mode(std::size_t server) const {
  const int socket = connect_to_loopback(servers_[server].port);
  if (socket < 0) return {};
  std::string answer;
  if (::send(socket, "srvr", 4, MSG_NOSIGNAL) == 4) {
    std::array<char, 1024> buffer;
    pollfd fd{socket, POLLIN, 0};
    while (::poll(&fd, 1, 1'000) == 1) {  // It may have stopped in between.
      const auto size = ::recv(socket, buffer.data(), buffer.size(), 0);
      if (size <= 0) break;
      answer.append(buffer.data(), static_cast<std::size_t>(size));
    }
  }
  ::close(socket);
  const std::size_t at = answer.find("Mode: ");
  if (at == std::string::npos) return {};
  return answer.substr(at + 6, answer.find('\n', at) - at - 6);
}

void ZookeeperServers::wait_until_ready() const {
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes{2};
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    while (servers_[i].pid != 0 && mode(i).empty()) {
      if (std::chrono::steady_clock::now() > end || ::waitpid(servers_[i].pid, nullptr, WNOHANG)) {
        std::cerr << std::ifstream{folder(i) / "log"}.rdbuf() << '\n';
        const bool starts = false;
        SLUICE_CHECK(starts);  // Its log is above.
      }
      ::poll(nullptr, 0, 20);  // Between two looks; what is waited for is the condition.
    }
  }
}

int run_with_zookeeper(std::unique_ptr<ZookeeperServers>& servers, std::size_t count,
                       int (*run)()) {
  const std::string missing = ZookeeperServers::missing();
  if (!missing.empty()) {
    std::cout << "skipped: no ZooKeeper server can be started without " << missing << '\n';
    return 77;
  }
  servers = std::make_unique<ZookeeperServers>(count);
  const int result = run();
  servers.reset();
  return result;
}

}  // namespace sluice::testing

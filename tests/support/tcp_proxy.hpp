#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <thread>

/// Stands between a ZooKeeper client and a server on this machine, to make what goes wrong between
/// them. It has a thread of its own; all calls from any thread.
namespace sluice::testing {

class TcpProxy {
 public:
  explicit TcpProxy(std::uint16_t server_port);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  /// Closes all connections and lets no other live; until false.
  void cut(bool off);
  /// Closes a connection instead of passing the next answer to a request of the client's own (not
  /// to a ping).
  void lose_next_reply();

 private:
  struct Connection {
    int client = -1;
    int server = -1;
    std::string from_server;  ///< Not a whole frame yet.
    bool greeted = false;     ///< The first frame has another form.
    bool dead = false;
  };
  void run();
  void accept();
  static bool pump(int from, std::string& bytes);
  void pass_to_server(Connection& connection);
  void pass_to_client(Connection& connection);
  void wake() const;

  const std::uint16_t server_port_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  int wake_fd_ = -1;
  std::mutex mutex_;
  bool cut_ = false;
  bool lose_reply_ = false;
  bool stop_ = false;
  std::list<Connection> connections_;  ///< The thread's own.
  std::thread thread_;
};

/// A socket that listens on loopback at a free port, which it sets.
[[nodiscard]] int listen_on_loopback(std::uint16_t& port);
/// A connection to a port of loopback; -1 if nobody listens.
[[nodiscard]] int connect_to_loopback(std::uint16_t port);

}  // namespace sluice::testing

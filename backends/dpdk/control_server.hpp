#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "backends/process/fd.hpp"
#include "core/result.hpp"

namespace sluice::dpdk {

/// The operator's way into a running host: a Unix stream socket, one JSON object a line as request,
/// one as answer ({"ok": false, "error": "..."} when refused). Control thread only; never blocks:
/// who does not read his answers loses his connection.
class ControlServer {
 public:
  /// Counts up; never used again for another.
  enum class ClientId : std::uint64_t {};
  /// Nothing: the answer comes later, by answer().
  using Handler = std::function<std::optional<nlohmann::ordered_json>(const nlohmann::json& request,
                                                                      ClientId client)>;
  static constexpr std::size_t kRequestBytesMax = std::size_t{2} << 20;
  static constexpr std::size_t kClientCountMax = 32;

  ControlServer(std::string path, int epoll_fd, Handler handler);
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  [[nodiscard]] Result<void, std::string> listen();
  /// Something happened at a watched descriptor. @return False when `fd` is not one of ours.
  bool handle(int fd);
  /// What a handler left open. A client that has gone meanwhile gets nothing.
  void answer(ClientId client, const nlohmann::ordered_json& reply);

 private:
  struct Client {
    ClientId id{};
    Fd socket;
    std::string input;
    bool broken = false;  ///< It did not read its answers.
  };
  void accept();
  bool read(Client& client);
  void take(Client& client, const std::string& line);
  static void send(Client& client, const nlohmann::ordered_json& reply);

  std::string path_;
  int epoll_fd_;
  Handler handler_;
  Fd listener_;
  std::map<int, Client> clients_;
  std::uint64_t client_count_ = 0;
};

}  // namespace sluice::dpdk

#pragma once

#include <functional>
#include <map>
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
  using Handler = std::function<nlohmann::ordered_json(const nlohmann::json& request)>;
  static constexpr std::size_t kRequestBytesMax = std::size_t{2} << 20;
  static constexpr std::size_t kClientCountMax = 32;

  ControlServer(std::string path, int epoll_fd, Handler handler);
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  [[nodiscard]] Result<void, std::string> listen();
  /// Something happened at a watched descriptor. @return False when `fd` is not one of ours.
  bool handle(int fd);

 private:
  struct Client {
    Fd socket;
    std::string input;
  };
  void accept();
  bool read(Client& client);
  bool answer(Client& client, const std::string& line);

  std::string path_;
  int epoll_fd_;
  Handler handler_;
  Fd listener_;
  std::map<int, Client> clients_;
};

}  // namespace sluice::dpdk

#include "tests/bench/dpdk/unix_client.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <thread>
#include <utility>

namespace sluice::bench {
namespace {

constexpr timeval kTimeMax{.tv_sec = 20, .tv_usec = 0};

int connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return -1;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  const int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (file < 0) return -1;
  if (connect(file, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &kTimeMax, sizeof kTimeMax);
    return file;
  }
  close(file);
  return -1;
}

}  // namespace

Result<UnixClient, std::string> UnixClient::connect_when_ready(const std::string& path,
                                                               ChildProcess& server) {
  const Deadline deadline = deadline_in(std::chrono::seconds{kTimeMax.tv_sec});
  while (server.running() && std::chrono::steady_clock::now() < deadline) {
    if (const int file = connect_to(path); file >= 0) return UnixClient{file};
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  }
  return unexpected("nobody listens on " + path + "; " + server.last_words());
}

UnixClient::UnixClient(UnixClient&& other) noexcept : file_(std::exchange(other.file_, -1)) {}

UnixClient::~UnixClient() {
  if (file_ >= 0) close(file_);
}

bool UnixClient::say(std::string_view text) {
  return send(file_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

std::optional<std::string> UnixClient::hear() {
  char bytes[4096];
  const ssize_t got = recv(file_, bytes, sizeof bytes, 0);
  if (got <= 0) return std::nullopt;
  return std::string(bytes, static_cast<std::size_t>(got));
}

}  // namespace sluice::bench

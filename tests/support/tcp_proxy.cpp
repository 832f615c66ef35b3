#include "tests/support/tcp_proxy.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <utility>
#include <vector>

#include "core/check.hpp"

namespace sluice::testing {

namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

bool send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::int32_t number_at(std::string_view bytes, std::size_t offset) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    number = number << 8 | static_cast<unsigned char>(bytes[offset + i]);
  }
  return static_cast<std::int32_t>(number);
}

}  // namespace

int listen_on_loopback(std::uint16_t& port) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  SLUICE_CHECK(listener >= 0 && ::bind(listener, any, size) == 0 && ::listen(listener, 64) == 0 &&
               ::getsockname(listener, any, &size) == 0);
  port = ntohs(address.sin_port);
  return listener;
}

int connect_to_loopback(std::uint16_t port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    const int yes = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return socket;
  }
  ::close(socket);
  return -1;
}

TcpProxy::TcpProxy(std::uint16_t server_port)
    : server_port_(server_port),
      listener_(listen_on_loopback(port_)),
      wake_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  thread_ = std::thread{[this] { run(); }};
}

TcpProxy::~TcpProxy() {
  {
    const std::lock_guard lock{mutex_};
    stop_ = true;
  }
  wake();
  thread_.join();
  for (const Connection& each : connections_) {
    ::close(each.client);
    ::close(each.server);
  }
  ::close(listener_);
  ::close(wake_fd_);
}

void TcpProxy::wake() const {
  const std::uint64_t one = 1;
  SLUICE_CHECK(::write(wake_fd_, &one, sizeof one) == sizeof one);
}

void TcpProxy::cut(bool off) {
  {
    const std::lock_guard lock{mutex_};
    cut_ = off;
  }
  wake();
}

void TcpProxy::lose_next_reply() {
  const std::lock_guard lock{mutex_};
  lose_reply_ = true;
}

void TcpProxy::run() {
  for (;;) {
    std::vector<pollfd> fds{{listener_, POLLIN, 0}, {wake_fd_, POLLIN, 0}};
    for (const Connection& each : connections_) {
      fds.push_back({each.client, POLLIN, 0});
      fds.push_back({each.server, POLLIN, 0});
    }
    if (::poll(fds.data(), fds.size(), -1) <= 0) continue;
    bool cut_now = false;
    {
      std::uint64_t count = 0;
      [[maybe_unused]] const auto woken = ::read(wake_fd_, &count, sizeof count);
      const std::lock_guard lock{mutex_};
      if (stop_) return;
      cut_now = cut_;
    }
    std::size_t i = 2;
    for (Connection& each : connections_) {
      if (fds[i++].revents != 0) pass_to_server(each);
      if (fds[i++].revents != 0 && !each.dead) pass_to_client(each);
      each.dead = each.dead || cut_now;
    }
    if (fds[0].revents != 0) accept();
    connections_.remove_if([](const Connection& each) {
      if (!each.dead) return false;
      ::close(each.client);
      ::close(each.server);
      return true;
    });
  }
}

void TcpProxy::accept() {
  const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (client < 0) return;
  const int yes = 1;
  ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  bool refuse = false;
  {
    const std::lock_guard lock{mutex_};
    refuse = cut_;
  }
  const int server = refuse ? -1 : connect_to_loopback(server_port_);
  if (server < 0) {
    ::close(client);
    return;
  }
  connections_.push_back({.client = client, .server = server, .from_server = {}});
}

bool TcpProxy::pump(int from, std::string& bytes) {
  std::array<char, 65536> buffer;
  const auto size = ::recv(from, buffer.data(), buffer.size(), 0);
  if (size <= 0) return false;
  bytes.append(buffer.data(), static_cast<std::size_t>(size));
  return true;
}

void TcpProxy::pass_to_server(Connection& connection) {
  std::string bytes;
  if (!pump(connection.client, bytes) || !send_all(connection.server, bytes)) {
    connection.dead = true;
  }
}

void TcpProxy::pass_to_client(Connection& connection) {
  std::string& bytes = connection.from_server;
  if (!pump(connection.server, bytes)) {
    connection.dead = true;
    return;
  }
  // A frame is its length and that many bytes; after the greeting these begin with the number of
  // the request, which is negative for all that the user did not ask for.
  while (bytes.size() >= 4 && bytes.size() >= 4 + static_cast<std::size_t>(number_at(bytes, 0))) {
    const std::size_t size = 4 + static_cast<std::size_t>(number_at(bytes, 0));
    const bool is_reply = connection.greeted && size >= 8 && number_at(bytes, 4) >= 0;
    connection.greeted = true;
    if (is_reply) {
      const std::lock_guard lock{mutex_};
      if (std::exchange(lose_reply_, false)) connection.dead = true;
    }
    if (connection.dead || !send_all(connection.client, {bytes.data(), size})) {
      connection.dead = true;
      return;
    }
    bytes.erase(0, size);
  }
}

}  // namespace sluice::testing

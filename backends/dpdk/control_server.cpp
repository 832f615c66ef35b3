#include "backends/dpdk/control_server.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "backends/process/unix_socket.hpp"

namespace sluice::dpdk {
namespace {

nlohmann::ordered_json refusal(const std::string& error) {
  return {{"ok", false}, {"error", error}};
}

void watch(int epoll_fd, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  ::epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

}  // namespace

ControlServer::ControlServer(std::string path, int epoll_fd, Handler handler)
    : path_(std::move(path)), epoll_fd_(epoll_fd), handler_(std::move(handler)) {}

ControlServer::~ControlServer() {
  if (listener_) ::unlink(path_.c_str());
}

Result<void, std::string> ControlServer::listen() {
  auto listener = unix_socket::listen(path_, unix_socket::Type::kStream);
  if (!listener) return unexpected(listener.error());
  listener_ = std::move(*listener);
  watch(epoll_fd_, listener_.get());
  return {};
}

bool ControlServer::handle(int fd) {
  if (listener_ && fd == listener_.get()) {
    accept();
    return true;
  }
  const auto found = clients_.find(fd);
  if (found == clients_.end()) return false;
  if (!read(found->second)) clients_.erase(found);
  return true;
}

void ControlServer::accept() {
  while (auto socket = unix_socket::accept(listener_.get())) {
    if (clients_.size() >= kClientCountMax) continue;  // Closed at once.
    const int fd = socket->get();
    watch(epoll_fd_, fd);
    clients_[fd] = Client{ClientId{++client_count_}, std::move(*socket), {}};
  }
}

/// @return False when the connection is to be closed.
bool ControlServer::read(Client& client) {
  std::array<char, 65536> chunk;
  const ssize_t count = ::recv(client.socket.get(), chunk.data(), chunk.size(), 0);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  if (count == 0) return false;
  client.input.append(chunk.data(), static_cast<std::size_t>(count));
  for (std::size_t end = 0; (end = client.input.find('\n')) != std::string::npos;) {
    const std::string line = client.input.substr(0, end);
    client.input.erase(0, end + 1);
    take(client, line);
    if (client.broken) return false;
  }
  if (client.input.size() <= kRequestBytesMax) return true;
  client.input.clear();
  take(client, {});
  return false;
}

void ControlServer::take(Client& client, const std::string& line) {
  const auto request = nlohmann::json::parse(line, nullptr, false);
  if (!request.is_object()) {
    return send(client, refusal("request: not a JSON object in one line of at most 2 MiB"));
  }
  // What a stranger sends may have any types in it.
  try {
    if (const auto reply = handler_(request, client.id)) send(client, *reply);
  } catch (const nlohmann::json::exception& error) {
    send(client, refusal(std::string("request: ") + error.what()));
  }
}

void ControlServer::answer(ClientId id, const nlohmann::ordered_json& reply) {
  for (auto& [fd, client] : clients_) {
    if (client.id == id) send(client, reply);
  }
}

void ControlServer::send(Client& client, const nlohmann::ordered_json& reply) {
  const std::string text =
      reply.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t count = ::send(client.socket.get(), text.data() + sent, text.size() - sent,
                                 MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count <= 0) {
      client.broken = true;
      return;
    }
    sent += static_cast<std::size_t>(count);
  }
}

}  // namespace sluice::dpdk

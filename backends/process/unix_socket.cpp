#include "backends/process/unix_socket.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace sluice::unix_socket {
namespace {

constexpr int kBacklog = 64;

std::string failed(const std::string& what) {
  return what + ": " + std::strerror(errno);
}

int socket_type(Type type) {
  return (type == Type::kPacket ? SOCK_SEQPACKET : SOCK_STREAM) | SOCK_CLOEXEC;
}

std::optional<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) return std::nullopt;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

std::string too_long(const std::string& path) {
  return path + ": not a socket path of 1 to " +
         std::to_string(sizeof(sockaddr_un{}.sun_path) - 1) + " bytes";
}

}  // namespace

Result<Fd, std::string> listen(const std::string& path, Type type) {
  const auto address = address_of(path);
  if (!address) return unexpected(too_long(path));
  Fd fd{::socket(AF_UNIX, socket_type(type) | SOCK_NONBLOCK, 0)};
  if (!fd) return unexpected(failed("socket"));
  ::unlink(path.c_str());
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) != 0) {
    return unexpected(failed(path));
  }
  if (::chmod(path.c_str(), S_IRUSR | S_IWUSR) != 0) return unexpected(failed(path));
  if (::listen(fd.get(), kBacklog) != 0) return unexpected(failed(path));
  return fd;
}

Result<Fd, std::string> connect(const std::string& path, Type type) {
  const auto address = address_of(path);
  if (!address) return unexpected(too_long(path));
  Fd fd{::socket(AF_UNIX, socket_type(type), 0)};
  if (!fd) return unexpected(failed("socket"));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) != 0) {
    return unexpected(failed(path));
  }
  return fd;
}

std::optional<Fd> accept(int listener) {
  Fd fd{::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
  if (!fd) return std::nullopt;
  return fd;
}

Result<std::pair<Fd, Fd>, std::string> pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, socket_type(Type::kPacket), 0, ends.data()) != 0) {
    return unexpected(failed("socketpair"));
  }
  return std::pair{Fd{ends[0]}, Fd{ends[1]}};
}

bool send(int socket, std::span<const std::byte> bytes, std::span<const int> fds) {
  if (fds.size() > kFdsMax) return false;
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int) * kFdsMax)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(bytes.size());
}

std::optional<Received> receive(int socket, std::span<std::byte> bytes) {
  iovec part{bytes.data(), bytes.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int) * kFdsMax)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t size = 0;
  do {
    size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return std::nullopt;
  Received received;
  received.size = size < 0 ? 0 : static_cast<std::size_t>(size);  // A reset peer is gone, too.
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
      received.fds.emplace_back(fd);
    }
  }
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return std::nullopt;
  return received;
}

std::optional<Peer> peer_of(int socket) {
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return std::nullopt;
  return Peer{credentials.pid, credentials.uid};
}

}  // namespace sluice::unix_socket

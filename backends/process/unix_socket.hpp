#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "backends/process/fd.hpp"
#include "core/result.hpp"

/// Unix sockets that pass file descriptors. Errors say in words what the system refused.
namespace sluice::unix_socket {

/// SOCK_SEQPACKET or SOCK_STREAM.
enum class Type { kPacket, kStream };

/// Listens at `path`, which it replaces: whoever calls holds the lock of that name. Mode 0600.
[[nodiscard]] Result<Fd, std::string> listen(const std::string& path, Type type);
/// Waits for nothing: a full backlog is an error.
[[nodiscard]] Result<Fd, std::string> connect(const std::string& path, Type type);
/// The next waiting connection; nothing when there is none.
[[nodiscard]] std::optional<Fd> accept(int listener);
/// Two connected ends of type kPacket; both close at exec.
[[nodiscard]] Result<std::pair<Fd, Fd>, std::string> pair();

/// Sends one message with descriptors. Blocks as the socket does.
[[nodiscard]] bool send(int socket, std::span<const std::byte> bytes, std::span<const int> fds);

struct Received {
  std::size_t size = 0;  ///< Bytes of the message; 0: the peer is gone.
  std::vector<Fd> fds;
};
inline constexpr std::size_t kFdsMax = 8;
/// Receives one message. Nothing when none waits on a socket that does not block, or when it is
/// longer than `bytes`.
[[nodiscard]] std::optional<Received> receive(int socket, std::span<std::byte> bytes);

/// The process at the other end, as the kernel knows it.
struct Peer {
  pid_t pid = 0;
  uid_t uid = 0;
};
[[nodiscard]] std::optional<Peer> peer_of(int socket);

template <class Struct>
[[nodiscard]] bool send_struct(int socket, const Struct& value, std::span<const int> fds = {}) {
  return send(socket, std::as_bytes(std::span{&value, 1}), fds);
}
/// A whole `Struct`, or nothing.
template <class Struct>
[[nodiscard]] std::optional<std::vector<Fd>> receive_struct(int socket, Struct& value) {
  auto received = receive(socket, std::as_writable_bytes(std::span{&value, 1}));
  if (!received || received->size != sizeof(Struct)) return std::nullopt;
  return std::move(received->fds);
}

}  // namespace sluice::unix_socket

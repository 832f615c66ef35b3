// Says to a host what no honest network function says, and prints the host's answer:
//
//   intruder garbage SOCKET             a greeting of another protocol
//   intruder wrong-version SOCKET       a greeting of the next version of the interface
//   intruder wrong-layout SOCKET        ... of a build whose structs have other sizes
//   intruder twice SOCKET SERVICE       two instances from one process
//   intruder ready-twice SOCKET SERVICE two Ready of one instance; then it waits for its end
#include <poll.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <utility>

#include "backends/process/unix_socket.hpp"
#include "backends/process/wire.hpp"

namespace {

namespace wire = sluice::wire;
namespace unix_socket = sluice::unix_socket;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "intruder: %s\n", what.c_str());
  std::exit(3);
}

sluice::Fd connect(const std::string& path) {
  auto socket = unix_socket::connect(path, unix_socket::Type::kPacket);
  if (!socket) fail(socket.error());
  return std::move(*socket);
}

wire::Hello hello_for(const std::string& service) {
  wire::Hello hello;
  wire::put(hello.service, service);
  return hello;
}

/// The host's answer; the memory that comes with it is not even mapped.
wire::Welcome answer_of(const sluice::Fd& socket) {
  wire::Welcome welcome;
  if (!unix_socket::receive_struct(socket.get(), welcome)) fail("no answer");
  return welcome;
}

wire::Welcome greet(const sluice::Fd& socket, const wire::Hello& hello) {
  if (!unix_socket::send_struct(socket.get(), hello)) fail("not sent");
  return answer_of(socket);
}

void get_accepted(const sluice::Fd& socket, const std::string& service) {
  const wire::Welcome welcome = greet(socket, hello_for(service));
  if (welcome.accepted != 1) fail("refused at once: " + wire::get(welcome.text));
}

/// And ends, at once and with its sockets open: a host ends an instance whose socket closes.
[[noreturn]] void print(const wire::Welcome& welcome) {
  std::printf("accepted=%u %s\n", welcome.accepted, wire::get(welcome.text).c_str());
  std::fflush(stdout);
  std::_Exit(0);
}

int say_ready_twice(const sluice::Fd& socket) {
  wire::Ready ready;
  ready.ok = 1;
  for (int i = 0; i < 2; ++i) {
    if (!unix_socket::send_struct(socket.get(), ready)) fail("not sent");
  }
  pollfd wait{.fd = socket.get(), .events = POLLRDHUP, .revents = 0};
  ::poll(&wait, 1, -1);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) fail("expected MODE SOCKET [SERVICE]");
  const std::string mode = argv[1];
  const std::string service = argc > 3 ? argv[3] : "";
  const sluice::Fd socket = connect(argv[2]);
  if (mode == "garbage") {
    constexpr std::array<std::byte, 5> garbage{};
    if (!unix_socket::send(socket.get(), garbage, {})) fail("not sent");
    print(answer_of(socket));
  }
  if (mode == "wrong-version" || mode == "wrong-layout") {
    wire::Hello hello = hello_for("ttl");
    if (mode == "wrong-version") ++hello.version;
    if (mode == "wrong-layout") ++hello.layout;
    print(greet(socket, hello));
  }
  get_accepted(socket, service);
  if (mode == "ready-twice") return say_ready_twice(socket);
  if (mode != "twice") fail("unknown mode " + mode);
  const sluice::Fd second = connect(argv[2]);
  print(greet(second, hello_for(service)));
}

// A network function that joins a host as an honest one would, and then writes descriptors of its
// own invention into its ring: what a host must stand. Usage: hostile_function SOCKET SERVICE
#include <cstdio>
#include <utility>

#include "backends/process/channel_memory.hpp"
#include "backends/process/unix_socket.hpp"
#include "backends/process/wire.hpp"
#include "core/prng.hpp"

namespace {

using namespace sluice;

Packet invent(Prng& prng) {
  Packet packet{};
  packet.buffer = static_cast<std::uint32_t>(prng.next());
  if (prng.below(2) == 0) packet.buffer %= 8192;  // One that exists.
  packet.offset = static_cast<std::uint16_t>(prng.next());
  packet.length = static_cast<std::uint16_t>(prng.next());
  packet.flow = static_cast<FlowId>(prng.next());
  packet.tag = static_cast<std::uint32_t>(prng.next());
  packet.chain = static_cast<std::uint16_t>(prng.next());
  packet.step = static_cast<std::uint8_t>(prng.next());
  packet.verdict = static_cast<Verdict>(prng.below(256));
  packet.target = static_cast<std::uint16_t>(prng.next());
  packet.arrival = prng.next();
  return packet;
}

int fail(const char* what) {
  std::fprintf(stderr, "hostile_function: %s\n", what);
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return fail("usage: hostile_function SOCKET SERVICE");
  auto socket = unix_socket::connect(argv[1], unix_socket::Type::kPacket);
  if (!socket) return fail(socket.error().c_str());
  wire::Hello hello;
  wire::put(hello.service, argv[2]);
  wire::Welcome welcome;
  if (!unix_socket::send_struct(socket->get(), hello)) return fail("no host");
  auto fds = unix_socket::receive_struct(socket->get(), welcome);
  if (!fds || fds->size() != 3) return fail(wire::get(welcome.text).c_str());
  auto channel = ChannelMemory::attach(
      std::move((*fds)[1]),
      {welcome.receive_capacity, welcome.give_back_capacity, welcome.message_capacity});
  if (!channel) return fail(channel.error().c_str());
  wire::Ready ready;
  ready.ok = 1;
  if (!unix_socket::send_struct(socket->get(), ready)) return fail("no host");
  RingRuntime::Wiring wiring = channel->wiring();
  // Bounded, should the host let it live: about a minute of lies.
  Prng prng{1};
  for (std::uint64_t turn = 0; turn < 1'000'000'000; ++turn) {
    const Packet lie = invent(prng);
    (void)wiring.give_back.enqueue({&lie, 1});
    wiring.page->heartbeat.fetch_add(1, std::memory_order_relaxed);
  }
  return 0;
}

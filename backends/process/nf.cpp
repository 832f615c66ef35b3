#include "backends/process/nf.hpp"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#include <cstdio>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "backends/process/channel_memory.hpp"
#include "backends/process/description.hpp"
#include "backends/process/idle.hpp"
#include "backends/process/shared_memory.hpp"
#include "backends/process/unix_socket.hpp"
#include "backends/process/wire.hpp"
#include "core/function/function_runtime.hpp"

namespace sluice::nf {
namespace {

constexpr int kExitRefused = 1;
constexpr int kExitBadSettings = 2;
constexpr Duration kTickInterval = std::chrono::milliseconds{10};

using FindFactory = std::function<const ProgramFactory*(const std::string& function)>;

/// What the host gave us.
struct Connection {
  Fd socket;
  wire::Welcome welcome;
  SharedMemory packets;
  ChannelMemory channel;
  InstanceDescription description;
};

template <class T>
Result<T, std::string> failed(std::string text) {
  return unexpected(std::move(text));
}

Result<Fd, std::string> connect_to_host(const Options& options) {
  if (!options.socket.empty()) {
    return unix_socket::connect(options.socket, unix_socket::Type::kPacket);
  }
  // Started by the host: when it goes, however it goes, so do we.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (!unix_socket::peer_of(wire::kInheritedSocket)) {
    return failed<Fd>("no host: neither --socket PATH nor an inherited socket");
  }
  return Fd{wire::kInheritedSocket};
}

Result<Connection, std::string> join(const Options& options) {
  auto socket = connect_to_host(options);
  if (!socket) return unexpected(socket.error());
  Connection joined;
  joined.socket = std::move(*socket);
  wire::Hello hello;
  wire::put(hello.service, options.service);
  if (!unix_socket::send_struct(joined.socket.get(), hello)) {
    return failed<Connection>("the host does not listen any more");
  }
  auto fds = unix_socket::receive_struct(joined.socket.get(), joined.welcome);
  if (!fds) return failed<Connection>("the host gave no answer that this program understands");
  const wire::Welcome& welcome = joined.welcome;
  if (welcome.magic != wire::kMagic || welcome.accepted == 0) {
    return failed<Connection>("refused by the host: " + wire::get(welcome.text));
  }
  if (fds->size() != 3) return failed<Connection>("the host sent no memory");
  const std::size_t packet_bytes = std::size_t{welcome.buffer_size} * welcome.buffer_count;
  auto packets = SharedMemory::map(std::move((*fds)[0]), packet_bytes);
  if (!packets) return failed<Connection>("packet memory: " + packets.error());
  auto channel = ChannelMemory::attach(
      std::move((*fds)[1]),
      {welcome.receive_capacity, welcome.give_back_capacity, welcome.message_capacity});
  if (!channel) return failed<Connection>("channel: " + channel.error());
  const auto description = SharedMemory::map(std::move((*fds)[2]), welcome.description_bytes);
  if (!description) return failed<Connection>("description: " + description.error());
  auto decoded = decode(description->bytes().first(welcome.description_bytes));
  if (!decoded) return unexpected(decoded.error());
  joined.packets = std::move(*packets);
  joined.channel = std::move(*channel);
  joined.description = std::move(*decoded);
  return joined;
}

/// Reads the files that came with the description.
FileReader reader_of(const InstanceDescription& description) {
  return [&files = description.files](const std::string& path) -> Result<std::string, std::string> {
    const auto found = files.find(path);
    if (found == files.end()) return unexpected(std::string("the host did not send it"));
    return found->second;
  };
}

Result<std::unique_ptr<Program>, std::string> make(const Connection& joined,
                                                   const FindFactory& find) {
  const InstanceDescription& description = joined.description;
  const ProgramFactory* factory = find(description.function);
  if (factory == nullptr) {
    return unexpected("this program has no function " + description.function);
  }
  auto program =
      (*factory)(description.settings, "services." + description.service, reader_of(description));
  if (!program) return unexpected(program.error().to_string());
  return std::move(*program);
}

void run_on_core(int core) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(static_cast<std::size_t>(core), &cores);
  ::sched_setaffinity(0, sizeof(cores), &cores);  // Refused: it runs elsewhere, which is no error.
}

bool host_is_gone(int socket) {
  pollfd wait{.fd = socket, .events = POLLRDHUP, .revents = 0};
  return ::poll(&wait, 1, 0) > 0 && (wait.revents & (POLLHUP | POLLRDHUP | POLLERR)) != 0;
}

/// The loop of an instance. @return Whether the host asked for its end.
bool serve(const Connection& joined, RingRuntime& runtime) {
  IdleBackoff backoff{
      {.sleep_max = Duration{static_cast<std::int64_t>(joined.welcome.sleep_max_ns)},
       .yields = joined.welcome.yields != 0}};
  ControlPage& page = joined.channel.page();
  Instant now = monotonic_now();
  Instant next_tick = now;
  while (!runtime.stop_requested()) {
    if (!runtime.take(now).empty()) {
      runtime.finish(now, Duration::zero());
      const Instant after = monotonic_now();
      page.busy_ns.fetch_add(static_cast<std::uint64_t>((after - now).count()),
                             std::memory_order_relaxed);
      now = after;
      backoff.busy();
    } else {
      backoff.idle(now, std::min(next_tick, runtime.runtime().function().wake_at()));
      now = monotonic_now();
    }
    if (now >= next_tick) {
      if (host_is_gone(joined.socket.get())) return false;
      next_tick = now + kTickInterval;
      runtime.tick(now);
    } else if (now >= runtime.runtime().function().wake_at()) {
      runtime.tick(now);
    }
  }
  return true;
}

int run_with(const Options& options, const FindFactory& find) {
  auto joined = join(options);
  if (!joined) {
    std::fprintf(stderr, "nf: %s\n", joined.error().c_str());
    return kExitRefused;
  }
  const auto program = make(*joined, find);
  wire::Ready ready;
  ready.ok = program ? 1 : 0;
  if (!program) wire::put(ready.text, program.error());
  if (joined->welcome.core >= 0) run_on_core(joined->welcome.core);
  if (!program) {
    std::fprintf(stderr, "%s\n", program.error().c_str());
    (void)unix_socket::send_struct(joined->socket.get(), ready);
    return kExitBadSettings;
  }
  const InstanceDescription& description = joined->description;
  const PacketMemory memory{joined->packets.bytes().first(std::size_t{joined->welcome.buffer_size} *
                                                          joined->welcome.buffer_count),
                            joined->welcome.buffer_size};
  RingRuntime runtime{(*program)->make_instance({.number = description.number}),
                      {memory, description.label_bits, description.seed},
                      joined->channel.wiring()};
  if (!unix_socket::send_struct(joined->socket.get(), ready)) return kExitRefused;
  return serve(*joined, runtime) ? 0 : kExitRefused;
}

}  // namespace

int run(const Options& options, const ProgramFactory& make_program) {
  return run_with(options, [&](const std::string&) { return &make_program; });
}

int run(const Options& options, const FunctionRegistry& functions) {
  return run_with(options, [&](const std::string& function) { return functions.find(function); });
}

int main_of(int argc, char** argv, const ProgramFactory& make_program) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    std::string* value = word == "--socket"    ? &options.socket
                         : word == "--service" ? &options.service
                                               : nullptr;
    if (value == nullptr || i + 1 >= argc) {
      std::fprintf(stderr,
                   "%s: unknown or incomplete argument; got %s; expected [--socket PATH "
                   "--service NAME]\n",
                   argv[0], argv[i]);
      return kExitBadSettings;
    }
    *value = argv[++i];
  }
  return run(options, make_program);
}

}  // namespace sluice::nf

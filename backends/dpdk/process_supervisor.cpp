#include "backends/dpdk/process_supervisor.hpp"

#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <utility>

#include "backends/process/idle.hpp"
#include "core/check.hpp"
#include "core/deployment/host_options.hpp"

namespace sluice::dpdk {
namespace {

constexpr Duration kJoinLimit = std::chrono::seconds{5};   ///< From spawn to Ready.
constexpr Duration kHelloLimit = std::chrono::seconds{5};  ///< A stranger that says nothing.
constexpr std::size_t kStrangerCountMax = 64;

}  // namespace

ProcessSupervisor::ProcessSupervisor(Options options, Callbacks callbacks)
    : options_(std::move(options)), callbacks_(std::move(callbacks)) {}

ProcessSupervisor::~ProcessSupervisor() {
  if (listener_) ::unlink(options_.nf_socket.c_str());
}

Result<void, std::string> ProcessSupervisor::listen() {
  auto listener = unix_socket::listen(options_.nf_socket, unix_socket::Type::kPacket);
  if (!listener) return unexpected(listener.error());
  listener_ = std::move(*listener);
  watch(listener_.get());
  return {};
}

InstanceProcess* ProcessSupervisor::find(InstanceId instance) {
  const auto found = instances_.find(instance);
  return found == instances_.end() ? nullptr : found->second.get();
}

void ProcessSupervisor::watch(int fd) const {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  SLUICE_CHECK(::epoll_ctl(options_.epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0);
}

void ProcessSupervisor::unwatch(int fd) const {
  ::epoll_ctl(options_.epoll_fd, EPOLL_CTL_DEL, fd, nullptr);
}

// --- Starting ------------------------------------------------------------------------------------

void ProcessSupervisor::start(const StartInstance& command, const HostedService& service) {
  const ServiceSpec& spec = service.spec;
  auto instance = std::make_unique<InstanceProcess>();
  instance->id = command.instance;
  instance->service = command.service;
  instance->number = command.number;
  instance->name = spec.service.name + "." + std::to_string(command.number);
  instance->worker =
      worker_of_instance(spec.service, command.instance, command.number, options_.worker_count);
  instance->spawned = monotonic_now();
  InstanceProcess& kept = *instance;
  instances_[command.instance] = std::move(instance);
  if (spec.service.run == RunMode::kInline) {
    start_inline(kept, spec);
    return;
  }
  auto done = set_up(kept, service);
  if (done) done = launch(kept, service);
  if (!done) {
    release_fds(kept);
    instances_.erase(command.instance);
    callbacks_.ended(command.instance, done.error());
  }
}

void ProcessSupervisor::release_fds(InstanceProcess& instance) {
  for (Fd* fd : {&instance.process.pidfd, &instance.socket}) {
    if (!*fd) continue;
    by_fd_.erase(fd->get());
    unwatch(fd->get());
    fd->reset();
  }
}

void ProcessSupervisor::start_inline(InstanceProcess& instance, const ServiceSpec& spec) {
  instance.state = InstanceProcess::State::kInline;
  instance.inline_runtime = std::make_unique<FunctionRuntime>(
      spec.program->make_instance({.number = instance.number}),
      FunctionRuntime::Options{options_.packets, spec.service.label_bits, seed_of(instance)});
  instance.channel.inline_runtime = instance.inline_runtime.get();
  callbacks_.started(instance);
}

Result<void, std::string> ProcessSupervisor::set_up(InstanceProcess& instance,
                                                    const HostedService& service) {
  auto memory =
      ChannelMemory::create(options_.host + "-" + instance.name,
                            ChannelMemory::capacities_for(service.spec.service.ring_capacity));
  if (!memory) return unexpected("channel: " + memory.error());
  instance.memory = std::move(*memory);
  instance.channel = instance.memory.channel();
  const auto bytes = encode(describe(instance, service));
  auto description = SharedMemory::create(options_.host + "-" + instance.name + "-description",
                                          bytes.size(), SharedMemory::Pages::kOrdinary);
  if (!description) return unexpected("description: " + description.error());
  instance.description = std::move(*description);
  instance.description_bytes = bytes.size();
  std::memcpy(instance.description.bytes().data(), bytes.data(), bytes.size());
  return {};
}

InstanceDescription ProcessSupervisor::describe(const InstanceProcess& instance,
                                                const HostedService& service) const {
  const ServiceSpec& spec = service.spec;
  InstanceDescription description;
  description.service = spec.service.name;
  description.function = spec.service.function;
  description.number = instance.number;
  description.seed = seed_of(instance);
  description.label_bits = spec.service.label_bits;
  description.settings = spec.settings;
  if (!spec.traits.external_program.empty()) {
    const ConfigValue* own = spec.settings.find("settings");
    description.settings = own != nullptr ? *own : ConfigValue::map({}, spec.place);
  }
  description.files = service.files;
  return description;
}

Result<void, std::string> ProcessSupervisor::launch(InstanceProcess& instance,
                                                    const HostedService& service) {
  const ServiceSpec& spec = service.spec;
  if (offered_) {
    Stranger stranger = std::move(*offered_);
    offered_.reset();
    instance.socket = std::move(stranger.socket);
    instance.process.pid = stranger.peer.pid;
    instance.process.pidfd = open_pidfd(stranger.peer.pid);
    if (!instance.process.pidfd) return unexpected(std::string("it is gone already"));
  } else {
    auto ends = unix_socket::pair();
    if (!ends) return unexpected(ends.error());
    std::string program = options_.program;
    if (const std::string& own = spec.traits.external_program; !own.empty()) {
      program = (std::filesystem::path{service.folder} / own).string();
    }
    instance.is_child = true;
    if (spec.service.run == RunMode::kContainer) {
      auto done = launch_container(instance, program, ends->second.get());
      if (!done) return done;
    } else {
      auto process = spawn({program}, ends->second.get());
      if (!process) return unexpected(process.error());
      instance.process = std::move(*process);
    }
    instance.socket = std::move(ends->first);
    watch(instance.socket.get());
  }
  const Fd& end = instance.container.empty() ? instance.process.pidfd : instance.runtime.pidfd;
  by_fd_[end.get()] = instance.id;
  by_fd_[instance.socket.get()] = instance.id;
  watch(end.get());
  if (!instance.is_child && !welcome(instance))
    return unexpected(std::string("it does not listen"));
  return {};
}

std::uint64_t ProcessSupervisor::seed_of(const InstanceProcess& instance) const {
  return options_.seed * 0x9e3779b97f4a7c15u + instance.number * 977u + index_of(instance.service);
}

wire::Welcome ProcessSupervisor::make_welcome(const InstanceProcess& instance) const {
  const ChannelMemory::Capacities& capacities = instance.memory.capacities();
  const auto& cores = options_.site.instance_cores;
  wire::Welcome welcome;
  welcome.accepted = 1;
  welcome.buffer_size = options_.packets.buffer_size();
  welcome.buffer_count = options_.packets.buffer_count();
  welcome.receive_capacity = capacities.receive;
  welcome.give_back_capacity = capacities.give_back;
  welcome.message_capacity = capacities.messages;
  welcome.description_bytes = instance.description_bytes;
  welcome.sleep_max_ns = static_cast<std::uint64_t>(options_.site.sleep_max.count());
  if (!cores.empty()) {
    const std::uint32_t core = cores[index_of(instance.id) % cores.size()];
    welcome.core = static_cast<std::int32_t>(core);
    // Alone on its core it need not yield; with a worker or another instance it must.
    const auto& workers = options_.site.worker_cores;
    const bool shared = std::find(workers.begin(), workers.end(), core) != workers.end();
    welcome.yields = shared || instances_.size() > cores.size() ? 1 : 0;
  }
  wire::put(welcome.name, instance.name);
  return welcome;
}

bool ProcessSupervisor::welcome(InstanceProcess& instance) {
  const int fds[] = {options_.packets_fd, instance.memory.fd(), instance.description.fd()};
  instance.welcomed = unix_socket::send_struct(instance.socket.get(), make_welcome(instance), fds);
  return instance.welcomed;
}

// --- Ending --------------------------------------------------------------------------------------

void ProcessSupervisor::stop(InstanceId id, Instant now) {
  InstanceProcess* instance = find(id);
  if (instance == nullptr) return;
  if (instance->state == InstanceProcess::State::kInline) {
    instance->state = InstanceProcess::State::kEnded;
    callbacks_.ended(id, "stopped");
    return;
  }
  instance->kill_at = now + kEndLimit;
}

void ProcessSupervisor::terminate(InstanceId id) {
  InstanceProcess* instance = find(id);
  if (instance == nullptr || instance->state == InstanceProcess::State::kEnded) return;
  if (instance->state == InstanceProcess::State::kInline) {
    stop(id, {});
    return;
  }
  // Its buffers come back only when the pidfd says that it is gone.
  kill_now(*instance);
}

void ProcessSupervisor::forget(InstanceId id) {
  instances_.erase(id);
}

void ProcessSupervisor::handle_end(InstanceProcess& instance) {
  std::string how = "gone";
  if (!instance.container.empty()) {
    how = leave_container(instance);
  } else if (instance.is_child) {
    how = reap(instance.process.pid);
  }
  release_fds(instance);
  const bool joined = instance.state == InstanceProcess::State::kServing;
  instance.state = InstanceProcess::State::kEnded;
  const InstanceId id = instance.id;
  if (!joined) instances_.erase(id);  // It never had a channel that a worker knows.
  callbacks_.ended(id, how);
}

void ProcessSupervisor::end_all() {
  for (const auto& [id, instance] : instances_) kill_now(*instance);
  for (const auto& [id, instance] : instances_) {
    if (instance->process.pidfd) (void)wait_for(instance->process.pidfd, kEndLimit);
    if (!instance->container.empty()) {
      (void)leave_container(*instance);
    } else if (instance->is_child) {
      (void)reap(instance->process.pid);
    }
  }
  end_containers();
}

// --- Events --------------------------------------------------------------------------------------

bool ProcessSupervisor::handle(int fd, Instant now) {
  if (listener_ && fd == listener_.get()) {
    accept_strangers(now);
    return true;
  }
  if (strangers_.contains(fd)) {
    handle_stranger(fd);
    return true;
  }
  const auto found = by_fd_.find(fd);
  if (found == by_fd_.end()) return false;
  InstanceProcess& instance = *instances_.at(found->second);
  // The event may be of a descriptor that was closed since, whose number a new one has: never
  // believe that a process ended which still maps packet memory.
  if (fd == instance.process.pidfd.get()) {
    if (wait_for(instance.process.pidfd, Duration::zero())) handle_end(instance);
  } else if (fd == instance.runtime.pidfd.get()) {
    if (wait_for(instance.runtime.pidfd, Duration::zero())) handle_runtime_end(instance);
  } else if (wait_for(instance.socket, Duration::zero())) {
    handle_socket(instance, now);
  }
  return true;
}

void ProcessSupervisor::handle_socket(InstanceProcess& instance, Instant now) {
  const auto stop_reading = [&] {
    by_fd_.erase(instance.socket.get());
    unwatch(instance.socket.get());
  };
  if (!instance.welcomed) {
    wire::Hello hello;
    if (!unix_socket::receive_struct(instance.socket.get(), hello)) {
      stop_reading();
      terminate(instance.id);
      return;
    }
    if (const std::string problem = wire::problem_of(hello); !problem.empty()) {
      callbacks_.complain(instance.name + ": " + problem);
      refuse(instance.socket.get(), problem);
      stop_reading();
      return;  // It ends by itself, or at the limit for joining.
    }
    const bool known = instance.container.empty() || find_first_process(instance);
    if (!known || !welcome(instance)) terminate(instance.id);
    return;
  }
  wire::Ready ready;
  if (!unix_socket::receive_struct(instance.socket.get(), ready)) {
    // Closed, or no struct of ours: the process is ending, or it cannot be trusted.
    stop_reading();
    terminate(instance.id);
    return;
  }
  if (instance.state == InstanceProcess::State::kServing) {
    callbacks_.complain(instance.name + ": registered twice by the same process");
    terminate(instance.id);
    return;
  }
  if (ready.magic != wire::kMagic || ready.ok == 0) {
    callbacks_.complain(instance.name + ": " + wire::get(ready.text));
    terminate(instance.id);
    return;
  }
  instance.state = InstanceProcess::State::kServing;
  instance.start_time = now - instance.spawned;
  callbacks_.started(instance);
}

void ProcessSupervisor::tick(Instant now) {
  collect_containers();
  std::vector<InstanceId> late;
  for (const auto& [id, instance] : instances_) {
    if (instance->state == InstanceProcess::State::kJoining && !instance->kill_at &&
        now - instance->spawned >= kJoinLimit) {
      callbacks_.complain(instance->name + ": did not join within 5 s");
      instance->kill_at = now;  // Said once, though its end may take longer.
    }
    const bool slow_to_end = instance->kill_at && now >= *instance->kill_at &&
                             instance->state != InstanceProcess::State::kEnded;
    if (slow_to_end) late.push_back(id);
  }
  for (const InstanceId id : late) terminate(id);
  std::erase_if(strangers_, [&](const auto& entry) {
    const bool old = now - entry.second.since >= kHelloLimit;
    if (old) unwatch(entry.first);
    return old;
  });
}

// --- Those that come by themselves ---------------------------------------------------------------

void ProcessSupervisor::refuse(int socket, const std::string& why) {
  wire::Welcome no;
  wire::put(no.text, why);
  (void)unix_socket::send_struct(socket, no);
}

void ProcessSupervisor::accept_strangers(Instant now) {
  while (auto socket = unix_socket::accept(listener_.get())) {
    const auto peer = unix_socket::peer_of(socket->get());
    if (!peer || strangers_.size() >= kStrangerCountMax) continue;
    const int fd = socket->get();
    watch(fd);
    strangers_[fd] = Stranger{std::move(*socket), *peer, now};
  }
}

void ProcessSupervisor::handle_stranger(int fd) {
  Stranger stranger = std::move(strangers_.at(fd));
  strangers_.erase(fd);
  wire::Hello hello;
  const auto refused = [&](const std::string& why) {
    callbacks_.complain("process " + std::to_string(stranger.peer.pid) + ": " + why);
    refuse(fd, why);
    unwatch(fd);
  };
  if (!unix_socket::receive_struct(fd, hello)) return refused("its greeting is unknown");
  if (std::string problem = wire::problem_of(hello); !problem.empty()) return refused(problem);
  if (stranger.peer.uid != ::geteuid() && stranger.peer.uid != 0) {
    return refused("another user's; got uid " + std::to_string(stranger.peer.uid));
  }
  for (const auto& [id, instance] : instances_) {
    if (instance->process.pidfd && instance->process.pid == stranger.peer.pid) {
      return refused("this process is instance " + instance->name + " already");
    }
  }
  offered_ = std::move(stranger);
  const std::string why = callbacks_.offered(wire::get(hello.service));
  if (!offered_) return;  // Taken.
  stranger = std::move(*offered_);
  offered_.reset();
  refused(why.empty() ? "the host has no room for another instance" : why);
}

}  // namespace sluice::dpdk

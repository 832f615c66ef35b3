#include "backends/dpdk/host_daemon.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "backends/process/idle.hpp"
#include "core/check.hpp"
#include "core/deployment/host_options.hpp"
#include "core/prng.hpp"

namespace sluice::dpdk {
namespace {

constexpr Duration kSampleInterval = std::chrono::milliseconds{10};
constexpr std::uint64_t kIntervalsPerStatus = 10;
constexpr std::uint32_t kWorkerRingCapacity = 4096;

}  // namespace

HostDaemon::HostDaemon(HostDeployment deployment, HostId host, Options options, Listener listener)
    : deployment_(deployment.deployment),
      host_(host),
      services_(hosted_services(deployment)),
      options_(std::move(options)),
      listener_(std::move(listener)) {
  for (const ChainSpec& chain : deployment_->chains) chain_names_.push_back(chain.version.name);
}

HostDaemon::~HostDaemon() {
  workers_.clear();  // Threads end before what they use.
}

const HostSpec& HostDaemon::spec() const {
  return deployment_->hosts[index_of(host_)];
}

void HostDaemon::watch(int fd) const {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  SLUICE_CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0);
}

// --- Start ---------------------------------------------------------------------------------------

Result<void, std::string> HostDaemon::start() {
  epoll_ = Fd{::epoll_create1(EPOLL_CLOEXEC)};
  wake_ = Fd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  timer_ = Fd{::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)};
  if (!epoll_ || !wake_ || !timer_) return unexpected(std::string("no descriptors left"));
  watch(wake_.get());
  watch(timer_.get());
  auto memory = DpdkMemory::create({.name = "sluice-" + spec().name,
                                    .buffer_count = spec().buffer_count,
                                    .buffer_size = spec().buffer_size,
                                    .pages = options_.pages});
  if (!memory) return unexpected(memory.error());
  memory_ = std::move(*memory);
  if (options_.capture != nullptr) options_.capture->watch(memory_->packets());
  if (auto opened = open_ports(); !opened) return opened;
  ledger_ = std::make_unique<BufferLedger>(memory_->packets());
  make_workers();
  const Agent::Options agent = agent_options(*deployment_, host_, HostGrowth::kChangeable);
  agent_ = std::make_unique<Agent>(agent);
  readings_ =
      std::make_unique<ReadingTable>(agent.instance_count_max, agent.chain_version_count_max);
  autoscaler_ = std::make_unique<HostAutoscaler>(
      policies(), [this](const LoadSample&, const ScaleAction& action) {
        carry_out(Note{
            Note::Kind::kScaleBlocked, action.service, kNoInstance, {}, to_string(action.reason)});
      });
  const std::string sockets = options_.run_dir + "/" + spec().name;
  supervisor_ = std::make_unique<ProcessSupervisor>(
      ProcessSupervisor::Options{.host = spec().name,
                                 .program = options_.nf_program,
                                 .nf_socket = sockets + ".nf",
                                 .container_folder = sockets + ".containers",
                                 .packets = memory_->packets(),
                                 .packets_fd = memory_->fd(),
                                 .epoll_fd = epoll_.get(),
                                 .worker_count = agent.worker_count,
                                 .site = options_.site,
                                 .seed = deployment_->run.seed},
      supervisor_callbacks());
  if (auto listening = supervisor_->listen(); !listening) return listening;
  control_ = std::make_unique<ControlServer>(
      sockets + ".control", epoll_.get(),
      [this](const nlohmann::json& request, ControlServer::ClientId client) {
        return answer(request, client);
      });
  if (auto listening = control_->listen(); !listening) return listening;
  started_ = monotonic_now();
  handling_ = true;
  for (const AgentCommand& command : agent_->start(started_)) {
    std::visit([this](const auto& each) { carry_out(each); }, command);
  }
  handling_ = false;
  handle_events();
  // Inline functions serve by now, so the first packet already finds them.
  for (const auto& worker : workers_) worker->start();
  const timespec every{.tv_sec = 0, .tv_nsec = kSampleInterval.count()};
  const itimerspec timer{.it_interval = every, .it_value = every};
  ::timerfd_settime(timer_.get(), 0, &timer, nullptr);
  return {};
}

Result<void, std::string> HostDaemon::open_ports() {
  for (const PortSpec& port : spec().ports) {
    const auto& site = options_.site.ports[index_of(port.id)];
    if (!site) {
      return unexpected("port " + port.name +
                        ": no device; got a site file that is silent on it; expected interface, "
                        "vdev or pci under hosts." +
                        spec().name + ".ports." + port.name);
    }
    auto opened = DpdkPort::open(port, *site, *memory_);
    if (!opened) return unexpected(opened.error());
    ports_.push_back(std::move(*opened));
  }
  return {};
}

void HostDaemon::make_workers() {
  const auto count = static_cast<std::uint16_t>(spec().worker_count);
  for (std::uint16_t i = 0; i < count && count > 1; ++i) {
    worker_rings_.emplace_back();
    for (std::uint16_t j = 0; j < count; ++j) worker_rings_[i].emplace_back(kWorkerRingCapacity);
  }
  Prng prng{options_.hash_seed};
  const HashKey flow_hash_key{prng.next(), prng.next()};
  const HashKey worker_hash_key{prng.next(), prng.next()};
  const SiteHost& site = options_.site;
  std::vector<std::uint16_t> numbers;
  for (const auto& port : ports_) numbers.push_back(port->number());
  for (std::uint16_t i = 0; i < count; ++i) {
    Worker::Options worker = worker_options(*deployment_, host_, i, HostGrowth::kChangeable);
    worker.flows.hash_key = flow_hash_key;
    worker.worker_hash_key = worker_hash_key;
    worker.flow_storage = tables_.emplace_back(FlowTable::storage_bytes(worker.flows)).bytes();
    worker.memory = memory_->packets();
    worker.ledger = ledger_.get();
    worker.observer = options_.capture;
    for (std::uint16_t j = 0; j < count && count > 1; ++j) {
      worker.to_workers.push_back(worker_rings_[i][j].ring());
      worker.from_workers.push_back(worker_rings_[j][i].ring());
    }
    WorkerThread::Options thread;
    thread.name = "worker-" + std::to_string(i);
    thread.sleep_max = site.sleep_max;
    thread.wake_fd = wake_.get();
    if (i < site.worker_cores.size()) {
      thread.core = site.worker_cores[i];
      thread.yields = std::find(site.instance_cores.begin(), site.instance_cores.end(),
                                site.worker_cores[i]) != site.instance_cores.end();
    }
    DpdkIo io{*memory_, numbers};
    for (std::size_t j = 0; j < ports_.size(); ++j) {
      io.set_pace(static_cast<PortId>(j), ports_[j]->pace());
    }
    workers_.push_back(std::make_unique<WorkerThread>(std::make_unique<Worker>(std::move(worker)),
                                                      std::move(io), thread));
  }
}

ProcessSupervisor::Callbacks HostDaemon::supervisor_callbacks() {
  return {.started =
              [this](InstanceProcess& instance) {
                handle(InstanceStarted{instance.id, &instance.channel, instance.worker});
              },
          .ended =
              [this](InstanceId instance, const std::string& how) {
                if (!stopping_ && how != "exit 0" && how != "stopped") {
                  listener_.complain("instance " + agent_->name_of(instance) + " ended: " + how);
                }
                handle(InstanceEnded{instance});
              },
          .offered = [this](const std::string& service) { return offered(service); },
          .complain = listener_.complain};
}

std::vector<ServicePolicy> HostDaemon::policies() const {
  std::vector<ServicePolicy> policies;
  for (const ScaledService& service : scaled_services(*agent_)) {
    policies.push_back({service.service, service.policy});
  }
  return policies;
}

// --- The control thread --------------------------------------------------------------------------

void HostDaemon::run(int signal_fd) {
  watch(signal_fd);
  while (!stopping_) {
    std::array<epoll_event, 32> ready;
    const int count = ::epoll_wait(epoll_.get(), ready.data(), static_cast<int>(ready.size()), -1);
    for (int i = 0; i < count; ++i) {
      const int fd = ready[static_cast<std::size_t>(i)].data.fd;
      if (fd == signal_fd) {
        stopping_ = true;
      } else {
        react(fd);
      }
    }
  }
}

void HostDaemon::react(int fd) {
  if (fd == wake_.get()) {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto size = ::read(fd, &count, sizeof(count));
    read_answers();
    return;
  }
  if (fd == timer_.get()) {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto size = ::read(fd, &count, sizeof(count));
    interval();
    return;
  }
  if (supervisor_->handle(fd, monotonic_now())) return;
  (void)control_->handle(fd);  // Else: an event of a descriptor that was closed meanwhile.
}

void HostDaemon::handle(AgentEvent event) {
  events_.push_back(std::move(event));
  handle_events();
}

/// One after the other: carrying out a command may bring the next event.
void HostDaemon::handle_events() {
  if (handling_) return;
  handling_ = true;
  while (!events_.empty()) {
    const AgentEvent next = std::move(events_.front());
    events_.pop_front();
    for (const AgentCommand& command : agent_->handle(next, monotonic_now())) {
      std::visit([this](const auto& each) { carry_out(each); }, command);
    }
  }
  handling_ = false;
}

void HostDaemon::carry_out(const StartInstance& command) {
  supervisor_->start(command, services_[index_of(command.service)]);
}

void HostDaemon::carry_out(const StopInstance& command) {
  const InstanceProcess* instance = supervisor_->find(command.instance);
  if (instance == nullptr) return;
  workers_[instance->worker]->post(command.instance, Message{Message::Kind::kStop, kNoFlow, {}});
  supervisor_->stop(command.instance, monotonic_now());
}

void HostDaemon::carry_out(const TerminateInstance& command) {
  supervisor_->terminate(command.instance);
}

void HostDaemon::carry_out(const PostMessage& command) {
  const InstanceProcess* instance = supervisor_->find(command.instance);
  if (instance != nullptr) workers_[instance->worker]->post(command.instance, command.message);
}

void HostDaemon::carry_out(const Publish& command) {
  snapshots_.push_back(command.snapshot);
  for (const auto& worker : workers_) worker->adopt(*command.snapshot);
}

/// The owner's commands are carried out in order, so it has adopted the snapshot without the
/// instance by then; other workers only look at how full its rings are.
void HostDaemon::carry_out(const ReclaimInstance& command) {
  const InstanceProcess* instance = supervisor_->find(command.instance);
  if (instance != nullptr) workers_[instance->worker]->reclaim(command.instance, command.reason);
}

void HostDaemon::carry_out(const Note& command) {
  const bool known = command.service != kNoService;
  listener_.note(monotonic_now(), command,
                 known ? services_[index_of(command.service)].spec.service.name : "");
}

void HostDaemon::read_answers() {
  for (const auto& worker : workers_) {
    while (const auto answer = worker->next_answer()) {
      switch (answer->kind) {
        case WorkerThread::Answer::Kind::kReclaimed:
          reclaimed_.emplace_back(answer->instance, snapshots_.back()->version);
          break;
        case WorkerThread::Answer::Kind::kMisbehaved:
          handle(InstanceMisbehaved{answer->instance});
          break;
        case WorkerThread::Answer::Kind::kExchanged:
          if (--exchanges_missing_ == 0) sample();
          break;
      }
    }
  }
}

/// The sampling timer: asks the workers; sample() follows when all have answered.
void HostDaemon::interval() {
  supervisor_->tick(monotonic_now());
  retire_snapshots();
  if (exchanges_missing_ > 0) return;  // A worker is late: its samples count more time then.
  with_statistics_ = interval_count_++ % kIntervalsPerStatus == 0;
  exchanges_missing_ = static_cast<std::uint32_t>(workers_.size());
  const bool wanted = with_statistics_ || std::exchange(statistics_asked_, false);
  for (const auto& worker : workers_) worker->request_exchange(wanted);
}

void HostDaemon::sample() {
  readings_->clear();
  for (const auto& worker : workers_) readings_->add(worker->exchange().report);
  for (const auto& [id, instance] : supervisor_->instances()) {
    if (instance->state != InstanceProcess::State::kServing) continue;
    readings_->add(id, workers_[instance->worker]->exchange().report, instance->memory.waiting(),
                   instance->memory.page());
  }
  handle(readings_->readings());
  for (ScaleRequest& request : (*autoscaler_)(agent_->sample())) handle(std::move(request));
  ready_ = ready_ || all_started();
  if (with_statistics_) listener_.status(status());
}

/// And the memory of instances that were reclaimed: a worker that has not adopted a snapshot
/// without one yet may still look how full its ring is, though it belongs to another worker.
void HostDaemon::retire_snapshots() {
  std::uint64_t oldest = ~std::uint64_t{0};
  for (const auto& worker : workers_) oldest = std::min(oldest, worker->adopted_version());
  std::erase_if(reclaimed_, [&](const auto& entry) {
    if (entry.second > oldest) return false;
    supervisor_->forget(entry.first);
    return true;
  });
  while (snapshots_.size() > 1 && snapshots_.front()->version < oldest) snapshots_.pop_front();
}

bool HostDaemon::all_started() const {
  for (const Agent::ServiceSettings& settings : agent_->options().services) {
    std::uint32_t serving = 0;
    for (const auto& [id, instance] : supervisor_->instances()) {
      const bool serves = instance->state == InstanceProcess::State::kServing ||
                          instance->state == InstanceProcess::State::kInline;
      if (serves && instance->service == settings.service.id) ++serving;
    }
    if (serving < settings.instance_count_start) return false;
  }
  return true;
}

// --- End -----------------------------------------------------------------------------------------

std::vector<std::string> HostDaemon::shut_down() {
  stopping_ = true;
  control_.reset();
  for (const auto& worker : workers_) worker->join();
  supervisor_->end_all();
  const Instant now = monotonic_now();
  // Twice: what a worker drops may have come from the ring of another one.
  for (int round = 0; round < 2; ++round) {
    for (const auto& worker : workers_) {
      if (worker->adopted_version() > 0) worker->worker().shut_down(now);
    }
  }
  for (const auto& worker : workers_) {
    if (worker->adopted_version() > 0) worker->worker().flush(worker->io(), now);
  }
  std::vector<std::string> problems;
  audit(problems);
  for (const auto& worker : workers_) worker->refresh_exchange();
  final_status_ = status();
  ports_.clear();
  if (const std::uint32_t free = memory_->available(); free != spec().buffer_count) {
    problems.push_back("I-2: buffers lost; got " + std::to_string(free) + " free; expected " +
                       std::to_string(spec().buffer_count));
  }
  return problems;
}

}  // namespace sluice::dpdk

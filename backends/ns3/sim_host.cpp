#include "backends/ns3/sim_host.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "backends/ns3/ns3.hpp"
#include "backends/ns3/sim_port_io.hpp"
#include "backends/ns3/sim_time.hpp"
#include "core/check.hpp"
#include "core/deployment/host_options.hpp"

namespace sluice {

namespace {

constexpr std::uint32_t kMessageRingCapacity = 64;
constexpr std::uint32_t kWorkerRingCapacity = 4096;

std::uint32_t power_of_two_from(std::uint32_t value) {
  std::uint32_t result = 1;
  while (result < value) result *= 2;
  return result;
}

template <class Ring>
std::size_t bytes_of(std::optional<Ring>& ring) {
  return ring ? ring->bytes().size() : 0;
}

}  // namespace

struct SimHost::PortIo : SimPortIo {
  explicit PortIo(SimHost& host) : SimPortIo(host.ports_, host.pool_, host.memory_) {}
};

struct SimHost::WorkerCore {
  WorkerCore(SimHost& host, std::uint16_t number)
      : index(number), core(host.spec_.clock), io(host) {}
  std::uint16_t index;
  SimCore core;
  PortIo io;
  std::unique_ptr<Worker> worker;
  WorkerReport report;
  bool busy = false;
};

/// An instance between its rings on a core of its own; without rings and core when it is inline.
struct SimHost::InstanceCore {
  InstanceCore(Frequency clock, InstanceId instance) : id(instance), core(clock) {}
  InstanceId id;
  SimCore core;
  ServiceId service = kNoService;
  std::uint32_t number = 0;
  std::uint16_t worker = 0;
  std::optional<OwnedSpscRing<Packet>> receive;
  std::optional<OwnedSpscRing<Packet>> give_back;
  std::optional<OwnedSpscRing<Message>> messages;
  ControlPage page;
  InstanceChannel channel;
  std::unique_ptr<RingRuntime> runtime;
  std::unique_ptr<FunctionRuntime> inline_runtime;
  std::uint64_t packets_until_stuck = ~std::uint64_t{0};
  Instant wake_scheduled = Instant::max();
  Duration busy_before{};
  bool busy = false;
  bool lacks_room = false;  ///< The function left packets in its ring.
  bool hung = false;
  bool ended = false;
};

SimHost::SimHost(const Deployment& deployment, HostId host, const Options& options)
    : deployment_(deployment),
      spec_(deployment.hosts[index_of(host)]),
      id_(host),
      options_(options),
      bytes_(std::size_t{spec_.buffer_count} * spec_.buffer_size),
      memory_(bytes_, spec_.buffer_size),
      pool_(spec_.buffer_count),
      ledger_(memory_),
      ports_(spec_.ports.size()),
      readings_(Agent::Options{}.instance_count_max,
                worker_options(deployment, host, 0).chain_version_count_max) {
  Prng prng{options.seed};
  static_assert(PacketIo<PortIo>);
  const HashKey flow_hash_key{prng.next(), prng.next()};
  const HashKey worker_hash_key{prng.next(), prng.next()};
  const auto worker_count = static_cast<std::uint16_t>(spec_.worker_count);
  // rings[from][to]
  std::vector<std::vector<OwnedSpscRing<Packet>>> rings(worker_count);
  for (auto& row : rings) {
    for (std::uint16_t i = 0; i < worker_count && worker_count > 1; ++i) {
      row.emplace_back(kWorkerRingCapacity);
    }
  }
  for (std::uint16_t i = 0; i < worker_count; ++i) {
    Worker::Options worker = worker_options(deployment, id_, i);
    worker.flows.hash_key = flow_hash_key;
    worker.memory = memory_;
    worker.worker_hash_key = worker_hash_key;
    worker.ledger = &ledger_;
    worker.observer = options.observer;
    for (std::uint16_t j = 0; j < worker_count && worker_count > 1; ++j) {
      worker.to_workers.push_back(rings[i][j].ring());
      worker.from_workers.push_back(rings[j][i].ring());
    }
    workers_.push_back(std::make_unique<WorkerCore>(*this, i));
    workers_.back()->worker = std::make_unique<Worker>(std::move(worker));
  }
  worker_rings_ = std::move(rings);
  agent_ = std::make_unique<Agent>(agent_options(deployment, id_));
}

SimHost::~SimHost() = default;

const Worker& SimHost::worker(std::uint16_t index) const {
  return *workers_[index]->worker;
}

void SimHost::attach(PortId port, std::unique_ptr<SimPort> sim_port) {
  SLUICE_CHECK(!started_ && index_of(port) < ports_.size());
  sim_port->set_tag_store(&tags_);
  ports_[index_of(port)] = std::move(sim_port);
}

void SimHost::start() {
  for (const auto& port : ports_) SLUICE_CHECK(port != nullptr);
  const Instant now = simulated_now();
  run(agent_->start(now));
  for (std::uint16_t i = 0; i < ports_.size(); ++i) {
    const std::uint16_t owner = snapshot_->ports[i].worker;
    ports_[i]->set_wake([this, owner] { wake(*workers_[owner]); });
  }
  started_ = true;
  schedule(options_.sample_interval, [this] { sample(); });
}

// --- Workers -------------------------------------------------------------------------------------

void SimHost::wake(WorkerCore& worker) {
  if (!worker.busy && !paused_ && !dead_ && started_) begin(worker);
}

void SimHost::begin(WorkerCore& worker) {
  for (;;) {
    const std::uint32_t count = worker.worker->gather(worker.io, simulated_now());
    if (count == 0) return;
    const std::uint64_t cycles =
        spec_.worker_cost.cycles_for(count, worker.worker->gathered_bytes());
    if (cycles > 0) {
      worker.busy = true;
      worker.core.run(cycles, [this, &worker] { complete(worker); });
      return;
    }
    worker.worker->work(simulated_now());
    after_work(worker);
  }
}

void SimHost::complete(WorkerCore& worker) {
  if (dead_) return;
  worker.busy = false;
  worker.worker->work(simulated_now());
  after_work(worker);
  wake(worker);
}

/// Sends what was decided, and wakes whoever got something.
void SimHost::after_work(WorkerCore& worker) {
  worker.worker->flush(worker.io, simulated_now());
  const auto touched = worker.worker->touched();
  for (const InstanceId id : touched) {
    const auto found = instances_.find(id);
    if (found != instances_.end()) wake(*found->second);
  }
  worker.worker->clear_touched();
  if (const auto bad = worker.worker->quarantined(); !bad.empty()) {
    const std::vector<InstanceId> ids{bad.begin(), bad.end()};
    worker.worker->clear_quarantined();
    for (const InstanceId id : ids) handle(InstanceMisbehaved{id});
  }
  for (const auto& other : workers_) {
    if (other.get() != &worker && other->worker->has_input_from(worker.index)) {
      schedule(Duration::zero(), [this, to = other.get()] { wake(*to); });
    }
  }
}

// --- Instances -----------------------------------------------------------------------------------

void SimHost::wake(InstanceCore& instance) {
  if (instance.runtime == nullptr || instance.busy || instance.hung || instance.ended) return;
  if (paused_ || dead_) return;
  begin(instance);
}

void SimHost::begin(InstanceCore& instance) {
  const Instant now = simulated_now();
  const auto packets = instance.runtime->take(now, options_.batch_max);
  instance.lacks_room = packets.empty() && instance.channel.receive.size() > 0;
  if (packets.empty()) {
    if (instance.runtime->stop_requested()) {
      end_instance(instance.id);
      return;
    }
    schedule_wake_at(instance);
    return;
  }
  instance.busy = true;
  if (packets.size() > instance.packets_until_stuck) {
    instance.hung = true;  // An infinite service time: it has the batch and never answers.
    return;
  }
  instance.packets_until_stuck -= packets.size();
  std::uint64_t size_bytes = 0;
  for (const Packet& packet : packets) size_bytes += packet.length;
  const Cost& cost = deployment_.services[index_of(instance.service)].cost;
  const std::uint64_t cycles = cost.cycles_for(packets.size(), size_bytes);
  instance.core.run(cycles, [this, &instance] { complete(instance); });
}

void SimHost::complete(InstanceCore& instance) {
  if (instance.ended || dead_ || instance.hung) return;  // Hung: it keeps its batch, see go_on().
  instance.busy = false;
  const Duration busy = instance.core.busy_time() - instance.busy_before;
  instance.busy_before += busy;
  instance.runtime->finish(simulated_now(), busy);
  wake(*workers_[instance.worker]);
  wake(instance);
}

/// After a hang or a pause: what was due meanwhile is done now; what still runs ends by itself.
void SimHost::go_on(InstanceCore& instance) {
  if (paused_ || instance.hung) return;
  if (instance.busy && !instance.core.busy()) complete(instance);
  wake(instance);
}

/// Ticks a function between the regular ticks when it asked for that.
void SimHost::schedule_wake_at(InstanceCore& instance) {
  const Instant now = simulated_now();
  const Instant wanted = std::max(instance.runtime->runtime().function().wake_at(), now);
  if (wanted >= now + options_.sample_interval || wanted >= instance.wake_scheduled) return;
  instance.wake_scheduled = wanted;
  schedule(wanted - now, [this, id = instance.id, wanted] {
    const auto found = instances_.find(id);
    if (found == instances_.end() || found->second->wake_scheduled != wanted) return;
    InstanceCore& waiting = *found->second;
    waiting.wake_scheduled = Instant::max();
    tick(waiting);
  });
}

void SimHost::tick(InstanceCore& instance) {
  if (instance.runtime == nullptr || instance.hung || instance.ended || instance.busy) return;
  if (paused_ || dead_) return;
  const std::uint32_t waiting = instance.channel.give_back.size();
  instance.runtime->tick(simulated_now());
  wake(*workers_[instance.worker]);
  if (instance.runtime->stop_requested()) {
    end_instance(instance.id);
    return;
  }
  // It wants to go on at once but could not: what it lacks (a lent buffer) comes with a message or
  // the next regular tick. A tick at this same moment would be followed by another one for ever.
  const bool idle = instance.channel.give_back.size() == waiting;
  if (idle && instance.runtime->runtime().function().wake_at() <= simulated_now()) return;
  // Only then: who was not told of a packet shall not find it by chance.
  if (instance.lacks_room) {
    begin(instance);
  } else {
    schedule_wake_at(instance);
  }
}

void SimHost::end_instance(InstanceId id) {
  const auto found = instances_.find(id);
  if (found == instances_.end() || found->second->ended) return;
  found->second->ended = true;
  schedule(options_.death_notice, [this, id] {
    if (!dead_) handle(InstanceEnded{id});
  });
}

SimHost::InstanceCore* SimHost::find(ServiceId service, std::uint32_t number) {
  for (const auto& [id, instance] : instances_) {
    if (instance->service == service && instance->number == number && !instance->ended) {
      return instance.get();
    }
  }
  return nullptr;
}

// --- Sampling and control ------------------------------------------------------------------------

void SimHost::sample() {
  if (dead_) return;
  schedule(options_.sample_interval, [this] { sample(); });
  if (paused_) return;
  const Instant now = simulated_now();
  for (const auto& worker : workers_) {
    worker->worker->tick(now);
    after_work(*worker);
  }
  for (const auto& [id, instance] : instances_) tick(*instance);
  readings_.clear();
  for (const auto& worker : workers_) {
    worker->worker->report(worker->report);
    readings_.add(worker->report);
  }
  for (const auto& [id, instance] : instances_) {
    if (instance->runtime == nullptr) continue;
    readings_.add(id, workers_[instance->worker]->report, instance->channel.receive.size(),
                  instance->page);
  }
  handle(readings_.readings());
  if (!sampler_) return;
  for (const ScaleRequest& request : sampler_(agent_->sample())) handle(request);
}

void SimHost::change(const ChainUpdate& update) {
  handle(update);
}
void SimHost::request(const ScaleRequest& scale_request) {
  handle(scale_request);
}

void SimHost::handle(const AgentEvent& event) {
  run(agent_->handle(event, simulated_now()));
}

void SimHost::run(std::vector<AgentCommand> commands) {
  for (const AgentCommand& command : commands) {
    std::visit([this](const auto& each) { carry_out(each); }, command);
  }
}

void SimHost::carry_out(const StartInstance& command) {
  const bool inline_run =
      deployment_.services[index_of(command.service)].service.run == RunMode::kInline;
  const bool at_once = inline_run || !started_;
  const Duration delay = at_once ? Duration::zero() : options_.start_delay;
  schedule(delay, [this, command] {
    if (!dead_) finish_start(command);
  });
}

void SimHost::finish_start(const StartInstance& command) {
  const ServiceSpec& spec = deployment_.services[index_of(command.service)];
  auto instance = std::make_unique<InstanceCore>(spec_.clock, command.instance);
  instance->service = command.service;
  instance->number = command.number;
  instance->worker =
      worker_of_instance(spec.service, command.instance, command.number, workers_.size());
  FunctionRuntime::Options runtime{
      memory_, spec.service.label_bits,
      options_.seed * 0x9e3779b97f4a7c15u + command.number * 977u + index_of(command.service)};
  auto function = spec.program->make_instance({.number = command.number});
  if (spec.service.run == RunMode::kInline) {
    instance->inline_runtime = std::make_unique<FunctionRuntime>(std::move(function), runtime);
    instance->channel.inline_runtime = instance->inline_runtime.get();
  } else {
    const auto& only = spec.traits.stuck_instances;
    if (spec.traits.stuck_after &&
        (only.empty() || std::find(only.begin(), only.end(), command.number) != only.end())) {
      instance->packets_until_stuck = *spec.traits.stuck_after;
    }
    const std::uint32_t capacity = spec.service.ring_capacity;
    instance->receive.emplace(capacity);
    instance->give_back.emplace(power_of_two_from(outstanding_max(capacity)));
    instance->messages.emplace(kMessageRingCapacity);
    instance->channel = {instance->receive->ring(), instance->give_back->ring(),
                         instance->messages->ring(), nullptr};
    instance->runtime = std::make_unique<RingRuntime>(
        std::move(function), runtime,
        RingRuntime::Wiring{instance->receive->ring(), instance->give_back->ring(),
                            instance->messages->ring(), &instance->page});
  }
  InstanceCore& started = *instance;
  instances_[command.instance] = std::move(instance);
  if (options_.observer != nullptr) {
    options_.observer->instance_started(simulated_now(), command.instance, command.service);
  }
  handle(InstanceStarted{command.instance, &started.channel, started.worker});
}

void SimHost::carry_out(const StopInstance& command) {
  carry_out(PostMessage{command.instance, Message{Message::Kind::kStop, kNoFlow, {}}});
  const auto found = instances_.find(command.instance);
  if (found == instances_.end()) return;
  // A hung one does not read its messages: it is ended like a process that ignores the request.
  if (found->second->hung || found->second->busy) end_instance(command.instance);
}

void SimHost::carry_out(const TerminateInstance& command) {
  end_instance(command.instance);
}

void SimHost::carry_out(const PostMessage& command) {
  const auto found = instances_.find(command.instance);
  if (found == instances_.end()) return;
  if (command.message.kind == Message::Kind::kDrain && options_.observer != nullptr) {
    options_.observer->instance_draining(simulated_now(), command.instance);
  }
  WorkerCore& worker = *workers_[found->second->worker];
  // A full ring means that it has more than enough to read; stop and drain are also enforced here.
  (void)worker.worker->post(command.instance, command.message, simulated_now());
  after_work(worker);
}

void SimHost::carry_out(const Publish& command) {
  if (options_.observer != nullptr) {
    for (const auto& chain : command.snapshot->chains) {
      const bool known =
          chain == nullptr || (snapshot_ != nullptr && chain->index < snapshot_->chains.size() &&
                               snapshot_->chains[chain->index] == chain);
      if (!known) options_.observer->chain_published(simulated_now(), *chain);
    }
  }
  for (const auto& worker : workers_) worker->worker->adopt(*command.snapshot);
  snapshot_ = command.snapshot;  // All workers have adopted it: the one before is free.
}

void SimHost::carry_out(const ReclaimInstance& command) {
  const auto found = instances_.find(command.instance);
  SLUICE_CHECK(found != instances_.end());
  WorkerCore& worker = *workers_[found->second->worker];
  worker.worker->reclaim(command.instance, command.reason, simulated_now());
  worker.worker->flush(worker.io, simulated_now());
  if (options_.observer != nullptr) {
    options_.observer->instance_ended(simulated_now(), command.instance,
                                      command.reason == DropReason::kInstanceDied);
  }
  // Its core may still have an event under way, which must find it.
  ended_.push_back(std::move(found->second));
  instances_.erase(found);
}

void SimHost::carry_out(const Note& command) {
  if (note_sink_) note_sink_(simulated_now(), command);
}

// --- Faults --------------------------------------------------------------------------------------

bool SimHost::kill(ServiceId service, std::uint32_t number) {
  InstanceCore* instance = find(service, number);
  if (instance == nullptr) return false;
  end_instance(instance->id);
  return true;
}

bool SimHost::hang(ServiceId service, std::uint32_t number) {
  InstanceCore* instance = find(service, number);
  if (instance == nullptr) return false;
  instance->hung = true;
  return true;
}

bool SimHost::unhang(ServiceId service, std::uint32_t number) {
  InstanceCore* instance = find(service, number);
  if (instance == nullptr || !instance->hung) return false;
  instance->hung = false;
  go_on(*instance);
  return true;
}

bool SimHost::slow(ServiceId service, std::uint32_t number, std::uint32_t factor) {
  InstanceCore* instance = find(service, number);
  if (instance == nullptr) return false;
  instance->core.set_slow_factor(factor);
  return true;
}

void SimHost::pause() {
  paused_ = true;
  for (const auto& worker : workers_) worker->core.pause();
  for (const auto& [id, instance] : instances_) instance->core.pause();
}

void SimHost::resume() {
  paused_ = false;
  for (const auto& worker : workers_) worker->core.resume();
  for (const auto& [id, instance] : instances_) instance->core.resume();
  for (const auto& [id, instance] : instances_) go_on(*instance);
  for (const auto& worker : workers_) wake(*worker);
}

void SimHost::kill_host() {
  if (dead_) return;
  shut_down();
}

void SimHost::shut_down() {
  if (dead_) return;
  dead_ = true;
  const Instant now = simulated_now();
  for (const auto& worker : workers_) {
    worker->worker->shut_down(now);
    worker->worker->flush(worker->io, now);
  }
  if (options_.observer != nullptr) {
    for (const auto& [id, instance] : instances_) {
      options_.observer->instance_ended(now, id, false);
    }
  }
}

std::string SimHost::audit() const {
  if (pool_.available() != spec_.buffer_count) {
    return "buffers lost: " + std::to_string(spec_.buffer_count - pool_.available()) + " of " +
           std::to_string(spec_.buffer_count) + " are not free after the stop";
  }
  return {};
}

void SimHost::for_each_ring(
    const std::function<void(InstanceId, std::uint32_t, std::uint32_t)>& look) const {
  for (const auto& [id, instance] : instances_) {
    if (instance->runtime == nullptr) continue;
    look(id, instance->channel.receive.size(), instance->channel.receive.capacity());
  }
}

std::size_t SimHost::memory_bytes() const {
  std::size_t sum = bytes_.size();
  for (const auto& worker : workers_) sum += worker->worker->memory_bytes();
  for (const auto& [id, instance] : instances_) {
    sum += sizeof(InstanceCore) + bytes_of(instance->receive) + bytes_of(instance->give_back) +
           bytes_of(instance->messages);
  }
  return sum;
}

}  // namespace sluice

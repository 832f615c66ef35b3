#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/function/function_runtime.hpp"
#include "core/host/agent.hpp"
#include "core/host/worker.hpp"
#include "core/packet/buffer_ledger.hpp"
#include "core/packet/buffer_pool.hpp"

namespace sluice::test {

using Frame = std::vector<std::byte>;

/// The simplest backend: frames go in and come out of vectors. The loopback end of the conformance
/// suite, and what tests and benchmarks of the worker stand on.
class LoopbackIo {
 public:
  LoopbackIo(PacketMemory memory, std::uint32_t port_count)
      : memory_(memory), pool_(memory.buffer_count()), input_(port_count), output_(port_count) {}

  std::uint32_t receive(PortId port, PacketBatch& batch) noexcept {
    std::uint32_t lost = 0;
    auto& waiting = input_[index_of(port)];
    while (!waiting.empty() && !batch.full()) {
      auto [frame, when] = std::move(waiting.front());
      waiting.pop_front();
      Packet packet{};
      const bool fits = frame.size() + kHeadroom <= memory_.buffer_size();
      if (!fits || pool_.allocate({&packet.buffer, 1}) == 0) {
        ++lost;
        continue;
      }
      packet.offset = kHeadroom;
      packet.length = static_cast<std::uint16_t>(frame.size());
      packet.flow = kNoFlow;
      packet.chain = 0xffff;
      packet.ingress = index_of(port);
      packet.arrival = to_ns(when);
      std::memcpy(memory_.bytes(packet).data(), frame.data(), frame.size());
      batch.push(packet);
    }
    return lost;
  }
  std::uint32_t transmit(PortId port, std::span<const Packet> packets) noexcept {
    auto& out = output_[index_of(port)];
    std::uint32_t sent = 0;
    for (const Packet& packet : packets) {
      if (out.size() >= output_room) break;
      const auto bytes = memory_.bytes(packet);
      out.emplace_back(bytes.begin(), bytes.end());
      pool_.release({&packet.buffer, 1});
      ++sent;
    }
    return sent;
  }
  std::uint32_t allocate(std::span<std::uint32_t> to_fill) noexcept {
    return pool_.allocate(to_fill);
  }
  void release(std::span<const std::uint32_t> to_free) noexcept { pool_.release(to_free); }

  void inject(PortId port, Frame frame, Instant when) {
    input_[index_of(port)].emplace_back(std::move(frame), when);
  }
  [[nodiscard]] std::vector<Frame>& output(PortId port) { return output_[index_of(port)]; }
  [[nodiscard]] bool idle() const {
    return std::all_of(input_.begin(), input_.end(), [](const auto& in) { return in.empty(); });
  }
  [[nodiscard]] std::uint32_t available() const { return pool_.available(); }

  std::size_t output_room = ~std::size_t{0};  ///< Frames that a port takes before it is full.

 private:
  PacketMemory memory_;
  BufferPool pool_;
  std::vector<std::deque<std::pair<Frame, Instant>>> input_;
  std::vector<std::vector<Frame>> output_;
};
static_assert(PacketIo<LoopbackIo>);

/// A whole host on LoopbackIo, in which instances run when the test says so and time is a variable.
class LoopbackHost {
 public:
  using MakeFunction = std::function<std::unique_ptr<NetworkFunction>(ServiceId, std::uint32_t)>;
  struct Options {
    Agent::Options agent;
    std::uint32_t buffer_count = 1024;
    std::uint32_t flow_count_max = 1024;
    std::uint32_t pin_count_max = 16;
    bool in_cluster = false;  ///< It may be told of other hosts (ClusterView).
    Observer* observer = nullptr;
    MakeFunction make_function;
    /// Told which services of a new deployment have which numbers; may be empty.
    std::function<void(const Renumbered&)> renumbered;
  };

  explicit LoopbackHost(Options options)
      : options_(std::move(options)),
        bytes_(std::size_t{options_.buffer_count} * 2048),
        memory_(bytes_, 2048),
        io_(memory_, static_cast<std::uint32_t>(options_.agent.ports.size())),
        ledger_(memory_),
        transits_(options_.in_cluster ? options_.buffer_count : 0),
        agent_(options_.agent),
        readings_(options_.agent.instance_count_max, options_.agent.chain_version_count_max) {
    const std::uint16_t count = options_.agent.worker_count;
    rings_.resize(count);
    for (auto& row : rings_) {
      for (std::uint16_t i = 0; i < count && count > 1; ++i) row.emplace_back(1024u);
    }
    for (std::uint16_t i = 0; i < count; ++i) {
      Worker::Options worker;
      worker.host = options_.agent.host;
      worker.index = i;
      worker.worker_count = count;
      worker.service_count_max = options_.agent.service_count_max;
      worker.chain_count_max = options_.agent.chain_count_max;
      worker.chain_version_count_max = options_.agent.chain_version_count_max;
      worker.instance_count_max = options_.agent.instance_count_max;
      worker.flows.flow_count_max = options_.flow_count_max;
      worker.flows.pin_count_max = options_.pin_count_max;
      worker.memory = memory_;
      worker.ledger = &ledger_;
      worker.transits = transits_;
      worker.observer = options_.observer;
      for (std::uint16_t j = 0; j < count && count > 1; ++j) {
        worker.to_workers.push_back(rings_[i][j].ring());
        worker.from_workers.push_back(rings_[j][i].ring());
      }
      workers_.push_back(std::make_unique<Worker>(std::move(worker)));
    }
    handling_ = true;
    run(agent_.start(now));
    handle_waiting();
  }

  /// One turn: each worker polls, then each instance that is not frozen handles what it got.
  void turn() {
    for (const auto& worker : workers_) worker->poll_once(io_, now);
    for (auto& [id, instance] : instances_) {
      if (instance->runtime == nullptr || instance->frozen) continue;
      if (!instance->runtime->take(now).empty()) instance->runtime->finish(now, Duration{100});
    }
  }
  /// Turns until nothing moves any more.
  void settle() {
    for (int i = 0; i < 64; ++i) turn();
  }
  /// Lets `duration` pass in steps, with a load sample each.
  void pass(Duration duration, Duration step = std::chrono::milliseconds{10}) {
    const Instant end = now + duration;
    while (now < end) {
      now += step;
      sample();
      settle();
    }
  }
  void sample() {
    for (const auto& worker : workers_) worker->tick(now);
    for (auto& [id, instance] : instances_) {
      if (instance->runtime != nullptr && !instance->frozen) instance->runtime->tick(now);
    }
    readings_.clear();
    std::vector<WorkerReport> reports(workers_.size());
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      workers_[i]->report(reports[i]);
      readings_.add(reports[i]);
    }
    for (auto& [id, instance] : instances_) {
      if (instance->runtime == nullptr) continue;
      readings_.add(id, reports[instance->worker], instance->channel.receive.size(),
                    instance->page);
    }
    handle(readings_.readings());
  }
  /// What follows from carrying out commands is handled when all of them are carried out.
  void handle(const AgentEvent& event) {
    events_.push_back(event);
    if (!std::exchange(handling_, true)) handle_waiting();
  }
  void inject(PortId port, Frame frame) { io_.inject(port, std::move(frame), now); }
  void kill(InstanceId instance) { handle(InstanceEnded{instance}); }
  void freeze(InstanceId instance) { instances_.at(instance)->frozen = true; }
  void thaw(InstanceId instance) { instances_.at(instance)->frozen = false; }
  /// From now on instances do not come up before release_starts().
  void hold_starts() { starts_held_ = true; }
  void release_starts() {
    starts_held_ = false;
    for (const StartInstance& command : std::exchange(held_starts_, {})) carry_out(command);
  }
  void shut_down() {
    for (const auto& worker : workers_) worker->shut_down(now);
    for (const auto& worker : workers_) worker->shut_down(now);
    for (const auto& worker : workers_) worker->flush(io_, now);
  }

  [[nodiscard]] LoopbackIo& io() { return io_; }
  [[nodiscard]] Worker& worker(std::uint16_t index = 0) { return *workers_[index]; }
  [[nodiscard]] Agent& agent() { return agent_; }
  /// What the workers steer by now.
  [[nodiscard]] const RoutingSnapshot& snapshot() const { return *snapshot_; }
  [[nodiscard]] PacketMemory memory() const { return memory_; }
  [[nodiscard]] std::vector<InstanceId> instances_of(ServiceId service) const {
    std::vector<InstanceId> result;
    for (const auto& [id, instance] : instances_) {
      if (instance->service == service) result.push_back(id);
    }
    return result;
  }
  [[nodiscard]] InstanceChannel& channel(InstanceId id) { return instances_.at(id)->channel; }
  /// Of an instance behind rings.
  [[nodiscard]] RingRuntime& runtime(InstanceId id) { return *instances_.at(id)->runtime; }
  [[nodiscard]] const std::vector<Note>& notes() const { return notes_; }
  /// The answers to Reconfigure, in order.
  [[nodiscard]] const std::vector<ReconfigureEnded>& reconfigured() const { return reconfigured_; }
  [[nodiscard]] std::uint64_t drops(DropReason reason) const {
    std::uint64_t sum = 0;
    for (const auto& worker : workers_) {
      sum += worker->statistics().drops[static_cast<std::size_t>(reason)];
    }
    return sum;
  }

  Instant now{};

 private:
  struct Instance {
    ServiceId service = kNoService;
    std::uint16_t worker = 0;
    std::optional<OwnedSpscRing<Packet>> receive;
    std::optional<OwnedSpscRing<Packet>> give_back;
    std::optional<OwnedSpscRing<Message>> messages;
    ControlPage page;
    InstanceChannel channel;
    std::unique_ptr<RingRuntime> runtime;
    std::unique_ptr<FunctionRuntime> inline_runtime;
    bool frozen = false;
  };

  void handle_waiting() {
    while (!events_.empty()) {
      const AgentEvent next = std::move(events_.front());
      events_.pop_front();
      run(agent_.handle(next, now));
    }
    handling_ = false;
  }
  Worker& worker_of(InstanceId id) { return *workers_[instances_.at(id)->worker]; }

  void run(std::vector<AgentCommand> commands) {
    for (const AgentCommand& command : commands) {
      std::visit([this](const auto& each) { carry_out(each); }, command);
    }
  }
  void carry_out(const StartInstance& command) {
    if (starts_held_) {
      held_starts_.push_back(command);
      return;
    }
    const Service service = agent_.services()[index_of(command.service)].service;
    auto instance = std::make_unique<Instance>();
    instance->service = command.service;
    const std::size_t place =
        service.run == RunMode::kInline ? command.number - 1 : index_of(command.instance);
    instance->worker = static_cast<std::uint16_t>(place % workers_.size());
    auto function = options_.make_function(command.service, command.number);
    const FunctionRuntime::Options runtime{memory_, service.label_bits, command.number};
    if (service.run == RunMode::kInline) {
      instance->inline_runtime = std::make_unique<FunctionRuntime>(std::move(function), runtime);
      instance->channel.inline_runtime = instance->inline_runtime.get();
    } else {
      std::uint32_t back = 1;
      while (back < outstanding_max(service.ring_capacity)) back *= 2;
      instance->receive.emplace(service.ring_capacity);
      instance->give_back.emplace(back);
      instance->messages.emplace(64);
      instance->channel = {instance->receive->ring(), instance->give_back->ring(),
                           instance->messages->ring(), nullptr};
      instance->runtime = std::make_unique<RingRuntime>(
          std::move(function), runtime,
          RingRuntime::Wiring{instance->receive->ring(), instance->give_back->ring(),
                              instance->messages->ring(), &instance->page});
    }
    Instance& started = *instance;
    instances_[command.instance] = std::move(instance);
    if (options_.observer != nullptr) {
      options_.observer->instance_started(now, command.instance, command.service);
    }
    handle(InstanceStarted{command.instance, &started.channel, started.worker});
  }
  void carry_out(const StopInstance& command) { handle(InstanceEnded{command.instance}); }
  void carry_out(const TerminateInstance& command) { handle(InstanceEnded{command.instance}); }
  void carry_out(const PostMessage& command) {
    if (command.message.kind == Message::Kind::kDrain && options_.observer != nullptr) {
      options_.observer->instance_draining(now, command.instance);
    }
    (void)worker_of(command.instance).post(command.instance, command.message, now);
  }
  void carry_out(const Publish& command) {
    if (options_.observer != nullptr) {
      for (const auto& chain : command.snapshot->chains) {
        if (chain != nullptr && !published_.contains(chain.get())) {
          published_[chain.get()] = chain;
          options_.observer->chain_published(now, *chain);
        }
      }
    }
    for (const auto& worker : workers_) worker->adopt(*command.snapshot);
    snapshot_ = command.snapshot;
  }
  void carry_out(const ReclaimInstance& command) {
    worker_of(command.instance).reclaim(command.instance, command.reason, now);
    worker_of(command.instance).flush(io_, now);
    if (options_.observer != nullptr) {
      options_.observer->instance_ended(now, command.instance,
                                        command.reason == DropReason::kInstanceDied);
    }
    instances_.erase(command.instance);
  }
  void carry_out(const Renumbered& command) {
    if (options_.renumbered) options_.renumbered(command);
  }
  void carry_out(const ReconfigureEnded& command) { reconfigured_.push_back(command); }
  void carry_out(const Note& command) { notes_.push_back(command); }

  Options options_;
  std::vector<std::byte> bytes_;
  PacketMemory memory_;
  LoopbackIo io_;
  BufferLedger ledger_;
  std::vector<StoredTransit> transits_;
  std::vector<std::vector<OwnedSpscRing<Packet>>> rings_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::map<InstanceId, std::unique_ptr<Instance>> instances_;
  std::map<const ChainVersion*, std::shared_ptr<const ChainVersion>> published_;
  std::shared_ptr<const RoutingSnapshot> snapshot_;
  std::vector<Note> notes_;
  std::vector<ReconfigureEnded> reconfigured_;
  std::deque<AgentEvent> events_;
  bool handling_ = false;
  std::vector<StartInstance> held_starts_;
  bool starts_held_ = false;
  Agent agent_;
  ReadingTable readings_;
};

}  // namespace sluice::test

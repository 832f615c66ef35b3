#include "backends/dpdk/worker_thread.hpp"

#include <pthread.h>
#include <rte_lcore.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "backends/process/idle.hpp"
#include "core/check.hpp"

namespace sluice::dpdk {
namespace {

constexpr std::uint32_t kCommandRing = 1024;
constexpr Duration kTickInterval = std::chrono::milliseconds{10};

void stay_on(unsigned core) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  ::pthread_setaffinity_np(::pthread_self(), sizeof(cores), &cores);
}

}  // namespace

WorkerThread::WorkerThread(std::unique_ptr<Worker> worker, DpdkIo io, const Options& options)
    : options_(options),
      worker_(std::move(worker)),
      io_(std::move(io)),
      commands_(kCommandRing),
      answers_(kCommandRing),
      exchange_(std::make_unique<WorkerExchange>()) {
  // All that an exchange copies is taken now: the data path allocates nothing after the start.
  worker_->report(exchange_->report);
  exchange_->statistics = worker_->statistics();
  latest_ = *exchange_;
}

WorkerThread::~WorkerThread() {
  join();
}

void WorkerThread::start() {
  SLUICE_CHECK(!thread_.joinable());
  thread_ = std::thread{[this] { run(); }};
}

void WorkerThread::join() {
  stop_.store(true, std::memory_order_release);
  if (thread_.joinable()) thread_.join();
}

// --- Control side --------------------------------------------------------------------------------

void WorkerThread::send(const Command& command) {
  waiting_.push_back(command);
  const std::uint32_t count = commands_.ring().enqueue(waiting_);
  waiting_.erase(waiting_.begin(), waiting_.begin() + count);
}

void WorkerThread::adopt(const RoutingSnapshot& snapshot) {
  Command command;
  command.kind = Command::Kind::kAdopt;
  command.snapshot = &snapshot;
  send(command);
}

void WorkerThread::post(InstanceId instance, const Message& message) {
  Command command;
  command.kind = Command::Kind::kPost;
  command.instance = instance;
  command.message = message;
  send(command);
}

void WorkerThread::reclaim(InstanceId instance, DropReason reason) {
  Command command;
  command.kind = Command::Kind::kReclaim;
  command.instance = instance;
  command.reason = reason;
  send(command);
}

void WorkerThread::request_exchange(bool wants_statistics) {
  if (exchange_out_) return;
  exchange_out_ = true;
  exchange_->wants_statistics = wants_statistics;
  Command command;
  command.kind = Command::Kind::kExchange;
  send(command);
}

std::optional<WorkerThread::Answer> WorkerThread::next_answer() {
  Answer answer;
  if (answers_.ring().dequeue({&answer, 1}) == 0) return std::nullopt;
  if (answer.kind == Answer::Kind::kExchanged) {
    exchange_out_ = false;
    std::swap(exchange_->report, latest_.report);
    if (exchange_->wants_statistics) {
      std::swap(exchange_->statistics, latest_.statistics);
      latest_.counted = exchange_->counted;
    }
  }
  return answer;
}

void WorkerThread::refresh_exchange() {
  SLUICE_CHECK(!thread_.joinable());
  worker_->report(latest_.report);
  latest_.statistics = worker_->statistics();
}

// --- Worker side ---------------------------------------------------------------------------------

void WorkerThread::run() {
  ::pthread_setname_np(::pthread_self(), options_.name.c_str());
  if (options_.core) stay_on(*options_.core);
  // Gives the thread a cache in the pool. Without one (too many threads) the pool is slower.
  const bool registered = rte_thread_register() == 0;
  IdleBackoff backoff{{.sleep_max = options_.sleep_max, .yields = options_.yields}};
  Instant next_tick = monotonic_now();
  while (!stop_.load(std::memory_order_acquire)) {
    const Instant now = monotonic_now();
    bool busy = obey(now);
    if (snapshot_ != nullptr) {
      io_.set_now(now);
      if (now >= next_tick) {
        next_tick = now + kTickInterval;
        worker_->tick(now);
      }
      busy |= worker_->poll_once(io_, now) > 0;
      if (!worker_->quarantined().empty()) tell_of_quarantined();
      if (options_.yields) yield_to_instances();
      worker_->clear_touched();
    }
    if (busy) {
      backoff.busy();
    } else {
      backoff.idle(now, next_tick);
    }
  }
  if (registered) rte_thread_unregister();
}

bool WorkerThread::obey(Instant now) {
  Command command;
  bool any = false;
  while (commands_.ring().dequeue({&command, 1}) == 1) {
    any = true;
    carry_out(command, now);
  }
  return any;
}

void WorkerThread::carry_out(const Command& command, Instant now) {
  switch (command.kind) {
    case Command::Kind::kAdopt:
      snapshot_ = command.snapshot;
      worker_->adopt(*snapshot_);
      adopted_version_.store(snapshot_->version, std::memory_order_release);
      return;
    case Command::Kind::kPost:
      // A full ring means that it has more than enough to read; the control side enforces the rest.
      (void)worker_->post(command.instance, command.message, now);
      return;
    case Command::Kind::kReclaim:
      worker_->reclaim(command.instance, command.reason, now);
      tell({Answer::Kind::kReclaimed, command.instance});
      return;
    case Command::Kind::kExchange:
      worker_->report(exchange_->report);
      if (exchange_->wants_statistics) {
        exchange_->statistics = worker_->statistics();
        exchange_->counted = now;
      }
      tell({Answer::Kind::kExchanged, kNoInstance});
      return;
  }
}

void WorkerThread::tell(const Answer& answer) {
  // There are never more answers under way than commands and instances, which are fewer.
  SLUICE_CHECK(answers_.ring().enqueue({&answer, 1}) == 1);
  const std::uint64_t one = 1;
  // Full counter: the reader has been told already.
  [[maybe_unused]] const auto written = ::write(options_.wake_fd, &one, sizeof(one));
}

void WorkerThread::tell_of_quarantined() {
  for (const InstanceId instance : worker_->quarantined()) {
    tell({Answer::Kind::kMisbehaved, instance});
  }
  worker_->clear_quarantined();
}

/// On a core shared with instances, to poll on would only fill their rings over the brim: as soon
/// as one is well filled, it is its turn.
void WorkerThread::yield_to_instances() {
  for (const InstanceId instance : worker_->touched()) {
    const InstanceChannel* channel = snapshot_->instances[index_of(instance)].channel;
    if (channel == nullptr || channel->inline_runtime != nullptr) continue;
    if (channel->receive.size() * 2 >= channel->receive.capacity()) {
      ::sched_yield();
      return;
    }
  }
}

}  // namespace sluice::dpdk

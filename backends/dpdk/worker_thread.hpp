#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "backends/dpdk/dpdk_io.hpp"
#include "backends/process/fd.hpp"
#include "core/host/worker.hpp"
#include "core/host/worker_report.hpp"
#include "core/ring/spsc_ring.hpp"

namespace sluice::dpdk {

/// What a worker hands to the control side: the readings of an interval and, when asked for, a copy
/// of all that it counted. It goes to and fro between the two threads; one has it at a time.
struct WorkerExchange {
  WorkerReport report;
  bool wants_statistics = false;
  WorkerStatistics statistics;  ///< As of the last exchange that wanted it.
  Instant counted{};            ///< When that was.
};

/// A worker's own thread, and the two rings by which the control side talks to it.
///
/// The Worker is touched by this thread alone while it runs: the control side sends commands, which
/// are carried out between two polls, in order, and gets answers. So the data path takes no lock
/// and never waits. All public functions are for the control thread.
class WorkerThread {
 public:
  struct Options {
    std::string name;                                   ///< Of the thread, at most 15 bytes.
    std::optional<unsigned> core;                       ///< Real core to stay on.
    Duration sleep_max = std::chrono::milliseconds{1};  ///< Idle back-off; 0: poll only.
    bool yields = false;  ///< An instance lives on the same core: let it run when it has work.
    int wake_fd = -1;     ///< An eventfd, written when an answer should be read at once.
  };
  WorkerThread(std::unique_ptr<Worker> worker, DpdkIo io, const Options& options);
  ~WorkerThread();
  WorkerThread(const WorkerThread&) = delete;
  WorkerThread& operator=(const WorkerThread&) = delete;

  void start();
  /// Ends the thread; then worker() and io() are the caller's.
  void join();

  /// The snapshot must live until adopted_version() has reached its version.
  void adopt(const RoutingSnapshot& snapshot);
  void post(InstanceId instance, const Message& message);
  void reclaim(InstanceId instance, DropReason reason);
  /// Asks for the readings of an interval. Skipped while the last exchange has not come back.
  void request_exchange(bool wants_statistics);

  struct Answer {
    enum class Kind : std::uint32_t { kExchanged, kReclaimed, kMisbehaved };
    Kind kind = Kind::kExchanged;
    InstanceId instance = kNoInstance;
  };
  /// Reads what the worker answered; nothing when there is nothing.
  [[nodiscard]] std::optional<Answer> next_answer();
  /// What the last exchange that came back said.
  [[nodiscard]] const WorkerExchange& exchange() const { return latest_; }
  /// After join(): brings exchange() up to date.
  void refresh_exchange();
  [[nodiscard]] std::uint64_t adopted_version() const {
    return adopted_version_.load(std::memory_order_acquire);
  }

  /// Before start() and after join() only.
  [[nodiscard]] Worker& worker() { return *worker_; }
  [[nodiscard]] DpdkIo& io() { return io_; }

 private:
  struct Command {
    enum class Kind : std::uint32_t { kAdopt, kPost, kReclaim, kExchange };
    Kind kind = Kind::kAdopt;
    InstanceId instance = kNoInstance;
    DropReason reason = DropReason::kNone;
    const RoutingSnapshot* snapshot = nullptr;
    Message message;
  };

  void run();
  bool obey(Instant now);
  void carry_out(const Command& command, Instant now);
  void tell(const Answer& answer);
  void tell_of_quarantined();
  void yield_to_instances();
  void send(const Command& command);

  Options options_;
  std::unique_ptr<Worker> worker_;
  DpdkIo io_;
  const RoutingSnapshot* snapshot_ = nullptr;
  OwnedSpscRing<Command> commands_;
  OwnedSpscRing<Answer> answers_;
  std::vector<Command> waiting_;              ///< Those that the ring had no room for.
  std::unique_ptr<WorkerExchange> exchange_;  ///< On its way to and fro.
  WorkerExchange latest_;                     ///< The control side's own.
  bool exchange_out_ = false;
  std::atomic<std::uint64_t> adopted_version_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace sluice::dpdk

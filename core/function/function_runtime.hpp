#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "core/function/control_page.hpp"
#include "core/function/message.hpp"
#include "core/function/network_function.hpp"
#include "core/ring/spsc_ring.hpp"

namespace sluice {

/// One NF instance with its Context: what every way of running an NF has in common.
///
/// Used directly by a worker for inline functions and by tests; RingRuntime puts it behind rings.
/// One thread. Allocates at construction only.
class FunctionRuntime {
 public:
  struct Options {
    PacketMemory memory;
    std::vector<std::uint32_t> label_bits;  ///< Service::label_bits.
    std::uint64_t seed = 1;
  };
  FunctionRuntime(std::unique_ptr<NetworkFunction> function, const Options& options);

  /// Lets the NF decide every packet of `batch`; each arrives undecided. Packets that it keeps come
  /// out with Verdict::kHold; packets that it released or made are in outbox().
  void process(PacketBatch& batch, Instant now) noexcept;
  void tick(Instant now) noexcept;
  /// Hands a message on; takes lent buffers itself.
  void message(const Message& message, Instant now) noexcept;

  /// What the NF released in the calls since clear_outbox(), in its order.
  [[nodiscard]] std::span<const Packet> outbox() const noexcept { return context_.outbox_; }
  void clear_outbox() noexcept { context_.outbox_.clear(); }

  /// The time of Context::add_busy since the last call.
  [[nodiscard]] Duration take_busy() noexcept { return std::exchange(context_.busy_, Duration{}); }

  /// Lends buffers for Context::make; what exceeds Context::kLentMax is a host's mistake (checked).
  void lend(std::span<const std::uint32_t> buffers) noexcept;
  [[nodiscard]] std::uint32_t lent_count() const noexcept {
    return static_cast<std::uint32_t>(context_.lent_.size());
  }
  [[nodiscard]] NetworkFunction& function() noexcept { return *function_; }

 private:
  std::unique_ptr<NetworkFunction> function_;
  Context context_;
};

/// Runs an instance between its two rings, as an NF process does in its loop and a simulated core
/// in its events.
///
/// A turn has two halves, so that a simulator can let time pass between them: take() when the core
/// starts on a batch, finish() when it is done. A process calls one after the other.
class RingRuntime {
 public:
  struct Wiring {
    SpscRing<Packet> receive;    ///< Host to instance.
    SpscRing<Packet> give_back;  ///< Instance to host; never full, see outstanding_max().
    SpscRing<Message> messages;  ///< Host to instance.
    ControlPage* page = nullptr;
  };
  RingRuntime(std::unique_ptr<NetworkFunction> function, const FunctionRuntime::Options& options,
              const Wiring& wiring);

  /// Handles waiting messages, then takes up to `batch_max` packets (at most a batch, and no more
  /// than the function has room for) from the receive ring.
  /// @return The packets taken; finish() must follow when there are any.
  [[nodiscard]] std::span<const Packet> take(
      Instant now, std::uint32_t batch_max = PacketBatch::kCapacity) noexcept;
  /// Processes what take() took and gives it back. `busy` is added to the control page, with what
  /// the function itself counts.
  void finish(Instant now, Duration busy) noexcept;
  /// Timers, at least every 10 ms.
  void tick(Instant now) noexcept;

  /// Whether the host asked the instance to end.
  [[nodiscard]] bool stop_requested() const noexcept { return stop_requested_; }
  [[nodiscard]] FunctionRuntime& runtime() noexcept { return runtime_; }

 private:
  void give_back_outbox() noexcept;
  void add_busy(Duration busy) noexcept;
  void handle_messages(Instant now) noexcept;

  FunctionRuntime runtime_;
  Wiring wiring_;
  PacketBatch batch_;
  bool stop_requested_ = false;
};

/// How many buffers an instance with a receive ring of `ring_capacity` may have in its hands at
/// most: the ring, a batch, as much again for what it holds, and what it was lent. Its give-back
/// ring has at least this capacity, so that giving back never fails.
[[nodiscard]] constexpr std::uint32_t outstanding_max(std::uint32_t ring_capacity) {
  return 2 * ring_capacity + PacketBatch::kCapacity + Context::kLentMax;
}

}  // namespace sluice

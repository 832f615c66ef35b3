#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/function/message.hpp"
#include "core/packet/flow_key.hpp"
#include "core/packet/packet_batch.hpp"
#include "core/prng.hpp"
#include "core/units.hpp"

namespace sluice {

class FunctionRuntime;

/// What an NF may ask of its host while it handles packets. Made and owned by the host side.
class Context {
 public:
  /// How many buffers the host lends to an instance at most, for make().
  static constexpr std::uint32_t kLentMax = 64;

  /// When the current batch, tick or message is handled.
  [[nodiscard]] Instant now() const noexcept { return now_; }
  /// The instance's own random numbers, seeded by the run.
  [[nodiscard]] Prng& prng() noexcept { return prng_; }
  /// The bytes of a packet that the NF holds or made.
  [[nodiscard]] std::span<std::byte> bytes(const Packet& packet) const noexcept {
    return memory_.bytes(packet);
  }

  /// An empty packet of `length` bytes in a buffer that the host lent; nothing when none is left or
  /// `length` does not fit. Fill it, decide it, and release() it.
  [[nodiscard]] std::optional<Packet> make(std::uint16_t length) noexcept;
  /// Gives back a held or made packet with the verdict that it carries (not hold).
  /// @return Whether there was room in this call's outbox (kOutboxCapacity); if not, the packet
  /// stays the NF's, to be released in a later call.
  [[nodiscard]] bool release(const Packet& packet) noexcept;
  /// How many more packets release() takes in this call.
  [[nodiscard]] std::uint32_t release_room() const noexcept;
  /// Counts `time` as busy although no core was: the NF waits for a device, or shapes. Without it
  /// such an instance would look idle, and be the first to be drained.
  void add_busy(Duration time) noexcept { busy_ += time; }

  /// Puts label `label` (its index in the service's `labels`) on a packet. Out of range: ignored.
  void set_label(Packet& packet, std::uint32_t label) const noexcept {
    if (label < label_bits_.size()) packet.tag |= label_bits_[label];
  }

 private:
  friend class FunctionRuntime;
  static constexpr std::uint32_t kOutboxCapacity = 128;

  explicit Context(std::uint64_t seed) : prng_(seed) {}

  Instant now_{};
  Prng prng_;
  PacketMemory memory_;
  std::vector<std::uint32_t> label_bits_;
  std::vector<std::uint32_t> lent_;
  std::vector<Packet> outbox_;
  Duration busy_{};
};

/// Per-flow state that one NF hands to another instance, in a form that both understand whatever
/// their implementation.
struct FlowState {
  FlowKey key;
  std::vector<std::byte> bytes;
};

/// One network function instance. It decides and rewrites; it never frees, queues or sends, so it
/// cannot leak a packet or own one twice. Called from one thread.
class NetworkFunction {
 public:
  virtual ~NetworkFunction() = default;

  /// Decides every packet of `batch`, which arrive with Verdict::kUndecided; one left so is dropped
  /// as that. May change bytes, offset, length within the buffer. Allocates nothing.
  virtual void process(PacketBatch& batch, Context& context) noexcept = 0;
  /// Timers: called at least every 10 ms, also without packets.
  virtual void tick(Context&) noexcept {}
  /// When it wants the next tick, if before 10 ms have passed: for shaping finer than that. Asked
  /// after each call; a time in the past means at once.
  [[nodiscard]] virtual Instant wake_at() const noexcept { return Instant::max(); }
  /// How many packets the next batch may have, asked before it is taken: what it has no room for
  /// stays in its ring, where the host sees that it is behind. Inline there is no ring to wait in,
  /// and nobody asks.
  [[nodiscard]] virtual std::uint32_t room() const noexcept { return PacketBatch::kCapacity; }
  /// Control messages, never mixed with packets.
  virtual void message(const Message&, Context&) noexcept {}
  /// The state of the flows whose key is in `keys`; of all flows when `keys` is empty.
  [[nodiscard]] virtual std::vector<FlowState> export_state(std::span<const FlowKey> /*keys*/) {
    return {};
  }
  /// Takes over flows; what it had for the same keys is replaced.
  virtual void import_state(std::span<const FlowState> /*states*/) {}
};

/// Which packets must meet the same instance.
enum class Affinity : std::uint8_t { kFlow, kSession, kSource, kDestination, kNone };
inline constexpr std::string_view kAffinityNames[] = {"flow", "session", "source", "destination",
                                                      "none"};

/// What a host must know about a program before it starts an instance.
struct Traits {
  std::string name;
  std::string version = "1";
  bool scalable = true;                 ///< May more than one instance run?
  Affinity affinity = Affinity::kFlow;  ///< The default; the file may say otherwise.
  std::vector<std::string> labels;      ///< Labels that it may set; the file may rename or add.
  bool keeps_flow_state = false;        ///< Then it is told when a flow ended.
  bool bidirectional = false;           ///< Wants both directions of a session (affinity session).
  bool generates = false;               ///< Calls make(): the host lends it buffers.
  /// The path of the program that holds the function; empty: it is in this process, and
  /// Program::make_instance makes it.
  std::string external_program;
  /// It never answers after so many packets (`stuck`): a simulator gives it an infinite service
  /// time then and calls process() no more.
  std::optional<std::uint64_t> stuck_after;
  std::vector<std::uint32_t> stuck_instances;  ///< InstanceConfig::number of those; empty: all.
};

struct InstanceConfig {
  std::uint32_t number = 0;  ///< Which instance of the program this is, from 1; for names and logs.
};

/// A network function with its configuration, set up once per service; any number of instances of
/// it run side by side. There is no global state.
class Program {
 public:
  virtual ~Program() = default;
  [[nodiscard]] virtual const Traits& traits() const = 0;
  [[nodiscard]] virtual std::unique_ptr<NetworkFunction> make_instance(
      const InstanceConfig& config) const = 0;
};

}  // namespace sluice

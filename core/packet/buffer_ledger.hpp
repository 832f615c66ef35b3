#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "core/packet/packet.hpp"
#include "core/packet/packet_memory.hpp"
#include "core/units.hpp"

namespace sluice {

/// Who owns a buffer. Exactly one owner at a time.
enum class BufferOwner : std::uint8_t {
  kFree,
  kWorker,
  kInstance,  ///< A packet was handed to an instance.
  kLent,      ///< An empty buffer was lent to an instance, for Context::make.
  kPort,
};

/// Remembers who owns each buffer of a host, and what the host knew of the packet in it when it
/// gave it away: the boundary between the host and network functions that may be wrong or hostile.
///
/// A descriptor that an instance returns is believed only in what a function may change (offset,
/// length, tag, verdict, target), and only if the instance owns the buffer and the frame lies
/// inside it; the rest is rebuilt from the shadow. One entry is 32 bytes, two to a cache line,
/// because the entries of a batch are as good as random.
///
/// Shared by the workers of a host without a lock: an instance belongs to one worker, and only that
/// one gives to it, takes from it and reclaims, so only that one changes the entry while the
/// instance owns the buffer. Another worker may read the owner at any time (a hostile instance can
/// name any buffer), therefore the owner is atomic. Between workers a buffer goes over a ring,
/// which orders the rest.
class BufferLedger {
 public:
  /// Batches are at most this long, as PacketBatch is.
  static constexpr std::uint32_t kBatchMax = 32;

  struct Taken {
    std::uint32_t good = 0;  ///< Accepted; they stand first, those given before those made.
    std::uint32_t generated =
        0;  ///< Of `good`, the last ones: made by the instance in lent buffers.
  };
  struct Audit {
    std::uint32_t free = 0, worker = 0, instance = 0, lent = 0, port = 0;
    bool operator==(const Audit&) const = default;
  };

  /// All buffers of `memory` are free.
  explicit BufferLedger(const PacketMemory& memory);

  /// The instance owns the packets from now on. A buffer that an instance owns already is our
  /// mistake.
  void hand_over(std::span<const Packet> packets, InstanceId instance) noexcept;
  /// Lends empty buffers; the first return of each is a generated packet.
  void lend(std::span<const std::uint32_t> buffers, InstanceId instance) noexcept;
  /// Takes back lent buffers that never reached the instance (checked); the worker owns them.
  void unlend(std::span<const std::uint32_t> buffers, InstanceId instance) noexcept;

  /// Checks what an instance returned and takes over what is its own; the worker owns that then.
  ///
  /// `returned` (at most kBatchMax) must be a private copy: what lies in shared memory can change
  /// between check and use. It is sorted: packets that were handed over, in order; then generated
  /// ones, in order; then refused ones, as they came, which stay whoever's they are. A second
  /// return of the same buffer is refused, in the same batch too. Whether `target` exists is for
  /// the caller. A generated packet has flow kNoFlow, chain 0xffff, step 0, ingress 0xffff and
  /// arrival 0.
  [[nodiscard]] Taken take_back(InstanceId instance, std::span<Packet> returned) noexcept;

  /// Takes all buffers of a dead instance, in order of their index: calls
  /// `taken(const Packet&, bool lent)` for each. Of a lent buffer only Packet::buffer means
  /// anything; of others all but verdict and target. The worker owns them. Cost: one look at each
  /// buffer.
  template <class Callback>
  void reclaim(InstanceId instance, Callback&& taken) noexcept {
    for (std::uint32_t buffer = 0; buffer < buffer_count_; ++buffer) {
      const std::uint32_t state = entries_[buffer].state.load(std::memory_order_relaxed);
      const bool lent = state == state_of(BufferOwner::kLent, index_of(instance));
      if (!lent && state != state_of(BufferOwner::kInstance, index_of(instance))) continue;
      const Packet packet = shadow(buffer);
      set_state(buffer, state_of(BufferOwner::kWorker, 0));
      taken(packet, lent);
    }
  }

  /// Notes an owner that is no instance. Not needed for safety; for the audit at the end of a run.
  /// A buffer that an instance owns is our mistake.
  void set_owner(std::span<const std::uint32_t> buffers, BufferOwner owner) noexcept;

  [[nodiscard]] BufferOwner owner(std::uint32_t buffer) const noexcept;
  /// The instance that owns `buffer`; kNoInstance when its owner is none.
  [[nodiscard]] InstanceId instance(std::uint32_t buffer) const noexcept;
  /// Counts how often `buffer` was handed over or lent, modulo 2^16: tells two ownerships apart.
  [[nodiscard]] std::uint16_t generation(std::uint32_t buffer) const noexcept;
  /// The packet as it was handed over; verdict kUndecided and target 0xffff.
  [[nodiscard]] Packet shadow(std::uint32_t buffer) const noexcept;
  /// How many buffers each kind of owner has. Cost: one look at each buffer.
  [[nodiscard]] Audit audit() const noexcept;
  [[nodiscard]] std::uint32_t buffer_count() const noexcept { return buffer_count_; }

 private:
  struct alignas(32) Entry {
    std::atomic<std::uint32_t> state{0};  ///< BufferOwner, and the instance in the low half.
    FlowId flow = kNoFlow;
    std::uint64_t arrival = 0;
    std::uint32_t tag = 0;
    std::uint16_t offset = 0;
    std::uint16_t length = 0;
    std::uint16_t chain = 0xffff;
    std::uint16_t ingress = 0xffff;
    std::uint16_t generation = 0;
    std::uint8_t step = 0;
  };
  static_assert(sizeof(Entry) == 32);

  static constexpr std::uint32_t state_of(BufferOwner owner, std::uint16_t instance) {
    return static_cast<std::uint32_t>(owner) << 16 | instance;
  }
  void set_state(std::uint32_t buffer, std::uint32_t state) noexcept {
    entries_[buffer].state.store(state, std::memory_order_relaxed);
  }
  [[nodiscard]] bool is_of_instance(std::uint32_t buffer) const noexcept;

  std::unique_ptr<Entry[]> entries_;
  std::uint32_t buffer_count_;
  std::uint32_t buffer_size_;
};

}  // namespace sluice

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <utility>

#include "backends/ns3/rx_queue.hpp"
#include "core/packet/buffer_pool.hpp"
#include "core/packet/packet_batch.hpp"
#include "core/units.hpp"

namespace sluice {

/// What a port did. On the wire side rx_frames + rx_missed came in; of rx_frames, those not dropped
/// for a buffer and no longer pending were handed to the host.
struct SimPortCounters {
  std::uint64_t rx_frames = 0;  ///< Entered the receive ring.
  std::uint64_t rx_bytes = 0;
  std::uint64_t rx_missed = 0;     ///< The receive ring was full.
  std::uint64_t rx_no_buffer = 0;  ///< Taken from the ring, but no buffer was free or large enough.
  std::uint64_t rx_oversize = 0;   ///< Longer than any frame of this port.
  std::uint64_t tx_frames = 0;     ///< Accepted by transmit().
  std::uint64_t tx_bytes = 0;
  std::uint64_t tx_refused =
      0;  ///< Accepted, but the device cannot carry it (MTU, protocol): lost.
  bool operator==(const SimPortCounters&) const = default;
};

/// The port of a simulated host: an ns-3 device below, packet memory above.
///
/// What comes in waits in a bounded receive ring until the host takes it, as in a NIC. Lives as
/// long as the simulation's events.
class SimPort {
 public:
  struct Options {
    PortId id{};
    std::uint32_t rx_ring_frames = 4096;
  };
  virtual ~SimPort() = default;
  SimPort(const SimPort&) = delete;
  SimPort& operator=(const SimPort&) = delete;

  /// Appends frames that arrived by `now` to `batch`, as far as it has room, each copied once into
  /// a buffer of `pool` at kHeadroom.
  /// @return How many frames were lost for want of a buffer.
  std::uint32_t receive(PacketBatch& batch, BufferPool& pool, Instant now) noexcept;
  /// How many frames wait that arrived by `now`.
  [[nodiscard]] std::uint32_t pending(Instant now) const noexcept { return queue_.pending(now); }
  /// The arrival of the frame that receive() gives next; nothing when none waits.
  [[nodiscard]] std::optional<Instant> next_arrival() const noexcept {
    return queue_.next_arrival();
  }

  /// Sends the first n of `packets`, as many as the transmit queue has room for. Their bytes are
  /// copied out: the buffers stay the caller's, to be freed. The rest is the caller's to drop.
  /// @return n.
  virtual std::uint32_t transmit(std::span<const Packet> packets, const PacketMemory& memory,
                                 Instant now) noexcept = 0;
  /// How many frames transmit() takes now.
  [[nodiscard]] virtual std::uint32_t transmit_room() noexcept = 0;

  /// Where the tags of received frames are kept, and found again by the host's port that sends
  /// them; null: they are lost. It must outlive the port.
  void set_tag_store(TagStore* tags) noexcept { tags_ = tags; }

  /// `wake` is called whenever frames became available, after they did.
  void set_wake(std::function<void()> wake) { wake_ = std::move(wake); }

  [[nodiscard]] PortId id() const noexcept { return options_.id; }
  [[nodiscard]] const SimPortCounters& counters() const noexcept { return counters_; }

 protected:
  explicit SimPort(const Options& options) : options_(options), queue_(options.rx_ring_frames) {}

  void arrived(BurstPtr burst);
  void arrived(std::span<const std::byte> frame, Instant arrival, BurstPool& pool,
               const ns3::Packet* origin);
  /// The packet whose tags go out with `packet`, or null.
  [[nodiscard]] const ns3::Packet* origin(const Packet& packet) const noexcept {
    return tags_ == nullptr ? nullptr : tags_->find(packet);
  }

  SimPortCounters counters_;

 private:
  Options options_;
  RxQueue queue_;
  TagStore* tags_ = nullptr;
  std::function<void()> wake_;
};

}  // namespace sluice

#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "backends/ns3/burst.hpp"
#include "core/prng.hpp"
#include "core/units.hpp"

namespace sluice {

/// What goes wrong on one direction of a link. The default is a good link.
struct LinkFaults {
  Ppm loss{};              ///< Of frames, each on its own.
  Ppm duplicate{};         ///< Of frames: a copy arrives right behind the frame.
  Ppm reorder{};           ///< Of frames: arrives reorder_delay late, overtaken by those behind it.
  Duration delay_extra{};  ///< On top of the channel's delay. Keeps the order.
  Duration reorder_delay = std::chrono::microseconds{100};
  bool down = false;  ///< Nothing enters, and what is on the wire at that moment is lost.

  bool operator==(const LinkFaults&) const = default;
};

/// What happened to the frames of one direction of a link, always:
/// entered + duplicated == delivered + lost + lost_down + in flight.
struct LinkCounters {
  std::uint64_t entered = 0;
  std::uint64_t duplicated = 0;
  std::uint64_t delivered = 0;
  std::uint64_t lost = 0;       ///< By LinkFaults::loss.
  std::uint64_t lost_down = 0;  ///< By LinkFaults::down.
  std::uint64_t reordered = 0;  ///< Also in `delivered`, once they arrive.
  std::uint64_t delayed = 0;    ///< By LinkFaults::delay_extra; also in `delivered`.
  std::uint64_t bursts = 0;     ///< Delivered.

  [[nodiscard]] std::uint64_t in_flight() const {
    return entered + duplicated - delivered - lost - lost_down;
  }
  bool operator==(const LinkCounters&) const = default;
};

/// Where the bursts of a link arrive.
class BurstReceiver {
 public:
  virtual ~BurstReceiver() = default;
  /// Called when the last frame of `burst` has arrived. The burst is the receiver's now; dropping
  /// the pointer recycles it.
  virtual void receive_burst(BurstPtr burst) noexcept = 0;
};

/// One direction of a BurstChannel: the wire from the end of a frame's serialisation to its
/// arrival.
///
/// Frames are gathered in bursts and a burst costs one simulator event, at the arrival of its last
/// frame. A frame that is sent while the last burst is still on the wire joins it if it arrives
/// within the window; the burst's event then finds it unfinished and moves on, once, to the new
/// end.
class BurstLink {
 public:
  struct Options {
    Duration delay{};
    std::uint32_t burst_max = 32;  ///< Frames; at least 1.
    Duration burst_window{};       ///< From a burst's first arrival to its last, at most.
    std::uint32_t node = 0;        ///< The receiver's node id: the context of its events.
  };

  /// `receiver` must outlive the simulation's events.
  void attach(const Options& options, std::shared_ptr<BurstPool> pool, BurstReceiver* receiver);

  /// Takes a frame whose last bit leaves the sender at `departure`, which never goes back. `origin`
  /// as in Burst::append.
  void carry(std::span<const std::byte> frame, Instant departure,
             const ns3::Packet* origin = nullptr);
  /// Schedules what carry() gathered. Call it once after a group of carry().
  void flush();

  void set_faults(const LinkFaults& faults);
  [[nodiscard]] const LinkFaults& faults() const noexcept { return faults_; }
  /// The source of all chance on this link, independent of any other.
  void seed(Prng prng) noexcept { prng_ = prng; }
  [[nodiscard]] const LinkCounters& counters() const noexcept { return counters_; }

 private:
  void carry_faulty(std::span<const std::byte> frame, Instant departure, const ns3::Packet* origin);
  void append(std::span<const std::byte> frame, Instant arrival, const ns3::Packet* origin);
  void carry_late(std::span<const std::byte> frame, Instant arrival, const ns3::Packet* origin);
  void deliver_front(std::uint32_t generation);
  void deliver_late(std::uint32_t generation);
  void schedule_late(const Burst& burst);
  void cut();
  void deliver(BurstPtr burst);
  [[nodiscard]] bool happens(Ppm probability) noexcept;

  Options options_;
  std::shared_ptr<BurstPool> pool_;
  BurstReceiver* receiver_ = nullptr;
  std::deque<BurstPtr> wire_;        ///< In order of arrival; the last may still grow.
  std::size_t scheduled_count_ = 0;  ///< Those of wire_, from its front, that have their event.
  std::vector<BurstPtr> late_;       ///< Reordered frames, a burst each.
  std::uint32_t generation_ = 0;     ///< Events of an older one are void: cut() made new ones.
  Instant last_arrival_{};
  LinkFaults faults_;
  bool faulty_ = false;
  Prng prng_{0};
  LinkCounters counters_;
};

}  // namespace sluice

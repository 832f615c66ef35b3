#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "backends/ns3/burst_net_device.hpp"
#include "backends/ns3/frame_generator.hpp"
#include "backends/ns3/frame_view.hpp"
#include "backends/ns3/ns3.hpp"
#include "core/units.hpp"

namespace sluice {

/// Sends what a generator makes up: an event a burst on a BurstNetDevice, an event a frame on
/// others.
///
/// A burst holds the frames that are due within the device's BurstWindow, up to BurstMax, and is
/// given to the device when the last of them is due, each with its own time, so that the line
/// serialises them as if given one by one. No frame leaves before its Frame::at. Lives as long as
/// the simulation's events.
class FrameSource {
 public:
  struct Counters {
    std::uint64_t frames = 0;  ///< Offered to the device.
    std::uint64_t bytes = 0;
    std::uint64_t refused = 0;  ///< Of those, not taken: queue full or not sendable there.
  };

  FrameSource(ns3::Ptr<ns3::NetDevice> device, std::unique_ptr<FrameGenerator> generator);
  ~FrameSource() { event_.Cancel(); }
  FrameSource(const FrameSource&) = delete;
  FrameSource& operator=(const FrameSource&) = delete;

  /// Begins to pull. Frames due at `until` or later are not sent, and end the source.
  void start(Instant until = Instant::max());
  /// Sends what is due and ends the source.
  void stop();
  /// Whether all frames have been sent.
  [[nodiscard]] bool ended() const noexcept { return ended_ && staged_.empty(); }

  /// Called with the frames of each burst as they are offered, taken or not.
  void set_watcher(FrameWatcher watcher) { watcher_ = std::move(watcher); }
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }

 private:
  struct Staged {
    Instant at{};
    std::uint32_t slot = 0;
    std::uint16_t length = 0;
  };

  void fill();
  bool pull();
  void emit();
  void send(std::span<const Staged> frames);
  [[nodiscard]] std::span<std::byte> slot(std::uint32_t index) noexcept {
    return {slots_.get() + std::size_t{index} * slot_size_, slot_size_};
  }

  ns3::Ptr<ns3::NetDevice> device_;
  ns3::Ptr<BurstNetDevice> burst_device_;  ///< device_, or null if it is another kind.
  std::unique_ptr<FrameGenerator> generator_;
  std::uint32_t burst_max_ = 1;
  Duration burst_window_{};
  std::uint32_t slot_size_;
  std::unique_ptr<std::byte[]> slots_;  ///< burst_max_ + 1 frames, used in turn.
  std::uint32_t next_slot_ = 0;
  std::vector<Staged> staged_;  ///< The next burst, and maybe the first frame of the one after.
  std::uint32_t burst_size_ = 0;
  Instant until_ = Instant::max();
  bool ended_ = false;
  ns3::EventId event_;
  std::vector<OutFrame> out_;
  std::vector<FrameView> views_;
  FrameWatcher watcher_;
  Counters counters_;
};

}  // namespace sluice

#include "backends/ns3/frame_source.hpp"

#include <algorithm>

#include "backends/ns3/ethernet.hpp"
#include "backends/ns3/sim_time.hpp"
#include "core/check.hpp"

namespace sluice {

FrameSource::FrameSource(ns3::Ptr<ns3::NetDevice> device, std::unique_ptr<FrameGenerator> generator)
    : device_(device),
      burst_device_(ns3::DynamicCast<BurstNetDevice>(device)),
      generator_(std::move(generator)),
      slot_size_(std::uint32_t{device->GetMtu()} + 22u) {
  if (burst_device_) {
    burst_max_ = burst_device_->burst_max();
    burst_window_ = burst_device_->burst_window();
  }
  slots_ = std::make_unique_for_overwrite<std::byte[]>(std::size_t{burst_max_ + 1} * slot_size_);
  staged_.reserve(burst_max_ + 1);
  out_.reserve(burst_max_);
  views_.reserve(burst_max_);
}

void FrameSource::start(Instant until) {
  SLUICE_CHECK(!event_.IsRunning() && staged_.empty());
  until_ = until;
  fill();
}

/// Completes the next burst and schedules it.
void FrameSource::fill() {
  if (staged_.empty() && !pull()) return;
  burst_size_ = 1;
  const Instant end = staged_.front().at + burst_window_;
  while (burst_size_ < burst_max_ && pull() && staged_.back().at <= end) ++burst_size_;
  event_ =
      ns3::Simulator::Schedule(time_until(staged_[burst_size_ - 1].at), &FrameSource::emit, this);
}

bool FrameSource::pull() {
  if (ended_) return false;
  const auto frame = generator_->next(slot(next_slot_));
  if (!frame || frame->at >= until_) {
    ended_ = true;
    return false;
  }
  SLUICE_CHECK(frame->length <= slot_size_);
  SLUICE_CHECK(staged_.empty() || frame->at >= staged_.back().at);
  staged_.push_back({.at = frame->at, .slot = next_slot_, .length = frame->length});
  next_slot_ = next_slot_ == burst_max_ ? 0 : next_slot_ + 1;
  return true;
}

void FrameSource::emit() {
  send(std::span{staged_}.first(burst_size_));
  staged_.erase(staged_.begin(), staged_.begin() + burst_size_);
  fill();
}

void FrameSource::send(std::span<const Staged> frames) {
  out_.clear();
  views_.clear();
  for (const Staged& frame : frames) {
    const std::span<const std::byte> bytes = slot(frame.slot).first(frame.length);
    out_.push_back({.bytes = bytes, .ready = frame.at});
    if (watcher_) views_.push_back({.bytes = bytes, .when = frame.at});
    counters_.bytes += frame.length;
  }
  counters_.frames += frames.size();
  if (watcher_) watcher_(views_);
  std::uint64_t taken = 0;
  if (burst_device_) {
    taken = burst_device_->send_burst(out_);
  } else {
    for (const OutFrame& frame : out_) taken += send_frame(device_, frame.bytes) ? 1u : 0u;
  }
  counters_.refused += frames.size() - taken;
}

void FrameSource::stop() {
  event_.Cancel();
  const Instant now = simulated_now();
  const auto due = std::find_if(staged_.begin(), staged_.end(),
                                [now](const Staged& frame) { return frame.at > now; });
  if (due != staged_.begin()) send({staged_.begin(), due});
  staged_.clear();
  ended_ = true;
}

}  // namespace sluice

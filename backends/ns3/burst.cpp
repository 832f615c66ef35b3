#include "backends/ns3/burst.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace sluice {

Burst::Burst(std::uint32_t frame_count_max, std::uint32_t frame_size_max)
    : frame_count_max_(frame_count_max),
      slab_size_(frame_count_max * frame_size_max),
      slab_(std::make_unique_for_overwrite<std::byte[]>(slab_size_)) {
  frames_.reserve(frame_count_max);
}

void Burst::append(std::span<const std::byte> frame, Instant arrival,
                   const ns3::Packet* origin) noexcept {
  SLUICE_CHECK(!full() && slab_used_ + frame.size() <= slab_size_);
  std::memcpy(slab_.get() + slab_used_, frame.data(), frame.size());
  frames_.push_back({.arrival = arrival,
                     .offset = slab_used_,
                     .length = static_cast<std::uint16_t>(frame.size())});
  slab_used_ += static_cast<std::uint32_t>(frame.size());
  if (origin != nullptr) {
    origins_.resize(frames_.size());
    origins_.back() = origin;
  }
}

std::uint32_t Burst::cut_after(Instant limit) noexcept {
  std::uint32_t count = 0;
  while (!frames_.empty() && frames_.back().arrival > limit) {
    slab_used_ = frames_.back().offset;
    frames_.pop_back();
    ++count;
  }
  origins_.resize(std::min(origins_.size(), frames_.size()));
  return count;
}

void Burst::cut_to(std::uint32_t count) noexcept {
  if (count >= frames_.size()) return;
  slab_used_ = frames_[count].offset;
  frames_.resize(count);
  origins_.resize(std::min(origins_.size(), frames_.size()));
}

void Burst::clear() noexcept {
  frames_.clear();
  origins_.clear();
  slab_used_ = 0;
}

void BurstReturn::operator()(Burst* burst) const noexcept {
  const std::shared_ptr<BurstPool> home = std::move(burst->home_);
  burst->clear();
  home->idle_.emplace_back(burst);
}

BurstPtr BurstPool::acquire() {
  std::unique_ptr<Burst> burst;
  if (idle_.empty()) {
    burst = std::make_unique<Burst>(options_.frame_count_max, options_.frame_size_max);
    ++made_count_;
    idle_.reserve(made_count_);  // Giving back must not allocate.
  } else {
    burst = std::move(idle_.back());
    idle_.pop_back();
  }
  burst->home_ = shared_from_this();
  return BurstPtr{burst.release()};
}

}  // namespace sluice

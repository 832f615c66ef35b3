#include "backends/ns3/rx_queue.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace sluice {

std::uint32_t RxQueue::push(BurstPtr burst) {
  const std::uint32_t room = frame_count_max_ - size_;
  const std::uint32_t kept = std::min(room, burst->size());
  const std::uint32_t missed = burst->size() - kept;
  burst->cut_to(kept);
  if (kept == 0) return missed;
  size_ += kept;
  bursts_.push_back(std::move(burst));
  return missed;
}

bool RxQueue::push(std::span<const std::byte> frame, Instant arrival, BurstPool& pool,
                   const ns3::Packet* origin) {
  if (size_ == frame_count_max_) return false;
  if (bursts_.empty() || bursts_.back()->full()) bursts_.push_back(pool.acquire());
  bursts_.back()->append(frame, arrival, origin);
  ++size_;
  return true;
}

RxQueue::Taken RxQueue::take(PacketBatch& batch, BufferPool& pool, PortId ingress, Instant now,
                             TagStore* tags) noexcept {
  Taken taken;
  std::array<std::uint32_t, PacketBatch::kCapacity> buffers;
  const std::uint32_t wanted = std::min(size_, batch.room());
  if (wanted == 0) return taken;
  const std::uint32_t got = pool.allocate(std::span{buffers}.first(wanted));
  const PacketMemory& memory = batch.memory();
  for (std::uint32_t i = 0; i < wanted && front().arrival <= now; ++i, pop()) {
    const BurstFrame& frame = front();
    if (taken.count == got || memory.buffer_size() < std::uint32_t{kHeadroom} + frame.length) {
      ++taken.dropped;
      continue;
    }
    const std::uint32_t buffer = buffers[taken.count++];
    std::memcpy(memory.buffer(buffer).data() + kHeadroom, bursts_.front()->bytes(frame).data(),
                frame.length);
    batch.push({.buffer = buffer,
                .offset = kHeadroom,
                .length = frame.length,
                .flow = kNoFlow,
                .tag = 0,
                .chain = 0xffff,
                .step = 0,
                .verdict = Verdict::kUndecided,
                .target = 0,
                .ingress = index_of(ingress),
                .arrival = to_ns(frame.arrival)});
    if (tags != nullptr) tags->set(*(batch.end() - 1), bursts_.front()->origin(frame));
  }
  if (taken.count < got) pool.release(std::span{buffers}.first(got).subspan(taken.count));
  return taken;
}

void RxQueue::pop() noexcept {
  --size_;
  if (++cursor_ < bursts_.front()->size()) return;
  bursts_.pop_front();
  cursor_ = 0;
}

std::uint32_t RxQueue::pending(Instant now) const noexcept {
  std::uint32_t count = 0;
  std::uint32_t first = cursor_;
  for (const BurstPtr& burst : bursts_) {
    for (const BurstFrame& frame : burst->frames().subspan(first)) {
      if (frame.arrival > now) return count;
      ++count;
    }
    first = 0;
  }
  return count;
}

std::optional<Instant> RxQueue::next_arrival() const noexcept {
  if (size_ == 0) return std::nullopt;
  return front().arrival;
}

}  // namespace sluice

#include <algorithm>

#include "core/check.hpp"
#include "core/host/worker_parts.hpp"

namespace sluice {

void Worker::flush_lanes(Instant now) noexcept {
  while (!dirty_.empty()) {  // Inline functions stage more while this runs.
    const InstanceId instance = dirty_.back();
    dirty_.pop_back();
    lane(instance).dirty = false;
    flush_lane(instance, now);
  }
}

void Worker::flush_lane(InstanceId instance, Instant now) noexcept {
  Lane& to = lane(instance);
  if (to.staged.empty()) return;
  const InstanceRoute& route = snapshot_->instances[index_of(instance)];
  SLUICE_CHECK(route.channel != nullptr);
  if (route.channel->inline_runtime != nullptr) {
    run_staged(instance, now);
    return;
  }
  auto& statistics = statistics_.instances[index_of(instance)];
  SpscRing<Packet>& ring = route.channel->receive;
  const std::uint32_t ring_room = ring.capacity() - ring.size();
  const std::uint32_t hold_room = to.outstanding_max - Context::kLentMax - to.outstanding;
  const std::span<const Packet> packets{to.staged.begin(), to.staged.size()};
  const auto accepted = packets.first(std::min({to.staged.size(), ring_room, hold_room}));
  options_.ledger->hand_over(accepted, instance);
  const std::uint32_t count = ring.enqueue(accepted);
  if (count < accepted.size()) {
    // Only this worker fills the ring, so the room that it saw is there, unless the instance plays
    // with its index.
    PacketBatch back = to.staged;
    const auto taken =
        options_.ledger->take_back(instance, {back.data() + count, accepted.size() - count});
    SLUICE_CHECK(taken.good == accepted.size() - count);
    quarantine(instance);
  }
  to.outstanding += count;
  statistics.delivered_packets += count;
  if (options_.observer != nullptr && count > 0) {
    options_.observer->delivered(now, instance, accepted.first(count));
  }
  const DropReason reason = ring_room <= hold_room ? DropReason::kRingFull : DropReason::kHoldLimit;
  for (const Packet& packet : packets.subspan(count)) {
    ++statistics.ring_full_drops;
    drop(packet, reason, now);
  }
  to.staged.clear();
  if (count > 0) touch(instance);
}

/// Runs an inline function on what is staged for it, out of the way of what will be staged while
/// it runs.
void Worker::run_staged(InstanceId instance, Instant now) noexcept {
  PacketBatch& staged = lane(instance).staged;
  PacketBatch batch{options_.memory};
  batch.append({staged.begin(), staged.size()});
  staged.clear();
  run_inline(batch, instance, now);
}

/// Runs an inline function on `batch`, and on as long as the whole batch goes on to the next inline
/// function together: a fused chain moves no descriptor.
void Worker::run_inline(PacketBatch& batch, InstanceId instance, Instant now) noexcept {
  bool alike = false;
  do {
    FunctionRuntime& runtime = *snapshot_->instances[index_of(instance)].channel->inline_runtime;
    if (!batch.empty()) {
      auto& statistics = statistics_.instances[index_of(instance)];
      statistics.delivered_packets += batch.size();
      if (options_.observer != nullptr) {
        options_.observer->delivered(now, instance, {batch.begin(), batch.size()});
      }
      runtime.process(batch, now);
      alike = all_stand_alike({batch.begin(), batch.size()});
      if (!alike || batch[0].verdict == Verdict::kHold) keep_held(batch, instance);
      statistics.returned_packets += batch.size();
      if (options_.observer != nullptr && !batch.empty()) {
        options_.observer->returned(now, instance, {batch.begin(), batch.size()});
      }
    }
    take_outbox(instance, now);
  } while (alike && advance_inline(batch, instance));
  if (batch.empty()) return;
  // Of a single worker's flows none can have ended: nothing expires while packets are staged.
  const bool plain = alike && batch[0].verdict == Verdict::kNext && options_.worker_count == 1;
  const ChainVersion* chain = plain ? plain_chain_at(batch[0]) : nullptr;
  const std::span<const Packet> packets{batch.begin(), batch.size()};
  if (chain != nullptr) {
    go_all(packets, way_to(*chain, chain->steps[batch[0].step].next), now);
  } else {
    decide_all(packets, now);
  }
}

/// Notes what an inline function holds, and leaves the rest in `batch`.
void Worker::keep_held(PacketBatch& batch, InstanceId instance) noexcept {
  std::uint32_t kept = 0;
  for (std::uint32_t i = 0; i < batch.size(); ++i) {
    if (batch[i].verdict != Verdict::kHold) [[likely]] {
      if (kept != i) batch[kept] = batch[i];
      ++kept;
      continue;
    }
    options_.ledger->hand_over({&batch[i], 1}, instance);
    ++lane(instance).outstanding;
  }
  batch.resize(kept);
}

/// Takes what an inline function released or made.
void Worker::take_outbox(InstanceId instance, Instant now) noexcept {
  FunctionRuntime& runtime = *snapshot_->instances[index_of(instance)].channel->inline_runtime;
  const auto outbox = runtime.outbox();
  if (outbox.empty()) return;
  for (std::size_t done = 0; done < outbox.size();) {
    PacketBatch& input = lane(instance).input;
    input.clear();
    while (done < outbox.size() && !input.full()) input.push(outbox[done++]);
    take_back(instance, now);
  }
  runtime.clear_outbox();
}

/// Moves a whole batch that stands alike one step on when that is to one inline function; else
/// leaves it.
bool Worker::advance_inline(PacketBatch& batch, InstanceId& instance) noexcept {
  if (batch.empty() || batch[0].verdict != Verdict::kNext) return false;
  const ChainVersion* chain = plain_chain_at(batch[0]);
  if (chain == nullptr) return false;
  const Hop hop = chain->steps[batch[0].step].next;
  if (hop.kind != Hop::Kind::kStep) return false;
  const Step& next = chain->steps[hop.step];
  const InstanceId follower = own_inline_[index_of(next.service)];
  if (next.copy || follower == kNoInstance) return false;
  instance = follower;
  for (Packet& packet : batch) packet.step = hop.step;
  return true;
}

void Worker::flush_workers(Instant now) noexcept {
  for (std::uint16_t i = 0; i < options_.worker_count; ++i) {
    PacketBatch& batch = worker_output_[i];
    if (batch.empty()) continue;
    const std::span<const Packet> packets{batch.begin(), batch.size()};
    const std::uint32_t count = options_.to_workers[i].enqueue(packets);
    for (const Packet& packet : packets.subspan(count)) {
      drop(packet, DropReason::kWorkerRing, now);
    }
    batch.clear();
  }
}

void Worker::lend(InstanceId instance, Instant now) noexcept {
  Lane& to = lane(instance);
  while (to.lent < Context::kLentMax && !spare_.empty()) {
    Message message{Message::Kind::kLend, kNoFlow, {}};
    const auto count = std::min<std::size_t>(
        {Message::kWordCount - 1, Context::kLentMax - to.lent, spare_.size()});
    const std::span<const std::uint32_t> buffers{spare_.data() + spare_.size() - count, count};
    message.words[0] = static_cast<std::uint32_t>(count);
    std::copy(buffers.begin(), buffers.end(), message.words.begin() + 1);
    options_.ledger->lend(buffers, instance);
    if (!post(instance, message, now)) {
      options_.ledger->unlend(buffers, instance);
      return;
    }
    if (options_.observer != nullptr) options_.observer->lent(now, instance, buffers);
    to.lent += static_cast<std::uint32_t>(count);
    spare_.resize(spare_.size() - count);
  }
}

bool Worker::post(InstanceId instance, const Message& message, Instant now) noexcept {
  const InstanceRoute& route = snapshot_->instances[index_of(instance)];
  if (route.channel == nullptr || route.worker != options_.index) return false;
  if (route.channel->inline_runtime != nullptr) {
    route.channel->inline_runtime->message(message, now);
    return true;
  }
  if (route.channel->messages.enqueue({&message, 1}) != 1) return false;
  touch(instance);
  return true;
}

void Worker::quarantine(InstanceId instance) noexcept {
  if (lane(instance).quarantined) return;
  lane(instance).quarantined = true;
  quarantined_.push_back(instance);
}

void Worker::touch(InstanceId instance) noexcept {
  if (lane(instance).touched) return;
  lane(instance).touched = true;
  touched_.push_back(instance);
}

void Worker::clear_touched() noexcept {
  for (const InstanceId instance : touched_) lane(instance).touched = false;
  touched_.clear();
}

}  // namespace sluice

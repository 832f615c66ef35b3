#include "core/packet/buffer_ledger.hpp"

#include <algorithm>
#include <array>

#include "core/check.hpp"

namespace sluice {

BufferLedger::BufferLedger(const PacketMemory& memory)
    : entries_(std::make_unique<Entry[]>(memory.buffer_count())),
      buffer_count_(memory.buffer_count()),
      buffer_size_(memory.buffer_size()) {}

bool BufferLedger::is_of_instance(std::uint32_t buffer) const noexcept {
  const BufferOwner now = owner(buffer);
  return now == BufferOwner::kInstance || now == BufferOwner::kLent;
}

void BufferLedger::hand_over(std::span<const Packet> packets, InstanceId instance) noexcept {
  for (const Packet& packet : packets) {
    if (packet.buffer < buffer_count_) __builtin_prefetch(&entries_[packet.buffer], 1);
  }
  for (const Packet& packet : packets) {
    SLUICE_CHECK(packet.buffer < buffer_count_ && !is_of_instance(packet.buffer));
    Entry& entry = entries_[packet.buffer];
    entry.flow = packet.flow;
    entry.arrival = packet.arrival;
    entry.tag = packet.tag;
    entry.offset = packet.offset;
    entry.length = packet.length;
    entry.chain = packet.chain;
    entry.ingress = packet.ingress;
    entry.step = packet.step;
    ++entry.generation;
    set_state(packet.buffer, state_of(BufferOwner::kInstance, index_of(instance)));
  }
}

void BufferLedger::lend(std::span<const std::uint32_t> buffers, InstanceId instance) noexcept {
  for (const std::uint32_t buffer : buffers) {
    SLUICE_CHECK(buffer < buffer_count_ && !is_of_instance(buffer));
    Entry& entry = entries_[buffer];
    entry.flow = kNoFlow;
    entry.arrival = 0;
    entry.tag = 0;
    entry.offset = 0;
    entry.length = 0;
    entry.chain = 0xffff;
    entry.ingress = 0xffff;
    entry.step = 0;
    ++entry.generation;
    set_state(buffer, state_of(BufferOwner::kLent, index_of(instance)));
  }
}

void BufferLedger::unlend(std::span<const std::uint32_t> buffers, InstanceId instance) noexcept {
  for (const std::uint32_t buffer : buffers) {
    SLUICE_CHECK(buffer < buffer_count_);
    SLUICE_CHECK(entries_[buffer].state.load(std::memory_order_relaxed) ==
                 state_of(BufferOwner::kLent, index_of(instance)));
    set_state(buffer, state_of(BufferOwner::kWorker, 0));
  }
}

BufferLedger::Taken BufferLedger::take_back(InstanceId instance,
                                            std::span<Packet> returned) noexcept {
  SLUICE_CHECK(returned.size() <= kBatchMax);
  if (buffer_count_ == 0) return {};
  for (const Packet& packet : returned) {
    __builtin_prefetch(&entries_[packet.buffer < buffer_count_ ? packet.buffer : 0], 1);
  }
  const std::uint32_t given = state_of(BufferOwner::kInstance, index_of(instance));
  const std::uint32_t lent = state_of(BufferOwner::kLent, index_of(instance));
  // Not initialised: on the good path nothing is ever written to them.
  std::array<Packet, kBatchMax> generated;
  std::array<Packet, kBatchMax> refused;
  std::uint32_t kept_count = 0;
  std::uint32_t generated_count = 0;
  std::uint32_t refused_count = 0;
  // In place: a copy right behind the narrow writes would wait for them.
  for (std::uint32_t i = 0; i < returned.size(); ++i) {
    Packet& packet = returned[i];
    const bool in_range = packet.buffer < buffer_count_;
    Entry& entry = entries_[in_range ? packet.buffer : 0];
    const std::uint32_t state = entry.state.load(std::memory_order_relaxed);
    const bool inside = std::uint32_t{packet.offset} + packet.length <= buffer_size_;
    const bool decided = packet.verdict <= Verdict::kHold;
    // One branch for all that can be wrong: it is never taken by an honest function.
    if (!(in_range & inside & decided & ((state == given) | (state == lent)))) [[unlikely]] {
      refused[refused_count++] = packet;
      continue;
    }
    entry.state.store(state_of(BufferOwner::kWorker, 0), std::memory_order_relaxed);
    packet.flow = entry.flow;
    packet.chain = entry.chain;
    packet.step = entry.step;
    packet.ingress = entry.ingress;
    packet.arrival = entry.arrival;
    if (state == lent) [[unlikely]] {
      generated[generated_count++] = packet;
    } else {
      if (kept_count != i) returned[kept_count] = packet;
      ++kept_count;
    }
  }
  std::copy_n(generated.begin(), generated_count, returned.begin() + kept_count);
  const std::uint32_t good = kept_count + generated_count;
  std::copy_n(refused.begin(), refused_count, returned.begin() + good);
  return {good, generated_count};
}

void BufferLedger::set_owner(std::span<const std::uint32_t> buffers, BufferOwner owner) noexcept {
  SLUICE_CHECK(owner != BufferOwner::kInstance && owner != BufferOwner::kLent);
  for (const std::uint32_t buffer : buffers) {
    SLUICE_CHECK(buffer < buffer_count_ && !is_of_instance(buffer));
    set_state(buffer, state_of(owner, 0));
  }
}

BufferOwner BufferLedger::owner(std::uint32_t buffer) const noexcept {
  SLUICE_CHECK(buffer < buffer_count_);
  return static_cast<BufferOwner>(entries_[buffer].state.load(std::memory_order_relaxed) >> 16);
}

InstanceId BufferLedger::instance(std::uint32_t buffer) const noexcept {
  if (!is_of_instance(buffer)) return kNoInstance;
  return InstanceId{
      static_cast<std::uint16_t>(entries_[buffer].state.load(std::memory_order_relaxed) & 0xffffu)};
}

std::uint16_t BufferLedger::generation(std::uint32_t buffer) const noexcept {
  SLUICE_CHECK(buffer < buffer_count_);
  return entries_[buffer].generation;
}

Packet BufferLedger::shadow(std::uint32_t buffer) const noexcept {
  SLUICE_CHECK(buffer < buffer_count_);
  const Entry& entry = entries_[buffer];
  return {.buffer = buffer,
          .offset = entry.offset,
          .length = entry.length,
          .flow = entry.flow,
          .tag = entry.tag,
          .chain = entry.chain,
          .step = entry.step,
          .verdict = Verdict::kUndecided,
          .target = 0xffff,
          .ingress = entry.ingress,
          .arrival = entry.arrival};
}

BufferLedger::Audit BufferLedger::audit() const noexcept {
  Audit audit;
  for (std::uint32_t buffer = 0; buffer < buffer_count_; ++buffer) {
    switch (owner(buffer)) {
      case BufferOwner::kFree:
        ++audit.free;
        break;
      case BufferOwner::kWorker:
        ++audit.worker;
        break;
      case BufferOwner::kInstance:
        ++audit.instance;
        break;
      case BufferOwner::kLent:
        ++audit.lent;
        break;
      case BufferOwner::kPort:
        ++audit.port;
        break;
    }
  }
  return audit;
}

}  // namespace sluice

#include "core/function/function_runtime.hpp"

#include <algorithm>
#include <utility>

#include "core/check.hpp"

namespace sluice {

FunctionRuntime::FunctionRuntime(std::unique_ptr<NetworkFunction> function, const Options& options)
    : function_(std::move(function)), context_(options.seed) {
  SLUICE_CHECK(function_ != nullptr);
  context_.memory_ = options.memory;
  context_.label_bits_ = options.label_bits;
  context_.lent_.reserve(Context::kLentMax);
  context_.outbox_.reserve(Context::kOutboxCapacity);
}

void FunctionRuntime::process(PacketBatch& batch, Instant now) noexcept {
  for (Packet& packet : batch) packet.verdict = Verdict::kUndecided;
  context_.now_ = now;
  function_->process(batch, context_);
}

void FunctionRuntime::tick(Instant now) noexcept {
  context_.now_ = now;
  function_->tick(context_);
}

void FunctionRuntime::message(const Message& message, Instant now) noexcept {
  if (message.kind == Message::Kind::kLend) {
    const std::uint32_t count = message.words[0];
    SLUICE_CHECK(count < Message::kWordCount);
    lend({message.words.data() + 1, count});
    return;
  }
  context_.now_ = now;
  function_->message(message, context_);
}

void FunctionRuntime::lend(std::span<const std::uint32_t> buffers) noexcept {
  SLUICE_CHECK(context_.lent_.size() + buffers.size() <= Context::kLentMax);
  context_.lent_.insert(context_.lent_.end(), buffers.begin(), buffers.end());
}

RingRuntime::RingRuntime(std::unique_ptr<NetworkFunction> function,
                         const FunctionRuntime::Options& options, const Wiring& wiring)
    : runtime_(std::move(function), options), wiring_(wiring), batch_(options.memory) {
  SLUICE_CHECK(wiring_.page != nullptr);
}

std::span<const Packet> RingRuntime::take(Instant now, std::uint32_t batch_max) noexcept {
  wiring_.page->heartbeat.fetch_add(1, std::memory_order_relaxed);
  handle_messages(now);
  batch_.resize(PacketBatch::kCapacity);
  const std::uint32_t count = std::min({batch_max, batch_.size(), runtime_.function().room()});
  batch_.resize(wiring_.receive.dequeue({batch_.data(), count}));
  return {batch_.begin(), batch_.size()};
}

void RingRuntime::finish(Instant now, Duration busy) noexcept {
  runtime_.process(batch_, now);
  std::uint32_t kept = 0;
  const std::uint32_t taken = batch_.size();
  for (std::uint32_t i = 0; i < taken; ++i) {
    if (batch_[i].verdict == Verdict::kHold) continue;
    if (kept != i) batch_[kept] = batch_[i];
    ++kept;
  }
  batch_.resize(kept);
  SLUICE_CHECK(wiring_.give_back.enqueue({batch_.begin(), batch_.size()}) == batch_.size());
  batch_.clear();
  give_back_outbox();
  auto& page = *wiring_.page;
  page.packet_count.fetch_add(taken, std::memory_order_relaxed);
  page.heartbeat.fetch_add(1, std::memory_order_relaxed);
  add_busy(busy);
}

void RingRuntime::tick(Instant now) noexcept {
  wiring_.page->heartbeat.fetch_add(1, std::memory_order_relaxed);
  handle_messages(now);
  runtime_.tick(now);
  give_back_outbox();
  add_busy(Duration::zero());
}

void RingRuntime::add_busy(Duration busy) noexcept {
  busy += runtime_.take_busy();
  wiring_.page->busy_ns.fetch_add(static_cast<std::uint64_t>(busy.count()),
                                  std::memory_order_relaxed);
}

void RingRuntime::give_back_outbox() noexcept {
  const auto outbox = runtime_.outbox();
  if (outbox.empty()) return;
  SLUICE_CHECK(wiring_.give_back.enqueue(outbox) == outbox.size());
  runtime_.clear_outbox();
}

void RingRuntime::handle_messages(Instant now) noexcept {
  Message message;
  while (wiring_.messages.dequeue({&message, 1}) == 1) {
    if (message.kind == Message::Kind::kStop) stop_requested_ = true;
    runtime_.message(message, now);
  }
}

}  // namespace sluice

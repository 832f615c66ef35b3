#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "core/functions/forward.hpp"
#include "tests/bench/bench_groups.hpp"
#include "tests/core/host/host_rig.hpp"

namespace sluice::bench {
namespace {

constexpr std::uint32_t kBatch = PacketBatch::kCapacity;
constexpr std::uint32_t kStepsMax = 8;

/// Ports that cost nothing: the same full batch of frames comes in again and again, and what goes
/// out is forgotten.
class NullIo {
 public:
  explicit NullIo(PacketMemory memory) {
    const test::Frame frame = frames::udp();
    for (std::uint32_t i = 0; i < kBatch; ++i) {
      Packet& packet = packets_[i];
      packet.buffer = i;
      packet.offset = kHeadroom;
      packet.length = static_cast<std::uint16_t>(frame.size());
      packet.flow = kNoFlow;
      packet.chain = 0xffff;
      std::copy(frame.begin(), frame.end(), memory.bytes(packet).begin());
    }
  }
  std::uint32_t receive(PortId port, PacketBatch& batch) noexcept {
    if (index_of(port) != 0) return 0;
    for (const Packet& packet : packets_) batch.push(packet);
    return 0;
  }
  std::uint32_t transmit(PortId, std::span<const Packet> packets) noexcept {
    sent_ += packets.size();
    return static_cast<std::uint32_t>(packets.size());
  }
  std::uint32_t allocate(std::span<std::uint32_t> to_fill) noexcept {
    for (std::uint32_t i = 0; i < to_fill.size(); ++i) to_fill[i] = kBatch + i;
    return static_cast<std::uint32_t>(to_fill.size());
  }
  void release(std::span<const std::uint32_t>) noexcept {}

  [[nodiscard]] std::uint64_t sent() const { return sent_; }

 private:
  std::array<Packet, kBatch> packets_{};
  std::uint64_t sent_ = 0;
};
static_assert(PacketIo<NullIo>);

/// A worker with one chain of `step_count` inline forward functions.
class InlineChain {
 public:
  explicit InlineChain(std::uint32_t step_count) {
    test::RigBuilder rig;
    std::vector<ServiceId> services;
    for (std::uint32_t i = 0; i < step_count; ++i) {
      services.push_back(rig.service("forward" + std::to_string(i)));
      rig.edit(services.back()).run = RunMode::kInline;
    }
    rig.chain("all", services);
    rig.make_function = [](ServiceId) {
      return std::make_unique<Forward>(Forward::Options{}, InstanceConfig{});
    };
    host_ = rig.build();
    io_ = std::make_unique<NullIo>(host_->memory());
  }

  /// Nanoseconds a packet from port to port.
  double packet_ns(std::uint64_t batch_count, Bench& bench) {
    Worker& worker = host_->worker();
    const std::uint64_t sent_before = io_->sent();
    const double ns = time_ns([&] {
      for (std::uint64_t i = 0; i < batch_count; ++i) worker.poll_once(*io_, host_->now);
    });
    SLUICE_CHECK(io_->sent() - sent_before == batch_count * kBatch);
    bench.keep(io_->sent());
    return ns / static_cast<double>(batch_count * kBatch);
  }

 private:
  std::unique_ptr<test::LoopbackHost> host_;
  std::unique_ptr<NullIo> io_;
};

/// The slope of the line of least squares through (1, values[0]), (2, values[1]) and so on.
double slope(const std::array<double, kStepsMax>& values) {
  const double middle = (kStepsMax + 1) / 2.0;
  double product_sum = 0, square_sum = 0;
  for (std::uint32_t i = 0; i < kStepsMax; ++i) {
    const double distance = i + 1 - middle;
    product_sum += distance * values[i];
    square_sum += distance * distance;
  }
  return product_sum / square_sum;
}

}  // namespace

/// What one more inline function costs a packet in a fused chain, and whole chains of 1 and 8.
void bench_chain(Bench& bench) {
  bench.progress("chain.inline_step");
  const std::uint64_t batch_count = bench.pick<std::uint64_t>(10, 20'000, 50'000);
  std::vector<std::unique_ptr<InlineChain>> chains;
  for (std::uint32_t i = 1; i <= kStepsMax; ++i) chains.push_back(std::make_unique<InlineChain>(i));
  std::vector<double> slopes, shortest, longest;
  for (int round = 0; round < bench.rounds(); ++round) {
    std::array<double, kStepsMax> ns;
    for (std::uint32_t i = 0; i < kStepsMax; ++i) ns[i] = chains[i]->packet_ns(batch_count, bench);
    slopes.push_back(slope(ns));
    shortest.push_back(ns.front());
    longest.push_back(ns.back());
  }
  bench.add_lower_is_better("chain.inline_step", "ns/step", "bound",
                            {.value = median(slopes), .peer = 4.0}, {.required = 1.0});
  bench.add_plain("chain.inline_1", median(shortest), "ns/packet");
  bench.add_plain("chain.inline_8", median(longest), "ns/packet");
}

}  // namespace sluice::bench

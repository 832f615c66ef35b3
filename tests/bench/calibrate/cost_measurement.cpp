#include "tests/bench/calibrate/cost_measurement.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <numeric>
#include <string>

#include "core/function/function_runtime.hpp"
#include "core/functions/forward.hpp"
#include "core/prng.hpp"
#include "tests/bench/bench.hpp"
#include "tests/bench/calibrate/cycles.hpp"
#include "tests/core/host/host_rig.hpp"

namespace sluice::bench {
namespace {

constexpr std::array<std::uint32_t, 2> kBatchSizes{1, PacketBatch::kCapacity};
constexpr std::array<std::size_t, 3> kFrameSizes{64, 594, 1514};
constexpr std::uint32_t kFlowCount = 256;
constexpr std::uint32_t kBufferSize = 2048;
constexpr std::uint32_t kRingCapacity = 512;
constexpr std::uint32_t kGiveBackCapacity = 2048;
/// What an instance may be called on for until a held packet is back.
constexpr int kTicksMax = 1000;

/// A frame of `size` bytes with text in its payload, as a search has to read it.
test::Frame make_frame(std::uint32_t flow, std::size_t size, const CostTraffic& traffic) {
  const bool is_tcp = traffic.protocol == 6;
  Prng prng{flow + 1};
  frames::Bytes payload(size - 14 - 20 - (is_tcp ? 20 : 8));
  for (std::byte& byte : payload) byte = static_cast<std::byte>('a' + prng.below(26));
  const auto port = static_cast<std::uint16_t>(1024 + flow);
  const frames::Ip ip{.source = "10.0.0.1", .destination = "10.128.0.1"};
  if (!is_tcp) {
    return frames::udp({.source_port = port,
                        .destination_port = traffic.destination_port,
                        .payload = std::move(payload)},
                       ip);
  }
  return frames::tcp({.source_port = port,
                      .destination_port = traffic.destination_port,
                      .payload = std::move(payload)},
                     ip);
}

/// The frames of all flows in one size.
std::vector<test::Frame> make_frames(std::size_t size, const CostTraffic& traffic) {
  std::vector<test::Frame> frames;
  for (std::uint32_t flow = 0; flow < kFlowCount; ++flow) {
    frames.push_back(make_frame(flow, size, traffic));
  }
  return frames;
}

/// Ticks that two looks at the clock take.
double clock_cycles() {
  std::vector<double> found;
  for (int i = 0; i < 1001; ++i) {
    const std::uint64_t started = cycle_count();
    found.push_back(static_cast<double>(cycle_count() - started));
  }
  return median(std::move(found));
}

/// The median lap of a `turn`, which gives back the ticks of one batch.
double batch_cycles(const MeasurementOptions& options, const std::function<std::uint64_t()>& turn) {
  const double clock = clock_cycles();
  std::vector<double> laps;
  for (int lap = 0; lap < options.laps; ++lap) {
    std::uint64_t sum = 0;
    for (std::uint32_t i = 0; i < options.turns; ++i) sum += turn();
    laps.push_back(static_cast<double>(sum) / options.turns - clock);
  }
  return std::max(1.0, median(std::move(laps)));
}

/// An instance between rings of its own, fed and emptied by us.
class Instance {
 public:
  Instance(const Program& program, const std::vector<std::uint32_t>& label_bits)
      : bytes_(std::size_t{kFlowCount} * kBufferSize),
        memory_(bytes_, kBufferSize),
        runtime_(program.make_instance({.number = 1}), {memory_, label_bits, 1},
                 {receive_.ring(), give_back_.ring(), messages_.ring(), &page_}) {}

  /// Ticks of a turn with `count` of `frames`.
  std::uint64_t turn(std::uint32_t count, const std::vector<test::Frame>& frames) {
    put(count, frames);
    const std::uint64_t started = cycle_count();
    (void)runtime_.take(now_);
    runtime_.finish(now_, Duration::zero());
    sum_ += static_cast<std::uint64_t>(now_ns());
    std::uint64_t cycles = cycle_count() - started;
    std::uint32_t back = drain();
    for (int i = 0; back < count && i < kTicksMax; ++i) {
      const Instant wake_at = runtime_.runtime().function().wake_at();
      now_ += std::chrono::milliseconds{10};
      if (wake_at < now_) now_ = std::max(now_ - std::chrono::milliseconds{10}, wake_at);
      const std::uint64_t ticked = cycle_count();
      runtime_.tick(now_);
      cycles += cycle_count() - ticked;
      back += drain();
    }
    SLUICE_CHECK(back == count);
    return cycles;
  }
  [[nodiscard]] std::uint64_t sum() const { return sum_; }

 private:
  /// Fresh frames, since a function may have changed those of the last turn.
  void put(std::uint32_t count, const std::vector<test::Frame>& frames) {
    std::array<Packet, PacketBatch::kCapacity> batch{};
    for (std::uint32_t i = 0; i < count; ++i) {
      next_ = (next_ + 1) % kFlowCount;
      batch[i].buffer = next_;
      batch[i].offset = kHeadroom;
      batch[i].length = static_cast<std::uint16_t>(frames[next_].size());
      batch[i].flow = next_;
      batch[i].arrival = to_ns(now_);
      std::ranges::copy(frames[next_], memory_.bytes(batch[i]).begin());
    }
    now_ += std::chrono::microseconds{1} * count;
    SLUICE_CHECK(receive_.ring().enqueue({batch.data(), count}) == count);
  }
  std::uint32_t drain() {
    std::array<Packet, PacketBatch::kCapacity> batch;
    const std::uint32_t count = give_back_.ring().dequeue(batch);
    for (std::uint32_t i = 0; i < count; ++i) sum_ += static_cast<unsigned>(batch[i].verdict);
    return count;
  }

  std::vector<std::byte> bytes_;
  PacketMemory memory_;
  OwnedSpscRing<Packet> receive_{kRingCapacity};
  OwnedSpscRing<Packet> give_back_{kGiveBackCapacity};
  OwnedSpscRing<Message> messages_{64};
  ControlPage page_;
  RingRuntime runtime_;
  Instant now_{std::chrono::seconds{1}};
  std::uint32_t next_ = 0;
  std::uint64_t sum_ = 0;
};

/// Ports in memory: one batch a poll comes in by the first, and what goes out is free again.
class FrameIo {
 public:
  FrameIo(PacketMemory memory, const std::vector<test::Frame>& frames)
      : size_(frames.front().size()), free_(memory.buffer_count()) {
    std::iota(free_.begin(), free_.end(), 0u);
    for (const std::uint32_t buffer : free_) {
      std::ranges::copy(frames[buffer % kFlowCount], memory.buffer(buffer).begin() + kHeadroom);
    }
  }
  void set_batch_size(std::uint32_t batch_size) { batch_size_ = batch_size; }

  std::uint32_t receive(PortId port, PacketBatch& batch) noexcept {
    if (index_of(port) != 0) return 0;
    for (std::uint32_t i = 0; i < batch_size_; ++i) {
      Packet packet{};
      if (allocate({&packet.buffer, 1}) == 0) return batch_size_ - i;
      packet.offset = kHeadroom;
      packet.length = static_cast<std::uint16_t>(size_);
      packet.flow = kNoFlow;
      packet.chain = 0xffff;
      batch.push(packet);
    }
    return 0;
  }
  std::uint32_t transmit(PortId, std::span<const Packet> packets) noexcept {
    for (const Packet& packet : packets) free_.push_back(packet.buffer);
    sent_ += packets.size();
    return static_cast<std::uint32_t>(packets.size());
  }
  std::uint32_t allocate(std::span<std::uint32_t> to_fill) noexcept {
    const std::size_t count = std::min(to_fill.size(), free_.size());
    std::copy_n(free_.rbegin(), count, to_fill.begin());
    free_.resize(free_.size() - count);
    return static_cast<std::uint32_t>(count);
  }
  void release(std::span<const std::uint32_t> to_free) noexcept {
    free_.insert(free_.end(), to_free.begin(), to_free.end());
  }
  [[nodiscard]] std::uint64_t sent() const { return sent_; }

 private:
  std::size_t size_;
  std::uint32_t batch_size_ = 1;
  std::vector<std::uint32_t> free_;
  std::uint64_t sent_ = 0;
};
static_assert(PacketIo<FrameIo>);

/// A host with a chain of one process that does nothing.
class WorkerRig {
 public:
  explicit WorkerRig(std::size_t frame_size) {
    test::RigBuilder rig;
    const ServiceId service = rig.service("forward");
    rig.edit(service).ring_capacity = kRingCapacity;
    rig.chain("all", {service});
    rig.make_function = [](ServiceId) {
      return std::make_unique<Forward>(Forward::Options{}, InstanceConfig{});
    };
    host_ = rig.build();
    instance_ = host_->instances_of(service).front();
    io_ = std::make_unique<FrameIo>(host_->memory(), make_frames(frame_size, {}));
  }
  /// Ticks of a poll that finds `batch_size` packets at the port and as many in the ring.
  std::uint64_t turn(std::uint32_t batch_size) {
    io_->set_batch_size(batch_size);
    host_->now += std::chrono::microseconds{1} * batch_size;
    const std::uint64_t started = cycle_count();
    host_->worker().poll_once(*io_, host_->now);
    const std::uint64_t cycles = cycle_count() - started;
    RingRuntime& runtime = host_->runtime(instance_);
    if (!runtime.take(host_->now).empty()) runtime.finish(host_->now, Duration{100});
    return cycles;
  }
  [[nodiscard]] std::uint64_t sent() const { return io_->sent(); }

 private:
  std::unique_ptr<test::LoopbackHost> host_;
  InstanceId instance_ = kNoInstance;
  std::unique_ptr<FrameIo> io_;
};

}  // namespace

std::vector<CostSample> measure_function(const Program& program,
                                         const std::vector<std::uint32_t>& label_bits,
                                         const CostTraffic& traffic,
                                         const MeasurementOptions& options) {
  std::vector<CostSample> samples;
  for (const std::size_t size : kFrameSizes) {
    const std::vector<test::Frame> frames = make_frames(size, traffic);
    for (const std::uint32_t count : kBatchSizes) {
      Instance instance{program, label_bits};
      const auto turn = [&] { return instance.turn(count, frames); };
      const double cycles = batch_cycles(options, turn);
      SLUICE_CHECK(instance.sum() > 0);
      samples.push_back({.packet_count = static_cast<double>(count),
                         .size_bytes = static_cast<double>(count * size),
                         .cycles = cycles});
    }
  }
  return samples;
}

std::vector<CostSample> measure_worker(const MeasurementOptions& options) {
  std::vector<CostSample> samples;
  for (const std::size_t size : kFrameSizes) {
    WorkerRig rig{size};
    for (const std::uint32_t count : kBatchSizes) {
      const auto turn = [&] { return rig.turn(count); };
      (void)turn();  // From now on as many come back as go in.
      const std::uint64_t sent_before = rig.sent();
      const double cycles = batch_cycles(options, turn);
      SLUICE_CHECK(rig.sent() - sent_before ==
                   std::uint64_t{count} * options.turns * static_cast<unsigned>(options.laps));
      samples.push_back({.packet_count = 2.0 * count,
                         .size_bytes = static_cast<double>(2 * count * size),
                         .cycles = cycles});
    }
  }
  return samples;
}

}  // namespace sluice::bench

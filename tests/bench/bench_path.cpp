#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "core/functions/forward.hpp"
#include "core/prng.hpp"
#include "tests/bench/bench_groups.hpp"
#include "tests/core/host/host_rig.hpp"

namespace sluice::bench {
namespace {

constexpr std::uint32_t kBatch = PacketBatch::kCapacity;
constexpr std::uint32_t kFrameSize = 64;

/// How a port gets at its frames.
enum class Source : std::uint8_t {
  kBuffers,  ///< They lie in the buffers already, a frame in each, long out of the near caches.
  kCapture,  ///< Copied out of a capture into the buffers freed last, as DPDK's net_pcap does.
};

/// Two ports that come as near to a poll mode driver as memory can: the first gives 32 frames of 64
/// bytes a poll, of many flows in random order; what goes out is forgotten.
class FlowsIo {
 public:
  /// Takes all buffers of `memory` but those of a few batches.
  FlowsIo(PacketMemory memory, std::uint32_t flow_count, Source source)
      : memory_(memory),
        source_(source),
        frame_count_(memory.buffer_count() - kSpareCount),
        capture_(source == Source::kCapture ? std::size_t{frame_count_} * memory.buffer_size()
                                            : 0) {
    std::vector<std::uint32_t> flows(frame_count_);
    for (std::uint32_t i = 0; i < frame_count_; ++i) flows[i] = i % flow_count;
    Prng prng{1};
    for (std::uint32_t i = frame_count_; i > 1; --i) {
      std::swap(flows[i - 1], flows[prng.below(i)]);
    }
    for (std::uint32_t i = 0; i < frame_count_; ++i) {
      const test::Frame frame = frame_of(flows[i]);
      std::copy(frame.begin(), frame.end(), place_of(i).begin());
    }
  }

  void set_now(Instant now) { now_ns_ = to_ns(now); }

  std::uint32_t receive(PortId port, PacketBatch& batch) noexcept {
    if (index_of(port) != 0) return 0;
    for (std::uint32_t i = 0; i < kBatch; ++i) {
      const std::uint32_t frame = next_;
      next_ = next_ + 1 == frame_count_ ? 0 : next_ + 1;
      const std::uint32_t buffer = source_ == Source::kBuffers ? frame : frame_count_ + i;
      batch.push({.buffer = buffer,
                  .offset = kHeadroom,
                  .length = kFrameSize,
                  .flow = kNoFlow,
                  .tag = 0,
                  .chain = 0xffff,
                  .step = 0,
                  .verdict = Verdict::kUndecided,
                  .target = 0xffff,
                  .ingress = 0,
                  .arrival = now_ns_});
      if (source_ == Source::kBuffers) {
        __builtin_prefetch(memory_.buffer(buffer).data() + kHeadroom);
      } else {
        std::memcpy(memory_.buffer(buffer).data() + kHeadroom, place_of(frame).data(), kFrameSize);
      }
    }
    return 0;
  }
  std::uint32_t transmit(PortId, std::span<const Packet> packets) noexcept {
    sent_ += packets.size();
    return static_cast<std::uint32_t>(packets.size());
  }
  std::uint32_t allocate(std::span<std::uint32_t> to_fill) noexcept {
    const auto count = std::min<std::size_t>(to_fill.size(), kSpareCount - kBatch);
    std::iota(to_fill.begin(), to_fill.begin() + static_cast<std::ptrdiff_t>(count),
              frame_count_ + kBatch);
    return static_cast<std::uint32_t>(count);
  }
  void release(std::span<const std::uint32_t>) noexcept {}

  [[nodiscard]] std::uint64_t sent() const { return sent_; }

  static constexpr std::uint32_t kSpareCount = 8 * kBatch;

 private:
  static test::Frame frame_of(std::uint32_t flow) {
    const test::Frame payload(kFrameSize - 14 - 20 - 8);
    const auto port = static_cast<std::uint16_t>(1024 + flow % 512);
    const std::string host = std::to_string(flow / 512 % 256) + "." + std::to_string(flow / 131072);
    return frames::udp({.source_port = port, .payload = payload}, {.source = "10.1." + host});
  }
  [[nodiscard]] std::span<std::byte> place_of(std::uint32_t frame) noexcept {
    if (source_ == Source::kBuffers) return memory_.buffer(frame).subspan(kHeadroom, kFrameSize);
    const std::size_t stride = memory_.buffer_size();
    return std::span{capture_}.subspan(frame * stride + kHeadroom, kFrameSize);
  }

  PacketMemory memory_;
  Source source_;
  std::uint32_t frame_count_;
  std::vector<std::byte> capture_;
  std::uint32_t next_ = 0;
  std::uint64_t now_ns_ = 0;
  std::uint64_t sent_ = 0;
};
static_assert(PacketIo<FlowsIo>);

struct Size {
  std::string name;
  std::uint32_t flow_count;
  std::uint32_t frame_count;
};

enum class Where : std::uint8_t { kHere, kOtherHost };

/// What a host is told of another one that does its only service.
ClusterView other_host(ServiceId service) {
  ClusterView view;
  view.local.address = {10, 9, 0, 1};
  view.underlay = PortId{1};
  Member& member = view.members.emplace_back();
  member.endpoint.host = HostId{1};
  member.endpoint.address = {10, 9, 0, 2};
  for (std::uint16_t i = 0; i < 4; ++i) member.instances.push_back({InstanceId{i}, service});
  return view;
}

/// A host with a chain of one forward function behind such ports.
class Path {
 public:
  Path(const Size& size, Source source, RunMode run, Where where = Where::kHere) : run_(run) {
    test::RigBuilder rig;
    const ServiceId service = rig.service("forward", test::go_on, where == Where::kHere ? 1 : 0);
    rig.options.in_cluster = where == Where::kOtherHost;
    rig.edit(service).run = run;
    rig.edit(service).ring_capacity = 512;
    rig.chain("all", {service});
    rig.options.buffer_count = size.frame_count + FlowsIo::kSpareCount;
    rig.options.flow_count_max = 2 * size.flow_count;
    rig.options.pin_count_max = 8;
    rig.make_function = [](ServiceId) {
      return std::make_unique<Forward>(Forward::Options{}, InstanceConfig{});
    };
    host_ = rig.build();
    if (where == Where::kOtherHost) host_->handle(other_host(service));
    if (where == Where::kHere) instance_ = host_->instances_of(service).front();
    io_ = std::make_unique<FlowsIo>(host_->memory(), size.flow_count, source);
    poll(2 * size.frame_count / kBatch);
    SLUICE_CHECK(host_->worker().flows().size() == size.flow_count);
  }

  /// Nanoseconds a packet from port to port.
  double packet_ns(std::uint64_t batch_count) {
    const std::uint64_t sent_before = io_->sent();
    const double ns = time_ns([&] { poll(batch_count); });
    // Of a ring's packets the last batch is still on its way, as one was at the start.
    SLUICE_CHECK(io_->sent() - sent_before == batch_count * kBatch);
    return ns / static_cast<double>(batch_count * kBatch);
  }
  /// The same for the ports alone: what comes in goes out.
  double ports_ns(std::uint64_t batch_count) {
    PacketBatch batch{host_->memory()};
    const double ns = time_ns([&] {
      for (std::uint64_t i = 0; i < batch_count; ++i) {
        batch.clear();
        io_->receive(PortId{0}, batch);
        io_->transmit(PortId{1}, {batch.begin(), batch.size()});
      }
    });
    return ns / static_cast<double>(batch_count * kBatch);
  }
  [[nodiscard]] std::uint64_t sent() const { return io_->sent(); }

 private:
  void poll(std::uint64_t batch_count) {
    Worker& worker = host_->worker();
    for (std::uint64_t i = 0; i < batch_count; ++i) {
      host_->now += std::chrono::nanoseconds{10 * kBatch};
      io_->set_now(host_->now);
      worker.poll_once(*io_, host_->now);
      if (run_ == RunMode::kInline || instance_ == kNoInstance) continue;
      RingRuntime& runtime = host_->runtime(instance_);
      if (!runtime.take(host_->now).empty()) runtime.finish(host_->now, Duration{100});
    }
  }

  RunMode run_;
  std::unique_ptr<test::LoopbackHost> host_;
  InstanceId instance_ = kNoInstance;
  std::unique_ptr<FlowsIo> io_;
};

void measure(const std::string& id, const Size& size, Source source, RunMode run, Bench& bench) {
  bench.progress(id);
  const std::uint64_t batch_count = bench.pick<std::uint64_t>(10, 20'000, 100'000);
  Path path{size, source, run};
  const Pair pair = bench.take_turns([&] { return path.packet_ns(batch_count); },
                                     [&] { return path.ports_ns(batch_count); });
  bench.keep(path.sent());
  bench.add_lower_is_better(id, "ns/packet", "ports alone", pair, {});
}

/// The whole of a step that another host does: flow, instance, tunnel.
void measure_remote(const std::string& id, const Size& size, Bench& bench) {
  constexpr double kRequiredNs = 80, kAimNs = 35;
  bench.progress(id);
  const std::uint64_t batch_count = bench.pick<std::uint64_t>(10, 20'000, 100'000);
  Path path{size, Source::kBuffers, RunMode::kProcess, Where::kOtherHost};
  const double ns = bench.repeat([&] { return path.packet_ns(batch_count); });
  bench.keep(path.sent());
  bench.add_lower_is_better(id, "ns/packet", "bound", {.value = ns, .peer = kRequiredNs},
                            {.required = 1.0, .aim = kRequiredNs / kAimNs});
}

}  // namespace

/// Whole ways through a worker, with as many flows and buffers as a real host has, so that caches
/// do not hide what a packet costs. The peer is what the ports take of it.
void bench_path(Bench& bench) {
  const std::vector<Size> sizes =
      bench.effort() == Effort::kSmoke
          ? std::vector<Size>{{"256", 256, 512}}
          : std::vector<Size>{{"4k", 4096, 8192}, {"64k", 65'536, 131'072}};
  for (const Size& size : sizes) {
    measure("chain.inline_flows_" + size.name, size, Source::kBuffers, RunMode::kInline, bench);
    measure("chain.inline_capture_" + size.name, size, Source::kCapture, RunMode::kInline, bench);
    measure("hop.same_thread_" + size.name, size, Source::kBuffers, RunMode::kProcess, bench);
    measure_remote("route.remote_step_" + size.name, size, bench);
  }
}

}  // namespace sluice::bench

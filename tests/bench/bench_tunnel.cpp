#include <array>
#include <vector>

#include "core/check.hpp"
#include "core/encapsulation/decapsulator.hpp"
#include "core/encapsulation/encapsulator.hpp"
#include "tests/bench/bench_groups.hpp"

namespace sluice::bench {
namespace {

constexpr std::uint32_t kBatch = 32;
constexpr std::uint32_t kBufferSize = 2048;
constexpr std::uint16_t kFrameSize = 64;
constexpr double kAimNs = 6;

TunnelEndpoint endpoint(std::uint16_t host) {
  TunnelEndpoint end;
  end.host = HostId{host};
  end.address = {10, 9, 0, static_cast<std::uint8_t>(host)};
  return end;
}

/// Batches of frames that go into a tunnel and out of it, in buffers that stay in the near caches.
class Tunnel {
 public:
  Tunnel() {
    decapsulator_.use({.local = endpoint(2)}, std::array{endpoint(1)});
    for (std::uint32_t i = 0; i < kBatch; ++i) {
      packets_[i].buffer = i;
      packets_[i].offset = kHeadroom;
      packets_[i].length = kFrameSize;
      transits_[i].entropy = static_cast<std::uint16_t>(i);
      transits_[i].pins = pins_;
      arrivals_[i].transit = &stored_[i];
    }
  }

  /// Nanoseconds a packet for both directions.
  double packet_ns(std::uint64_t batch_count) {
    const double ns = time_ns([&] {
      for (std::uint64_t i = 0; i < batch_count; ++i) {
        taken_ += encapsulator_(memory_, packets_, transits_);
        decapsulator_(memory_, packets_, errors_, arrivals_);
      }
    });
    return ns / static_cast<double>(batch_count * kBatch);
  }
  /// Whether all of them came through.
  [[nodiscard]] bool passed() const { return decapsulator_.counts()[0] == taken_; }
  [[nodiscard]] std::uint64_t taken() const { return taken_; }

 private:
  std::vector<std::byte> bytes_ = std::vector<std::byte>(std::size_t{kBatch} * kBufferSize);
  PacketMemory memory_{bytes_, kBufferSize};
  Encapsulator encapsulator_{{.local = endpoint(1), .remote = endpoint(2)}};
  Decapsulator decapsulator_;
  std::array<Pin, 3> pins_{{{1, 5}, {2, 7}, {2, 9}}};
  std::array<Packet, kBatch> packets_{};
  std::array<Transit, kBatch> transits_{};
  std::array<StoredTransit, kBatch> stored_{};
  std::array<Decapsulator::Arrival, kBatch> arrivals_{};
  std::array<TunnelError, kBatch> errors_{};
  std::uint64_t taken_ = 0;
};

}  // namespace

/// What a change of hosts adds to a packet with the pins of three steps, over IPv4.
void bench_tunnel(Bench& bench) {
  bench.progress("encap.there_and_back");
  const std::uint64_t batch_count = bench.pick<std::uint64_t>(10, 50'000, 200'000);
  Tunnel tunnel;
  const double ns = bench.repeat([&] { return tunnel.packet_ns(batch_count); });
  SLUICE_CHECK(tunnel.passed());
  bench.keep(tunnel.taken());
  bench.add_lower_is_better("encap.there_and_back", "ns/packet", "bound",
                            {.value = ns, .peer = kAimNs}, {.aim = 1.0});
}

}  // namespace sluice::bench

#include "tests/bench/dpdk/round_trip.hpp"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <numeric>
#include <span>
#include <vector>

#include "core/check.hpp"
#include "core/packet/packet.hpp"
#include "core/ring/spsc_ring.hpp"
#include "tests/bench/bench.hpp"

namespace sluice::bench {
namespace {

constexpr std::uint32_t kCapacity = 512;
constexpr std::uint32_t kBufferCount = 1024;
constexpr std::size_t kBufferBytes = 2048;
constexpr std::size_t kBatch = 32;
constexpr std::uint64_t kLap = 32'000;

/// Memory that both processes map: two rings and the packets' bytes.
class Shared {
 public:
  Shared()
      : ring_bytes_(SpscRing<Packet>::bytes_needed(kCapacity)),
        size_bytes_(2 * ring_bytes_ + kBufferCount * kBufferBytes) {
    void* memory =
        mmap(nullptr, size_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    SLUICE_CHECK(memory != MAP_FAILED);
    bytes_ = static_cast<std::byte*>(memory);
    (void)SpscRing<Packet>::create(there_bytes(), kCapacity);
    (void)SpscRing<Packet>::create(back_bytes(), kCapacity);
  }
  ~Shared() { munmap(bytes_, size_bytes_); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

  [[nodiscard]] SpscRing<Packet> there() { return SpscRing<Packet>::attach(there_bytes()).value(); }
  [[nodiscard]] SpscRing<Packet> back() { return SpscRing<Packet>::attach(back_bytes()).value(); }
  [[nodiscard]] std::byte* frame(const Packet& packet) {
    return bytes_ + 2 * ring_bytes_ + packet.buffer * kBufferBytes + packet.offset;
  }

 private:
  [[nodiscard]] std::span<std::byte> there_bytes() { return {bytes_, ring_bytes_}; }
  [[nodiscard]] std::span<std::byte> back_bytes() { return {bytes_ + ring_bytes_, ring_bytes_}; }

  std::size_t ring_bytes_;
  std::size_t size_bytes_;
  std::byte* bytes_;
};

/// The other process, until it is killed.
[[noreturn]] void answer(Shared& shared) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  (void)pin_thread(1);
  SpscRing<Packet> in = shared.there();
  SpscRing<Packet> out = shared.back();
  std::array<Packet, kBatch> batch;
  for (;;) {
    const std::uint32_t count = in.dequeue(batch);
    for (std::uint32_t i = 0; i < count; ++i) {
      std::byte* frame = shared.frame(batch[i]);
      frame[22] = static_cast<std::byte>(std::to_integer<unsigned>(frame[22]) - 1);
      batch[i].next();
    }
    for (std::uint32_t done = 0; done < count;) {
      done += out.enqueue(std::span{batch}.subspan(done, count - done));
    }
  }
}

/// This process's side.
class Caller {
 public:
  explicit Caller(Shared& shared) : out_(shared.there()), in_(shared.back()), free_(kBufferCount) {
    std::iota(free_.begin(), free_.end(), 0u);
  }
  void lap() {
    std::array<Packet, kBatch> batch{};
    for (std::uint64_t returned = 0; returned < kLap;) {
      const std::size_t room = std::min(kBatch, free_.size());
      for (std::size_t i = 0; i < room; ++i) {
        batch[i].buffer = free_[free_.size() - 1 - i];
        batch[i].offset = 256;
        batch[i].length = 64;
        away_[batch[i].buffer] = true;
      }
      free_.resize(free_.size() - out_.enqueue(std::span{batch}.first(room)));
      const std::uint32_t count = in_.dequeue(batch);
      for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint32_t buffer = batch[i].buffer;
        SLUICE_CHECK(buffer < kBufferCount && away_[buffer] && batch[i].verdict == Verdict::kNext);
        away_[buffer] = false;
        free_.push_back(buffer);
      }
      returned += count;
    }
  }

 private:
  SpscRing<Packet> out_;
  SpscRing<Packet> in_;
  std::vector<std::uint32_t> free_;
  std::array<bool, kBufferCount> away_{};
};

}  // namespace

std::optional<double> ring_round_trip_ns(std::uint64_t lap_count) {
  if (processors().size() < 2) return std::nullopt;
  Shared shared;
  std::fflush(nullptr);
  const pid_t child = fork();
  SLUICE_CHECK(child >= 0);
  if (child == 0) answer(shared);
  cpu_set_t before;
  (void)sched_getaffinity(0, sizeof before, &before);
  (void)pin_thread(0);
  Caller caller{shared};
  std::vector<double> laps;
  for (std::uint64_t lap = 0; lap < lap_count; ++lap) {
    laps.push_back(time_ns([&] { caller.lap(); }));
  }
  (void)sched_setaffinity(0, sizeof before, &before);
  kill(child, SIGKILL);
  (void)waitpid(child, nullptr, 0);
  return median(std::move(laps)) / kLap;
}

}  // namespace sluice::bench

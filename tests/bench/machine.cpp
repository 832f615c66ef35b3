#include <sched.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "core/check.hpp"
#include "tests/bench/bench.hpp"

namespace sluice::bench {
namespace {

/// One line for each of two threads to write in turn.
struct alignas(128) Ball {
  std::atomic<std::uint64_t> turn{0};
};

std::vector<int> usable_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> result;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return result;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(static_cast<std::size_t>(i), &set)) result.push_back(i);
  }
  return result;
}

double tsc_hz(double seconds) {
#if defined(__x86_64__)
  const std::int64_t start = now_ns();
  const std::uint64_t ticks = __rdtsc();
  while (static_cast<double>(now_ns() - start) < seconds * 1e9) {
  }
  const std::uint64_t ticks_end = __rdtsc();
  return static_cast<double>(ticks_end - ticks) * 1e9 / static_cast<double>(now_ns() - start);
#else
  (void)seconds;
  return 0;
#endif
}

/// Per cent of the processors' time that others took while this process slept.
std::optional<double> busy_percent(std::chrono::milliseconds time) {
  struct Ticks {
    double idle = 0;
    double all = 0;
  };
  const auto read = [] {
    Ticks ticks;
    std::ifstream file{"/proc/stat"};
    std::string name;
    file >> name;
    double each = 0;
    for (int column = 0; column < 8 && file >> each; ++column) {
      ticks.all += each;
      if (column == 3 || column == 4) ticks.idle += each;  // Idle, and waiting for a disk.
    }
    return ticks;
  };
  const Ticks before = read();
  std::this_thread::sleep_for(time);
  const Ticks after = read();
  const double all = after.all - before.all;
  if (all <= 0) return std::nullopt;
  return 100 * (1 - (after.idle - before.idle) / all);
}

double system_call_ns(int count) {
  const double total = time_ns([&] {
    for (int i = 0; i < count; ++i) (void)syscall(SYS_getppid);
  });
  return total / count;
}

}  // namespace

const std::vector<int>& processors() {
  // Read once: a pinned thread sees only its own.
  static const std::vector<int> result = usable_processors();
  return result;
}

bool pin_thread(std::size_t index) {
  if (index >= processors().size()) return false;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(processors()[index]), &set);
  return sched_setaffinity(0, sizeof set, &set) == 0;
}

double fork_exec_ns() {
  return time_ns([] {
    const pid_t child = fork();
    SLUICE_CHECK(child >= 0);
    if (child == 0) {
      execl("/bin/true", "true", static_cast<char*>(nullptr));
      _exit(127);
    }
    int status = 0;
    SLUICE_CHECK(waitpid(child, &status, 0) == child && status == 0);
  });
}

std::optional<double> cache_line_bounce_ns(std::uint64_t count) {
  if (processors().size() < 2) return std::nullopt;
  constexpr std::uint64_t kLap = 1000;
  const std::uint64_t lap_count = (count + kLap - 1) / kLap;
  Ball ball;
  const auto play_lap = [&](std::uint64_t lap, std::uint64_t parity) {
    for (std::uint64_t turn = lap * kLap + parity; turn < (lap + 1) * kLap; turn += 2) {
      while (ball.turn.load(std::memory_order_acquire) != turn) {
      }
      ball.turn.store(turn + 1, std::memory_order_release);
    }
  };
  std::vector<double> laps;
  std::thread first{[&] {
    (void)pin_thread(0);
    for (std::uint64_t lap = 0; lap < lap_count; ++lap) {
      laps.push_back(time_ns([&] { play_lap(lap, 0); }));
    }
  }};
  std::thread second{[&] {
    (void)pin_thread(1);
    for (std::uint64_t lap = 0; lap < lap_count; ++lap) play_lap(lap, 1);
  }};
  first.join();
  second.join();
  return median(std::move(laps)) / kLap;
}

void bench_machine(Bench& bench) {
  bench.progress("machine: what others take");
  if (const auto busy = busy_percent(std::chrono::milliseconds{bench.pick(20, 500, 1000)})) {
    bench.add_plain("machine.busy_with_others", *busy, "%");
  }
  bench.progress("machine: cache line");
  const std::uint64_t bounces = bench.pick<std::uint64_t>(1000, 200'000, 500'000);
  if (cache_line_bounce_ns(1000)) {
    bench.add_plain("machine.cache_line_bounce",
                    bench.repeat([&] { return cache_line_bounce_ns(bounces).value(); }), "ns");
  }
  bench.progress("machine: time-stamp counter");
  bench.add_plain("machine.tsc", bench.repeat([&] { return tsc_hz(0.01); }) / 1e9, "GHz");

  bench.progress("machine: copy");
  const std::size_t size = bench.pick<std::size_t>(1 << 20, 64 << 20, 256 << 20);
  std::vector<std::byte> from(size, std::byte{1});
  std::vector<std::byte> to(size, std::byte{2});
  const double copy_ns = bench.repeat([&] {
    return time_ns([&] {
      std::memcpy(to.data(), from.data(), size);
      bench.keep(static_cast<std::uint64_t>(to[size / 2]));
    });
  });
  bench.add_plain("machine.copy", static_cast<double>(size) / copy_ns, "GB/s");

  bench.progress("machine: system call");
  const int calls = bench.pick(1000, 100'000, 1'000'000);
  bench.add_plain("machine.system_call", bench.repeat([&] { return system_call_ns(calls); }), "ns");
  bench.progress("machine: fork and exec");
  bench.add_plain("machine.fork_exec", bench.repeat(fork_exec_ns) / 1e3, "us");
}

}  // namespace sluice::bench

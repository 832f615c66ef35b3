#include <array>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/dpdk/dpdk_groups.hpp"
#include "tests/bench/dpdk/lab.hpp"
#include "tests/bench/dpdk/round_trip.hpp"
#include "tests/bench/dpdk/sluice_host.hpp"
#include "tests/bench/line_fit.hpp"

namespace sluice::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::uint32_t, 5> kChainLengths{1, 2, 3, 5, 8};
constexpr double kFrameBits = 64 * 8;
/// A port by which nothing ever comes.
constexpr const char* kSilentDevice = "net_null1,no-rx=1";

/// Hosts with chains of each length, paused.
class Chains {
 public:
  static Result<Chains, std::string> start(Lab& lab, const std::string& run) {
    Chains chains;
    for (const std::uint32_t length : kChainLengths) {
      const auto setup = lab.setup(kSettings[0]);
      if (!setup) return unexpected(setup.error());
      auto host = SluiceHost::start({.setup = *setup,
                                     .run = run,
                                     .step_count = length,
                                     .instance_core = setup->control_core});
      if (!host) return unexpected(host.error());
      host->pause();
      chains.hosts_.push_back(std::move(*host));
    }
    return chains;
  }
  /// Nanoseconds a packet, by length.
  Result<std::vector<double>, std::string> measure(std::chrono::milliseconds window) {
    std::vector<double> result;
    for (SluiceHost& host : hosts_) {
      const auto ns = packet_ns(host, window);
      if (!ns) return unexpected(ns.error());
      result.push_back(*ns);
    }
    return result;
  }

 private:
  std::vector<SluiceHost> hosts_;
};

struct Slopes {
  double step_ns = 0;               ///< What one more step costs a packet.
  double round_trip_ns = 0;         ///< Of the ring benchmark, measured in turn.
  std::vector<double> packet_ns{};  ///< By length.
};

Result<Slopes, std::string> measure_slope(Bench& bench, Chains& chains) {
  const std::uint64_t laps = bench.pick<std::uint64_t>(1, 50, 200);
  std::vector<double> steps, round_trips;
  std::vector<std::vector<double>> by_length(kChainLengths.size());
  const std::vector<double> lengths(kChainLengths.begin(), kChainLengths.end());
  for (int round = 0; round < bench.rounds(); ++round) {
    const auto ns = chains.measure(window(bench));
    if (!ns) return unexpected(ns.error());
    steps.push_back(fit_line(lengths, *ns).slope);
    for (std::size_t i = 0; i < ns->size(); ++i) by_length[i].push_back((*ns)[i]);
    round_trips.push_back(ring_round_trip_ns(laps).value_or(0));
  }
  Slopes slopes{.step_ns = median(steps), .round_trip_ns = median(round_trips)};
  for (auto& values : by_length) slopes.packet_ns.push_back(median(std::move(values)));
  return slopes;
}

void add_lengths(Bench& bench, const std::string& id, const Slopes& slopes) {
  for (std::size_t i = 0; i < kChainLengths.size(); ++i) {
    bench.add_plain(id + "." + std::to_string(kChainLengths[i]), 1e3 / slopes.packet_ns[i], "Mpps");
  }
}

/// Nanoseconds that all threads of a process were on a processor since its start.
double cpu_ns(pid_t pid) {
  double sum = 0;
  std::error_code error;
  for (const auto& task : fs::directory_iterator{"/proc/" + std::to_string(pid) + "/task", error}) {
    std::ifstream file{task.path() / "schedstat"};
    double ns = 0;
    if (file >> ns) sum += ns;
  }
  return sum;
}

/// Per cent of a core that a process takes over `time`.
double load_percent(pid_t pid, std::chrono::milliseconds time) {
  const double before = cpu_ns(pid);
  const std::int64_t started_ns = now_ns();
  std::this_thread::sleep_for(time);
  return (cpu_ns(pid) - before) * 100 / static_cast<double>(now_ns() - started_ns);
}

/// Whether a process has a user namespace of its own.
bool is_contained(pid_t pid) {
  std::error_code error;
  const auto own = fs::read_symlink("/proc/self/ns/user", error);
  const auto its = fs::read_symlink("/proc/" + std::to_string(pid) + "/ns/user", error);
  return !error && own != its;
}

/// Milliseconds from the spawn of an instance to its first packet, of a host started for it.
Result<double, std::string> start_ms(Lab& lab, const std::string& run) {
  const auto setup = lab.setup(kSettings[0]);
  if (!setup) return unexpected(setup.error());
  auto host = SluiceHost::start(
      {.setup = *setup, .run = run, .instance_core = setup->control_core, .sleep_max = "1 ms"});
  if (!host) return unexpected(host.error());
  const auto status = host->status();
  if (!status) return unexpected(status.error());
  for (const auto& instance : (*status)["instances"]) {
    if (run == "container" && !is_contained(instance.value("pid", 0))) {
      return unexpected<std::string>("its instance runs in no container");
    }
    if (const double ns = instance.value("start_ns", 0.0); ns > 0) return ns / 1e6;
  }
  return unexpected("no instance says how long it took to start: " + status->dump());
}

struct Latency {
  double p50_us = 0;
  double p99_us = 0;
  double load_mpps = 0;
};

/// In a host of its own for each value, since its figures are those of all its life: so long that
/// its start is less than a part in a hundred.
Result<Latency, std::string> latency_at_half_load(Bench& bench, Lab& lab, bool one_core) {
  const std::chrono::milliseconds time{bench.pick(20, 1000, 3000)};
  SluiceHost::Options options{.run = "process"};
  double packet_time_ns = 0;
  {
    auto setup = lab.setup(kSettings[0]);
    if (!setup) return unexpected(setup.error());
    options.setup = *setup;
    options.instance_core = one_core ? setup->forwarding_core : setup->control_core;
    auto host = SluiceHost::start(options);
    if (!host) return unexpected(host.error());
    const auto ns = packet_ns(*host, window(bench));
    if (!ns) return unexpected(ns.error());
    packet_time_ns = *ns;
  }
  Latency latency{.load_mpps = 1e3 / packet_time_ns / 2};
  options.pace_bps = static_cast<std::uint64_t>(kFrameBits * latency.load_mpps * 1e6);
  std::vector<double> p50, p99;
  for (int round = 0; round < bench.pick(1, 3, 7); ++round) {
    auto setup = lab.setup(kSettings[0]);
    if (!setup) return unexpected(setup.error());
    options.setup = *setup;
    auto host = SluiceHost::start(options);
    if (!host) return unexpected(host.error());
    std::this_thread::sleep_for(time);
    const auto counted = host->count();
    const auto status = counted ? host->status() : unexpected(counted.error());
    if (!status) return unexpected(status.error());
    const auto& chain = (*status)["chains"].at(0);
    p50.push_back(chain.value("latency_p50_ns", 0.0) / 1e3);
    p99.push_back(chain.value("latency_p99_ns", 0.0) / 1e3);
  }
  latency.p50_us = median(std::move(p50));
  latency.p99_us = median(std::move(p99));
  return latency;
}

struct StartRow {
  std::string id;
  std::string run;
  double bound_ms;
  double aim;  ///< As a ratio.
};

void add_start(Bench& bench, Lab& lab, const StartRow& row) {
  bench.progress(row.id);
  const Goal goal{.required = 1.0, .aim = row.aim};
  std::vector<double> starts, peers;
  for (int round = 0; round < bench.pick(1, 3, 15); ++round) {
    const auto ms = start_ms(lab, row.run);
    if (!ms) return fail_row(bench, row.id, ms.error(), goal);
    starts.push_back(*ms);
    peers.push_back(fork_exec_ns() / 1e6);
  }
  const Pair pair{.value = median(std::move(starts)), .peer = median(std::move(peers))};
  bench.add_lower_is_better(row.id, "ms", "bound", {.value = pair.value, .peer = row.bound_ms},
                            goal);
  bench.add_lower_is_better(row.id + "_vs_fork_exec", "ms", "fork+exec", pair, {});
}

}  // namespace

/// What one more step costs a packet: processes that share the second core, and inline.
void bench_slope(Bench& bench) {
  bench.progress("dpdk.chain_slope");
  auto lab = Lab::create();
  if (!SluiceHost::available() || !lab) {
    return leave_out("dpdk.chain_slope", lab ? "this build has no sluice-host" : lab.error());
  }
  const auto measure = [&](const std::string& run) -> Result<Slopes, std::string> {
    auto chains = Chains::start(*lab, run);
    if (!chains) return unexpected(chains.error());
    return measure_slope(bench, *chains);
  };
  const Goal goal{.required = 1.0 / 3, .aim = 1.0 / 1.5};
  if (const auto slopes = measure("process")) {
    bench.add_lower_is_better("dpdk.chain_slope", "ns/step", "ring round trip",
                              {.value = slopes->step_ns, .peer = slopes->round_trip_ns}, goal);
    add_lengths(bench, "dpdk.chain_slope", *slopes);
    add_bounce(bench, "dpdk.chain_slope");
  } else {
    fail_row(bench, "dpdk.chain_slope", slopes.error(), goal);
  }
  bench.progress("dpdk.chain_slope.inline");
  if (const auto slopes = measure("inline")) {
    bench.add_lower_is_better("dpdk.chain_slope.inline", "ns/step", "bound",
                              {.value = slopes->step_ns, .peer = 4.0}, {.required = 1.0});
    add_lengths(bench, "dpdk.chain_slope.inline", *slopes);
  } else {
    fail_row(bench, "dpdk.chain_slope.inline", slopes.error(), {.required = 1.0});
  }
}

/// How long a packet is in a host with a hop to a process, at half of the load that it can carry.
void bench_latency(Bench& bench) {
  const auto measure = [&](const std::string& id, bool one_core) {
    bench.progress(id);
    auto lab = Lab::create();
    if (!SluiceHost::available() || !lab) {
      return leave_out(id, lab ? "this build has no sluice-host" : lab.error());
    }
    const auto latency = latency_at_half_load(bench, *lab, one_core);
    if (!latency) return fail_row(bench, id, latency.error(), {});
    bench.add_plain(id + ".p50", latency->p50_us, "us");
    bench.add_plain(id + ".p99", latency->p99_us, "us");
    bench.add_plain(id + ".load", latency->load_mpps, "Mpps");
    add_bounce(bench, id);
  };
  measure("dpdk.latency", false);
  measure("dpdk.latency.one_core", true);
}

/// What a host takes when nothing comes and it may sleep, and beside it an instance.
void bench_idle(Bench& bench) {
  bench.progress("dpdk.idle");
  auto lab = Lab::create();
  if (!SluiceHost::available() || !lab) {
    return leave_out("dpdk.idle", lab ? "this build has no sluice-host" : lab.error());
  }
  const Goal goal{.required = 1.0};
  const auto setup = lab->setup(kSettings[0]);
  if (!setup) return fail_row(bench, "dpdk.idle", setup.error(), goal);
  auto host = SluiceHost::start({.setup = *setup,
                                 .run = "process",
                                 .instance_core = setup->control_core,
                                 .sleep_max = "1 ms",
                                 .source = kSilentDevice});
  if (!host) return fail_row(bench, "dpdk.idle", host.error(), goal);
  const std::vector<pid_t> pids = host->processes();
  const std::chrono::milliseconds time{bench.pick(20, 300, 1000)};
  const double load = bench.repeat([&] { return load_percent(pids.back(), time); });
  bench.add_lower_is_better("dpdk.idle", "% of a core", "bound", {.value = load, .peer = 5.0},
                            goal);
  bench.add_plain("dpdk.idle.instance",
                  bench.repeat([&] { return load_percent(pids.front(), time); }), "% of a core");
}

/// From the spawn of an instance to its first packet.
void bench_start(Bench& bench) {
  auto lab = Lab::create();
  if (!SluiceHost::available() || !lab) {
    const std::string why = lab ? "this build has no sluice-host" : lab.error();
    leave_out("dpdk.start_process", why);
    return leave_out("dpdk.start_container", why);
  }
  add_start(bench, *lab, {"dpdk.start_process", "process", 30, 10});
  if (!program_exists("crun")) return leave_out("dpdk.start_container", "no crun; install crun");
  add_start(bench, *lab, {"dpdk.start_container", "container", 1000, 20});
}

}  // namespace sluice::bench

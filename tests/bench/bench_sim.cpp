// `sluice bench sim`: the simulator. A program of its own, since libns3 is GPL-2.0-only.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>

#include "core/check.hpp"
#include "core/deployment/parser.hpp"
#include "core/function/registry.hpp"
#include "sim/simulation.hpp"
#include "tests/bench/bench.hpp"
#include "tests/bench/bench_sim_stock.hpp"

namespace sluice::bench {
namespace {

constexpr std::uint64_t kOfferedBps = 9'000'000'000;
constexpr double kBytesPerMegabyte = 1e6;

/// A host with a chain of three forward processes, fast enough to lose nothing.
struct HostRun {
  std::string link = "link: burst";
  std::string rate = "10 Gbps";  ///< Of the links.
  std::string kind = "constant";
  std::uint64_t offered_bps = kOfferedBps;
  std::uint32_t frame_size_bytes = 1000;
  std::uint64_t packet_count = 100'000;
  std::uint32_t flow_count = 1000;
  std::uint32_t flow_count_max = 65'536;
  std::string cost = "80 cycles";
};

std::string deployment_text(const HostRun& run) {
  const double seconds = 8.0 * run.frame_size_bytes * static_cast<double>(run.packet_count) /
                         static_cast<double>(run.offered_bps);
  return fmt::format(
      "name: bench\n"
      "hosts:\n"
      "  h1:\n"
      "    cores: 4\n"
      "    clock: 4 GHz\n"
      "    worker_cost: 20 cycles\n"
      "    flows: {flow_max}\n"
      "    ports: {{p0: {{rate: {rate}, {link}}}, p1: {{rate: {rate}, {link}}}}}\n"
      "services:\n"
      "  a: {{function: forward, cost: {cost}}}\n"
      "  b: {{function: forward, cost: {cost}}}\n"
      "  c: {{function: forward, cost: {cost}}}\n"
      "chains:\n"
      "  all: {{from: h1.p0, to: h1.p1, match: {{proto: udp}}, steps: [a, b, c]}}\n"
      "traffic:\n"
      "  - {{into: h1.p0, kind: {kind}, rate: {offered} bps, size: {size} B, flows: {flows}}}\n"
      "run: {{duration: {duration} ns, seed: 1}}\n",
      fmt::arg("flow_max", run.flow_count_max), fmt::arg("rate", run.rate),
      fmt::arg("link", run.link), fmt::arg("cost", run.cost), fmt::arg("kind", run.kind),
      fmt::arg("offered", run.offered_bps), fmt::arg("size", run.frame_size_bytes),
      fmt::arg("flows", run.flow_count),
      fmt::arg("duration", static_cast<std::uint64_t>(seconds * 1e9)));
}

Deployment make_deployment(const HostRun& run) {
  const std::string text = deployment_text(run);
  auto deployment =
      parse_deployment(text, "bench.yaml", built_in_functions(), [](const std::string& path) {
        return Result<std::string, std::string>{unexpected("no file " + path)};
      });
  if (!deployment) {
    std::fprintf(stderr, "%s\n%s", deployment.error().to_string().c_str(), text.c_str());
    std::abort();
  }
  return std::move(*deployment);
}

/// Simulates, checkers and trace hash on, and insists that nothing was lost or broken.
sim::SimulationResult run_host(const Deployment& deployment,
                               const sim::SimulationOptions& options) {
  const auto result = sim::simulate(deployment, options);
  SLUICE_CHECK(result.has_value());
  SLUICE_CHECK(result->complete && result->violation_count == 0);
  SLUICE_CHECK(result->summary["dropped_packets"] == 0);
  SLUICE_CHECK(result->summary["chains"]["all"]["packets"] == result->received_packets);
  return *result;
}

// --- Packets per second --------------------------------------------------------------------------

struct Speed {
  double ratio = 0;
  Row row;
};

/// Ours is the whole call, from building the world to its end; the peer's only its events.
Speed measure_rate(Bench& bench, std::uint32_t frame_size_bytes) {
  const std::uint64_t ours = bench.pick<std::uint64_t>(20'000, 500'000, 2'000'000);
  const std::uint64_t theirs = bench.pick<std::uint64_t>(1000, 40'000, 200'000);
  const Deployment deployment =
      make_deployment({.frame_size_bytes = frame_size_bytes, .packet_count = ours});
  double our_events = 0, their_events = 0;
  const Pair ns = bench.take_turns(
      [&] {
        std::uint64_t packet_count = 0;
        const double total = time_ns([&] {
          const auto result = run_host(deployment, {});
          packet_count = result.received_packets;
          our_events = static_cast<double>(result.event_count) / static_cast<double>(packet_count);
        });
        bench.keep(packet_count);
        return total / static_cast<double>(packet_count);
      },
      [&] {
        const StockRun run = run_stock_udp({.link_rate = Rate{10'000'000'000},
                                            .frame_size_bytes = frame_size_bytes,
                                            .packet_count = theirs,
                                            .offered = Rate{kOfferedBps}});
        SLUICE_CHECK(run.received == run.sent);
        their_events = static_cast<double>(run.events) / static_cast<double>(run.received);
        return run.wall_seconds * 1e9 / static_cast<double>(run.received);
      });
  const std::string size = std::to_string(frame_size_bytes) + "B";
  bench.add({.id = "sim.events_per_packet." + size,
             .value = our_events,
             .unit = "events",
             .peer = "stock UDP",
             .peer_value = their_events,
             .ratio = their_events / our_events});
  Speed speed;
  speed.ratio = ns.peer / ns.value;
  speed.row = {.id = "sim.rate_vs_stock." + size,
               .value = 1e3 / ns.value,
               .unit = "Mpackets/s",
               .peer = "stock UDP",
               .peer_value = 1e3 / ns.peer,
               .ratio = speed.ratio};
  return speed;
}

/// The worse of small and large frames is the one that is judged.
void bench_rate(Bench& bench) {
  bench.progress("sim.rate_vs_stock, 64 B");
  Speed worse = measure_rate(bench, 64);
  bench.progress("sim.rate_vs_stock, 1000 B");
  Speed better = measure_rate(bench, 1000);
  if (better.ratio < worse.ratio) std::swap(worse, better);
  bench.add(better.row);
  worse.row.id = "sim.rate_vs_stock";
  worse.row.required = 5.0;
  worse.row.aim = 20.0;
  bench.add(worse.row);
}

// --- Fidelity of bursts --------------------------------------------------------------------------

struct Delays {
  double mean_ns = 0;
  double p99_ns = 0;
  std::uint64_t packet_count = 0;
};

/// The delay of Poisson traffic in the host, whose services are loaded to three quarters.
Delays measure_delays(const std::string& link, const std::string& rate, std::uint64_t count) {
  const auto result = run_host(make_deployment({.link = link,
                                                .rate = rate,
                                                .kind = "poisson",
                                                .offered_bps = 4'800'000'000,
                                                .frame_size_bytes = 600,
                                                .packet_count = count,
                                                .cost = "3000 cycles"}),
                               {});
  const auto& chain = result.summary["chains"]["all"];
  return {.mean_ns = chain["latency_mean_ns"],
          .p99_ns = chain["latency_p99_ns"],
          .packet_count = result.received_packets};
}

double difference_percent(double value, double peer) {
  return 100 * std::abs(value - peer) / peer;
}

/// Bursts of one against stock links. A stock frame has 2 bytes of PPP instead of 14 of Ethernet:
/// the rates are such that a frame of 600 B takes 480 ns on both.
void bench_fidelity(Bench& bench) {
  bench.progress("sim.burst_fidelity");
  const auto count = bench.pick<std::uint64_t>(2000, 200'000, 1'000'000);
  const Delays ones = measure_delays("link: burst, burst: 1", "10 Gbps", count);
  const Delays stock = measure_delays("link: point-to-point", "9.8 Gbps", count);
  SLUICE_CHECK(ones.packet_count == stock.packet_count);
  const double worst = std::max(difference_percent(ones.mean_ns, stock.mean_ns),
                                difference_percent(ones.p99_ns, stock.p99_ns));
  const Goal goal{.required = 1.0, .aim = {}};
  constexpr double kBoundPercent = 1.0;
  bench.add({.id = "sim.burst_fidelity",
             .value = worst,
             .unit = "percent",
             .peer = "bound",
             .peer_value = kBoundPercent,
             .ratio = kBoundPercent / std::max(worst, 1e-6),
             .required = goal.required});
  const Delays bursts = measure_delays("link: burst", "10 Gbps", count);
  SLUICE_CHECK(bursts.packet_count == stock.packet_count);
  bench.add({.id = "sim.delay_mean.burst_of_1",
             .value = ones.mean_ns / 1e3,
             .unit = "us",
             .peer = "stock link",
             .peer_value = stock.mean_ns / 1e3});
  bench.add({.id = "sim.delay_p99.burst_of_1",
             .value = ones.p99_ns / 1e3,
             .unit = "us",
             .peer = "stock link",
             .peer_value = stock.p99_ns / 1e3});
  bench.add({.id = "sim.delay_mean.burst_of_32",
             .value = bursts.mean_ns / 1e3,
             .unit = "us",
             .peer = "stock link",
             .peer_value = stock.mean_ns / 1e3});
}

// --- Memory --------------------------------------------------------------------------------------

/// What of this process is in memory now.
std::uint64_t resident_bytes() {
  std::uint64_t total_pages = 0, resident_pages = 0;
  std::ifstream{"/proc/self/statm"} >> total_pages >> resident_pages;
  return resident_pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

/// What a host with 100,000 live flows holds, by its own account; and by how much the process grew,
/// with checkers, links and traffic. The larger is judged.
void bench_memory(Bench& bench) {
  bench.progress("sim.memory_per_host");
  constexpr std::uint32_t kFlowCount = 100'000;
  const Deployment deployment = make_deployment({.frame_size_bytes = 64,
                                                 .packet_count = 3 * kFlowCount,
                                                 .flow_count = kFlowCount,
                                                 .flow_count_max = 131'072});
  const std::uint64_t before = resident_bytes();
  std::uint64_t most = before;
  sim::SimulationOptions options;
  options.series_interval = std::chrono::milliseconds{1};
  options.progress = [&most](Instant, std::uint64_t) { most = std::max(most, resident_bytes()); };
  const auto result = run_host(deployment, options);
  SLUICE_CHECK(result.summary["flows_started"] == kFlowCount);
  const double own = static_cast<double>(result.memory_per_host_bytes) / kBytesPerMegabyte;
  const double grown = static_cast<double>(most - before) / kBytesPerMegabyte;
  bench.add_plain("sim.memory_own_account", own, "MB");
  bench.add_plain("sim.memory_process_growth", grown, "MB");
  bench.add_lower_is_better("sim.memory_per_host", "MB", "bound",
                            {.value = std::max(own, grown), .peer = 64.0}, {.required = 1.0});
}

void bench_sim(Bench& bench) {
  bench_memory(bench);  // First: what later runs free would hide its growth.
  bench_rate(bench);
  bench_fidelity(bench);
}

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
  using namespace sluice::bench;
  constexpr std::array<Group, 1> kGroups{{{.name = "sim", .run = bench_sim, .steps = 4}}};
  return run("sluice-bench-sim", kGroups, argc, argv);
}

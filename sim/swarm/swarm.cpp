#include "sim/swarm/swarm.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>
#include <utility>

#include "core/deployment/parser.hpp"
#include "core/prng.hpp"

namespace sluice::sim {

namespace {

constexpr std::uint32_t kHostCount = 24;
constexpr std::uint32_t kDurationMs = 3000;
constexpr std::uint32_t kLastFaultMs = 2000;  // Then there is time to heal before the end.

template <std::size_t N>
std::string_view one_of(Prng& prng, const std::array<std::string_view, N>& choices) {
  return choices[prng.below(N)];
}

/// Writes one deployment, host by host; each part draws what it needs, in the order of the file.
class Writer {
 public:
  explicit Writer(std::uint64_t seed) : prng_(seed), seed_(seed) {}

  std::string write() {
    for (std::uint32_t i = 1; i <= kHostCount; ++i) {
      const std::string host = fmt::format("h{}", i);
      add_host(host);
      add_services(host);
      add_chains(host);
      add_traffic(host);
      add_instance_faults(host);
      add_host_faults(host, i > 2);
    }
    return fmt::format(
        "name: swarm-{}\nhosts:\n{}services:\n{}chains:\n{}"
        "scaling: {{up: {{occupancy: {}, for: 20 ms}}, down: {{load: 0.5, for: 200 ms}}, "
        "cooldown: 100 ms}}\n"
        "traffic:\n{}faults:\n{}changes:\n{}run: {{duration: {} ms, seed: {}}}\n",
        seed_, hosts_, services_, chains_, one_of<3>(prng_, {"0.1", "0.3", "0.7"}), traffic_,
        faults_, changes_, kDurationMs, seed_);
  }

 private:
  std::uint64_t between(std::uint64_t low, std::uint64_t high) {
    return low + prng_.below(high - low + 1);
  }

  void add_host(const std::string& host) {
    const auto port = [this](std::string_view name) {
      return fmt::format("{}: {{rate: {} Mbps, link: burst, delay: {} us, burst: {}}}", name,
                         between(50, 1000), between(1, 500), between(1, 32));
    };
    hosts_ += fmt::format(
        "  {}: {{cores: {}, clock: 1 GHz, workers: {}, worker_cost: {} cycles, buffers: 512, "
        "flows: {}, flow_idle: {} ms, ports: {{{}, {}}}}}\n",
        host, between(7, 9), between(1, 3), prng_.below(3) * 100, 128u << prng_.below(3),
        between(100, 600), port("p0"), port("p1"));
  }

  void add_services(const std::string& host) {
    constexpr std::array<std::string_view, 5> kFunctions{
        "function: forward", "function: monitor", "function: delay, delay: 200 us",
        "function: rate_limiter, rate: 20 Mbps", "function: ids, pattern: [abc, xyz]"};
    constexpr std::array<std::string_view, 5> kAffinities{"flow", "session", "source",
                                                          "destination", "none"};
    for (const char* name : {"a", "b"}) {
      const std::string_view function = one_of(prng_, kFunctions);
      const std::uint64_t start = between(1, 2);
      const bool scalable = function.find("rate_limiter") == std::string_view::npos;
      services_ += fmt::format(
          "  {}{}: {{{}, cost: {} cycles, affinity: {}, choose: {}, ring: {}, instances: {}}}\n",
          host, name, function, between(1'000, 300'000), one_of(prng_, kAffinities),
          prng_.below(4) == 0 ? "maglev" : "least_loaded", 32u << prng_.below(4),
          scalable ? fmt::format("{{min: {}, max: 2}}", start) : "1");
    }
  }

  void add_chains(const std::string& host) {
    const bool copy = prng_.below(4) == 0;
    chains_ += fmt::format("  {0}c: {{from: {0}.p0, to: {0}.p1, steps: [{1}, {0}b]}}\n", host,
                           copy ? "{copy: " + host + "a}" : host + "a");
    if (prng_.below(2) == 0) {
      changes_ += fmt::format("  - {{at: {} ms, chain: {}c, steps: [{}b]}}\n",
                              between(500, kLastFaultMs), host, host);
    }
  }

  void add_traffic(const std::string& host) {
    traffic_ += fmt::format(
        "  - {{into: {}.p0, kind: {}, rate: [[0 s, {} Mbps], [1 s, {} Mbps], [2 s, {} Mbps]], "
        "size: {} B, flows: {}, flow_packets: {}, proto: {}{}}}\n",
        host, one_of<2>(prng_, {"poisson", "constant"}), between(1, 4), between(1, 16),
        between(1, 4), between(100, 1400), between(1, 60), between(1, 100),
        one_of<2>(prng_, {"udp", "tcp"}), fmt::format(", burst: {}", between(1, 8)));
  }

  /// Instances are numbered as they start, so faults in order of time find the next ones alive.
  void add_instance_faults(const std::string& host) {
    for (const char* service : {"a", "b"}) {
      std::uint32_t at_ms = 100;
      for (std::uint32_t number = 1; number <= 6; ++number) {
        at_ms += static_cast<std::uint32_t>(between(50, 300));
        const std::string what =
            fmt::format("{{service: {}{}, instance: {}", host, service, number);
        switch (prng_.below(4)) {
          case 0:
            faults_ += fmt::format("  - {{at: {} ms, hang: {}}}}}\n", at_ms, what);
            break;
          case 1:
            faults_ += fmt::format("  - {{at: {} ms, for: {} ms, slow: {}, factor: {}}}}}\n", at_ms,
                                   between(10, 300), what, between(2, 20));
            at_ms += 30;
            faults_ += fmt::format("  - {{at: {} ms, kill: {}}}}}\n", at_ms, what);
            break;
          default:
            faults_ += fmt::format("  - {{at: {} ms, kill: {}}}}}\n", at_ms, what);
        }
      }
    }
  }

  void add_host_faults(const std::string& host, bool may_die) {
    faults_ += fmt::format("  - {{at: {} ms, for: {} ms, pause: {{host: {}}}}}\n",
                           between(100, 1500), between(1, 300), host);
    for (const std::string_view kind :
         {"loss: 10 %", "duplicate: 10 %", "reorder: 10 %", "delay: 5 ms"}) {
      faults_ += fmt::format("  - {{at: {} ms, for: {} ms, link: {{port: {}.{}, {}}}}}\n",
                             between(100, 1500), between(10, 400), host,
                             one_of<2>(prng_, {"p0", "p1"}), kind);
    }
    if (may_die) {
      faults_ += fmt::format("  - {{at: {} ms, kill: {{host: {}}}}}\n",
                             between(kLastFaultMs, kDurationMs - 100), host);
    }
  }

  Prng prng_;
  std::uint64_t seed_;
  std::string hosts_, services_, chains_, traffic_, faults_, changes_;
};

}  // namespace

std::string swarm_deployment(std::uint64_t seed) {
  return Writer{seed}.write();
}

Result<SimulationResult> run_swarm_seed(std::uint64_t seed) {
  const FileReader no_files = [](const std::string&) -> Result<std::string, std::string> {
    return unexpected<std::string>{"a swarm reads no files"};
  };
  const auto deployment = parse_deployment(swarm_deployment(seed), fmt::format("swarm-{}", seed),
                                           built_in_functions(), no_files);
  if (!deployment) return unexpected(deployment.error());
  return simulate(*deployment, {});
}

void SwarmTotals::add(const SimulationResult& result) {
  ++runs_;
  packets_ += result.received_packets;
  for (const auto& [name, count] : result.fault_counts) counts_["fault " + name] += count;
  for (std::size_t i = 0; i < kPropertyCount; ++i) {
    counts_["property " + std::string{to_string(static_cast<Property>(i))}] +=
        result.evaluations[i];
  }
}

std::string SwarmTotals::table() const {
  std::string text = fmt::format("{} runs, {} packets\n", runs_, packets_);
  for (const auto& [name, count] : counts_) text += fmt::format("  {:<30} {:>12}\n", name, count);
  return text;
}

std::vector<std::string> SwarmTotals::reached_less_than(std::uint64_t count) const {
  constexpr std::array<std::string_view, 9> kFaults{
      "kill_instance", "hang_instance", "slow_instance",  "kill_host", "pause_host",
      "link_loss",     "link_reorder",  "link_duplicate", "link_delay"};
  std::vector<std::string> missing;
  for (const std::string_view fault : kFaults) {
    const std::string name = "fault " + std::string{fault};
    if (count_of(name) < count) missing.push_back(name);
  }
  for (const auto& [name, reached] : counts_) {
    if (name.starts_with("property ") && reached < count) missing.push_back(name);
  }
  return missing;
}

std::uint64_t SwarmTotals::count_of(const std::string& name) const {
  const auto found = counts_.find(name);
  return found == counts_.end() ? 0 : found->second;
}

}  // namespace sluice::sim

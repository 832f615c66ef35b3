#include <signal.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/dpdk/dpdk_groups.hpp"
#include "tests/bench/dpdk/flow_owners.hpp"
#include "tests/bench/dpdk/lab.hpp"
#include "tests/bench/dpdk/sluice_host.hpp"

namespace sluice::bench {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr double kNoticeBoundMs = 10;
constexpr double kResteerBoundMs = 50;
/// So many that each is healthy again, which takes a second, before it is its turn.
constexpr std::uint32_t kInstanceCount = 6;
constexpr milliseconds kKillInterval{200};
constexpr milliseconds kWaitMax{20'000};
/// In which nobody asks the host anything, so that what is measured is left alone.
constexpr milliseconds kQuietTime{60};
/// 1 Mpps of 64-byte frames: each of the 4,096 flows has a packet every 4 ms.
constexpr std::uint64_t kLoadBps = 512'000'000;

std::int64_t wall_clock_ns() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

/// One kill -9, and what came of it.
struct Kill {
  std::string name;
  std::int64_t at_ns = 0;       ///< As now_ns().
  std::int64_t at_wall_ns = 0;  ///< As the log's times.
  double first_ms = 0;          ///< Until another instance had the first packet of its flows.
  double all_ms = 0;            ///< Until another one had had a packet of each of them.
};

struct Victim {
  std::string name;
  std::uint32_t number = 0;
  pid_t pid = 0;
};

/// "2026-01-31T12:00:00.123456Z" in nanoseconds since 1970.
std::optional<std::int64_t> parse_time(const std::string& text) {
  std::tm parts{};
  const char* rest = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S.", &parts);
  if (rest == nullptr) return std::nullopt;
  return std::int64_t{timegm(&parts)} * 1'000'000'000 + std::int64_t{std::stol(rest)} * 1000;
}

/// When a host's log says of each instance that it died.
std::map<std::string, std::int64_t> read_deaths(const std::string& log_file) {
  std::map<std::string, std::int64_t> deaths;
  std::ifstream file{log_file};
  for (std::string line; std::getline(file, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object() || json.value("event", "") != "instance_died") continue;
    if (const auto time = parse_time(json.value("time", ""))) {
      deaths[json.value("instance", "")] = *time;
    }
  }
  return deaths;
}

/// The oldest one that serves; nothing while not all of them do.
Result<std::optional<Victim>, std::string> find_victim(SluiceHost& host) {
  const auto status = host.status();
  if (!status) return unexpected(status.error());
  std::optional<Victim> oldest;
  std::uint32_t running = 0;
  for (const auto& instance : (*status)["instances"]) {
    if (instance.value("state", "") != "running") continue;
    ++running;
    const Victim victim{instance.value("name", ""), instance.value("number", 0u),
                        instance.value("pid", 0)};
    if (!oldest || victim.number < oldest->number) oldest = victim;
  }
  if (running < kInstanceCount) oldest.reset();
  return oldest;
}

class Executioner {
 public:
  Executioner(SluiceHost& host, const FlowOwners& owners) : host_(host), owners_(owners) {}

  /// Kills the oldest instance when all of them serve, and waits until its flows are with others.
  Result<Kill, std::string> kill_one() {
    const Deadline deadline = deadline_in(kWaitMax);
    std::this_thread::sleep_until(next_);
    std::optional<Victim> victim;
    std::vector<std::size_t> flows;
    while (!victim || flows.empty()) {
      if (std::chrono::steady_clock::now() > deadline) {
        return unexpected<std::string>("not all instances serve, or one has no flow");
      }
      auto found = find_victim(host_);
      if (!found) return unexpected(found.error());
      victim = *found;
      if (victim) flows = flows_of(victim->number);
      if (flows.empty()) std::this_thread::sleep_for(milliseconds{5});
    }
    next_ = std::chrono::steady_clock::now() + kKillInterval;
    Kill result{.name = victim->name, .at_ns = now_ns(), .at_wall_ns = wall_clock_ns()};
    if (::kill(victim->pid, SIGKILL) != 0) return unexpected(victim->name + ": gone already");
    std::this_thread::sleep_for(kQuietTime);
    while (const auto left = count_left(flows, victim->number)) {
      if (std::chrono::steady_clock::now() > deadline) {
        return unexpected(std::to_string(left) + " of the " + std::to_string(flows.size()) +
                          " flows of " + victim->name + " are with nobody; " + host_.last_words());
      }
      std::this_thread::sleep_for(milliseconds{5});
    }
    take_times(flows, result);
    return result;
  }

 private:
  [[nodiscard]] std::vector<std::size_t> flows_of(std::uint32_t instance) const {
    std::vector<std::size_t> flows;
    for (std::size_t flow = 0; flow < owners_.all().size(); ++flow) {
      if (owners_.all()[flow].instance.load(std::memory_order_acquire) == instance) {
        flows.push_back(flow);
      }
    }
    return flows;
  }
  [[nodiscard]] std::ptrdiff_t count_left(const std::vector<std::size_t>& flows,
                                          std::uint32_t with) const {
    return std::ranges::count_if(flows, [&](std::size_t flow) {
      return owners_.all()[flow].instance.load(std::memory_order_acquire) == with;
    });
  }
  void take_times(const std::vector<std::size_t>& flows, Kill& kill) const {
    std::vector<std::int64_t> times;
    for (const std::size_t flow : flows) {
      times.push_back(owners_.all()[flow].since_ns.load(std::memory_order_relaxed) - kill.at_ns);
    }
    const auto [first, last] = std::ranges::minmax(times);
    kill.first_ms = static_cast<double>(first) / 1e6;
    kill.all_ms = static_cast<double>(last) / 1e6;
  }

  SluiceHost& host_;
  const FlowOwners& owners_;
  std::chrono::steady_clock::time_point next_{};
};

/// The value below or at which 99 % of `values` lie.
double p99(std::vector<double> values) {
  std::ranges::sort(values);
  return values[(values.size() * 99 + 99) / 100 - 1];
}

struct Figures {
  std::vector<double> notice_ms{};
  std::vector<double> first_ms{};
  std::vector<double> all_ms{};
  double load_mpps = 0;  ///< What left the host, those lost with the dead apart.
};

std::string function_program() {
  std::error_code error;
  return (fs::read_symlink("/proc/self/exe", error).parent_path() / "owner_function").string();
}

Result<Figures, std::string> measure_kills(Lab& lab, int count) {
  const auto setup = lab.setup(kSettings[0]);
  if (!setup) return unexpected(setup.error());
  const auto owners = FlowOwners::create();
  if (!owners) return unexpected(owners.error());
  const std::string number = std::to_string(kInstanceCount);
  auto host =
      SluiceHost::start({.setup = *setup,
                         .service = "function: external, program: " + function_program() +
                                    ", settings: {owners: " + owners->path() +
                                    "}, instances: {min: " + number + ", max: " + number + "}",
                         .run = "process",
                         .core_count = kInstanceCount + 2,
                         .instance_core = setup->control_core,
                         .sleep_max = "1 ms",
                         .pace_bps = kLoadBps,
                         .json_log = true});
  if (!host) return unexpected(host.error());
  const auto before = host->count();
  if (!before) return unexpected(before.error());
  std::vector<Kill> kills;
  Executioner executioner{*host, *owners};
  for (int i = 0; i < count; ++i) {
    auto kill = executioner.kill_one();
    if (!kill) return unexpected(kill.error());
    kills.push_back(std::move(*kill));
  }
  const auto after = host->count();
  if (!after) return unexpected(after.error());
  if (auto stopped = host->stop(); !stopped) return unexpected(stopped.error());
  const auto deaths = read_deaths(setup->folder + "/host.log");
  Figures figures{.load_mpps = 1e3 *
                               static_cast<double>(after->packet_count - before->packet_count) /
                               static_cast<double>(after->when_ns - before->when_ns)};
  for (const Kill& kill : kills) {
    const auto death = deaths.find(kill.name);
    if (death == deaths.end()) return unexpected("the log says nothing of " + kill.name);
    figures.notice_ms.push_back(static_cast<double>(death->second - kill.at_wall_ns) / 1e6);
    figures.first_ms.push_back(kill.first_ms);
    figures.all_ms.push_back(kill.all_ms);
  }
  return figures;
}

}  // namespace

/// From the kill -9 of an instance under load to the host's note of its death, and until others
/// have all of its flows: each had a packet in the hands of another instance, where the function
/// itself sees it. What leaves the host does so from there.
void bench_failures(Bench& bench) {
  bench.progress("dpdk.death_notice");
  const Goal goal{.required = 1.0};
  auto lab = Lab::create();
  if (!SluiceHost::available() || !lab) {
    const std::string why = lab ? "this build has no sluice-host" : lab.error();
    leave_out("dpdk.death_notice", why);
    return leave_out("dpdk.resteer", why);
  }
  const auto figures = measure_kills(*lab, bench.pick(1, 30, 300));
  if (!figures) {
    fail_row(bench, "dpdk.death_notice", figures.error(), goal);
    return fail_row(bench, "dpdk.resteer", figures.error(), goal);
  }
  bench.add_lower_is_better("dpdk.death_notice", "ms p99", "bound",
                            {.value = p99(figures->notice_ms), .peer = kNoticeBoundMs}, goal);
  bench.add_plain("dpdk.death_notice.p50", median(figures->notice_ms), "ms");
  bench.add_lower_is_better("dpdk.resteer", "ms p99", "bound",
                            {.value = p99(figures->all_ms), .peer = kResteerBoundMs}, goal);
  bench.add_plain("dpdk.resteer.p50", median(figures->all_ms), "ms");
  bench.add_plain("dpdk.resteer.first_packet", p99(figures->first_ms), "ms p99");
  bench.add_plain("dpdk.resteer.load", figures->load_mpps, "Mpps");
}

}  // namespace sluice::bench

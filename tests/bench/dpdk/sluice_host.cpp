#include "tests/bench/dpdk/sluice_host.hpp"

#include <unistd.h>

#include <bit>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/bench/bench.hpp"

namespace sluice::bench {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr const char* kName = "h1";
constexpr milliseconds kStartTime{20'000};
constexpr milliseconds kStopTime{10'000};

/// It stands beside this program.
std::string host_program() {
  std::error_code error;
  return (fs::read_symlink("/proc/self/exe", error).parent_path() / "sluice-host").string();
}

std::string deployment_text(const SluiceHost::Options& options) {
  const std::uint64_t flows_max = std::bit_ceil(std::uint64_t{options.flow_count} * 2);
  std::string text =
      "name: bench\n"
      "hosts:\n"
      "  h1:\n"
      "    cores: " +
      std::to_string(options.core_count != 0 ? options.core_count : options.step_count + 2) +
      "\n"
      "    clock: 2 GHz\n"
      "    buffers: " +
      std::to_string(options.setup.buffer_count) +
      "\n"
      "    flows: " +
      std::to_string(flows_max) +
      "\n"
      "    ports: {p0: {rate: 100 Gbps}, p1: {rate: 100 Gbps}}\n"
      "services:\n";
  std::string steps;
  for (std::uint32_t i = 1; i <= options.step_count; ++i) {
    const std::string name = "s" + std::to_string(i);
    text += "  " + name + ": {" + options.service + ", run: " + options.run + "}\n";
    steps += (i == 1 ? "" : ", ") + name;
  }
  return text +
         "chains:\n"
         "  all: {from: h1.p0, to: h1.p1, match: {proto: udp, dst_port: 80}, steps: [" +
         steps + "]}\n";
}

std::string site_text(const SluiceHost::Options& options) {
  const ForwarderSetup& setup = options.setup;
  const std::string pace =
      options.pace_bps == 0 ? "" : ", pace: " + std::to_string(options.pace_bps) + " bps";
  return "hosts:\n"
         "  h1:\n"
         "    ports: {p0: {vdev: \"" +
         options.source.value_or(source_device(setup)) + "\"" + pace + "}, p1: {vdev: \"" +
         sink_device() +
         "\"}}\n"
         "    cores: {workers: [" +
         std::to_string(setup.forwarding_core) + "], instances: [" +
         std::to_string(options.instance_core) +
         "], control: " + std::to_string(setup.control_core) +
         "}\n"
         "    metrics: off\n"
         "    huge_pages: " +
         (setup.huge_pages ? "yes" : "no") +
         "\n"
         "    sleep_max: " +
         options.sleep_max + "\n";
}

bool write_text(const std::string& path, const std::string& text) {
  std::ofstream file{path};
  file << text;
  return static_cast<bool>(file.flush());
}

}  // namespace

bool SluiceHost::available() {
  return program_exists(host_program());
}

Result<SluiceHost, std::string> SluiceHost::start(const Options& options) {
  const std::string& folder = options.setup.folder;
  const std::string file = folder + "/bench.yaml";
  const std::string site = folder + "/site.yaml";
  if (!write_text(file, deployment_text(options)) || !write_text(site, site_text(options))) {
    return unexpected(folder + ": cannot be written");
  }
  // Without DPDK's telemetry: it would ask the telemetry of paused hosts, and wait for an answer.
  auto child = ChildProcess::start(
      {.command = {host_program(), file, "--name", kName, "--site", site, "--run-dir", folder,
                   "--log", options.json_log ? "json" : "text", "--", "--no-telemetry"},
       .log_file = folder + "/host.log"});
  if (!child) return unexpected(child.error());
  auto client = UnixClient::connect_when_ready(folder + "/" + kName + ".control", *child);
  if (!client) return unexpected(client.error());
  SluiceHost host{std::move(*child), std::move(*client)};
  const Deadline deadline = deadline_in(kStartTime);
  for (;;) {
    const auto status = host.status();
    if (!status) return unexpected(status.error());
    if (status->value("ready", false)) break;
    if (std::chrono::steady_clock::now() > deadline) {
      return unexpected("not ready after 20 s; " + host.child_.last_words());
    }
    std::this_thread::sleep_for(milliseconds{2});
  }
  return host;
}

Result<nlohmann::json, std::string> SluiceHost::status() {
  if (!client_.say("{\"do\":\"status\"}\n")) {
    return unexpected("sluice host ended: " + child_.last_words());
  }
  std::string answer;
  while (const auto more = client_.hear()) {
    answer += *more;
    if (answer.back() != '\n') continue;
    auto json = nlohmann::json::parse(answer, nullptr, false);
    if (!json.is_object() || !json.value("ok", false)) return unexpected("sluice host: " + answer);
    instances_.clear();
    for (const auto& instance : json["instances"]) {
      if (const pid_t pid = instance.value("pid", 0); pid > 0) instances_.push_back(pid);
    }
    return json;
  }
  return unexpected("sluice host does not answer: " + child_.last_words());
}

/// Its counters are a copy that the control thread gets every few milliseconds: waits for one that
/// was made after the question.
Result<SentCount, std::string> SluiceHost::count() {
  const std::int64_t asked_ns = now_ns();
  for (const Deadline deadline = deadline_in(kStartTime);;) {
    const auto json = status();
    if (!json) return unexpected(json.error());
    SentCount sent{.packet_count = 0, .when_ns = json->value("counted_ns", std::int64_t{0})};
    for (const auto& port : (*json)["ports"]) {
      if (port.value("name", "") == "p1") sent.packet_count = port.value("sent_packets", 0ull);
    }
    if (sent.when_ns >= asked_ns) return sent;
    if (std::chrono::steady_clock::now() > deadline) {
      return unexpected("sluice host counts no more: " + child_.last_words());
    }
    std::this_thread::sleep_for(milliseconds{2});
  }
}

std::vector<pid_t> SluiceHost::processes() {
  std::vector<pid_t> pids = instances_;
  pids.push_back(child_.pid());  // Last to go on: it watches over the others.
  return pids;
}

Result<void, std::string> SluiceHost::stop() {
  resume();
  if (const auto code = child_.end(deadline_in(kStopTime)); code == 0) return {};
  return unexpected("sluice host did not end well: " + child_.last_words());
}

}  // namespace sluice::bench

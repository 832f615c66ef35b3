// sluice-traffic: the outside of one port of a deployment, in real time. `sluice testbed` starts
// one for each port, in a network namespace of its own.
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>

#include <atomic>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <utility>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/exit_codes.hpp"
#include "cli/files.hpp"
#include "core/deployment/parser.hpp"
#include "sim/commit.hpp"
#include "sim/trace_hash/trace_hash.hpp"
#include "sim/traffic/port_run.hpp"
#include "sim/traffic/real_time.hpp"
#include "sim/workload/transfers.hpp"

namespace sluice::sim {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kExample =
    "Examples, as root in the network namespace of the interface:\n"
    "  sluice-traffic file.yaml --port h1.p0 --interface veth0 --results out\n"
    "  sluice-traffic file.yaml --plan\n\n"
    "Prints a summary as JSON. Frames leave by the interface as they are; what arrives at it is\n"
    "counted. Exit: 0 done, 1 ended early, 2 usage or bad file, 3 the interface cannot be used.";

struct Arguments {
  std::string file;
  std::string port;
  std::string interface;
  std::string results;
  std::string time_zero;
  bool plan = false;
};

std::atomic<bool> interrupt_requested{false};
void request_interrupt(int) {
  interrupt_requested = true;
}

int complain(const std::string& text, int code) {
  fmt::print(stderr, "{}\n", text);
  return code;
}

std::optional<PortRef> find_port(const Deployment& deployment, const std::string& name) {
  for (const HostSpec& host : deployment.hosts) {
    for (const PortSpec& port : host.ports) {
      if (host.name + "." + port.name == name) return PortRef{host.id, port.id};
    }
  }
  return std::nullopt;
}

/// What a testbed must know beside the resolved file: the transfers of its real clients, and what
/// the manifest of a run says.
Json plan_of(const Deployment& deployment) {
  Json json{{"commit", kCommit},
            {"compiler", __VERSION__},
            {"resolved_hash", content_hash(resolved_json(deployment))},
            {"transfers", Json::object()}};
  for (std::size_t i = 0; i < deployment.traffic.size(); ++i) {
    const TrafficSpec& spec = deployment.traffic[i];
    const auto* tcp = std::get_if<TcpTraffic>(&spec.kind);
    if (tcp == nullptr) continue;
    Json& list = json["transfers"][spec.name] = Json::array();
    for (const auto& [start, size_bytes] : plan_transfers(spec, *tcp, deployment.run.seed, i)) {
      list.push_back(Json::array({to_ns(start), size_bytes}));
    }
  }
  return json;
}

/// As said; "-": says "ready", now that all is open, and reads it from a line of stdin, so that
/// several of us can begin together, however long their captures are.
std::optional<Instant> time_zero_of(const std::string& text) {
  std::string digits = text;
  if (text.empty()) return monotonic_now() + std::chrono::milliseconds{10};
  if (text == "-") {
    fmt::print("ready\n");
    std::fflush(stdout);
    if (!std::getline(std::cin, digits)) return std::nullopt;
  }
  std::uint64_t ns = 0;
  const char* end = digits.data() + digits.size();
  if (std::from_chars(digits.data(), end, ns) != std::from_chars_result{end, std::errc{}}) {
    return std::nullopt;
  }
  return instant_from_ns(ns);
}

void catch_signals() {
  struct sigaction action {};
  action.sa_handler = request_interrupt;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

int play(const Deployment& deployment, const Arguments& arguments) {
  const auto port = find_port(deployment, arguments.port);
  if (!port) {
    return complain("--port: no such port; got " + arguments.port + "; expected HOST.PORT of " +
                        deployment.file,
                    cli::kExitUsage);
  }
  PortRun::Options options;
  options.port = *port;
  options.interface = arguments.interface;
  options.folder = std::filesystem::path{deployment.file}.parent_path().string();
  options.results = arguments.results;
  options.interrupted = [] { return interrupt_requested.load(); };
  auto run = PortRun::open(deployment, std::move(options));
  if (!run) return complain(run.error().to_string(), cli::kExitEnvironment);
  const auto time_zero = time_zero_of(arguments.time_zero);
  if (!time_zero) {
    return complain("--time-zero: no time; got '" + arguments.time_zero +
                        "'; expected nanoseconds of CLOCK_MONOTONIC, or - and a line with them",
                    cli::kExitUsage);
  }
  // Sleeps shall end when they are due, not up to 50 us later.
  prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
  (*run)->run(*time_zero);
  const Json summary = (*run)->summary();
  if (!(*run)->close()) {
    return complain(arguments.results + ": cannot be written", cli::kExitEnvironment);
  }
  fmt::print("{}\n", summary.dump(2));
  return summary["complete"].get<bool>() ? cli::kExitDone : cli::kExitFailed;
}

int main_of(int argc, char** argv) {
  Arguments arguments;
  CLI::App app{"Plays the traffic of a deployment file that enters by one port, in real time.",
               "sluice-traffic"};
  app.footer(kExample);
  app.add_option("file", arguments.file, "The deployment file")->required();
  app.add_option("--port", arguments.port, "Whose outside this is")->type_name("HOST.PORT");
  app.add_option("--interface", arguments.interface, "Where frames leave and arrive");
  app.add_option("--results", arguments.results, "Where series.csv and captures/ go");
  app.add_option("--time-zero", arguments.time_zero,
                 "CLOCK_MONOTONIC at the start of the run (default: soon; - reads it from stdin)")
      ->type_name("NS");
  app.add_flag("--plan", arguments.plan, "Print what real clients shall do, and send nothing");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? cli::kExitDone : cli::kExitUsage;
  }
  if (!arguments.plan && (arguments.port.empty() || arguments.interface.empty())) {
    return complain("sluice-traffic: nowhere to send; expected --port and --interface, or --plan",
                    cli::kExitUsage);
  }
  const auto text = cli::read_deployment_file(arguments.file);
  if (!text) return complain(text.error().to_string(), cli::kExitUsage);
  const auto deployment = parse_deployment(*text, arguments.file, built_in_functions(),
                                           cli::reader_beside(arguments.file));
  if (!deployment) return complain(deployment.error().to_string(), cli::kExitUsage);
  if (arguments.plan) {
    fmt::print("{}\n", plan_of(*deployment).dump(2));
    return cli::kExitDone;
  }
  catch_signals();
  return play(*deployment, arguments);
}

}  // namespace
}  // namespace sluice::sim

int main(int argc, char** argv) {
  return sluice::sim::main_of(argc, argv);
}

#include <fmt/format.h>
#include <signal.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "backends/ns3/simulable.hpp"
#include "cli/exit_codes.hpp"
#include "cli/files.hpp"
#include "cli/results/progress.hpp"
#include "cli/results/run_writer.hpp"
#include "core/deployment/costs.hpp"
#include "core/deployment/parser.hpp"
#include "sim/commit.hpp"
#include "sim/simulation.hpp"
#include "sim/swarm/swarm.hpp"
#include "sim/sweep/sweep.hpp"
#include "sim/trace_hash/trace_hash.hpp"

namespace sluice::sim {
namespace {

constexpr const char* kExample =
    "Examples:\n"
    "  sluice sim experiments/autoscale/autoscale.yaml\n"
    "  sluice sim experiments/thresholds/thresholds.yaml --set scaling.up.occupancy=0.5,0.7,0.9 "
    "--seeds 1..10\n"
    "  sluice sim experiments/autoscale/autoscale.yaml --costs this-machine.yaml\n"
    "  sluice sim --swarm 50";

constexpr int kExitInterrupted = 130;  // 128 + SIGINT, as a shell says it.

struct Arguments {
  std::string file;
  std::vector<std::string> sets;
  std::string seeds;
  std::string results;
  std::string costs;
  std::uint32_t swarm = 0;
  std::uint64_t swarm_seed = 1;
  bool quiet = false;
  std::vector<std::string> command;
};

std::atomic<bool> interrupt_requested{false};
void request_interrupt(int) {
  interrupt_requested = true;
}

void complain(const std::string& text) {
  fmt::print(stderr, "{}\n", text);
}

/// One run of a file: what to set in it, and where its results go.
struct Job {
  std::string folder;
  std::string label;
  SweepRun run;
};

std::string machine() {
  utsname name{};
  if (uname(&name) != 0) return "unknown";
  return fmt::format("{} {} {}", name.sysname, name.release, name.machine);
}

cli::Progress make_progress(const Deployment& deployment, const Job& job, bool quiet) {
  const auto real_time = [] {
    return std::chrono::duration_cast<Duration>(
        std::chrono::steady_clock::now().time_since_epoch());
  };
  return cli::Progress{{.total = deployment.run.duration,
                        .terminal = isatty(STDERR_FILENO) == 1,
                        .label = job.label,
                        .clock = real_time,
                        .write = [quiet](std::string_view text) {
                          if (quiet) return;
                          std::fwrite(text.data(), 1, text.size(), stderr);
                          std::fflush(stderr);
                        }}};
}

/// What the files of the command line say.
struct Input {
  std::string file;
  ConfigValue tree;
  std::optional<Costs> costs;
};

Result<Input> read_input(const Arguments& arguments) {
  const auto text = cli::read_deployment_file(arguments.file);
  if (!text) return unexpected(text.error());
  auto tree = parse_yaml(*text, arguments.file);
  if (!tree) return unexpected(tree.error());
  Input input{arguments.file, std::move(*tree), std::nullopt};
  if (arguments.costs.empty()) return input;
  const auto costs_text = cli::read_costs_file(arguments.costs);
  if (!costs_text) return unexpected(costs_text.error());
  auto costs = parse_costs(*costs_text, arguments.costs);
  if (!costs) return unexpected(costs.error());
  input.costs = std::move(*costs);
  return input;
}

Result<Deployment> prepare(const Input& input, const SweepRun& run) {
  ConfigValue changed = input.tree;
  for (const auto& [key, value] : run.sets) {
    if (auto set = apply_override(changed, key, value); !set) return unexpected(set.error());
  }
  if (run.seed) {
    if (auto set = apply_override(changed, "run.seed", std::to_string(*run.seed)); !set) {
      return unexpected(set.error());
    }
  }
  auto deployment = check_deployment(changed, built_in_functions(), cli::reader_beside(input.file),
                                     input.costs ? &*input.costs : nullptr);
  if (!deployment) return deployment;
  if (const auto simulable = check_simulable(*deployment); !simulable) {
    return unexpected(simulable.error());
  }
  return deployment;
}

void print_result(const Deployment& deployment, const SimulationResult& result, const Job& job) {
  const auto& summary = result.summary;
  fmt::print("{}: {} packets, {} dropped, {} flows in {:.3g} simulated seconds{}\n",
             deployment.name, summary["received_packets"].get<std::uint64_t>(),
             summary["dropped_packets"].get<std::uint64_t>(),
             summary["flows_started"].get<std::uint64_t>(), summary["measured_s"].get<double>(),
             result.complete ? "" : " (interrupted)");
  for (const auto& [name, service] : summary["services"].items()) {
    fmt::print("  service {}: at most {} instances, {} at the end, {:.1f} core-seconds\n", name,
               service["instances_max"].get<std::uint64_t>(),
               service["instances_end"].get<std::uint64_t>(),
               service["core_seconds"].get<double>());
  }
  fmt::print("  trace hash {}\n  results {}\n", result.trace_hash, job.folder);
}

int report_violations(const SimulationResult& result, const std::string& replay) {
  if (result.violation_count == 0) return cli::kExitDone;
  for (const Violation& violation : result.violations) {
    complain(fmt::format("invariant {} ({}) broke at {} ns: {}", violation.invariant,
                         to_string(violation.property), to_ns(violation.when), violation.text));
  }
  complain(fmt::format("{} violations; replay with: {}", result.violation_count, replay));
  return cli::kExitInvariant;
}

cli::RunManifest manifest_of(const Deployment& deployment, const Arguments& arguments,
                             const SimulationResult& result, const std::string& resolved) {
  cli::RunManifest manifest;
  manifest.name = deployment.name;
  manifest.question = deployment.description;
  manifest.commit = kCommit;
  manifest.versions = {{"ns3", kNs3Version}, {"compiler", __VERSION__}};
  manifest.resolved_file = resolved;
  manifest.resolved_hash = content_hash(resolved);
  manifest.seed = deployment.run.seed;
  manifest.machine = machine();
  manifest.command = arguments.command;
  manifest.trace_hash = result.trace_hash;
  manifest.complete = result.complete;
  return manifest;
}

int run_one(const Deployment& deployment, const Arguments& arguments, const Job& job) {
  const std::string resolved = resolved_json(deployment);
  auto writer = cli::RunWriter::create(job.folder);
  if (!writer) {
    complain(writer.error().to_string());
    return cli::kExitEnvironment;
  }
  cli::Progress progress = make_progress(deployment, job, arguments.quiet);
  SimulationOptions options;
  options.folder = std::filesystem::path{deployment.file}.parent_path().string();
  options.writer = writer->get();
  options.interrupted = [] { return interrupt_requested.load(); };
  Instant reached{};
  std::uint64_t packets = 0;
  options.progress = [&](Instant simulated, std::uint64_t count) {
    reached = simulated;
    packets = count;
    progress.update(simulated, count);
  };
  const auto began = std::chrono::steady_clock::now();
  const auto result = simulate(deployment, options);
  if (!result) {
    complain(result.error().to_string());
    return cli::kExitUsage;
  }
  progress.finish(reached, packets);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  const nlohmann::ordered_json timing = {
      {"wall_s", seconds},
      {"packets_per_s", static_cast<double>(result->received_packets) / seconds},
      {"events", result->event_count}};
  const auto written = (*writer)->finish(manifest_of(deployment, arguments, *result, resolved),
                                         result->summary, timing);
  if (!written) {
    complain(written.error().to_string());
    return cli::kExitEnvironment;
  }
  print_result(deployment, *result, job);
  std::string replay = "sluice sim " + arguments.file;
  if (!arguments.costs.empty()) replay += " --costs " + arguments.costs;
  for (const auto& [key, value] : job.run.sets) replay += " --set '" + key + "=" + value + "'";
  replay += fmt::format(" --seeds {}", deployment.run.seed);
  if (const int code = report_violations(*result, replay); code != cli::kExitDone) return code;
  return result->complete ? cli::kExitDone : kExitInterrupted;
}

Result<std::vector<SweepRun>> runs_of(const Arguments& arguments) {
  std::vector<SweepKey> keys;
  for (const std::string& text : arguments.sets) {
    auto key = parse_set(text);
    if (!key) return unexpected(key.error());
    keys.push_back(std::move(*key));
  }
  std::vector<std::uint64_t> seeds;
  if (!arguments.seeds.empty()) {
    auto parsed = parse_seeds(arguments.seeds);
    if (!parsed) return unexpected(parsed.error());
    seeds = std::move(*parsed);
  }
  return expand_sweep(keys, seeds);
}

/// Makes the runs that are missing, then the table of all.
int run_sweep(const Input& input, const Arguments& arguments, const std::string& folder,
              const std::vector<SweepRun>& runs) {
  // All are checked before the first one starts: a bad value shall not end a sweep in its middle.
  std::vector<Deployment> deployments;
  for (const SweepRun& run : runs) {
    auto deployment = prepare(input, run);
    if (!deployment) {
      complain(deployment.error().to_string());
      return cli::kExitUsage;
    }
    deployments.push_back(std::move(*deployment));
  }
  for (std::size_t i = 0; i < runs.size(); ++i) {
    Job job{(std::filesystem::path{folder} / runs[i].folder).string(),
            fmt::format("[{}/{}] ", i + 1, runs.size()), runs[i]};
    if (is_complete(job.folder, content_hash(resolved_json(deployments[i])))) continue;
    if (const int code = run_one(deployments[i], arguments, job); code != cli::kExitDone) {
      return code;
    }
  }
  const auto rows = write_sweep_csv(folder, runs);
  if (!rows) {
    complain(rows.error().to_string());
    return cli::kExitEnvironment;
  }
  fmt::print("{} runs in {}\n", *rows, (std::filesystem::path{folder} / "sweep.csv").string());
  return cli::kExitDone;
}

int run_file(const Arguments& arguments) {
  const auto input = read_input(arguments);
  if (!input) {
    complain(input.error().to_string());
    return cli::kExitUsage;
  }
  const auto runs = runs_of(arguments);
  if (!runs) {
    complain(runs.error().to_string());
    return cli::kExitUsage;
  }
  const auto first = prepare(*input, runs->front());
  if (!first) {
    complain(first.error().to_string());
    return cli::kExitUsage;
  }
  if (input->costs) {
    for (const auto& entry : entries_ignored(*input->costs, *first, built_in_functions())) {
      complain(arguments.costs + ": " + entry + ": ignored, for the deployment has no such thing");
    }
  }
  const std::filesystem::path base = std::filesystem::path{"results"} / first->name;
  if (runs->size() > 1) {
    const std::string folder =
        arguments.results.empty() ? (base / "sweep").string() : arguments.results;
    return run_sweep(*input, arguments, folder, *runs);
  }
  const std::string name = fmt::format("seed-{}", first->run.seed);
  const std::string folder = arguments.results.empty() ? (base / name).string() : arguments.results;
  return run_one(*first, arguments, Job{folder, {}, runs->front()});
}

int run_swarm(const Arguments& arguments) {
  SwarmTotals totals;
  for (std::uint32_t i = 0; i < arguments.swarm && !interrupt_requested; ++i) {
    const std::uint64_t seed = arguments.swarm_seed + i;
    const std::string replay = fmt::format("sluice sim --swarm 1 --swarm-seed {}", seed);
    const auto result = run_swarm_seed(seed);
    if (!result) {
      complain(result.error().to_string() + "; replay with: " + replay);
      return cli::kExitFailed;
    }
    if (const int code = report_violations(*result, replay); code != cli::kExitDone) return code;
    totals.add(*result);
    if (!arguments.quiet) {
      fmt::print(stderr, "seed {}: {} packets, trace {}\n", seed, result->received_packets,
                 result->trace_hash);
    }
  }
  fmt::print("{}", totals.table());
  if (interrupt_requested) return kExitInterrupted;
  const auto missing = totals.reached_less_than(kSwarmReachMin);
  // A single seed is a replay: it need not reach everything.
  if (arguments.swarm < kSwarmSeedsForReach || missing.empty()) return cli::kExitDone;
  for (const std::string& name : missing) {
    complain(fmt::format("swarm: reached too seldom; got {} of {}; expected at least {}", name,
                         totals.count_of(name), kSwarmReachMin));
  }
  return cli::kExitFailed;
}

int main_of(int argc, char** argv) {
  Arguments arguments;
  arguments.command.assign(argv, argv + argc);
  CLI::App app{"Simulates a deployment file, sweeps its values, or runs random ones.",
               "sluice sim"};
  app.footer(kExample);
  app.add_option("file", arguments.file, "The deployment file");
  app.add_option("--set", arguments.sets, "KEY=VALUE: changes the file; KEY=A,B,C sweeps")
      ->type_name("KEY=VALUE")
      ->take_all();
  app.add_option("--seeds", arguments.seeds, "One run for each: 1..20, or 1,5,9");
  app.add_option("--costs", arguments.costs,
                 "What packets cost on a real machine: a file of sluice bench calibrate");
  app.add_option("--results", arguments.results, "Where results go (default results/NAME/...)");
  app.add_option("--swarm", arguments.swarm, "Run N random deployments under all checkers");
  app.add_option("--swarm-seed", arguments.swarm_seed, "The first of them (default 1)");
  app.add_flag("--quiet", arguments.quiet, "No progress line");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? cli::kExitDone : cli::kExitUsage;
  }
  if (arguments.file.empty() == (arguments.swarm == 0)) {
    complain("sluice sim: nothing to simulate, or too much; got " +
             std::string{arguments.file.empty() ? "no file" : "a file and --swarm"} +
             "; expected a deployment file or --swarm N");
    return cli::kExitUsage;
  }
  struct sigaction action {};
  action.sa_handler = request_interrupt;
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // A second Ctrl-C ends it at once.
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  return arguments.swarm > 0 ? run_swarm(arguments) : run_file(arguments);
}

}  // namespace
}  // namespace sluice::sim

int main(int argc, char** argv) {
  return sluice::sim::main_of(argc, argv);
}

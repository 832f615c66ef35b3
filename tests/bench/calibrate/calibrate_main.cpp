// `sluice bench calibrate`: what packets cost on this machine, for `sluice sim --costs`.
#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "cli/exit_codes.hpp"
#include "cli/files.hpp"
#include "core/deployment/costs.hpp"
#include "core/deployment/parser.hpp"
#include "tests/bench/bench.hpp"
#include "tests/bench/calibrate/cost_measurement.hpp"
#include "tests/bench/calibrate/cycles.hpp"

namespace sluice::bench {
namespace {

constexpr const char* kExample =
    "Costs are measured with the functions' default settings, and beside them those of the "
    "services "
    "of each\ndeployment named, with their own settings.\n\n"
    "Example:\n"
    "  sluice bench calibrate --out this-machine.yaml experiments/autoscale/autoscale.yaml\n"
    "  sluice sim experiments/autoscale/autoscale.yaml --costs this-machine.yaml";

struct Arguments {
  std::string out;
  std::vector<std::string> deployments;
  bool quick = false;
  bool smoke = false;
};

/// The least that a function can be set to, beside its defaults.
struct FunctionSettings {
  const char* function;
  const char* settings;
};
// Not in it: load_generator makes packets of its own, stuck never answers, external is not here.
constexpr std::array<FunctionSettings, 9> kFunctions{{
    {"busy", "{}"},
    {"delay", "{}"},
    {"firewall", "{rules: [{allow: {proto: udp}}]}"},
    {"forward", "{}"},
    {"ids", "{patterns: data/patterns.txt}"},
    {"load_balancer", "{vip: 10.128.0.1, backends: [{ip: 10.1.0.1}, {ip: 10.1.0.2}]}"},
    {"monitor", "{}"},
    {"rate_limiter", "{rate: 100 Gbps}"},
    {"router", "{routes: [{prefix: 10.0.0.0/8}]}"},
}};

void complain(const std::string& text) {
  std::fprintf(stderr, "%s\n", text.c_str());
}

std::string machine_name() {
  std::ifstream file{"/proc/cpuinfo"};
  std::string line;
  std::string name = "unknown processor";
  while (std::getline(file, line)) {
    if (!line.starts_with("model name")) continue;
    if (const std::size_t colon = line.find(": "); colon != std::string::npos) {
      name = line.substr(colon + 2);
    }
    break;
  }
  return name + ", " + std::to_string(processors().size()) + " processors";
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", std::gmtime(&now));
  return text;
}

void print_row(const std::string& name, const Cost& cost, std::span<const CostSample> samples) {
  std::printf("%-24s %8llu %12.3f %10llu %9.0f %%\n", name.c_str(),
              static_cast<unsigned long long>(cost.packet_cycles),
              static_cast<double>(cost.byte_millicycles) / 1000,
              static_cast<unsigned long long>(cost.batch_cycles),
              deviation_max(cost, samples) * 100);
}

/// Fits and shows.
Cost conclude(const std::string& name, std::span<const CostSample> samples) {
  const Cost cost = fit_cost(samples);
  print_row(name, cost, samples);
  return cost;
}

Result<std::unique_ptr<Program>> make_program(const FunctionSettings& row) {
  const auto settings = parse_yaml(row.settings, row.function);
  if (!settings) return unexpected(settings.error());
  const FunctionRegistry functions = built_in_functions();
  return (*functions.find(row.function))(*settings, row.function,
                                         cli::reader_beside(SLUICE_SOURCE_DIR "/README.md"));
}

/// Packets that the first chain with the service lets in.
CostTraffic traffic_of(const Deployment& deployment, ServiceId service) {
  CostTraffic traffic;
  for (const ChainSpec& chain : deployment.chains) {
    const auto uses = [&](const Step& step) { return step.service == service; };
    if (std::ranges::none_of(chain.version.steps, uses)) continue;
    if (chain.match.protocol == 6) traffic.protocol = 6;
    if (chain.match.destination_port) {
      traffic.destination_port = chain.match.destination_port->first;
    }
    break;
  }
  return traffic;
}

/// Why the function of a service has no cost per packet that could be measured here, or nothing.
std::string_view why_not(const Traits& traits) {
  if (traits.stuck_after) return "it never answers";
  if (traits.generates) return "it makes packets of its own";
  if (!traits.external_program.empty()) return "it is a program of its own";
  return {};
}

std::optional<int> measure_services(const std::string& file, const MeasurementOptions& options,
                                    Costs& costs) {
  const auto text = cli::read_deployment_file(file);
  const auto deployment =
      text ? parse_deployment(*text, file, built_in_functions(), cli::reader_beside(file))
           : unexpected(text.error());
  if (!deployment) {
    complain(deployment.error().to_string());
    return cli::kExitUsage;
  }
  for (const ServiceSpec& spec : deployment->services) {
    const std::string& name = spec.service.name;
    if (const std::string_view why = why_not(spec.traits); !why.empty()) {
      complain(file + ": services." + name + ": left out: " + std::string{why});
      continue;
    }
    const auto samples = measure_function(*spec.program, spec.service.label_bits,
                                          traffic_of(*deployment, spec.service.id), options);
    costs.services[name] = conclude(name, samples);
  }
  return std::nullopt;
}

int calibrate(const Arguments& arguments) {
  MeasurementOptions options;
  if (arguments.quick) options = {.laps = 31, .turns = 100};
  if (arguments.smoke) options = {.laps = 1, .turns = 20};
  (void)pin_thread(0);
  Costs costs;
  costs.machine = machine_name();
  costs.clock = Frequency{static_cast<std::uint64_t>(cycle_hz())};
  std::printf("%s, clock %.3f GHz\n%-24s %8s %12s %10s %11s\n", costs.machine.c_str(),
              static_cast<double>(costs.clock->hz) / 1e9, "", "cycles", "cycles/B", "cycles/batch",
              "off by up to");
  costs.worker = conclude("worker", measure_worker(options));
  for (const FunctionSettings& row : kFunctions) {
    const auto program = make_program(row);
    if (!program) {
      complain(program.error().to_string());
      return cli::kExitFailed;
    }
    costs.functions[row.function] =
        conclude(row.function, measure_function(**program, {1, 2, 4, 8}, {}, options));
  }
  for (const std::string& file : arguments.deployments) {
    if (const auto code = measure_services(file, options, costs)) return *code;
  }
  std::ofstream file{arguments.out};
  file << "# Measured by sluice bench calibrate on " << today()
       << ". A cycle is a tick of `clock`.\n"
       << costs_text(costs);
  if (file.flush()) return cli::kExitDone;
  complain(arguments.out + ": cannot be written");
  return cli::kExitEnvironment;
}

int main_of(int argc, char** argv) {
  Arguments arguments;
  CLI::App app{"Measures what packets cost on this machine, for sluice sim --costs.",
               "sluice bench calibrate"};
  app.footer(kExample);
  app.add_option("--out", arguments.out, "The file to write")->required();
  app.add_option("deployment", arguments.deployments, "Deployments whose services to measure");
  app.add_flag("--quick", arguments.quick, "Less work");
  app.add_flag("--smoke", arguments.smoke, "Once through everything; the figures mean nothing");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? cli::kExitDone : cli::kExitUsage;
  }
  return calibrate(arguments);
}

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
  return sluice::bench::main_of(argc, argv);
}

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>

#include "backends/dpdk/eal.hpp"
#include "backends/dpdk/host_daemon.hpp"
#include "backends/dpdk/host_log.hpp"
#include "backends/dpdk/host_metrics.hpp"
#include "backends/dpdk/host_recorder.hpp"
#include "backends/dpdk/host_telemetry.hpp"
#include "backends/dpdk/port_capture.hpp"
#include "backends/process/idle.hpp"
#include "backends/process/run_dir.hpp"
#include "cli/exit_codes.hpp"
#include "cli/files.hpp"
#include "core/deployment/parser.hpp"

namespace sluice::dpdk {
namespace {

constexpr const char* kExample =
    "Example, on a machine without NICs and hugepages:\n"
    "  printf 'hosts: {h1: {ports: {p0: {vdev: net_null0}, p1: {vdev: net_null1}}}}' > site.yaml\n"
    "  sluice host hello.yaml --name h1 --site site.yaml\n"
    "What follows -- goes to DPDK's EAL.";

struct Arguments {
  std::string file;
  std::string name;
  std::string site;
  std::string results;
  std::string run_dir;
  std::int64_t time_zero_ns = -1;
  std::uint64_t hash_seed = 0;
  HostLog::Format log = HostLog::Format::kText;
  std::vector<std::string> captures;
  std::vector<std::string> eal;
};

void complain(const std::string& text) {
  fmt::print(stderr, "{}\n", text);
}

/// The lock that makes a host the only one of its name; it ends with the process, however that
/// ends. The error names who holds it.
Result<Fd, std::string> take_lock(const std::string& path) {
  Fd lock{::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR)};
  if (!lock) return unexpected(path + ": " + std::strerror(errno));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    char holder[32] = {};
    const ssize_t size = ::pread(lock.get(), holder, sizeof(holder) - 1, 0);
    return unexpected("a host of this name runs already; got pid " +
                      std::string(holder, size > 0 ? static_cast<std::size_t>(size) : 0) +
                      "; expected another --name or --run-dir");
  }
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(lock.get(), 0) != 0 ||
      ::pwrite(lock.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return unexpected(path + ": " + std::strerror(errno));
  }
  return lock;
}

Result<HostDeployment> parse_host_deployment(const std::string& text, const std::string& file) {
  const FileReader read_file = cli::reader_beside(file);
  auto deployment = parse_deployment(text, file, built_in_functions(), read_file);
  if (!deployment) return unexpected(deployment.error());
  return HostDeployment{std::make_shared<const Deployment>(std::move(*deployment)),
                        std::filesystem::path{file}.parent_path().string(), read_file};
}

Result<HostDeployment> read_deployment(const std::string& file) {
  const auto text = cli::read_deployment_file(file);
  if (!text) return unexpected(text.error());
  return parse_host_deployment(*text, file);
}

Result<Site> read_site(const std::string& file, const Deployment& deployment) {
  if (file.empty()) return default_site(deployment);
  auto text = cli::read_deployment_file(file);
  if (!text) return unexpected(text.error());
  return parse_site(*text, file, deployment);
}

std::optional<HostId> host_named(const Deployment& deployment, const std::string& name) {
  for (const HostSpec& host : deployment.hosts) {
    if (host.name == name) return host.id;
  }
  return std::nullopt;
}

/// Whether packet memory can have huge pages here; the answer costs an allocation.
bool have_huge_pages(const HostSpec& spec) {
  const std::size_t bytes = (std::size_t{spec.buffer_count} + 1) * spec.buffer_size;
  return SharedMemory::create("sluice-probe", bytes, SharedMemory::Pages::kHuge).has_value();
}

Result<SharedMemory::Pages, std::string> pages_for(const HostSpec& spec, HugePages wanted) {
  if (wanted == HugePages::kNo) return SharedMemory::Pages::kOrdinary;
  if (have_huge_pages(spec)) return SharedMemory::Pages::kHuge;
  if (wanted == HugePages::kAuto) return SharedMemory::Pages::kOrdinary;
  return unexpected(
      fmt::format("huge_pages: yes, but the system gives none; expected {} free pages of 2 MB "
                  "(sysctl vm.nr_hugepages), or huge_pages: auto",
                  (std::size_t{spec.buffer_count} * spec.buffer_size >> 21) + 1));
}

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  while (::getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) {
  }
  return seed;
}

void warn_of_few_cores(const HostSpec& spec, const HostLog& log) {
  const unsigned real = std::thread::hardware_concurrency();
  if (real >= spec.core_count) return;
  log.warn("few_cores", {{"real", real},
                         {"slots", spec.core_count},
                         {"message",
                          "they share what there is, so do not compare throughput with "
                          "a simulation of that many cores"}});
}

/// Ends us on SIGTERM and SIGINT by a descriptor; children get the signals as they were.
Fd block_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  ::sigaddset(&set, SIGINT);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  return Fd{::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
}

std::string program_beside_us(const std::string& name) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return (self.parent_path() / name).string();
}

/// Null when no results are wanted.
Result<std::unique_ptr<HostRecorder>> make_recorder(const Arguments& arguments,
                                                    const HostSpec& spec) {
  if (arguments.results.empty()) return std::unique_ptr<HostRecorder>{};
  auto writer = cli::RunWriter::create(arguments.results);
  if (!writer) return unexpected(writer.error());
  const Instant zero = arguments.time_zero_ns >= 0
                           ? instant_from_ns(static_cast<std::uint64_t>(arguments.time_zero_ns))
                           : monotonic_now();
  return std::make_unique<HostRecorder>(std::move(*writer), spec.name, zero);
}

Result<void> finish(HostRecorder& recorder, const Deployment& deployment, const HostStatus& last,
                    bool complete) {
  cli::RunManifest manifest;
  manifest.name = deployment.name;
  manifest.question = deployment.description;
  manifest.resolved_file = resolved_json(deployment);
  manifest.seed = deployment.run.seed;
  manifest.complete = complete;
  return recorder.finish(last, manifest);
}

Result<std::unique_ptr<Eal>, std::string> start_eal(const Arguments& arguments,
                                                    const HostSpec& spec, const SiteHost& site) {
  const bool pci = std::any_of(site.ports.begin(), site.ports.end(), [](const auto& port) {
    return port && port->kind == SitePort::Kind::kPci;
  });
  return Eal::start(
      {.program = "sluice-" + spec.name,
       .huge_pages = false,
       .pci = pci,
       .memory_mb = static_cast<std::uint32_t>(128 + (std::uint64_t{spec.buffer_count} >> 11)),
       .folder = arguments.run_dir,
       .name = spec.name,
       .extra = arguments.eal});
}

/// Null when nobody wants it, or when the address cannot be had: the host serves on without.
std::unique_ptr<HostMetrics> make_metrics(const SiteHost& site,
                                          const std::shared_ptr<StatusBoard>& board,
                                          const HostLog& log) {
  if (site.metrics.empty()) return nullptr;
  auto metrics = HostMetrics::serve(site.metrics, board);
  if (metrics) return std::move(*metrics);
  log.warn("no_metrics", {{"message", metrics.error()}});
  return nullptr;
}

HostDaemon::Options daemon_options(const Arguments& arguments, const SiteHost& site,
                                   SharedMemory::Pages pages) {
  HostDaemon::Options options;
  options.run_dir = arguments.run_dir;
  options.nf_program = program_beside_us("sluice-nf");
  options.site = site;
  options.parse = parse_host_deployment;
  options.hash_seed = arguments.hash_seed != 0 ? arguments.hash_seed : random_seed();
  options.pages = pages;
  return options;
}

/// Audits, and ends what was written of the run. @return The exit code.
int end(HostDaemon& daemon, const Deployment& deployment, HostRecorder* recorder,
        PortCapture* capture, const HostLog& log) {
  const std::vector<std::string> problems = daemon.shut_down();
  for (const std::string& problem : problems) {
    log.failure("invariant_broke", "invariant broke: " + problem);
  }
  int code = problems.empty() ? cli::kExitDone : cli::kExitInvariant;
  if (recorder != nullptr) {
    auto written = finish(*recorder, deployment, daemon.final_status(), problems.empty());
    if (!written) {
      log.failure("failed", written.error().to_string());
      if (code == cli::kExitDone) code = cli::kExitEnvironment;
    }
  }
  if (capture != nullptr) {
    for (const std::string& problem : capture->close()) {
      log.failure("failed", "sluice host: " + problem);
      if (code == cli::kExitDone) code = cli::kExitFailed;
    }
  }
  log.info("stopped", {{"problems", problems.size()}});
  return code;
}

int serve(const Arguments& arguments, const HostDeployment& from, HostId host, const SiteHost& site,
          const std::vector<PortCapture::Point>& points) {
  const Deployment& deployment = *from.deployment;
  const HostSpec& spec = deployment.hosts[index_of(host)];
  const HostLog log{arguments.log, spec.name};
  const auto fail = [&log](const std::string& problem) {
    log.failure("failed", problem);
    return cli::kExitEnvironment;
  };
  const auto pages = pages_for(spec, site.huge_pages);
  if (!pages) return fail("sluice host: " + pages.error());
  const Fd signals = block_signals();  // Before the first thread, for each takes its mask from it.
  const auto eal = start_eal(arguments, spec, site);
  if (!eal) return fail("sluice host: " + eal.error());
  auto recorder = make_recorder(arguments, spec);
  if (!recorder) return fail(recorder.error().to_string());
  std::unique_ptr<PortCapture> capture;
  if (!points.empty()) {
    auto opened = PortCapture::open(points, spec);
    if (!opened) return fail("sluice host: " + opened.error());
    capture = std::move(*opened);
  }
  const auto board = std::make_shared<StatusBoard>();
  HostDaemon::Listener listener;
  listener.note = [&](Instant now, const Note& note, const std::string& service) {
    log.note(note, service);
    if (*recorder) (*recorder)->note(now, note, service);
  };
  listener.applied = [&](Instant now, const Deployment& applied) {
    log.info("applied", {{"deployment", applied.name}, {"file", applied.file}});
    if (*recorder) (*recorder)->applied(now, applied.name);
  };
  listener.complain = [&](const std::string& text) { log.warn("warning", {{"message", text}}); };
  listener.status = [&](const HostStatus& status) {
    board->publish(status);
    if (*recorder) (*recorder)->record(status);
  };
  HostDaemon::Options options = daemon_options(arguments, site, *pages);
  options.capture = capture.get();
  HostDaemon daemon{from, host, std::move(options), std::move(listener)};
  if (auto started = daemon.start(); !started) return fail("sluice host: " + started.error());
  const HostTelemetry telemetry{board};
  const auto metrics = make_metrics(site, board, log);
  log.info("serving", {{"deployment", deployment.name},
                       {"ports", spec.ports.size()},
                       {"pages", *pages == SharedMemory::Pages::kHuge ? "huge" : "ordinary"},
                       {"metrics", metrics ? site.metrics : "off"}});
  warn_of_few_cores(spec, log);
  daemon.run(signals.get());
  return end(daemon, deployment, recorder->get(), capture.get(), log);
}

int run(const Arguments& arguments) {
  const auto from = read_deployment(arguments.file);
  if (!from) {
    complain(from.error().to_string());
    return cli::kExitUsage;
  }
  const Deployment& deployment = *from->deployment;
  const auto host = host_named(deployment, arguments.name);
  if (!host) {
    std::vector<std::string_view> names;
    for (const HostSpec& spec : deployment.hosts) names.push_back(spec.name);
    complain("sluice host: --name: unknown host; got " + arguments.name + "; expected " +
             one_of_with_hint(arguments.name, names));
    return cli::kExitUsage;
  }
  auto site = read_site(arguments.site, deployment);
  if (!site) {
    complain(site.error().to_string());
    return cli::kExitUsage;
  }
  const HostSpec& spec = deployment.hosts[index_of(*host)];
  const auto points = PortCapture::parse(arguments.captures, spec);
  if (!points) {
    complain("sluice host: " + points.error());
    return cli::kExitUsage;
  }
  if (auto made = make_run_dir(arguments.run_dir); !made) {
    complain("sluice host: --run-dir: " + made.error());
    return cli::kExitEnvironment;
  }
  const auto lock = take_lock(arguments.run_dir + "/" + arguments.name + ".lock");
  if (!lock) {
    complain("sluice host: " + lock.error());
    return cli::kExitEnvironment;
  }
  return serve(arguments, *from, *host, site->hosts[index_of(*host)], *points);
}

int main_of(int argc, char** argv) {
  Arguments arguments;
  // What follows "--" is not ours.
  int own = argc;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--") != 0) continue;
    own = i;
    arguments.eal.assign(argv + i + 1, argv + argc);
    break;
  }
  CLI::App app{"Runs the data path of a host on real packets.", "sluice host"};
  app.footer(kExample);
  app.add_option("file", arguments.file, "The deployment file")->required();
  app.add_option("--name", arguments.name, "Which of its hosts this is")->required();
  app.add_option("--site", arguments.site, "The site file: what its ports really are");
  app.add_option("--results", arguments.results, "Write a result folder");
  app.add_option("--run-dir", arguments.run_dir, "Folder of its sockets (default: see below)");
  app.add_option("--time-zero", arguments.time_zero_ns,
                 "CLOCK_MONOTONIC in ns from which results count (default: the start)");
  app.add_option("--hash-seed", arguments.hash_seed,
                 "Key of the flow table's hash, for comparing runs (default: random)");
  app.add_option("--capture", arguments.captures,
                 "Write the frames of a port to a pcap file (default: PORT.pcap); repeatable")
      ->type_name("PORT[=FILE]")
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  const std::map<std::string, HostLog::Format> formats{{"text", HostLog::Format::kText},
                                                       {"json", HostLog::Format::kJson}};
  app.add_option("--log", arguments.log, "Form of the log on stderr (default: text)")
      ->transform(CLI::CheckedTransformer(formats))
      ->type_name("text|json");
  try {
    app.parse(own, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? cli::kExitDone : cli::kExitUsage;
  }
  if (arguments.run_dir.empty()) arguments.run_dir = default_run_dir();
  return run(arguments);
}

}  // namespace
}  // namespace sluice::dpdk

int main(int argc, char** argv) {
  return sluice::dpdk::main_of(argc, argv);
}

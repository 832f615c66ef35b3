#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
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
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>

#include "backends/dpdk/eal.hpp"
#include "backends/dpdk/host_daemon.hpp"
#include "backends/dpdk/host_recorder.hpp"
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

Result<std::shared_ptr<const Deployment>> read_deployment(const std::string& file) {
  auto text = cli::read_deployment_file(file);
  if (!text) return unexpected(text.error());
  auto deployment = parse_deployment(*text, file, built_in_functions(), cli::reader_beside(file));
  if (!deployment) return unexpected(deployment.error());
  return std::make_shared<const Deployment>(std::move(*deployment));
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

std::string log_line(const Note& note) {
  std::string line = to_string(note.kind);
  if (!note.name.empty()) line += " instance=" + note.name;
  if (note.service != kNoService) line += fmt::format(" service={}", index_of(note.service));
  if (!note.text.empty()) line += " reason=\"" + note.text + "\"";
  return line;
}

void warn_of_few_cores(const HostSpec& spec) {
  const unsigned real = std::thread::hardware_concurrency();
  if (real >= spec.core_count) return;
  spdlog::warn(
      "few_cores host={} real={} slots={}: they share what there is, so do not compare "
      "throughput with a simulation of {} cores",
      spec.name, real, spec.core_count, spec.core_count);
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
                                                    const Deployment& deployment,
                                                    const HostSpec& spec) {
  if (arguments.results.empty()) return std::unique_ptr<HostRecorder>{};
  auto writer = cli::RunWriter::create(arguments.results);
  if (!writer) return unexpected(writer.error());
  const Instant zero = arguments.time_zero_ns >= 0
                           ? instant_from_ns(static_cast<std::uint64_t>(arguments.time_zero_ns))
                           : monotonic_now();
  return std::make_unique<HostRecorder>(std::move(*writer), deployment, spec.name, zero);
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

int serve(const Arguments& arguments, std::shared_ptr<const Deployment> deployment, HostId host,
          const SiteHost& site) {
  const HostSpec& spec = deployment->hosts[index_of(host)];
  const auto pages = pages_for(spec, site.huge_pages);
  if (!pages) {
    complain("sluice host: " + pages.error());
    return cli::kExitEnvironment;
  }
  const bool pci = std::any_of(site.ports.begin(), site.ports.end(), [](const auto& port) {
    return port && port->kind == SitePort::Kind::kPci;
  });
  const auto memory_mb = static_cast<std::uint32_t>(128 + (std::uint64_t{spec.buffer_count} >> 11));
  const Fd signals = block_signals();  // Before the first thread, for each takes its mask from it.
  auto eal = Eal::start({.program = "sluice-" + spec.name,
                         .huge_pages = false,
                         .pci = pci,
                         .memory_mb = memory_mb,
                         .folder = arguments.run_dir,
                         .name = spec.name,
                         .extra = arguments.eal});
  if (!eal) {
    complain("sluice host: " + eal.error());
    return cli::kExitEnvironment;
  }
  auto recorder = make_recorder(arguments, *deployment, spec);
  if (!recorder) {
    complain(recorder.error().to_string());
    return cli::kExitEnvironment;
  }
  HostDaemon::Options options;
  options.run_dir = arguments.run_dir;
  options.nf_program = program_beside_us("sluice-nf");
  options.folder = std::filesystem::path{deployment->file}.parent_path().string();
  options.site = site;
  options.read_file = cli::reader_beside(deployment->file);
  options.hash_seed = arguments.hash_seed != 0 ? arguments.hash_seed : random_seed();
  options.pages = *pages;
  HostDaemon::Listener listener;
  listener.note = [&](Instant now, const Note& note) {
    spdlog::info("{}", log_line(note));
    if (*recorder) (*recorder)->note(now, note);
  };
  listener.complain = [](const std::string& text) { spdlog::warn("{}", text); };
  listener.status = [&](const HostStatus& status) {
    if (*recorder) (*recorder)->record(status);
  };
  HostDaemon daemon{deployment, host, std::move(options), std::move(listener)};
  if (auto started = daemon.start(); !started) {
    complain("sluice host: " + started.error());
    return cli::kExitEnvironment;
  }
  spdlog::info("serving host={} deployment={} ports={} pages={}", spec.name, deployment->name,
               spec.ports.size(), *pages == SharedMemory::Pages::kHuge ? "huge" : "ordinary");
  warn_of_few_cores(spec);
  daemon.run(signals.get());
  const std::vector<std::string> problems = daemon.shut_down();
  for (const std::string& problem : problems) complain("invariant broke: " + problem);
  if (*recorder) {
    if (auto written = finish(**recorder, *deployment, daemon.final_status(), problems.empty());
        !written) {
      complain(written.error().to_string());
      return cli::kExitEnvironment;
    }
  }
  spdlog::info("stopped host={} problems={}", spec.name, problems.size());
  return problems.empty() ? cli::kExitDone : cli::kExitInvariant;
}

int run(const Arguments& arguments) {
  auto deployment = read_deployment(arguments.file);
  if (!deployment) {
    complain(deployment.error().to_string());
    return cli::kExitUsage;
  }
  const auto host = host_named(**deployment, arguments.name);
  if (!host) {
    std::vector<std::string_view> names;
    for (const HostSpec& spec : (*deployment)->hosts) names.push_back(spec.name);
    complain("sluice host: --name: unknown host; got " + arguments.name + "; expected " +
             one_of_with_hint(arguments.name, names));
    return cli::kExitUsage;
  }
  auto site = read_site(arguments.site, **deployment);
  if (!site) {
    complain(site.error().to_string());
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
  return serve(arguments, *deployment, *host, site->hosts[index_of(*host)]);
}

int main_of(int argc, char** argv) {
  spdlog::set_default_logger(spdlog::stderr_logger_mt("sluice"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
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

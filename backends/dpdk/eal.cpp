#include "backends/dpdk/eal.hpp"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/un.h>

#include <thread>

namespace sluice::dpdk {
namespace {

/// DPDK cuts a path that a socket cannot have, and would listen somewhere else.
bool has_telemetry(const Eal::Options& options) {
  const std::string path = telemetry_path(options.folder, options.name);
  return !options.folder.empty() && path.size() < sizeof(sockaddr_un{}.sun_path);
}

std::vector<std::string> arguments_of(const Eal::Options& options) {
  const unsigned last_core = std::max(1u, std::thread::hardware_concurrency()) - 1;
  std::vector<std::string> words = {options.program,
                                    "--lcores=0@(0-" + std::to_string(last_core) + ")",
                                    "-m",
                                    std::to_string(options.memory_mb),
                                    "--iova-mode=va",
                                    "--log-level=lib.*:warning",
                                    "--log-level=pmd.*:warning",
                                    "--log-level=lib.telemetry:error"};
  // Without huge pages and shared configuration nothing of DPDK stays on disk, so leftovers of a
  // killed daemon cannot block the next.
  if (options.huge_pages) {
    words.emplace_back("--in-memory");
  } else {
    words.insert(words.end(), {"--no-huge", "--no-shconf"});
  }
  if (has_telemetry(options)) {
    words.insert(words.end(), {"--file-prefix", options.name});
  } else {
    words.emplace_back("--no-telemetry");
  }
  if (!options.pci) words.emplace_back("--no-pci");
  words.insert(words.end(), options.extra.begin(), options.extra.end());
  return words;
}

}  // namespace

std::string telemetry_path(const std::string& folder, const std::string& name) {
  return folder + "/dpdk/" + name + "/dpdk_telemetry.v2";
}

std::string dpdk_error() {
  return rte_strerror(rte_errno);
}

Result<std::unique_ptr<Eal>, std::string> Eal::start(const Options& options) {
  std::vector<std::string> words = arguments_of(options);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  cpu_set_t cores;
  const bool known = ::sched_getaffinity(0, sizeof(cores), &cores) == 0;
  // This is how DPDK is told its folder. It is no business of our children.
  if (has_telemetry(options)) ::setenv("RUNTIME_DIRECTORY", options.folder.c_str(), 1);
  const bool failed = rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0;
  if (has_telemetry(options)) ::unsetenv("RUNTIME_DIRECTORY");
  if (failed) {
    return unexpected("DPDK does not start: " + dpdk_error());
  }
  if (known) ::sched_setaffinity(0, sizeof(cores), &cores);
  return std::unique_ptr<Eal>(new Eal);
}

Eal::~Eal() {
  rte_eal_cleanup();
}

}  // namespace sluice::dpdk

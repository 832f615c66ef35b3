#include "tests/bench/dpdk/scratch.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <utility>

namespace sluice::bench {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPagesFile = "/proc/sys/vm/nr_hugepages";
constexpr const char* kFreePagesFile = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";

std::optional<std::uint64_t> read_number(const char* path) {
  std::ifstream file{path};
  std::uint64_t number = 0;
  if (file >> number) return number;
  return std::nullopt;
}

bool write_number(const char* path, std::uint64_t number) {
  std::ofstream file{path};
  file << number;
  return static_cast<bool>(file.flush());
}

/// Waits until the other end of the pipe is closed, then removes the folder and lets the pages go.
[[noreturn]] void watch(int pipe, const std::string& folder, std::optional<std::uint64_t> pages) {
  setsid();  // A Ctrl-C is for the one who is watched.
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, SIG_IGN);
  char reserved = 0;
  char byte = 0;
  for (;;) {
    const ssize_t got = read(pipe, &byte, 1);
    if (got == 1) reserved = byte;
    if (got == 0 || (got < 0 && errno != EINTR)) break;
  }
  std::error_code error;
  fs::remove_all(folder, error);
  if (reserved != 0 && pages) write_number(kPagesFile, *pages);
  _exit(0);
}

}  // namespace

Result<Scratch, std::string> Scratch::create() {
  std::string folder = (fs::temp_directory_path() / "sluice-bench-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) {
    return unexpected(folder + ": " + std::strerror(errno));
  }
  int ends[2] = {-1, -1};
  const std::optional<std::uint64_t> pages = read_number(kPagesFile);
  const pid_t watcher = pipe2(ends, O_CLOEXEC) == 0 ? fork() : -1;
  if (watcher < 0) {
    std::error_code error;
    fs::remove(folder, error);
    return unexpected(std::string{"fork: "} + std::strerror(errno));
  }
  if (watcher == 0) {
    close(ends[1]);
    watch(ends[0], folder, pages);
  }
  close(ends[0]);
  return Scratch{std::move(folder), watcher, ends[1]};
}

Scratch::Scratch(Scratch&& other) noexcept
    : folder_(std::move(other.folder_)),
      watcher_(std::exchange(other.watcher_, -1)),
      pipe_(std::exchange(other.pipe_, -1)) {}

Scratch::~Scratch() {
  if (watcher_ < 0) return;
  close(pipe_);
  while (waitpid(watcher_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Result<void, std::string> Scratch::reserve_huge_pages(std::uint64_t count) {
  const auto total = read_number(kPagesFile);
  const auto unused = read_number(kFreePagesFile);
  if (!total || !unused) return unexpected<std::string>("this kernel has no huge pages of 2 MB");
  if (*unused >= count) return {};
  const char reserved = 1;
  if (write(pipe_, &reserved, 1) != 1)
    return unexpected<std::string>("the watching process is gone");
  if (!write_number(kPagesFile, *total + count - *unused)) {
    return unexpected(std::string{kPagesFile} + " cannot be written; start it as root");
  }
  if (read_number(kFreePagesFile).value_or(0) >= count) return {};
  return unexpected("the kernel did not find " + std::to_string(count) +
                    " free huge pages of 2 MB");
}

}  // namespace sluice::bench

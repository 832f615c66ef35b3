#include "tests/bench/dpdk/child_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>
#include <utility>

namespace sluice::bench {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kLastWordsMax = 600;
constexpr milliseconds kProgramTime{20'000};

void close_all(std::initializer_list<int> files) {
  for (const int file : files) {
    if (file >= 0) close(file);
  }
}

/// In the child: becomes the program, or reports why not through `report`.
[[noreturn]] void become(const ChildProcess::Options& options, int input, int output, int report) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  const int log = options.log_file.empty() ? nothing
                                           : open(options.log_file.c_str(),
                                                  O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  dup2(input >= 0 ? input : nothing, STDIN_FILENO);
  dup2(output >= 0 ? output : log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  for (const std::string& variable : options.environment) {
    const std::size_t equals = variable.find('=');
    setenv(variable.substr(0, equals).c_str(), variable.substr(equals + 1).c_str(), 1);
  }
  std::vector<char*> argv;
  for (const std::string& word : options.command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  execvp(argv.front(), argv.data());
  const int problem = errno;
  (void)!write(report, &problem, sizeof problem);
  _exit(127);
}

int milliseconds_to(Deadline deadline) {
  const auto left =
      std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now()).count();
  return static_cast<int>(std::max<std::int64_t>(0, left));
}

}  // namespace

Result<ChildProcess, std::string> ChildProcess::start(const Options& options) {
  int input[2] = {-1, -1};
  int output[2] = {-1, -1};
  int report[2] = {-1, -1};
  const bool piped =
      pipe2(report, O_CLOEXEC) == 0 &&
      (!options.talk || (pipe2(input, O_CLOEXEC) == 0 && pipe2(output, O_CLOEXEC) == 0));
  const pid_t pid = piped ? fork() : -1;
  if (pid == 0) become(options, input[0], output[1], report[1]);
  int problem = pid < 0 ? errno : 0;
  close_all({input[0], output[1], report[1]});
  if (pid > 0 && read(report[0], &problem, sizeof problem) != sizeof problem) problem = 0;
  close_all({report[0]});
  ChildProcess child;
  child.pid_ = pid;
  child.input_ = input[1];
  child.output_ = output[0];
  child.log_file_ = options.log_file;
  if (problem == 0) return child;
  return unexpected(options.command.front() + ": " + std::strerror(problem));
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      input_(std::exchange(other.input_, -1)),
      output_(std::exchange(other.output_, -1)),
      log_file_(std::move(other.log_file_)),
      heard_(std::move(other.heard_)),
      exit_code_(other.exit_code_) {}

ChildProcess::~ChildProcess() {
  close_all({input_, output_});
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void ChildProcess::take_in(int status) {
  pid_ = -1;
  if (WIFEXITED(status)) exit_code_ = WEXITSTATUS(status);
}

bool ChildProcess::running() {
  int status = 0;
  if (pid_ > 0 && waitpid(pid_, &status, WNOHANG) == pid_) take_in(status);
  return pid_ > 0;
}

bool ChildProcess::say(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(input_, text.data(), text.size());
    if (written < 0 && errno != EINTR) return false;
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

std::optional<std::string> ChildProcess::hear(Deadline deadline) {
  for (;;) {
    if (const std::size_t end = heard_.find('\n'); end != std::string::npos) {
      std::string line = heard_.substr(0, end);
      heard_.erase(0, end + 1);
      return line;
    }
    pollfd file{.fd = output_, .events = POLLIN, .revents = 0};
    const int ready = poll(&file, 1, milliseconds_to(deadline));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return std::nullopt;
    char bytes[4096];
    const ssize_t got = read(output_, bytes, sizeof bytes);
    if (got <= 0) return std::nullopt;
    heard_.append(bytes, static_cast<std::size_t>(got));
  }
}

std::optional<int> ChildProcess::wait(Deadline deadline) {
  while (running() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(milliseconds{1});
  }
  if (running()) {
    kill(pid_, SIGKILL);
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    take_in(status);
  }
  return exit_code_;
}

std::optional<int> ChildProcess::end(Deadline deadline) {
  if (running()) kill(pid_, SIGTERM);
  return wait(deadline);
}

std::string ChildProcess::last_words() const {
  std::ifstream file{log_file_};
  std::string text{std::istreambuf_iterator<char>{file}, {}};
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.size() <= kLastWordsMax ? text : "... " + text.substr(text.size() - kLastWordsMax);
}

bool program_exists(const std::string& name) {
  if (name.find('/') != std::string::npos) return access(name.c_str(), X_OK) == 0;
  const char* variable = std::getenv("PATH");
  std::string_view rest = variable == nullptr ? "" : variable;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    if (access((std::string{rest.substr(0, end)} + "/" + name).c_str(), X_OK) == 0) return true;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return false;
}

Result<void, std::string> run_program(const ChildProcess::Options& options) {
  auto child = ChildProcess::start(options);
  if (!child) return unexpected(child.error());
  if (child->wait(deadline_in(kProgramTime)) == 0) return {};
  return unexpected(options.command.front() + " failed: " + child->last_words());
}

}  // namespace sluice::bench

#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"

namespace sluice::bench {

/// A moment until which something is waited for.
using Deadline = std::chrono::steady_clock::time_point;
[[nodiscard]] inline Deadline deadline_in(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

/// A program that runs beside this one and ends with it at the latest, however this one ends.
class ChildProcess {
 public:
  struct Options {
    std::vector<std::string> command{};      ///< The program, found by PATH, and its arguments.
    std::vector<std::string> environment{};  ///< "NAME=VALUE", in addition to our own.
    std::string log_file{};  ///< Where its stderr goes, and its stdout if not talked to.
    bool talk = false;       ///< Its stdin and stdout are pipes to us.
  };
  [[nodiscard]] static Result<ChildProcess, std::string> start(const Options& options);
  /// Kills it.
  ~ChildProcess();
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool running();
  /// Writes `text` to its stdin. @return False when it does not listen any more.
  [[nodiscard]] bool say(std::string_view text);
  /// The next line of its stdout, without its end. Nothing at the deadline, or at its end.
  [[nodiscard]] std::optional<std::string> hear(Deadline deadline);
  /// Asks it to end by SIGTERM and kills it at the deadline. @return Its exit code; nothing when it
  /// had to be killed or ended by a signal.
  std::optional<int> end(Deadline deadline);
  /// Waits for its end. @return As end(), without asking.
  std::optional<int> wait(Deadline deadline);
  /// The last lines of its log, for an error message.
  [[nodiscard]] std::string last_words() const;

 private:
  ChildProcess() = default;
  void take_in(int status);

  pid_t pid_ = -1;  ///< -1: gone.
  int input_ = -1;
  int output_ = -1;
  std::string log_file_;
  std::string heard_;
  std::optional<int> exit_code_;
};

/// Whether PATH, or a path, leads to such a program.
[[nodiscard]] bool program_exists(const std::string& name);
/// Runs a program to its end, at most 20 s. The error has its last words.
[[nodiscard]] Result<void, std::string> run_program(const ChildProcess::Options& options);

}  // namespace sluice::bench

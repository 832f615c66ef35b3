#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "backends/process/fd.hpp"
#include "core/result.hpp"
#include "core/units.hpp"

namespace sluice {

/// A started child and the descriptor by which its end is seen (pidfd_open(2)).
struct SpawnedProcess {
  pid_t pid = 0;
  Fd pidfd;
};

/// Starts `command` (a path and its arguments) in a process group of its own, so that a terminal's
/// Ctrl-C reaches the host alone, with `socket` as descriptor wire::kInheritedSocket. Costs no copy
/// of our page tables. The child must be reaped by reap().
[[nodiscard]] Result<SpawnedProcess, std::string> spawn(const std::vector<std::string>& command,
                                                        int socket);
/// Collects an ended child, so that no zombie is left. @return How it ended, for the log: "exit 1",
/// "signal 9"; empty while it runs or when it is not ours.
[[nodiscard]] std::string reap(pid_t pid);
/// A descriptor by which the end of any process is seen; none when there is no such process.
[[nodiscard]] Fd open_pidfd(pid_t pid);
/// Waits for the end of the process of `pidfd`. @return Whether it came within `limit`.
bool wait_for(const Fd& pidfd, Duration limit);
/// Sends a signal to the very process of `pidfd`, never to another that got its number.
bool send_signal(const Fd& pidfd, int signal);

}  // namespace sluice

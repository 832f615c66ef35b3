#include <signal.h>

#include <utility>

#include "backends/dpdk/process_supervisor.hpp"

namespace sluice::dpdk {

Result<void, std::string> ProcessSupervisor::launch_container(InstanceProcess& instance,
                                                              const std::string& program,
                                                              int socket) {
  if (!containers_) {
    auto folder = container::Folder::create(options_.container_folder);
    if (!folder) return unexpected(folder.error());
    containers_ = std::move(*folder);
  }
  const std::string name =
      options_.host + "-" + instance.name + "-" + std::to_string(++container_count_);
  auto runtime = containers_->start(name, program, socket);
  if (!runtime) return unexpected(runtime.error());
  instance.container = name;
  instance.runtime = std::move(*runtime);
  return {};
}

/// Before it gets any memory: only when this very process is gone may that memory be used again.
bool ProcessSupervisor::find_first_process(InstanceProcess& instance) {
  auto process = container::first_process(instance.runtime.pid);
  if (!process) return false;
  instance.process = std::move(*process);
  by_fd_[instance.process.pidfd.get()] = instance.id;
  watch(instance.process.pidfd.get());
  return true;
}

void ProcessSupervisor::kill_now(const InstanceProcess& instance) {
  if (instance.process.pidfd) {
    send_signal(instance.process.pidfd, SIGKILL);
  } else if (instance.runtime.pidfd) {
    // It has not greeted, so it has no memory of ours.
    if (const auto first = container::first_process(instance.runtime.pid)) {
      send_signal(first->pidfd, SIGKILL);
    }
    send_signal(instance.runtime.pidfd, SIGKILL);
  }
}

void ProcessSupervisor::handle_runtime_end(InstanceProcess& instance) {
  if (!instance.process.pidfd) return handle_end(instance);
  // Somebody ended crun. Its container lives on, and with it our memory, until its own pidfd says
  // that it ended.
  by_fd_.erase(instance.runtime.pidfd.get());
  unwatch(instance.runtime.pidfd.get());
  kill_now(instance);
}

/// The container has ended; crun tidies up after it, for which nobody waits.
std::string ProcessSupervisor::leave_container(InstanceProcess& instance) {
  const std::string how = instance.kill_at ? "stopped" : "gone";
  if (!instance.runtime.pidfd) return how;
  if (by_fd_.erase(instance.runtime.pidfd.get()) > 0) unwatch(instance.runtime.pidfd.get());
  const bool greeted = static_cast<bool>(instance.process.pidfd);
  if (std::string end = reap(instance.runtime.pid); !end.empty()) {
    instance.runtime.pidfd.reset();
    containers_->remove(instance.container);
    return greeted ? how : "crun: " + end;
  }
  leaving_[instance.container] = std::move(instance.runtime);
  return how;
}

void ProcessSupervisor::collect_containers() {
  std::erase_if(leaving_, [this](const auto& entry) {
    if (reap(entry.second.pid).empty()) return false;
    containers_->remove(entry.first);
    return true;
  });
}

void ProcessSupervisor::end_containers() {
  for (const auto& [name, runtime] : leaving_) {
    if (wait_for(runtime.pidfd, kEndLimit)) continue;
    send_signal(runtime.pidfd, SIGKILL);
    (void)wait_for(runtime.pidfd, kEndLimit);
  }
  collect_containers();
  containers_.reset();
}

}  // namespace sluice::dpdk

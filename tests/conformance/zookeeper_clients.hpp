#pragma once

#include <poll.h>

#include <chrono>
#include <memory>
#include <vector>

#include "backends/zookeeper/zookeeper_datastore.hpp"
#include "tests/conformance/datastore_suite.hpp"

namespace sluice::conformance {

using ZookeeperClients = std::vector<std::unique_ptr<ZookeeperDatastore>>;

/// Takes turns of all clients until the condition holds; false: it does not in two minutes.
inline bool wait_for(const ZookeeperClients& clients, const Condition& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes{2};
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::vector<pollfd> fds;
    for (const auto& each : clients) fds.push_back({each->fd(), POLLIN, 0});
    ::poll(fds.data(), fds.size(), 1'000);
    for (const auto& each : clients) each->poll();
  }
  return true;
}

}  // namespace sluice::conformance

#include "backends/zookeeper/zookeeper_inbox.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

#include "core/check.hpp"

namespace sluice {

ZookeeperInbox::ZookeeperInbox() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  SLUICE_CHECK(fd_ >= 0);  // No descriptor is left: nothing could work.
}

ZookeeperInbox::~ZookeeperInbox() {
  ::close(fd_);
}

void ZookeeperInbox::push(ZookeeperMessage message) {
  const std::lock_guard lock{mutex_};
  messages_.push_back(std::move(message));
  if (messages_.size() == 1) wake();
}

void ZookeeperInbox::wake() const {
  const std::uint64_t one = 1;
  // It fails only when the counter is full, and then the descriptor is readable.
  [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof one);
}

std::vector<ZookeeperMessage> ZookeeperInbox::take() {
  std::uint64_t count = 0;
  const std::lock_guard lock{mutex_};
  [[maybe_unused]] const auto read = ::read(fd_, &count, sizeof count);
  return std::exchange(messages_, {});
}

}  // namespace sluice

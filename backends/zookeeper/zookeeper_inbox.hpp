#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

#include "core/cluster/datastore_client.hpp"

namespace sluice {

/// What the C client's threads leave for the thread that polls.
struct ZookeeperMessage {
  struct Session {
    SessionState state = SessionState::kSuspended;
    std::uint64_t session = 0;
  };
  struct Reply {
    std::uint64_t request = 0;
    DatastoreReply reply;
  };
  std::variant<Session, WatchEvent, Reply> what;
};

/// A queue from threads to one thread, with a descriptor that is readable while it holds something.
/// It holds no more than there are requests and watches, and a few changes of state.
class ZookeeperInbox {
 public:
  ZookeeperInbox();
  ~ZookeeperInbox();
  ZookeeperInbox(const ZookeeperInbox&) = delete;
  ZookeeperInbox& operator=(const ZookeeperInbox&) = delete;

  void push(ZookeeperMessage message);
  /// Makes the descriptor readable without a message.
  void wake() const;
  /// All that there is, in order. The descriptor is not readable then.
  [[nodiscard]] std::vector<ZookeeperMessage> take();
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
  std::mutex mutex_;
  std::vector<ZookeeperMessage> messages_;
};

}  // namespace sluice

#include <memory>
#include <string>
#include <vector>

#include "core/cluster/memory_datastore.hpp"
#include "core/cluster/memory_datastore_server.hpp"
#include "tests/conformance/datastore_nodes.hpp"
#include "tests/conformance/datastore_sessions.hpp"

namespace sluice::conformance {
namespace {

using std::chrono::microseconds;

/// One server; every wire takes its time.
class MemoryWorld {
 public:
  Datastore& client(const ClientOptions& options) {
    clients_.push_back(std::make_unique<MemoryDatastore>(
        server_, MemoryDatastore::Options{.credentials = options.credentials,
                                          .session_timeout = options.session_timeout}));
    const microseconds delay{100 + 10 * static_cast<int>(clients_.size())};
    server_.set_link(clients_.back()->id(), {.request_delay = delay, .reply_delay = 2 * delay});
    return *clients_.back();
  }
  bool wait(const Condition& condition) {
    const Instant end = now_ + std::chrono::minutes{2};
    while (!condition()) {
      const auto next = server_.next_event();
      if (!next || *next > end) return false;
      now_ = std::max(now_, *next);
      server_.advance(now_);
    }
    return true;
  }
  static std::string root() { return "/test"; }
  void lose_next_reply(Datastore& client) { server_.lose_next_reply(memory(client).id()); }
  void cut_off(Datastore& client, bool off) {
    auto link = server_.link(memory(client).id());
    link.requests_held = link.replies_held = off;
    server_.set_link(memory(client).id(), link);
  }
  void stop_servers() { server_.stop(); }
  void start_servers() { server_.start(); }

 private:
  static MemoryDatastore& memory(Datastore& client) {
    return static_cast<MemoryDatastore&>(client);
  }

  Instant now_{};
  MemoryDatastoreServer server_{{}};
  std::vector<std::unique_ptr<MemoryDatastore>> clients_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Memory, DatastoreNodes, MemoryWorld);
INSTANTIATE_TYPED_TEST_SUITE_P(Memory, DatastoreContention, MemoryWorld);
INSTANTIATE_TYPED_TEST_SUITE_P(Memory, DatastoreWatches, MemoryWorld);
INSTANTIATE_TYPED_TEST_SUITE_P(Memory, DatastoreSessions, MemoryWorld);

}  // namespace
}  // namespace sluice::conformance

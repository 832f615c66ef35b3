#include <poll.h>
#include <unistd.h>

#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/conformance/datastore_nodes.hpp"
#include "tests/conformance/datastore_sessions.hpp"
#include "tests/conformance/zookeeper_clients.hpp"
#include "tests/support/tcp_proxy.hpp"
#include "tests/support/zookeeper_servers.hpp"

namespace sluice::conformance {
namespace {

using sluice::testing::TcpProxy;
using sluice::testing::ZookeeperServers;

std::unique_ptr<ZookeeperServers> servers;

/// One server for all tests, and a proxy for each client.
class ZookeeperWorld {
 public:
  Datastore& client(const ClientOptions& options) {
    auto proxy = std::make_unique<TcpProxy>(servers->port(0));
    clients_.push_back(std::make_unique<ZookeeperDatastore>(
        ZookeeperDatastore::Options{.servers = {"127.0.0.1:" + std::to_string(proxy->port())},
                                    .credentials = options.credentials,
                                    .session_timeout = options.session_timeout}));
    proxies_[clients_.back().get()] = std::move(proxy);
    return *clients_.back();
  }
  bool wait(const Condition& condition) { return wait_for(clients_, condition); }
  static std::string root() {
    static int count = 0;
    return "/test-" + std::to_string(++count);
  }
  void lose_next_reply(Datastore& client) { proxies_.at(&client)->lose_next_reply(); }
  void cut_off(Datastore& client, bool off) { proxies_.at(&client)->cut(off); }
  static void stop_servers() { servers->kill(0); }
  static void start_servers() {
    servers->start(0);
    servers->wait_until_ready();
  }

 private:
  std::map<const Datastore*, std::unique_ptr<TcpProxy>> proxies_;
  ZookeeperClients clients_;  // Closed before their proxies.
};

TEST(Zookeeper, AServerThatNobodyKnowsIsSaidInWords) {
  ZookeeperDatastore store{{.servers = {"no-such-host.invalid:2181"}}};
  const auto opened = store.open([](SessionState) { FAIL(); });
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().find("no-such-host.invalid:2181"), std::string::npos) << opened.error();
  EXPECT_EQ(store.state(), SessionState::kClosed);
}

TEST(Zookeeper, AServerThatIsNotThereLeavesAClientConnecting) {
  std::uint16_t port = 0;
  ::close(sluice::testing::listen_on_loopback(port));
  ZookeeperClients clients;
  auto& store = *clients.emplace_back(std::make_unique<ZookeeperDatastore>(
      ZookeeperDatastore::Options{.servers = {"127.0.0.1:" + std::to_string(port)}}));
  ASSERT_TRUE(store.open([](SessionState) { FAIL(); }));
  std::optional<DatastoreError> error;
  store.get("/", {}, [&](auto result) { error = result.error(); });
  ASSERT_TRUE(wait_for(clients, [&] { return error.has_value(); }));
  EXPECT_EQ(error, DatastoreError::kConnectionLost);
  EXPECT_EQ(store.state(), SessionState::kConnecting);
}

TEST(Zookeeper, TheDescriptorIsReadableWhileThereIsSomethingToPollFor) {
  ZookeeperWorld world;
  auto& store = static_cast<ZookeeperDatastore&>(world.client({}));
  const auto is_readable = [&](int timeout_ms) {
    pollfd fd{store.fd(), POLLIN, 0};
    return ::poll(&fd, 1, timeout_ms) == 1;
  };
  EXPECT_FALSE(is_readable(0));
  store.sync([](const auto&) {});
  EXPECT_TRUE(is_readable(0)) << "refused, and told in the next turn";
  store.poll();
  EXPECT_FALSE(is_readable(0));
  SessionState state = SessionState::kClosed;
  ASSERT_TRUE(store.open([&](SessionState each) { state = each; }));
  EXPECT_TRUE(world.wait([&] { return state == SessionState::kConnected; }));
  bool done = false;
  store.sync([&](const auto&) { done = true; });
  EXPECT_TRUE(is_readable(60'000));
  EXPECT_FALSE(done);
  store.poll();
  EXPECT_TRUE(done);
}

TEST(Zookeeper, AMultiWhoseReplyIsLostIsUnknownAsAWhole) {
  ZookeeperWorld world;
  Datastore& store = world.client({});
  const std::string root = ZookeeperWorld::root();
  ASSERT_TRUE(store.open([](SessionState) {}));
  ASSERT_TRUE(world.wait([&] { return store.state() == SessionState::kConnected; }));
  world.lose_next_reply(store);
  std::optional<MultiError> error;
  store.multi({CreateNode{root}, CreateNode{root + "/a"}},
              [&](const auto& result) { error = result.error(); });
  ASSERT_TRUE(world.wait([&] { return error.has_value(); }));
  EXPECT_EQ(error->error, DatastoreError::kConnectionLost);
  EXPECT_EQ(error->index, std::nullopt);
}

INSTANTIATE_TYPED_TEST_SUITE_P(Zookeeper, DatastoreNodes, ZookeeperWorld);
INSTANTIATE_TYPED_TEST_SUITE_P(Zookeeper, DatastoreContention, ZookeeperWorld);
INSTANTIATE_TYPED_TEST_SUITE_P(Zookeeper, DatastoreWatches, ZookeeperWorld);
INSTANTIATE_TYPED_TEST_SUITE_P(Zookeeper, DatastoreSessions, ZookeeperWorld);

}  // namespace
}  // namespace sluice::conformance

/// The server is started once, not once a test: a JVM takes its second.
int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  return sluice::testing::run_with_zookeeper(sluice::conformance::servers, 1, RUN_ALL_TESTS);
}

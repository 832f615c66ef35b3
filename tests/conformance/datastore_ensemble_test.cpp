#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tests/conformance/zookeeper_clients.hpp"
#include "tests/support/zookeeper_servers.hpp"

// Three servers of which some die: what was acknowledged stays.
namespace sluice::conformance {
namespace {

std::unique_ptr<sluice::testing::ZookeeperServers> servers;

class Ensemble : public ::testing::Test {
 protected:
  void SetUp() override {
    for (std::size_t i = 0; i < servers->size(); ++i) {
      if (servers->mode(i).empty()) servers->kill(i), servers->start(i);
    }
    servers->wait_until_ready();
  }
  /// A client of all servers, or of one.
  ZookeeperDatastore& client(std::vector<std::size_t> of = {0, 1, 2}) {
    std::vector<std::string> names;
    for (const std::size_t i : of) {
      names.push_back("127.0.0.1:" + std::to_string(servers->port(i)));
    }
    clients_.push_back(std::make_unique<ZookeeperDatastore>(
        ZookeeperDatastore::Options{.servers = names,
                                    .credentials = {"cluster", "secret"},
                                    .session_timeout = std::chrono::seconds{30}}));
    ZookeeperDatastore& result = *clients_.back();
    EXPECT_TRUE(result.open([this](SessionState state) { states_.push_back(state); }));
    EXPECT_TRUE(wait_for_state(result, SessionState::kConnected));
    return result;
  }
  bool wait(const Condition& condition) { return wait_for(clients_, condition); }
  bool wait_for_state(const Datastore& store, SessionState state) {
    return wait([&] { return store.state() == state; });
  }
  static std::size_t leader() {
    for (std::size_t i = 0; i < servers->size(); ++i) {
      if (servers->mode(i) == "leader") return i;
    }
    ADD_FAILURE() << "no leader";
    return 0;
  }
  /// Creates sequential nodes until `count` are acknowledged, whatever happens meanwhile.
  void create_some(Datastore& store, std::size_t count) {
    const std::size_t wanted = made_.size() + count;
    while (made_.size() < wanted) {
      bool answered = false;
      store.create({root_ + "/q-", "", CreateMode::kPersistentSequential}, [&](auto result) {
        answered = true;
        if (result) {
          made_.push_back(*result);
        } else {
          EXPECT_EQ(result.error(), DatastoreError::kConnectionLost);
          ++unknown_count_;
        }
      });
      ASSERT_TRUE(wait([&] { return answered; }));
      ASSERT_TRUE(wait_for_state(store, SessionState::kConnected));
    }
  }
  std::vector<std::string> names_seen_by(Datastore& store) {
    std::vector<std::string> names;
    bool answered = false;
    store.sync([](const auto& result) { EXPECT_TRUE(result); });
    store.children(root_, {}, [&](auto result) {
      answered = true;
      ASSERT_TRUE(result);
      names = result->names;
    });
    EXPECT_TRUE(wait([&] { return answered; }));
    return names;
  }
  void create_root(Datastore& store, const std::string& root) {
    root_ = root;
    bool made = false;
    store.create({root}, [&](const auto& result) { made = result.has_value(); });
    ASSERT_TRUE(wait([&] { return made; }));
  }
  /// All that was acknowledged is there, once, and no more than was asked for.
  void expect_all(const std::vector<std::string>& names) {
    for (const std::string& path : made_) {
      EXPECT_EQ(std::ranges::count(names, name_of(path)), 1) << path;
    }
    EXPECT_LE(names.size(), made_.size() + unknown_count_);
  }

  ZookeeperClients clients_;
  std::vector<SessionState> states_;
  std::string root_;
  std::vector<std::string> made_;
  std::size_t unknown_count_ = 0;
};

TEST_F(Ensemble, AfterItsLeaderIsKilledAllThatWasAcknowledgedIsThere) {
  auto& writer = client();
  create_root(writer, "/leader");
  create_some(writer, 20);
  const std::uint64_t session = writer.session();
  bool ephemeral_made = false;
  writer.create({root_ + "/mine", "", CreateMode::kEphemeral},
                [&](const auto& result) { ephemeral_made = result.has_value(); });
  ASSERT_TRUE(wait([&] { return ephemeral_made; }));
  made_.push_back(root_ + "/mine");

  servers->kill(leader());
  create_some(writer, 20);
  EXPECT_EQ(writer.session(), session);
  EXPECT_EQ(std::ranges::count(states_, SessionState::kExpired), 0);
  auto& reader = client();
  expect_all(names_seen_by(reader));
  EXPECT_TRUE(std::ranges::is_sorted(made_.begin() + 21, made_.end()));
}

TEST_F(Ensemble, AMinorityAcknowledgesNothingAndNothingIsLost) {
  auto& writer = client();
  create_root(writer, "/minority");
  create_some(writer, 10);
  const std::size_t first = leader();
  const std::size_t second = (first + 1) % servers->size();
  servers->kill(first);
  servers->kill(second);
  ASSERT_TRUE(wait_for_state(writer, SessionState::kSuspended));
  servers->start(first);
  servers->start(second);
  ASSERT_TRUE(wait_for_state(writer, SessionState::kConnected));
  create_some(writer, 10);
  expect_all(names_seen_by(writer));
}

TEST_F(Ensemble, AfterASyncEachServerShowsWhatAnotherAcknowledged) {
  auto& writer = client({0});
  create_root(writer, "/sync");
  for (const std::size_t i : {1u, 2u}) {
    auto& reader = client({i});
    create_some(writer, 20);
    EXPECT_EQ(names_seen_by(reader).size(), made_.size());
  }
}

}  // namespace
}  // namespace sluice::conformance

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  return sluice::testing::run_with_zookeeper(sluice::conformance::servers, 3, RUN_ALL_TESTS);
}

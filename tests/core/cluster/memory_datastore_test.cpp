#include "core/cluster/memory_datastore.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/cluster/memory_datastore_server.hpp"

// The faults and the time of the in-memory datastore; what every datastore does is in
// tests/conformance.
namespace sluice {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using enum SessionState;

class MemoryDatastoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<MemoryDatastore> make(const std::string& user = "user") {
    auto client = std::make_unique<MemoryDatastore>(
        server_,
        MemoryDatastore::Options{.credentials = {user, "password"}, .session_timeout = seconds{3}});
    return client;
  }
  void open(MemoryDatastore& client) {
    ASSERT_TRUE(client.open([this](SessionState state) { states_.push_back(state); }));
  }
  void run_until(Instant end) {
    for (auto next = server_.next_event(); next && *next <= end; next = server_.next_event()) {
      server_.advance(*next);
    }
    server_.advance(end);
  }
  void run(Duration time) { run_until(now_ += time); }
  /// Creates the node; the error is left where `error` points once it is answered.
  void create(MemoryDatastore& client, const std::string& path, CreateMode mode,
              std::optional<DatastoreError>* error = nullptr) {
    client.create({path, "", mode}, [this, error](auto result) {
      ++answer_count_;
      if (error && !result) *error = result.error();
    });
  }
  [[nodiscard]] bool is_there(const std::string& path) const {
    return server_.tree().nodes().contains(path);
  }

  MemoryDatastoreServer server_{MemoryDatastoreServer::Options{}};
  Instant now_{};
  std::vector<SessionState> states_;
  int answer_count_ = 0;
};

TEST_F(MemoryDatastoreTest, NothingHappensBeforeItsTime) {
  const auto client = make();
  server_.set_link(client->id(),
                   {.request_delay = milliseconds{2}, .reply_delay = milliseconds{3}});
  open(*client);
  EXPECT_EQ(server_.next_event(), Instant{milliseconds{0}});  // The link's own.
  run_until(Instant{milliseconds{4}});
  EXPECT_TRUE(states_.empty());
  EXPECT_EQ(server_.next_event(), Instant{milliseconds{5}});
  run_until(Instant{milliseconds{5}});
  EXPECT_EQ(states_, std::vector{kConnected});
  create(*client, "/a", CreateMode::kPersistent);
  run_until(Instant{milliseconds{7}});
  EXPECT_TRUE(is_there("/a"));
  EXPECT_EQ(answer_count_, 0);
  run_until(Instant{milliseconds{10}});
  EXPECT_EQ(answer_count_, 1);
}

TEST_F(MemoryDatastoreTest, AnIdleClientKeepsItsSession) {
  const auto client = make();
  open(*client);
  run(std::chrono::hours{1});
  EXPECT_EQ(states_, std::vector{kConnected});
}

TEST_F(MemoryDatastoreTest, ADestroyedClientsSessionTimesOut) {
  auto client = make();
  open(*client);
  run(seconds{1});
  create(*client, "/mine", CreateMode::kEphemeral);
  run(milliseconds{1});
  client.reset();
  run(milliseconds{2'990});
  EXPECT_TRUE(is_there("/mine"));
  run(milliseconds{20});
  EXPECT_FALSE(is_there("/mine"));
  EXPECT_TRUE(server_.sessions().empty());
  EXPECT_EQ(server_.next_event(), std::nullopt);
}

TEST_F(MemoryDatastoreTest, ALostRequestIsNotDoneAndALostReplyIs) {
  const auto client = make();
  open(*client);
  run(milliseconds{1});
  std::optional<DatastoreError> error;
  server_.lose_next_request(client->id());
  create(*client, "/request", CreateMode::kPersistent, &error);
  run(milliseconds{1});
  EXPECT_EQ(error, DatastoreError::kConnectionLost);
  EXPECT_FALSE(is_there("/request"));
  run(seconds{1});
  error.reset();
  server_.lose_next_reply(client->id());
  create(*client, "/reply", CreateMode::kPersistent, &error);
  run(milliseconds{1});
  EXPECT_EQ(error, DatastoreError::kConnectionLost);
  EXPECT_TRUE(is_there("/reply"));
  run(seconds{1});
  EXPECT_EQ(states_, (std::vector{kConnected, kSuspended, kConnected, kSuspended, kConnected}));
}

TEST_F(MemoryDatastoreTest, APartitionOfTheRequestsEndsTheSessionAtTheServerOnly) {
  const auto client = make();
  open(*client);
  run(milliseconds{1});
  server_.set_link(client->id(), {.requests_held = true});
  run(milliseconds{2'100});  // Its pings are not answered.
  EXPECT_EQ(states_, (std::vector{kConnected, kSuspended}));
  run(seconds{10});
  EXPECT_TRUE(server_.sessions().empty());
  EXPECT_EQ(states_, (std::vector{kConnected, kSuspended}));
  server_.set_link(client->id(), {});
  run(seconds{1});
  EXPECT_EQ(states_, (std::vector{kConnected, kSuspended, kExpired}));
}

TEST_F(MemoryDatastoreTest, APartitionOfTheRepliesLeavesOutcomesUnknown) {
  const auto client = make();
  open(*client);
  run(milliseconds{1});
  server_.set_link(client->id(), {.replies_held = true});
  std::optional<DatastoreError> error;
  create(*client, "/done", CreateMode::kPersistent, &error);
  run(milliseconds{2'100});
  EXPECT_TRUE(is_there("/done"));
  EXPECT_EQ(error, DatastoreError::kConnectionLost);
  EXPECT_EQ(answer_count_, 1);
  server_.set_link(client->id(), {});
  run(seconds{2});
  EXPECT_EQ(states_, (std::vector{kConnected, kSuspended, kConnected}));
  EXPECT_EQ(answer_count_, 1) << "the late answer came too";
}

TEST_F(MemoryDatastoreTest, WhatAClientHasGivenUpMayStillBeDone) {
  const auto client = make();
  open(*client);
  run(milliseconds{1});
  server_.set_link(client->id(), {.requests_held = true});
  std::optional<DatastoreError> error;
  create(*client, "/late", CreateMode::kPersistent, &error);
  run(milliseconds{2'100});
  EXPECT_EQ(error, DatastoreError::kConnectionLost);
  EXPECT_FALSE(is_there("/late"));
  server_.set_link(client->id(), {});
  run(milliseconds{1});
  EXPECT_TRUE(is_there("/late"));
}

TEST_F(MemoryDatastoreTest, ATimeInAPartitionKeepsTheOrder) {
  const auto client = make();
  open(*client);
  run(milliseconds{1});
  std::vector<int> answers;
  const auto ask = [&](int number) {
    client->exists("/", {}, [&answers, number](const auto&) { answers.push_back(number); });
  };
  server_.set_link(client->id(), {.request_delay = milliseconds{5}});
  for (int i = 0; i < 3; ++i) ask(i);
  server_.set_link(client->id(), {.requests_held = true});
  run(milliseconds{5});
  ask(3);
  server_.set_link(client->id(), {.replies_held = true});  // Both ways, in turn.
  ask(4);
  run(milliseconds{5});
  server_.set_link(client->id(), {});
  ask(5);
  run(milliseconds{5});
  EXPECT_EQ(answers, (std::vector{0, 1, 2, 3, 4, 5}));
}

TEST_F(MemoryDatastoreTest, APausedClientIsToldNothingUntilItRuns) {
  const auto client = make();
  open(*client);
  run(milliseconds{1});
  server_.set_link(client->id(), {.paused = true});
  run(seconds{10});
  EXPECT_EQ(states_, std::vector{kConnected});
  EXPECT_TRUE(server_.sessions().empty());
  server_.set_link(client->id(), {});
  run(seconds{1});
  EXPECT_EQ(states_, (std::vector{kConnected, kSuspended, kExpired}));
}

TEST_F(MemoryDatastoreTest, ASessionCanBeMadeToExpire) {
  const auto client = make();
  open(*client);
  run(milliseconds{1});
  server_.expire(client->session());
  server_.expire(12345);
  run(seconds{1});
  EXPECT_EQ(states_, (std::vector{kConnected, kSuspended, kExpired}));
}

TEST_F(MemoryDatastoreTest, AStoppedServerLetsNoSessionAge) {
  const auto client = make();
  open(*client);
  run(milliseconds{1});
  create(*client, "/mine", CreateMode::kEphemeral);
  run(milliseconds{1});
  server_.stop();
  run(std::chrono::minutes{1});
  EXPECT_EQ(states_, (std::vector{kConnected, kSuspended}));
  server_.start();
  run(seconds{1});
  EXPECT_EQ(states_, (std::vector{kConnected, kSuspended, kConnected}));
  EXPECT_TRUE(is_there("/mine"));
}

TEST_F(MemoryDatastoreTest, ARefusedUserIsTold) {
  const auto client = make("stranger");
  server_.refuse_user("stranger");
  open(*client);
  run(milliseconds{1});
  EXPECT_EQ(states_, std::vector{kAuthenticationFailed});
  ASSERT_TRUE(client->open([](SessionState) {}));
}

TEST_F(MemoryDatastoreTest, AListenerMayOpenTheNextSession) {
  const auto client = make();
  std::function<void(SessionState)> listener = [&](SessionState state) {
    states_.push_back(state);
    if (state == kExpired) {
      ASSERT_TRUE(client->open(listener));
    }
  };
  ASSERT_TRUE(client->open(listener));
  run(milliseconds{1});
  server_.expire(client->session());
  run(seconds{1});
  EXPECT_EQ(states_, (std::vector{kConnected, kSuspended, kExpired, kConnected}));
}

TEST_F(MemoryDatastoreTest, TheServersLimitsAreKept) {
  MemoryDatastoreServer server{{.node_count_max = 2, .session_count_max = 1}};
  MemoryDatastore one{server, {.credentials = {"user", "password"}}};
  MemoryDatastore two{server, {.credentials = {"user", "password"}}};
  std::vector<SessionState> states;
  ASSERT_TRUE(one.open([&](SessionState state) { states.push_back(state); }));
  ASSERT_TRUE(two.open([&](SessionState) { FAIL(); }));
  server.advance(Instant{milliseconds{1}});
  EXPECT_EQ(states, std::vector{kConnected});
  std::vector<std::string> answers;
  for (const char* path : {"/a", "/b"}) {
    one.create({path}, [&](auto result) {
      answers.push_back(result ? *result : to_string(result.error()));
    });
  }
  server.advance(Instant{milliseconds{2}});
  EXPECT_EQ(answers, (std::vector<std::string>{"/a", "too many"}));
}

TEST_F(MemoryDatastoreTest, WatchesHaveALimit) {
  DatastoreLimits limits;
  limits.watch_count_max = 2;
  MemoryDatastore client{server_, {.credentials = {"user", "password"}, .limits = limits}};
  open(client);
  run(milliseconds{1});
  int refused = 0, events = 0;
  const auto watch = [&] {
    client.exists(
        "/a", [&](const WatchEvent&) { ++events; },
        [&](const auto& result) { refused += result ? 0 : 1; });
  };
  for (int i = 0; i < 3; ++i) watch();
  run(milliseconds{1});
  EXPECT_EQ(refused, 1);
  create(client, "/a", CreateMode::kPersistent);
  run(milliseconds{1});
  EXPECT_EQ(events, 2);
  watch();
  run(milliseconds{1});
  EXPECT_EQ(refused, 1);
}

}  // namespace
}  // namespace sluice

#pragma once

#include "tests/conformance/datastore_suite.hpp"

// Sessions, watches, and what goes wrong between a client and the servers.
namespace sluice::conformance {

using Kind = WatchEvent::Kind;

template <class World>
class DatastoreWatches : public DatastoreSuite<World> {};
TYPED_TEST_SUITE_P(DatastoreWatches);

TYPED_TEST_P(DatastoreWatches, AWatchSeesTheFirstChangeOnly) {
  auto& one = this->client();
  auto& other = this->client();
  ASSERT_TRUE(this->create(one, {this->root_}));
  ASSERT_TRUE(this->sync(other));
  ASSERT_TRUE(this->get(other, this->root_, other.watch()));
  ASSERT_TRUE(this->set(one, {this->root_, "1"}));
  ASSERT_TRUE(this->set(one, {this->root_, "2"}));
  ASSERT_TRUE(this->sync(other));
  ASSERT_TRUE(this->get(other, this->root_));
  EXPECT_EQ(other.events, (std::vector<WatchEvent>{{Kind::kDataChanged, this->root_}}));
}

TYPED_TEST_P(DatastoreWatches, EachKindOfWatchSeesItsChanges) {
  auto& one = this->client();
  auto& other = this->client();
  const std::string a = this->root_ + "/a";
  const auto seen = [&](auto... events) {
    EXPECT_TRUE(this->sync(other));
    EXPECT_EQ(other.events, (std::vector<WatchEvent>{events...}));
    other.events.clear();
  };
  ASSERT_TRUE(this->create(one, {this->root_}));
  ASSERT_TRUE(this->sync(other));
  ASSERT_TRUE(this->exists(other, a, other.watch()));
  ASSERT_TRUE(this->create(one, {a}));
  seen(WatchEvent{Kind::kCreated, a});
  ASSERT_TRUE(this->exists(other, a, other.watch()));
  ASSERT_TRUE(this->set(one, {a, "1"}));
  seen(WatchEvent{Kind::kDataChanged, a});
  ASSERT_TRUE(this->children(other, this->root_, other.watch()));
  ASSERT_TRUE(this->set(one, {a, "2"}));
  ASSERT_TRUE(this->create(one, {a + "/grandchild"}));
  seen();
  ASSERT_TRUE(this->create(one, {this->root_ + "/b"}));
  seen(WatchEvent{Kind::kChildrenChanged, this->root_});
  ASSERT_TRUE(this->remove(one, {a + "/grandchild"}));
  ASSERT_TRUE(this->sync(other));
  ASSERT_TRUE(this->get(other, a, other.watch()));
  ASSERT_TRUE(this->children(other, a, other.watch()));
  ASSERT_TRUE(this->children(other, this->root_, other.watch()));
  ASSERT_TRUE(this->remove(one, {a}));
  seen(WatchEvent{Kind::kRemoved, a}, WatchEvent{Kind::kRemoved, a},
       WatchEvent{Kind::kChildrenChanged, this->root_});
}

TYPED_TEST_P(DatastoreWatches, EveryWatchOnANodeIsCalledAndOnlyThose) {
  auto& one = this->client();
  ASSERT_TRUE(this->create(one, {this->root_}));
  ASSERT_TRUE(this->create(one, {this->root_ + "/a"}));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(this->get(one, this->root_, one.watch()));
  ASSERT_TRUE(this->get(one, this->root_ + "/a", one.watch()));
  ASSERT_TRUE(this->get(one, this->root_));
  ASSERT_TRUE(this->set(one, {this->root_}));
  EXPECT_EQ(one.events, std::vector<WatchEvent>(3, {Kind::kDataChanged, this->root_}));
}

TYPED_TEST_P(DatastoreWatches, AReadThatFailsArmsNoWatch) {
  auto& one = this->client();
  ASSERT_TRUE(this->create(one, {this->root_}));
  const std::string a = this->root_ + "/a";
  EXPECT_EQ(this->error_of(this->get(one, a, one.watch())), DatastoreError::kNoNode);
  EXPECT_EQ(this->error_of(this->children(one, a, one.watch())), DatastoreError::kNoNode);
  ASSERT_TRUE(this->create(one, {a}));
  ASSERT_TRUE(this->set(one, {a, "1"}));
  EXPECT_TRUE(one.events.empty());
}

TYPED_TEST_P(DatastoreWatches, TheEventComesBeforeTheNewDataIsSeen) {
  auto& one = this->client();
  auto& other = this->client();
  ASSERT_TRUE(this->create(one, {this->root_, "old"}));
  ASSERT_TRUE(this->sync(other));
  std::vector<std::string> order;
  bool stop = false;
  ASSERT_TRUE(this->get(other, this->root_, [&](const WatchEvent&) { order.push_back("event"); }));
  // Reads again and again, while the other client changes it.
  std::function<void()> read = [&] {
    other->get(this->root_, {}, [&](Result<NodeContent, DatastoreError> content) {
      ASSERT_TRUE(content);
      if (order.empty() || order.back() != content->data) order.push_back(content->data);
      stop = content->data == "new";
      if (!stop) read();
    });
  };
  read();
  one->set({this->root_, "new"}, [](auto result) { EXPECT_TRUE(result); });
  ASSERT_TRUE(this->world_.wait([&] { return stop; }));
  if (order.front() == "old") order.erase(order.begin());
  EXPECT_EQ(order, (std::vector<std::string>{"event", "new"}));
}

TYPED_TEST_P(DatastoreWatches, AWatchMayArmTheNextOne) {
  auto& one = this->client();
  auto& other = this->client();
  ASSERT_TRUE(this->create(one, {this->root_, "0"}));
  ASSERT_TRUE(this->sync(other));
  std::string last;
  std::function<void()> follow = [&] {
    other->get(
        this->root_, [&](const WatchEvent&) { follow(); },
        [&](Result<NodeContent, DatastoreError> content) { last = content.value().data; });
  };
  follow();
  for (int i = 1; i <= 20; ++i) ASSERT_TRUE(this->set(one, {this->root_, std::to_string(i)}));
  EXPECT_TRUE(this->world_.wait([&] { return last == "20"; }));
}

REGISTER_TYPED_TEST_SUITE_P(DatastoreWatches, AWatchSeesTheFirstChangeOnly,
                            EachKindOfWatchSeesItsChanges, EveryWatchOnANodeIsCalledAndOnlyThose,
                            AReadThatFailsArmsNoWatch, TheEventComesBeforeTheNewDataIsSeen,
                            AWatchMayArmTheNextOne);

template <class World>
class DatastoreSessions : public DatastoreSuite<World> {};
TYPED_TEST_SUITE_P(DatastoreSessions);

TYPED_TEST_P(DatastoreSessions, RequestsWithoutASessionFail) {
  auto& closed = this->client();
  closed->close();
  EXPECT_EQ(closed->state(), SessionState::kClosed);
  EXPECT_EQ(closed->session(), 0u);
  EXPECT_EQ(this->error_of(this->get(closed, "/")), DatastoreError::kSessionExpired);
  const auto open = closed->open([](SessionState) {});
  ASSERT_TRUE(open);
  EXPECT_EQ(closed->state(), SessionState::kConnecting);
  EXPECT_EQ(this->error_of(this->get(closed, "/")), DatastoreError::kConnectionLost);
}

TYPED_TEST_P(DatastoreSessions, EphemeralNodesGoWhenTheirSessionIsClosed) {
  auto& one = this->client();
  auto& other = this->client();
  ASSERT_TRUE(this->create(one, {this->root_}));
  ASSERT_TRUE(this->create(one, {this->root_ + "/stays"}));
  ASSERT_TRUE(this->create(one, {this->root_ + "/goes", "", CreateMode::kEphemeral}));
  ASSERT_TRUE(this->create(one, {this->root_ + "/q-", "", CreateMode::kEphemeralSequential}));
  ASSERT_TRUE(this->sync(other));
  EXPECT_EQ(this->exists(other, this->root_ + "/goes").value().value().owner, one->session());
  EXPECT_NE(one->session(), other->session());
  ASSERT_TRUE(this->exists(other, this->root_ + "/goes", other.watch()));
  one->close();
  ASSERT_TRUE(this->world_.wait([&] { return !other.events.empty(); }));
  EXPECT_EQ(other.events.front(), (WatchEvent{WatchEvent::Kind::kRemoved, this->root_ + "/goes"}));
  EXPECT_EQ(this->children(other, this->root_).value().names, std::vector<std::string>{"stays"});
}

TYPED_TEST_P(DatastoreSessions, AClosedClientIsCalledBackForWhatWasUnderWayAndNoWatch) {
  auto& one = this->client();
  ASSERT_TRUE(this->create(one, {this->root_}));
  ASSERT_TRUE(this->get(one, this->root_, one.watch()));
  int lost = 0;
  for (int i = 0; i < 3; ++i) {
    one->set({this->root_, "x"}, [&](auto result) {
      EXPECT_EQ(this->error_of(result), DatastoreError::kConnectionLost);
      ++lost;
    });
  }
  one->close();
  EXPECT_EQ(lost, 0);
  ASSERT_TRUE(this->world_.wait([&] { return lost == 3; }));
  EXPECT_TRUE(one.events.empty());
  EXPECT_EQ(one.states, std::vector{SessionState::kConnected});
}

TYPED_TEST_P(DatastoreSessions, AnExpiredClientIsToldAndOpensAnother) {
  auto& one = this->client({.session_timeout = std::chrono::seconds{10}});
  auto& other = this->client();
  const std::string mine = this->root_ + "/mine";
  ASSERT_TRUE(this->create(one, {this->root_}));
  ASSERT_TRUE(this->create(one, {mine, "", CreateMode::kEphemeral}));
  ASSERT_TRUE(this->get(one, this->root_, one.watch()));
  ASSERT_TRUE(this->children(one, this->root_, one.watch()));
  ASSERT_TRUE(this->exists(one, this->root_ + "/absent", one.watch()));
  const std::uint64_t session = one->session();
  ASSERT_TRUE(this->sync(other));
  ASSERT_TRUE(this->exists(other, mine, other.watch()));

  this->world_.cut_off(*one.store, true);
  ASSERT_TRUE(this->world_.wait([&] { return !other.events.empty(); }));
  EXPECT_EQ(other.events, (std::vector<WatchEvent>{{WatchEvent::Kind::kRemoved, mine}}));
  ASSERT_TRUE(this->wait_for(one, SessionState::kSuspended));
  EXPECT_EQ(one->session(), session);
  EXPECT_TRUE(one.events.empty()) << "guessed what only the servers know";

  this->world_.cut_off(*one.store, false);
  ASSERT_TRUE(this->wait_for(one, SessionState::kExpired));
  ASSERT_TRUE(this->world_.wait([&] { return one.events.size() == 3; }));
  for (const WatchEvent& event : one.events) EXPECT_EQ(event.kind, WatchEvent::Kind::kLost);
  EXPECT_EQ(this->error_of(this->get(one, this->root_)), DatastoreError::kSessionExpired);
  using enum SessionState;
  EXPECT_EQ(one.states, (std::vector{kConnected, kSuspended, kExpired}));

  this->open(one);
  EXPECT_NE(one->session(), session);
  EXPECT_FALSE(this->is_there(one, mine));
  EXPECT_TRUE(this->create(one, {mine, "", CreateMode::kEphemeral}));
  EXPECT_EQ(one.events.size(), 3u);
}

TYPED_TEST_P(DatastoreSessions, AfterALostReplyTheOutcomeIsUnknownAndReadAgain) {
  auto& one = this->client();
  ASSERT_TRUE(this->create(one, {this->root_, "0"}));
  const std::uint64_t session = one->session();
  this->world_.lose_next_reply(*one.store);
  EXPECT_EQ(this->error_of(this->set(one, {this->root_, "1", 0})), DatastoreError::kConnectionLost);
  ASSERT_TRUE(this->wait_for(one, SessionState::kConnected));
  EXPECT_EQ(one->session(), session);
  ASSERT_TRUE(this->sync(one));
  const auto content = this->get(one, this->root_);
  ASSERT_TRUE(content);
  EXPECT_EQ(content->data, "1") << "it was done";
  EXPECT_EQ(content->stat.version, 1);
  using enum SessionState;
  EXPECT_EQ(one.states, (std::vector{kConnected, kSuspended, kConnected}));
}

TYPED_TEST_P(DatastoreSessions, AWatchTellsWhatChangedWhileTheClientWasAway) {
  auto& one = this->client();
  auto& other = this->client();
  const std::string a = this->root_ + "/a", b = this->root_ + "/b", c = this->root_ + "/c";
  ASSERT_TRUE(this->create(other, {this->root_}));
  ASSERT_TRUE(this->create(other, {a}));
  ASSERT_TRUE(this->create(other, {c}));
  ASSERT_TRUE(this->sync(one));
  ASSERT_TRUE(this->get(one, a, one.watch()));
  ASSERT_TRUE(this->exists(one, b, one.watch()));
  ASSERT_TRUE(this->get(one, c, one.watch()));  // Does not change meanwhile.
  this->world_.cut_off(*one.store, true);
  ASSERT_TRUE(this->wait_for(one, SessionState::kSuspended));
  ASSERT_TRUE(this->set(other, {a, "1"}));
  ASSERT_TRUE(this->create(other, {b}));
  this->world_.cut_off(*one.store, false);
  ASSERT_TRUE(this->wait_for(one, SessionState::kConnected));
  ASSERT_TRUE(this->world_.wait([&] { return one.events.size() == 2; }));
  EXPECT_EQ(one.events, (std::vector<WatchEvent>{{Kind::kDataChanged, a}, {Kind::kCreated, b}}));
  ASSERT_TRUE(this->set(other, {c, "1"}));
  ASSERT_TRUE(this->world_.wait([&] { return one.events.size() == 3; }));
  EXPECT_EQ(one.events.back(), (WatchEvent{Kind::kDataChanged, c}));
}

TYPED_TEST_P(DatastoreSessions, ServersThatGoAndComeBackKeepSessionsAndData) {
  auto& one = this->client();
  ASSERT_TRUE(this->create(one, {this->root_, "kept"}));
  ASSERT_TRUE(this->create(one, {this->root_ + "/mine", "", CreateMode::kEphemeral}));
  ASSERT_TRUE(this->get(one, this->root_, one.watch()));
  const std::uint64_t session = one->session();
  this->world_.stop_servers();
  ASSERT_TRUE(this->wait_for(one, SessionState::kSuspended));
  EXPECT_EQ(this->error_of(this->get(one, this->root_)), DatastoreError::kConnectionLost);
  this->world_.start_servers();
  ASSERT_TRUE(this->wait_for(one, SessionState::kConnected));
  EXPECT_EQ(one->session(), session);
  EXPECT_EQ(this->get(one, this->root_).value().data, "kept");
  EXPECT_TRUE(this->is_there(one, this->root_ + "/mine"));
  EXPECT_TRUE(one.events.empty());
  auto& other = this->client();
  ASSERT_TRUE(this->set(other, {this->root_, "changed"}));
  EXPECT_TRUE(this->world_.wait([&] { return one.events.size() == 1; }));
  using enum SessionState;
  EXPECT_EQ(one.states, (std::vector{kConnected, kSuspended, kConnected}));
}

TYPED_TEST_P(DatastoreSessions, ANodeIsOnlyForTheCredentialsThatMadeIt) {
  auto& owner = this->client();
  auto& same = this->client();
  auto& wrong = this->client({.credentials = {"cluster", "wrong"}});
  auto& nobody = this->client({.credentials = {}});
  const std::string a = this->root_ + "/a";
  ASSERT_TRUE(this->create(owner, {this->root_, "secret"}));
  ASSERT_TRUE(this->create(owner, {a}));
  constexpr auto kNot = DatastoreError::kNotAuthorised;
  for (auto* stranger : {&wrong, &nobody}) {
    ASSERT_TRUE(this->sync(*stranger));
    EXPECT_EQ(this->error_of(this->get(*stranger, this->root_)), kNot);
    EXPECT_EQ(this->error_of(this->set(*stranger, {this->root_, "x"})), kNot);
    EXPECT_EQ(this->error_of(this->children(*stranger, this->root_)), kNot);
    EXPECT_EQ(this->error_of(this->create(*stranger, {this->root_ + "/b"})), kNot);
    EXPECT_EQ(this->error_of(this->remove(*stranger, {a})), kNot);
    const auto result = this->multi(*stranger, {CheckNode{a}});
    EXPECT_TRUE(!result && result.error().error == kNot && result.error().index == 0);
  }
  ASSERT_TRUE(this->sync(same));
  EXPECT_EQ(this->get(same, this->root_).value().data, "secret");
  EXPECT_TRUE(this->set(same, {a, "x"}));
  EXPECT_EQ(this->error_of(this->create(nobody, {this->root_ + "-of-nobody"})), kNot);
  EXPECT_TRUE(this->create(wrong, {this->root_ + "-of-another"}));
}

REGISTER_TYPED_TEST_SUITE_P(
    DatastoreSessions, RequestsWithoutASessionFail, EphemeralNodesGoWhenTheirSessionIsClosed,
    AClosedClientIsCalledBackForWhatWasUnderWayAndNoWatch, AnExpiredClientIsToldAndOpensAnother,
    AfterALostReplyTheOutcomeIsUnknownAndReadAgain, AWatchTellsWhatChangedWhileTheClientWasAway,
    ServersThatGoAndComeBackKeepSessionsAndData, ANodeIsOnlyForTheCredentialsThatMadeIt);

}  // namespace sluice::conformance

#include "core/cluster/watched_folder.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/cluster/memory_datastore.hpp"

namespace sluice {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Values = std::map<std::string, std::string>;

/// A folder that one client watches and another one changes.
class Rig {
 public:
  Rig() {
    EXPECT_TRUE(writer.open([](SessionState) {}));
    open_reader();
    run(milliseconds{100});
    writer.create({"/folder"}, [](const auto&) {});
    run(milliseconds{100});
    folder.begin();
    run(milliseconds{100});
  }
  void open_reader() {
    EXPECT_TRUE(reader.open([this](SessionState state) {
      if (state == SessionState::kConnected && suspended_) folder.resume();
      suspended_ = state == SessionState::kSuspended;
      states.push_back(state);
    }));
  }
  void run(Duration time) {
    now_ += time;
    for (auto next = server.next_event(); next && *next <= now_; next = server.next_event()) {
      server.advance(*next);
    }
    server.advance(now_);
  }
  void put(const std::string& name, const std::string& data) {
    writer.create({"/folder/" + name, data}, [this, name, data](const auto& made) {
      if (!made) writer.set({"/folder/" + name, data}, [](const auto&) {});
    });
  }
  void take(const std::string& name) {
    writer.remove({"/folder/" + name}, [](const auto&) {});
  }
  /// What is really there.
  [[nodiscard]] Values there() const {
    Values values;
    const std::string prefix = "/folder/";
    for (const auto& [path, node] : server.tree().nodes()) {
      if (path.starts_with(prefix)) values[path.substr(prefix.size())] = node.data;
    }
    return values;
  }

  MemoryDatastoreServer server{MemoryDatastoreServer::Options{}};
  MemoryDatastore writer{server, {.credentials = {"user", "password"}}};
  MemoryDatastore reader{server, {.credentials = {"user", "password"}}};
  int change_count = 0;
  std::vector<std::string> complaints;
  WatchedFolder folder{reader,
                       "/folder",
                       {.changed = [this] { ++change_count; },
                        .complain =
                            [this](const std::string& path, DatastoreError error) {
                              complaints.push_back(path + ": " + to_string(error));
                            }}};
  std::vector<SessionState> states;

 private:
  Instant now_{};
  bool suspended_ = false;
};

TEST(WatchedFolder, FollowsWhatComesChangesAndGoes) {
  Rig rig;
  rig.put("a", "1");
  rig.put("b", "2");
  rig.run(milliseconds{100});
  EXPECT_EQ(rig.folder.values(), (Values{{"a", "1"}, {"b", "2"}}));
  rig.put("a", "3");
  rig.run(milliseconds{100});
  EXPECT_EQ(rig.folder.values(), (Values{{"a", "3"}, {"b", "2"}}));
  rig.take("b");
  rig.run(milliseconds{100});
  EXPECT_EQ(rig.folder.values(), (Values{{"a", "3"}}));
  rig.put("b", "4");
  rig.run(milliseconds{100});
  EXPECT_EQ(rig.folder.values(), (Values{{"a", "3"}, {"b", "4"}}));
  EXPECT_EQ(rig.change_count, 5);
  EXPECT_TRUE(rig.complaints.empty());
}

TEST(WatchedFolder, KeepsWhatItHasWhileTheDatastoreIsAway) {
  Rig rig;
  rig.put("a", "1");
  rig.run(milliseconds{100});
  rig.server.stop();
  rig.run(seconds{30});
  EXPECT_EQ(rig.folder.values(), (Values{{"a", "1"}}));
  EXPECT_EQ(rig.states.back(), SessionState::kSuspended);
}

TEST(WatchedFolder, CatchesUpWhenTheConnectionIsBack) {
  Rig rig;
  rig.put("a", "1");
  rig.put("b", "1");
  rig.run(milliseconds{100});
  rig.server.set_link(rig.reader.id(), {.requests_held = true, .replies_held = true});
  rig.put("a", "2");
  rig.take("b");
  rig.put("c", "1");
  rig.run(milliseconds{1500});
  EXPECT_EQ(rig.folder.values(), (Values{{"a", "1"}, {"b", "1"}}));
  rig.server.set_link(rig.reader.id(), {});
  rig.run(seconds{1});
  EXPECT_EQ(rig.folder.values(), rig.there());
}

TEST(WatchedFolder, ReadsEverythingInANewSession) {
  Rig rig;
  rig.put("a", "1");
  rig.run(milliseconds{100});
  rig.server.expire(rig.reader.session());
  rig.put("a", "2");
  rig.put("b", "1");
  rig.run(milliseconds{100});
  EXPECT_EQ(rig.states.back(), SessionState::kExpired);
  EXPECT_EQ(rig.folder.values(), (Values{{"a", "1"}}));  // The last that it knew.
  rig.open_reader();
  rig.run(milliseconds{100});
  rig.folder.begin();
  rig.run(milliseconds{100});
  EXPECT_EQ(rig.folder.values(), rig.there());
}

TEST(WatchedFolder, WhatItMayNotReadIsSaidAndLeftOut) {
  Rig rig;
  MemoryDatastore stranger{rig.server, {.credentials = {"other", "password"}}};
  WatchedFolder folder{stranger,
                       "/folder",
                       {.changed = [] {},
                        .complain =
                            [&](const std::string& path, DatastoreError error) {
                              rig.complaints.push_back(path + ": " + to_string(error));
                            }}};
  ASSERT_TRUE(stranger.open([](SessionState) {}));
  rig.run(milliseconds{100});
  folder.begin();
  rig.run(milliseconds{100});
  EXPECT_EQ(rig.complaints, std::vector<std::string>{"/folder: not authorised"});
  EXPECT_TRUE(folder.values().empty());
}

// Liveness (I-21): whatever was lost, once the faults are over the copy is what is there.
RC_GTEST_PROP(WatchedFolderProperty, EndsWithWhatIsThere, ()) {
  Rig rig;
  const int step_count = *rc::gen::inRange(1, 60);
  for (int i = 0; i < step_count; ++i) {
    const std::string name(1, static_cast<char>('a' + *rc::gen::inRange(0, 4)));
    switch (*rc::gen::inRange(0, 8)) {
      case 0:
      case 1:
      case 2:
        rig.put(name, std::to_string(i));
        break;
      case 3:
        rig.take(name);
        break;
      case 4:
        rig.server.lose_next_reply(rig.reader.id());
        break;
      case 5:
        rig.server.lose_next_request(rig.reader.id());
        break;
      case 6: {
        const bool held = *rc::gen::arbitrary<bool>();
        rig.server.set_link(rig.reader.id(), {.requests_held = held, .replies_held = held});
        break;
      }
      default:
        rig.server.set_link(rig.reader.id(),
                            {.reply_delay = milliseconds{*rc::gen::inRange(0, 300)}});
    }
    rig.run(milliseconds{*rc::gen::inRange(0, 1500)});
    if (rig.reader.state() == SessionState::kExpired) {
      rig.open_reader();
      rig.server.set_link(rig.reader.id(), {});
      rig.run(seconds{3});
      rig.folder.begin();
    }
  }
  rig.server.set_link(rig.reader.id(), {});
  rig.run(seconds{10});
  if (rig.reader.state() == SessionState::kExpired) {
    rig.open_reader();
    rig.run(seconds{3});
    rig.folder.begin();
    rig.run(seconds{3});
  }
  RC_ASSERT(rig.folder.values() == rig.there());
  RC_ASSERT(rig.complaints.empty());
}

}  // namespace
}  // namespace sluice

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/cluster/memory_datastore.hpp"
#include "core/cluster/memory_datastore_server.hpp"
#include "tests/core/cluster/datastore_history.hpp"

// Random requests of several clients under random faults, against a plain tree. The seed is printed
// by rapidcheck; RC_PARAMS="seed=N" repeats it.
namespace sluice {
namespace {

using std::chrono::milliseconds;
using Kind = HistoryEvent::Kind;

/// Uniform in [low, high), also in the first cases, which rapidcheck would keep small.
template <class T>
T any(T low, T high) {
  return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange<T>(low, high));
}

class Machine {
 public:
  Machine() {
    for (int i = 0; i < 3; ++i) start_client();
    run_for(milliseconds{10});
    ask(*clients_[0], {.operations = {CreateNode{"/p"}}});
    run_for(milliseconds{10});
    RC_ASSERT(events_.size() == 1u && events_[0].is_known);
    events_.clear();  // The model begins with it.
    clients_[0]->open_events.clear();
  }

  void step() {
    if (events_.size() >= 50) return;
    const int choice = any(0, 20);
    Client& client = *clients_[any<std::size_t>(0, clients_.size())];
    if (choice < 12) return ask_something(client);
    if (choice < 17) return run_for(milliseconds{any(0, 30)});
    if (choice == 17) return run_for(milliseconds{any(100, 600)});
    if (choice == 18) return change_link(client);
    fail(client);
  }

  /// After the faults: every session that ended is told of, and a new client reads all.
  void settle() {
    server_.start();
    for (const auto& each : clients_) server_.set_link(each->store->id(), {});
    run_for(std::chrono::seconds{5});
    for (HistoryEvent& event : events_) event.answered = std::min(event.answered, clock_);
    ++clock_;
    Client& reader = start_client();
    run_for(milliseconds{50});
    ask(reader, {.kind = Kind::kChildren, .path = "/p"});
    for (const char* path : {"/p/a", "/p/b"}) {
      run_for(milliseconds{50});
      ask(reader, {.kind = Kind::kGet, .path = path});
    }
    run_for(milliseconds{50});
  }

  void check() {
    for (const auto& each : clients_) RC_ASSERT(each->open_requests == 0u);
    RC_ASSERT(events_.size() <= 64u);
    RC_ASSERT(Linearization{events_}.exists());
    std::set<std::string> names;
    for (const std::string& path : made_in_sequence_) RC_ASSERT(names.insert(path).second);
    const auto sessions = server_.sessions();
    for (const auto& [path, node] : server_.tree().nodes()) {
      RC_ASSERT(node.stat.owner == 0u ||
                std::ranges::find(sessions, node.stat.owner) != sessions.end());
    }
    for (const auto& watch : watches_) {
      if (watch->is_called || watch->is_of_the_dead) continue;
      const auto found = server_.tree().nodes().find(watch->path);
      RC_ASSERT(found != server_.tree().nodes().end());
      RC_ASSERT(found->second.stat.modified_at == watch->modified_at);
    }
    RC_CLASSIFY(std::ranges::count(events_, false, &HistoryEvent::is_known) > 0, "unknown outcome");
    RC_CLASSIFY(std::ranges::count(events_, Kind::kEndOfSession, &HistoryEvent::kind) > 0,
                "session ended");
    RC_CLASSIFY(std::ranges::any_of(watches_, [](const auto& each) { return each->is_called; }),
                "watch called");
  }

 private:
  struct WatchRecord {
    std::string path;
    std::uint64_t modified_at = 0;
    bool is_called = false;
    bool is_of_the_dead = false;
  };
  struct Client {
    std::unique_ptr<MemoryDatastore> store;
    std::uint64_t session = 0;
    std::size_t open_requests = 0;
    std::vector<std::size_t> open_events;  ///< Not answered, or unknown and perhaps still to do.
    std::vector<std::shared_ptr<WatchRecord>> watches;
  };

  Client& start_client() {
    Client& client = *clients_.emplace_back(std::make_unique<Client>());
    client.store = std::make_unique<MemoryDatastore>(
        server_, MemoryDatastore::Options{.credentials = {"user", "password"},
                                          .session_timeout = milliseconds{300}});
    open(client);
    return client;
  }
  void open(Client& client) {
    RC_ASSERT(client.store
                  ->open([this, &client](SessionState state) {
                    ++clock_;
                    if (state == SessionState::kConnected) {
                      client.session = client.store->session();
                      close_windows(client);
                    }
                    if (state != SessionState::kExpired) return;
                    end_session(client);
                    open(client);
                  })
                  .has_value());
  }
  /// What is unknown of it is done now, or never.
  void close_windows(Client& client) {
    for (const std::size_t i : client.open_events) {
      if (!events_[i].is_known) events_[i].answered = std::min(events_[i].answered, clock_);
    }
    client.open_events.clear();
  }
  void end_session(Client& client) {
    if (client.session == 0) return;
    events_.push_back({.kind = Kind::kEndOfSession,
                       .session = std::exchange(client.session, 0),
                       .answer = "ended",
                       .answered = clock_});
    close_windows(client);
  }

  void run_for(Duration time) {
    now_ += time;
    for (auto next = server_.next_event(); next && *next <= now_; next = server_.next_event()) {
      server_.advance(*next);
    }
    server_.advance(now_);
  }

  // Requests.
  void ask_something(Client& client) {
    const bool is_able = client.store->state() == SessionState::kConnected &&
                         !server_.link(client.store->id()).paused && client.open_requests < 2;
    if (!is_able || events_.size() >= 40) return;
    const int choice = any(0, 10);
    HistoryEvent event{.session = client.session};
    if (choice < 3) {
      event.kind = choice == 0 ? Kind::kChildren : Kind::kGet;
      event.path = choice == 0 ? "/p" : any_path();
    } else {
      const int count = choice < 8 ? 1 : any(2, 4);
      for (int i = 0; i < count; ++i) event.operations.push_back(any_operation());
    }
    ask(client, std::move(event));
  }
  static std::string any_path() { return any(0, 2) == 0 ? "/p/a" : "/p/b"; }
  NodeOperation any_operation() {
    const std::string data = std::to_string(++value_);
    const NodeVersion expected = any(0, 3) == 0 ? kAnyVersion : any(0, 3);
    switch (any(0, 8)) {
      case 0:
      case 1:
        return CreateNode{any_path(), data, CreateMode::kPersistent};
      case 2:
        return CreateNode{any_path(), data, CreateMode::kEphemeral};
      case 3:
        return CreateNode{
            "/p/q-", data,
            any(0, 2) == 0 ? CreateMode::kPersistentSequential : CreateMode::kEphemeralSequential};
      case 4:
        return RemoveNode{any_path(), expected};
      case 5:
        return CheckNode{any_path(), expected};
      default:
        return SetNode{any_path(), data, expected};
    }
  }
  void ask(Client& client, HistoryEvent event) {
    event.asked = ++clock_;
    event.session = client.session;
    event.is_known = false;  // Until it is answered.
    const std::size_t number = events_.size();
    events_.push_back(event);
    client.open_events.push_back(number);
    ++client.open_requests;
    if (event.kind == Kind::kGet) return get(client, number);
    if (event.kind == Kind::kChildren) {
      return client.store->children(event.path, {}, [this, &client, number](auto result) {
        std::string names;
        if (result) {
          for (const std::string& name : result->names) names += "/p/" + name + " ";
        }
        answer(client, number, result ? std::nullopt : std::optional{result.error()}, names + ".");
      });
    }
    client.store->multi(event.operations, [this, &client, number](auto result) {
      if (!result) {
        const std::size_t index = result.error().index.value_or(0);
        return answer(client, number, result.error().error,
                      std::to_string(index) + ": " + to_string(result.error().error));
      }
      answer(client, number, std::nullopt, words_of(events_[number].operations, *result));
    });
  }
  void get(Client& client, std::size_t number) {
    auto watch = std::make_shared<WatchRecord>();
    watch->path = events_[number].path;
    client.store->get(
        watch->path, [watch](const WatchEvent&) { watch->is_called = true; },
        [this, &client, number, watch](const auto& result) {
          if (!result) {
            return answer(client, number, result.error(), to_string(result.error()));
          }
          watch->modified_at = result->stat.modified_at;
          watches_.push_back(watch);
          client.watches.push_back(watch);
          answer(client, number, std::nullopt,
                 HistoryModel::text(result->data, result->stat.version));
        });
  }
  void answer(Client& client, std::size_t number, std::optional<DatastoreError> error,
              const std::string& words) {
    --client.open_requests;
    if (error == DatastoreError::kConnectionLost) return;  // Stays unknown.
    HistoryEvent& event = events_[number];
    event.is_known = true;
    event.answer = words;
    event.answered = ++clock_;
  }
  std::string words_of(const std::vector<NodeOperation>& operations,
                       const std::vector<OperationResult>& results) {
    std::string words;
    for (std::size_t i = 0; i < operations.size(); ++i) {
      if (const auto* create = std::get_if<CreateNode>(&operations[i])) {
        words += results[i].path;
        if (is_sequential(create->mode)) made_in_sequence_.push_back(results[i].path);
      } else if (std::holds_alternative<SetNode>(operations[i])) {
        words += std::to_string(results[i].stat.version);
      } else {
        words += "done";
      }
      words += "; ";
    }
    return words;
  }

  // Faults.
  void change_link(Client& client) {
    MemoryDatastoreServer::Link link;
    link.request_delay = milliseconds{any(0, 20)};
    link.reply_delay = milliseconds{any(0, 20)};
    link.requests_held = any(0, 3) == 0;
    link.replies_held = any(0, 3) == 0;
    link.paused = any(0, 6) == 0;
    server_.set_link(client.store->id(), link);
  }
  void fail(Client& client) {
    switch (any(0, 6)) {
      case 0:
        return server_.lose_next_request(client.store->id());
      case 1:
      case 2:
        return server_.lose_next_reply(client.store->id());
      case 3:
        return server_.expire(client.session);
      case 4:
        return server_.is_running() ? server_.stop() : server_.start();
      default:
        return crash(client);
    }
  }
  /// Its process dies, and another one starts in its place.
  void crash(Client& client) {
    for (const auto& watch : client.watches) watch->is_of_the_dead = true;
    client.watches.clear();
    client.open_requests = 0;
    if (client.session != 0) {  // It ends some time, at the latest when all has settled.
      events_.push_back({.kind = Kind::kEndOfSession,
                         .session = std::exchange(client.session, 0),
                         .answer = "ended"});
    }
    client.open_events.clear();
    client.store = std::make_unique<MemoryDatastore>(
        server_, MemoryDatastore::Options{.credentials = {"user", "password"},
                                          .session_timeout = milliseconds{300}});
    open(client);
  }

  MemoryDatastoreServer server_{MemoryDatastoreServer::Options{}};
  Instant now_{};
  std::uint32_t clock_ = 0;  ///< Of the history: counts what is asked and told.
  int value_ = 0;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<HistoryEvent> events_;
  std::vector<std::string> made_in_sequence_;
  std::vector<std::shared_ptr<WatchRecord>> watches_;
};

TEST(MemoryDatastoreProperty, WhatIsAcknowledgedIsAsIfDoneOneAfterAnother) {
  EXPECT_TRUE(rc::check("linearizable under faults", [] {
    Machine machine;
    const int step_count = any(20, 200);
    for (int i = 0; i < step_count; ++i) machine.step();
    machine.settle();
    machine.check();
  }));
}

TEST(MemoryDatastoreProperty, ALinearizationIsFoundOnlyWhereThereIsOne) {
  const auto write = [](const char* data, std::uint32_t asked, std::uint32_t answered) {
    return HistoryEvent{.operations = {SetNode{"/p/a", data}},
                        .answer = {},
                        .is_known = false,
                        .asked = asked,
                        .answered = answered};
  };
  const auto read = [](const char* answer, std::uint32_t asked, std::uint32_t answered) {
    return HistoryEvent{
        .kind = Kind::kGet, .path = "/p/a", .answer = answer, .asked = asked, .answered = answered};
  };
  const HistoryEvent create{
      .operations = {CreateNode{"/p/a", "0"}}, .answer = "/p/a; ", .asked = 1, .answered = 2};
  const auto exists = [](const std::vector<HistoryEvent>& events) {
    return Linearization{events}.exists();
  };
  EXPECT_TRUE(exists({create, read("0 at 0", 3, 4)}));
  EXPECT_FALSE(exists({create, read("no node", 3, 4)}));
  EXPECT_TRUE(exists({create, read("no node", 1, 4)})) << "at the same time";
  EXPECT_TRUE(exists({create, write("1", 3, 4), read("0 at 0", 5, 6)})) << "perhaps not done";
  EXPECT_TRUE(exists({create, write("1", 3, 4), read("1 at 1", 5, 6)})) << "perhaps done";
  EXPECT_FALSE(exists({create, write("1", 3, 4), read("1 at 1", 5, 6), read("0 at 0", 7, 8)}));
  EXPECT_FALSE(exists({create, write("1", 3, 4), read("0 at 0", 5, 6), read("1 at 1", 7, 8)}))
      << "done too late";
}

}  // namespace
}  // namespace sluice

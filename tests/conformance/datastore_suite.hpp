#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/cluster/datastore.hpp"
#include "core/units.hpp"

/// What every Datastore must do, whatever is behind it. An implementation joins with a World and
/// one line, INSTANTIATE_TYPED_TEST_SUITE_P(Name, DatastoreSuite, MyWorld), in a file of its own
/// here.
///
/// A World is servers and their clients, in one thread:
///
///     Datastore& client(const ClientOptions&);  // A new one, not opened; it lives with the World.
///     bool wait(const Condition&);        // Takes turns until it holds; false: it never does.
///     std::string root();                 // A path that no other test uses; it is not there yet.
///     void lose_next_reply(Datastore&);   // The connection breaks as the next answer leaves.
///     void cut_off(Datastore&, bool);     // A partition of this client, and its end.
///     void stop_servers(); void start_servers();
namespace sluice::conformance {

using Condition = std::function<bool()>;

struct ClientOptions {
  DatastoreCredentials credentials = {"cluster", "secret"};
  Duration session_timeout = std::chrono::seconds{30};  ///< Longer than a machine stands still.
};

template <class World>
class DatastoreSuite : public ::testing::Test {
 protected:
  /// A client with what it was told.
  struct Client {
    Datastore* store = nullptr;
    std::vector<SessionState> states;
    std::vector<WatchEvent> events;

    Datastore::Watch watch() {
      return [this](const WatchEvent& event) { events.push_back(event); };
    }
    Datastore* operator->() const { return store; }
  };

  Client& client(const ClientOptions& options = {}) {
    Client& result = *clients_.emplace_back(std::make_unique<Client>());
    result.store = &world_.client(options);
    open(result);
    return result;
  }
  void open(Client& client) {
    ASSERT_TRUE(client->open([&client](SessionState state) { client.states.push_back(state); }));
    ASSERT_TRUE(wait_for(client, SessionState::kConnected));
  }
  bool wait_for(const Client& client, SessionState state) {
    return world_.wait([&] { return client->state() == state; });
  }
  /// What is answered to a request that `ask` makes with the given callback.
  template <class T, class E = DatastoreError, class Ask>
  Result<T, E> answer(Ask ask) {
    std::optional<Result<T, E>> result;
    ask([&result](Result<T, E> each) { result = std::move(each); });
    EXPECT_FALSE(result) << "called back from inside the request";
    EXPECT_TRUE(world_.wait([&] { return result.has_value(); })) << "no answer";
    return std::move(*result);
  }

  Result<std::string, DatastoreError> create(Client& client, CreateNode node) {
    return answer<std::string>([&](auto done) { client->create(std::move(node), done); });
  }
  Result<NodeStat, DatastoreError> set(Client& client, SetNode node) {
    return answer<NodeStat>([&](auto done) { client->set(std::move(node), done); });
  }
  Result<void, DatastoreError> remove(Client& client, RemoveNode node) {
    return answer<void>([&](auto done) { client->remove(std::move(node), done); });
  }
  Result<NodeContent, DatastoreError> get(Client& client, const std::string& path,
                                          Datastore::Watch watch = {}) {
    return answer<NodeContent>([&](auto done) { client->get(path, watch, done); });
  }
  Result<std::optional<NodeStat>, DatastoreError> exists(Client& client, const std::string& path,
                                                         Datastore::Watch watch = {}) {
    return answer<std::optional<NodeStat>>([&](auto done) { client->exists(path, watch, done); });
  }
  Result<NodeChildren, DatastoreError> children(Client& client, const std::string& path,
                                                Datastore::Watch watch = {}) {
    return answer<NodeChildren>([&](auto done) { client->children(path, watch, done); });
  }
  Result<std::vector<OperationResult>, MultiError> multi(Client& client,
                                                         std::vector<NodeOperation> operations) {
    return answer<std::vector<OperationResult>, MultiError>(
        [&](auto done) { client->multi(std::move(operations), done); });
  }
  Result<void, DatastoreError> sync(Client& client) {
    return answer<void>([&](auto done) { client->sync(done); });
  }
  /// The error of an answer; nothing if it is none.
  template <class T>
  static std::optional<DatastoreError> error_of(const Result<T, DatastoreError>& result) {
    return result ? std::nullopt : std::optional{result.error()};
  }
  bool is_there(Client& client, const std::string& path) {
    const auto found = exists(client, path);
    return found && *found;
  }

  World world_;
  std::string root_ = world_.root();
  std::vector<std::unique_ptr<Client>> clients_;
};

}  // namespace sluice::conformance

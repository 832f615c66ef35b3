#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/cluster/datastore_client.hpp"
#include "core/cluster/node_tree.hpp"
#include "core/units.hpp"

namespace sluice {

class MemoryDatastore;

/// A datastore in memory: its one server, its clients (MemoryDatastore), and the wires between
/// them with their faults. For one host, and for simulation.
///
/// Time is what advance() is told; nothing happens between. Equal calls give equal results: what is
/// due at one time happens in the order in which it was sent. A connection is like TCP: it keeps
/// the order, loses nothing silently, and what a partition holds up arrives when it ends, also what
/// a client has given up meanwhile. One thread.
class MemoryDatastoreServer {
 public:
  enum class ClientId : std::uint32_t {};
  struct Options {
    /// From a failed attempt to connect to the next. Above 0.
    Duration reconnect_interval = std::chrono::milliseconds{50};
    std::uint32_t node_count_max = 1u << 20;
    std::uint32_t session_count_max = 4096;  ///< A client that wants one more is kept waiting.
  };
  explicit MemoryDatastoreServer(const Options& options);
  MemoryDatastoreServer(const MemoryDatastoreServer&) = delete;
  MemoryDatastoreServer& operator=(const MemoryDatastoreServer&) = delete;

  /// Does all that is due until `now`, which never goes back (checked), and calls clients back. A
  /// request counts from the last advance(). Without delays, an answer is due at once: who asks
  /// again in each answer keeps advance() from ending. Not to be called from a callback (checked).
  void advance(Instant now);
  /// When the next thing is due; nothing: never, unless someone asks.
  [[nodiscard]] std::optional<Instant> next_event() const;

  // Faults.

  /// The wire of one client.
  struct Link {
    Duration request_delay{};  ///< One way.
    Duration reply_delay{};
    bool requests_held = false;  ///< A partition, to the server; with the other: both ways.
    bool replies_held = false;
    bool paused = false;  ///< The client's process does not run (SIGSTOP).
  };
  void set_link(ClientId client, const Link& link);
  [[nodiscard]] const Link& link(ClientId client) const;
  /// The connection breaks as the client's next request arrives, which is lost.
  void lose_next_request(ClientId client);
  /// The connection breaks as the next answer to a request leaves: it was done, and who asked is
  /// told kConnectionLost.
  void lose_next_reply(ClientId client);
  /// Ends a session now, as if it had timed out. An unknown one is nothing.
  void expire(std::uint64_t session);
  /// Whoever comes with this user name is told kAuthenticationFailed from now on.
  void refuse_user(const std::string& user);
  /// All connections break; nothing is lost that was done. Sessions do not age meanwhile.
  void stop();
  void start();
  [[nodiscard]] bool is_running() const { return running_; }

  /// For checkers.
  [[nodiscard]] const NodeTree& tree() const { return tree_; }
  [[nodiscard]] std::vector<std::uint64_t> sessions() const;

 private:
  friend class MemoryDatastore;
  using Epoch = std::uint32_t;
  using SessionId = std::uint64_t;
  using Event = std::function<void()>;
  using ClientCall = std::function<void(MemoryDatastore&)>;
  using EventKey = std::pair<Instant, std::uint64_t>;  ///< When, and a number that counts up.

  struct Connect {
    SessionId session = 0;  ///< 0: a new one.
    DatastoreCredentials credentials{};
    Duration timeout{};
    WatchedPaths watches{};
    std::uint64_t last_change = 0;  ///< The last that the client saw.
  };
  struct Session {
    ClientId client{};
    Epoch epoch = 0;  ///< Its connection; 0: none.
    std::string identity{};
    Duration timeout{};
    Instant last_heard{};
    EventKey timer{};
  };
  struct Wire {
    MemoryDatastore* client = nullptr;  ///< Null: destroyed.
    Link link;
    std::deque<Event> held_requests, held_replies;
    Instant last_request_due{}, last_reply_due{};
    bool lose_request = false, lose_reply = false;
    std::optional<EventKey> timer;  ///< Of the client.
    bool timer_missed = false;      ///< While it was paused.
  };
  using WatchTable = std::map<std::string, std::set<SessionId>>;

  // The wires. Wires stay where they are, and outlive their clients.
  [[nodiscard]] ClientId attach(MemoryDatastore& client);
  void detach(ClientId client);
  EventKey schedule(Instant due, Event event);
  void to_server(ClientId client, Event arrival);
  void to_client(ClientId client, ClientCall arrival);
  /// Calls in a turn of its own, now, unless the client is paused.
  void call_soon(ClientId client, ClientCall call);
  void set_client_timer(ClientId client, Instant due);
  [[nodiscard]] Wire& wire(ClientId client);
  [[nodiscard]] const Wire& wire(ClientId client) const;
  [[nodiscard]] static bool holds_requests(const Wire& wire);
  [[nodiscard]] static bool holds_replies(const Wire& wire);

  // What arrives from clients.
  void connect(ClientId client, Epoch epoch, const Connect& message);
  void request(ClientId client, Epoch epoch, SessionId session_id, std::uint64_t id,
               const DatastoreRequest& message);
  void ping(ClientId client, Epoch epoch, SessionId id);
  void goodbye(SessionId id);

  /// The session, if this is its connection; else the client is told that it has none.
  [[nodiscard]] Session* session_of(ClientId client, Epoch epoch, SessionId id);
  void break_connection(ClientId client, Epoch epoch);
  void drop_connection(SessionId id, Session& session, bool tell);
  /// Ends the session when it has not been heard of for its timeout.
  void watch_over(SessionId id, Session& session);
  void end_session(SessionId id);
  void fire(const std::vector<NodeTree::Change>& changes);
  void notify(SessionId id, const NodeTree::Change& change);
  void watch_again(SessionId id, const Connect& message);

  Options options_;
  NodeTree tree_;
  Instant now_{};
  bool advancing_ = false;
  bool running_ = true;
  std::uint64_t event_count_ = 0;
  std::map<EventKey, Event> events_;
  std::map<ClientId, Wire> wires_;
  std::uint32_t client_count_ = 0;
  std::map<SessionId, Session> sessions_;
  SessionId session_count_ = 0;
  std::set<std::string> refused_users_;
  WatchTable data_watches_, children_watches_;  ///< Also of nodes that are not there.
};

}  // namespace sluice

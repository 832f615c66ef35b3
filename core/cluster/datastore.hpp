#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/result.hpp"

namespace sluice {

// --- What a datastore answers --------------------------------------------------------------------

/// Why a request was not done; only for kConnectionLost is that not known.
enum class DatastoreError : std::uint8_t {
  kNoNode,                   ///< The node, or the parent of one to create, is not there.
  kNodeExists,               ///< Create: it is there already.
  kBadVersion,               ///< The node has another version than the expected one.
  kNotEmpty,                 ///< Remove: it has children.
  kNoChildrenForEphemerals,  ///< Create: the parent is ephemeral.
  /// The outcome is UNKNOWN: the connection went before the answer came, so it may have been done
  /// or not, or may still be done until the session is connected again. Then sync(), read again,
  /// and decide. (Also told to who asks while the session is not connected.)
  kConnectionLost,
  kSessionExpired,  ///< There is no session: it expired, was closed or never opened.
  kNotAuthorised,   ///< The node is another's, or who creates has no credentials.
  kTooLarge,        ///< Over node_bytes_max, path_bytes_max, request_bytes_max, ...
  kTooMany,         ///< Over request_count_max, watch_count_max or the server's node_count_max.
  kBadPath,         ///< Not a path of a node: see is_node_path(). The root is never changed.
};
/// In words, to go after a path: "no node".
[[nodiscard]] const char* to_string(DatastoreError error) noexcept;

/// Where a client stands with its session.
enum class SessionState : std::uint8_t {
  kClosed,      ///< Not opened yet, or closed.
  kConnecting,  ///< Opened; no server has answered yet.
  kConnected,
  /// The connection is lost and sought anew; the session, its ephemeral nodes and watches may live
  /// on or not. Only the servers know: no client ever guesses that it expired.
  kSuspended,
  kExpired,               ///< A server said so: ephemeral nodes and watches are gone.
  kAuthenticationFailed,  ///< A server refused the credentials; the session is of no more use.
};
[[nodiscard]] const char* to_string(SessionState state) noexcept;

/// Counts the changes of a node's data, from 0.
using NodeVersion = std::int32_t;
inline constexpr NodeVersion kAnyVersion = -1;

/// What a datastore knows of a node beside its data. "At": the number of the change (zxid), which
/// counts up over the whole datastore, and never goes back for a client that keeps its session.
struct NodeStat {
  std::uint64_t created_at = 0;
  std::uint64_t modified_at = 0;          ///< The data; also by creation.
  std::uint64_t children_changed_at = 0;  ///< A child came or went; also by creation.
  NodeVersion version = 0;
  std::uint64_t owner = 0;  ///< The session (Datastore::session) of an ephemeral node; 0: of none.
  std::uint32_t child_count = 0;
  bool operator==(const NodeStat&) const = default;
};
struct NodeContent {
  std::string data;  ///< Any bytes.
  NodeStat stat;
};
struct NodeChildren {
  std::vector<std::string> names;  ///< Without the path before them; in order of their bytes.
  NodeStat stat;                   ///< Of the parent.
};

/// What a watch saw. It says that something changed, not what is there now: read again, and arm a
/// new watch with the same request.
struct WatchEvent {
  enum class Kind : std::uint8_t {
    kCreated,
    kRemoved,
    kDataChanged,
    kChildrenChanged,
    kLost,  ///< The session ended, and the watch with it; nothing else was seen.
  };
  Kind kind = Kind::kLost;
  std::string path;
  bool operator==(const WatchEvent&) const = default;
};
[[nodiscard]] const char* to_string(WatchEvent::Kind kind) noexcept;

// --- What changes it -----------------------------------------------------------------------------

enum class CreateMode : std::uint8_t {
  kPersistent,
  kEphemeral,  ///< Goes when the session of its creator ends; has no children.
  /// The server puts ten digits behind the path: how many children the parent was ever given. So
  /// they go up in the order of creation, and no name comes twice under one parent.
  kPersistentSequential,
  kEphemeralSequential,
};
[[nodiscard]] constexpr bool is_ephemeral(CreateMode mode) {
  return mode == CreateMode::kEphemeral || mode == CreateMode::kEphemeralSequential;
}
[[nodiscard]] constexpr bool is_sequential(CreateMode mode) {
  return mode == CreateMode::kPersistentSequential || mode == CreateMode::kEphemeralSequential;
}

struct CreateNode {
  std::string path;
  std::string data{};
  CreateMode mode = CreateMode::kPersistent;
};
struct SetNode {
  std::string path;
  std::string data{};
  NodeVersion expected = kAnyVersion;
};
struct RemoveNode {
  std::string path;
  NodeVersion expected = kAnyVersion;
};
/// Changes nothing; fails when the node is not there or has another version.
struct CheckNode {
  std::string path;
  NodeVersion expected = kAnyVersion;
};
using NodeOperation = std::variant<CreateNode, SetNode, RemoveNode, CheckNode>;

struct OperationResult {
  std::string path;  ///< Of a created node, with its digits; else as asked.
  NodeStat stat;     ///< After a SetNode.
};
struct MultiError {
  DatastoreError error;
  std::optional<std::size_t> index;  ///< Which operation failed; nothing: the request as a whole.
};

// --- Limits --------------------------------------------------------------------------------------

/// What one client may ask for. More is refused before it is sent.
struct DatastoreLimits {
  /// A ZooKeeper server takes requests below 1 MB (jute.maxbuffer, 0xfffff bytes), and slows down
  /// long before: nodes are for what hosts agree on.
  std::size_t node_bytes_max = std::size_t{64} << 10;
  std::size_t path_bytes_max = 512;
  std::size_t request_bytes_max = 1'000'000;  ///< Paths and data of one request.
  std::size_t operation_count_max = 128;      ///< Of one multi.
  std::size_t request_count_max = 1024;       ///< Not answered yet.
  std::size_t watch_count_max = 16384;        ///< Armed, or asked for.
};

/// "/" or names with a "/" before each: not empty, not "." or "..", of UTF-8 without control
/// characters.
[[nodiscard]] bool is_node_path(std::string_view path) noexcept;
/// "/a" of "/a/b"; "/" of "/a". `path` is one of a node, not the root.
[[nodiscard]] std::string_view parent_of(std::string_view path) noexcept;
/// "b" of "/a/b".
[[nodiscard]] std::string_view name_of(std::string_view path) noexcept;
/// What is wrong with an operation before any server sees it: kBadPath or kTooLarge; or nothing.
[[nodiscard]] std::optional<DatastoreError> problem_of(const NodeOperation& operation,
                                                       const DatastoreLimits& limits) noexcept;
[[nodiscard]] std::size_t bytes_of(const NodeOperation& operation) noexcept;

// --- The datastore -------------------------------------------------------------------------------

/// Who a client is. Each node belongs to the credentials that made it: only they read and write
/// it, give it children and take them away. The root belongs to everyone, and nobody else does.
struct DatastoreCredentials {
  std::string user{};  ///< Without a colon. Empty: no credentials; creates nothing.
  std::string password{};
};

/// A tree of small versioned nodes on which the hosts of a cluster agree, as one client sees it:
/// ZooKeeper's semantics, so that it can be ZooKeeper.
///
/// Asynchronous, and for one thread. A request returns at once; its `done` is called exactly once,
/// later, in the implementation's own turn (ZookeeperDatastore::poll,
/// MemoryDatastoreServer::advance), as are watches and the listener. Nothing is ever called back
/// from inside a request, open() or close(); every callback may make requests, and may call open()
/// and close(), but must not destroy the datastore. Whoever destroys it is called back no more.
///
/// Order: what one client asks is done in the order asked, and answered so. All clients see all
/// changes in the same order, but a client may lag behind: after sync() a read shows what was
/// acknowledged before. A watch's event comes before any answer that shows the change.
///
/// Requests are for a connected session. At any other time they end with kConnectionLost
/// (kConnecting, kSuspended) or kSessionExpired; so does what was under way when the connection
/// went, with kConnectionLost.
///
/// Watches are one-shot: armed when their request succeeds (for exists(): also when there is no
/// node), called at the first change, then gone; to arm anew is the caller's matter. They outlive a
/// lost connection: what changed meanwhile is told on reconnection. At expiry each is called with
/// kLost.
class Datastore {
 public:
  template <class T>
  using Done = std::function<void(Result<T, DatastoreError>)>;
  using MultiDone = std::function<void(Result<std::vector<OperationResult>, MultiError>)>;
  using Watch = std::function<void(const WatchEvent&)>;
  using Listener = std::function<void(SessionState)>;

  virtual ~Datastore() = default;

  /// Opens a new session, whose changes of state `listener` is told: the first one, or after
  /// kExpired, kAuthenticationFailed or close() (checked). Nothing of an earlier session is taken
  /// over: create ephemeral nodes and arm watches anew. `listener` hears of kConnected and of all
  /// that follows, before the requests and watches that the change ends.
  /// @return Why there can be no session, in words: no such server name, ...
  [[nodiscard]] virtual Result<void, std::string> open(Listener listener) = 0;
  /// Ends the session; its ephemeral nodes go as soon as a server hears of it. Requests under way
  /// end with kConnectionLost, watches go without a word.
  virtual void close() = 0;
  /// As the listener was told last.
  [[nodiscard]] virtual SessionState state() const = 0;
  /// The number of the session, to compare with NodeStat::owner; 0 before kConnected.
  [[nodiscard]] virtual std::uint64_t session() const = 0;

  /// Creates a node. `done` gets its path, which for a sequential one has ten digits more.
  /// kNodeExists, kNoNode (its parent), kNoChildrenForEphemerals, kNotAuthorised.
  virtual void create(CreateNode node, Done<std::string> done) = 0;
  /// Replaces the data of a node that has the expected version: then it has the next one.
  /// kNoNode, kBadVersion, kNotAuthorised.
  virtual void set(SetNode node, Done<NodeStat> done) = 0;
  /// Removes a node without children that has the expected version.
  /// kNoNode, kBadVersion, kNotEmpty, kNotAuthorised (by the parent's credentials).
  virtual void remove(RemoveNode node, Done<void> done) = 0;
  /// Does all operations as one change, or none. In it, each sees what those before it did.
  /// `operations` has one at least (checked). The first that cannot be done is named with its
  /// error.
  virtual void multi(std::vector<NodeOperation> operations, MultiDone done) = 0;

  /// Reads a node; an empty `watch` watches nothing. The watch sees kDataChanged and kRemoved.
  /// kNoNode, kNotAuthorised.
  virtual void get(std::string path, Watch watch, Done<NodeContent> done) = 0;
  /// Looks whether a node is there: nothing if not. The watch sees kCreated, kDataChanged and
  /// kRemoved.
  virtual void exists(std::string path, Watch watch, Done<std::optional<NodeStat>> done) = 0;
  /// Lists the children of a node. The watch sees kChildrenChanged (a child came or went; not its
  /// data) and kRemoved (the node itself). kNoNode, kNotAuthorised. Linear in their number.
  virtual void children(std::string path, Watch watch, Done<NodeChildren> done) = 0;
  /// Answers when the server that this client reads from has all that was acknowledged before.
  virtual void sync(Done<void> done) = 0;
};

}  // namespace sluice

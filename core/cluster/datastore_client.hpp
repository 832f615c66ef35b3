#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/cluster/datastore.hpp"

namespace sluice {

/// A request on its way to a server.
struct DatastoreRequest {
  enum class Kind : std::uint8_t { kOperation, kMulti, kGet, kExists, kChildren, kSync };
  Kind kind = Kind::kSync;
  std::vector<NodeOperation> operations{};  ///< kOperation: one.
  std::string path{};                       ///< Of a read.
  bool watches = false;
};
/// And its answer, of which each kind of request uses a part.
struct DatastoreReply {
  std::optional<DatastoreError> error{};
  std::optional<std::size_t> failed_index{};
  std::vector<OperationResult> results{};
  bool found = true;  ///< kExists.
  std::string data{};
  std::vector<std::string> names{};
  NodeStat stat{};
};

/// Paths with armed watches, to arm them anew on another connection.
struct WatchedPaths {
  std::vector<std::string> data;
  std::vector<std::string> absent;  ///< Where there was no node.
  std::vector<std::string> children;
};

/// What every client of a datastore does, whatever carries its requests: refuses what must not be
/// sent, keeps what is not answered, arms watches, and calls back.
///
/// An implementation sends requests and says what comes back. All in one thread; on_...() and
/// call_refused() in the implementation's own turn only, for they call back.
class DatastoreClient : public Datastore {
 public:
  using RequestId = std::uint64_t;

  [[nodiscard]] Result<void, std::string> open(Listener listener) final;
  void close() final;
  [[nodiscard]] SessionState state() const final { return state_; }
  [[nodiscard]] std::uint64_t session() const final { return session_; }

  void create(CreateNode node, Done<std::string> done) final;
  void set(SetNode node, Done<NodeStat> done) final;
  void remove(RemoveNode node, Done<void> done) final;
  void multi(std::vector<NodeOperation> operations, MultiDone done) final;
  void get(std::string path, Watch watch, Done<NodeContent> done) final;
  void exists(std::string path, Watch watch, Done<std::optional<NodeStat>> done) final;
  void children(std::string path, Watch watch, Done<NodeChildren> done) final;
  void sync(Done<void> done) final;

 protected:
  explicit DatastoreClient(const DatastoreLimits& limits) : limits_(limits) {}

  /// Opens a session; later come on_session() with kConnected, or another end of it.
  [[nodiscard]] virtual Result<void, std::string> connect() = 0;
  /// Ends the session; nothing comes of it any more.
  virtual void disconnect() = 0;
  /// Passes a request on, in order; later comes on_reply() with this number.
  virtual void send(RequestId id, const DatastoreRequest& request) = 0;
  /// There is something for call_refused(): a turn has to come soon.
  virtual void wake() = 0;

  /// `session` with kConnected only.
  void on_session(SessionState state, std::uint64_t session = 0);
  /// An unknown number is a late answer to what has ended already, and nothing.
  void on_reply(RequestId id, DatastoreReply reply);
  void on_watch(WatchEvent::Kind kind, const std::string& path);
  /// Calls back the requests that were not sent.
  void call_refused();

  [[nodiscard]] WatchedPaths watched_paths() const;

 private:
  using Answer = std::function<void(DatastoreReply)>;
  enum class Watches : std::uint8_t { kData, kAbsence, kChildren };
  struct Pending {
    Answer answer;
    DatastoreRequest::Kind kind = DatastoreRequest::Kind::kSync;
    std::string path;
    Watch watch;
  };
  using WatchTable = std::map<std::string, std::vector<Watch>>;

  void submit(DatastoreRequest request, Watch watch, Answer answer);
  [[nodiscard]] DatastoreReply refusal(const DatastoreRequest& request) const;
  void refuse(Answer answer, DatastoreReply reply);
  /// Moves all that is under way to what call_refused() calls.
  void lose_pending();
  void arm(Pending& pending, const DatastoreReply& reply);
  void take(WatchTable& table, const std::string& path, std::vector<Watch>& all);
  WatchTable take_all_watches();

  struct Refused {
    Answer answer;
    DatastoreReply reply;
  };

  DatastoreLimits limits_;
  SessionState state_ = SessionState::kClosed;
  std::uint64_t session_ = 0;
  Listener listener_;
  RequestId next_id_ = 1;
  std::map<RequestId, Pending> pending_;
  std::vector<Refused> refused_;
  // Of nodes that are there, of nodes that are not, of children.
  WatchTable data_watches_, absence_watches_, children_watches_;
  std::size_t watch_count_ = 0;  ///< Armed, or under way.
};

}  // namespace sluice

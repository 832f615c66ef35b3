#include "core/cluster/datastore_client.hpp"

#include <utility>

#include "core/check.hpp"

namespace sluice {

using Kind = DatastoreRequest::Kind;

// --- Requests ------------------------------------------------------------------------------------

namespace {

DatastoreRequest one(NodeOperation operation) {
  DatastoreRequest request{.kind = Kind::kOperation};
  request.operations.push_back(std::move(operation));
  return request;
}

/// Calls `done` with the error of a reply, or with what `value` makes of it.
template <class Done, class Value>
auto answer_with(Done done, Value value) {
  SLUICE_CHECK(done);
  return [done = std::move(done), value](DatastoreReply reply) {
    if (reply.error) return done(unexpected(*reply.error));
    done(value(std::move(reply)));
  };
}

/// As answer_with(), for who wants to know only that it is done.
auto answer_done(Datastore::Done<void> done) {
  SLUICE_CHECK(done);
  return [done = std::move(done)](const DatastoreReply& reply) {
    if (reply.error) return done(unexpected(*reply.error));
    done({});
  };
}

}  // namespace

void DatastoreClient::create(CreateNode node, Done<std::string> done) {
  submit(one(std::move(node)), {}, answer_with(std::move(done), [](DatastoreReply reply) {
           return std::move(reply.results.front().path);
         }));
}

void DatastoreClient::set(SetNode node, Done<NodeStat> done) {
  submit(one(std::move(node)), {}, answer_with(std::move(done), [](const DatastoreReply& reply) {
           return reply.results.front().stat;
         }));
}

void DatastoreClient::remove(RemoveNode node, Done<void> done) {
  submit(one(std::move(node)), {}, answer_done(std::move(done)));
}

void DatastoreClient::multi(std::vector<NodeOperation> operations, MultiDone done) {
  SLUICE_CHECK(!operations.empty() && done);
  submit({.kind = Kind::kMulti, .operations = std::move(operations)}, {},
         [done = std::move(done)](DatastoreReply reply) {
           if (reply.error) return done(unexpected(MultiError{*reply.error, reply.failed_index}));
           done(std::move(reply.results));
         });
}

void DatastoreClient::get(std::string path, Watch watch, Done<NodeContent> done) {
  submit({.kind = Kind::kGet, .path = std::move(path)}, std::move(watch),
         answer_with(std::move(done), [](DatastoreReply reply) {
           return NodeContent{std::move(reply.data), reply.stat};
         }));
}

void DatastoreClient::exists(std::string path, Watch watch, Done<std::optional<NodeStat>> done) {
  submit({.kind = Kind::kExists, .path = std::move(path)}, std::move(watch),
         answer_with(std::move(done), [](const DatastoreReply& reply) {
           return reply.found ? std::optional{reply.stat} : std::nullopt;
         }));
}

void DatastoreClient::children(std::string path, Watch watch, Done<NodeChildren> done) {
  submit({.kind = Kind::kChildren, .path = std::move(path)}, std::move(watch),
         answer_with(std::move(done), [](DatastoreReply reply) {
           return NodeChildren{std::move(reply.names), reply.stat};
         }));
}

void DatastoreClient::sync(Done<void> done) {
  submit({.kind = Kind::kSync}, {}, answer_done(std::move(done)));
}

DatastoreReply DatastoreClient::refusal(const DatastoreRequest& request) const {
  const auto whole = [](DatastoreError error) { return DatastoreReply{.error = error}; };
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < request.operations.size(); ++i) {
    bytes += bytes_of(request.operations[i]);
    if (const auto problem = problem_of(request.operations[i], limits_)) {
      return {.error = problem, .failed_index = i};
    }
  }
  if (request.operations.empty() && request.kind != Kind::kSync) {
    if (request.path.size() > limits_.path_bytes_max) return whole(DatastoreError::kTooLarge);
    if (!is_node_path(request.path)) return whole(DatastoreError::kBadPath);
  }
  if (bytes > limits_.request_bytes_max ||
      request.operations.size() > limits_.operation_count_max) {
    return whole(DatastoreError::kTooLarge);
  }
  const std::size_t open_count = pending_.size() + refused_.size();
  if (open_count >= limits_.request_count_max ||
      (request.watches && watch_count_ >= limits_.watch_count_max)) {
    return whole(DatastoreError::kTooMany);
  }
  if (state_ == SessionState::kConnecting || state_ == SessionState::kSuspended) {
    return whole(DatastoreError::kConnectionLost);
  }
  if (state_ != SessionState::kConnected) return whole(DatastoreError::kSessionExpired);
  return {};
}

void DatastoreClient::submit(DatastoreRequest request, Watch watch, Answer answer) {
  request.watches = static_cast<bool>(watch);
  DatastoreReply reply = refusal(request);
  if (reply.error) return refuse(std::move(answer), std::move(reply));
  if (watch) ++watch_count_;
  const RequestId id = next_id_++;
  pending_.emplace(id, Pending{std::move(answer), request.kind, request.path, std::move(watch)});
  send(id, request);
}

void DatastoreClient::refuse(Answer answer, DatastoreReply reply) {
  if (refused_.empty()) wake();
  refused_.push_back({std::move(answer), std::move(reply)});
}

void DatastoreClient::call_refused() {
  // What they ask in turn waits for the next turn, so that a turn ends.
  const auto refused = std::exchange(refused_, {});
  for (const Refused& each : refused) each.answer(each.reply);
}

void DatastoreClient::lose_pending() {
  for (auto& [id, each] : std::exchange(pending_, {})) {
    if (each.watch) --watch_count_;
    refuse(std::move(each.answer), {.error = DatastoreError::kConnectionLost});
  }
}

void DatastoreClient::on_reply(RequestId id, DatastoreReply reply) {
  auto found = pending_.extract(id);
  if (!found) return;
  Pending& pending = found.mapped();
  if (pending.watch) arm(pending, reply);
  pending.answer(std::move(reply));
}

// --- Sessions ------------------------------------------------------------------------------------

Result<void, std::string> DatastoreClient::open(Listener listener) {
  SLUICE_CHECK(listener);
  SLUICE_CHECK(state_ == SessionState::kClosed || state_ == SessionState::kExpired ||
               state_ == SessionState::kAuthenticationFailed);
  if (state_ != SessionState::kClosed) disconnect();
  state_ = SessionState::kClosed;
  session_ = 0;
  auto result = connect();
  if (!result) return result;
  listener_ = std::move(listener);
  state_ = SessionState::kConnecting;
  return {};
}

void DatastoreClient::close() {
  if (state_ == SessionState::kClosed) return;
  disconnect();
  state_ = SessionState::kClosed;
  session_ = 0;
  lose_pending();
  take_all_watches();
}

void DatastoreClient::on_session(SessionState state, std::uint64_t session) {
  SLUICE_CHECK(state != SessionState::kClosed && state != SessionState::kConnecting);
  if (state == SessionState::kSuspended && state_ == SessionState::kConnecting) return;
  if (state == state_) return;
  state_ = state;
  if (state == SessionState::kConnected) session_ = session;
  WatchTable lost_watches;
  if (state != SessionState::kConnected) lose_pending();
  if (state == SessionState::kExpired || state == SessionState::kAuthenticationFailed) {
    lost_watches = take_all_watches();
  }
  const Listener listener = listener_;  // It may open another session, with another one.
  listener(state);
  for (const auto& [path, watches] : lost_watches) {
    for (const Watch& watch : watches) watch({WatchEvent::Kind::kLost, path});
  }
}

// --- Watches -------------------------------------------------------------------------------------

void DatastoreClient::arm(Pending& pending, const DatastoreReply& reply) {
  if (reply.error) {
    --watch_count_;
    return;
  }
  WatchTable& table = pending.kind == Kind::kChildren ? children_watches_
                      : reply.found                   ? data_watches_
                                                      : absence_watches_;
  table[pending.path].push_back(std::move(pending.watch));
}

void DatastoreClient::take(WatchTable& table, const std::string& path, std::vector<Watch>& all) {
  auto found = table.extract(path);
  if (!found) return;
  watch_count_ -= found.mapped().size();
  for (Watch& watch : found.mapped()) all.push_back(std::move(watch));
}

void DatastoreClient::on_watch(WatchEvent::Kind kind, const std::string& path) {
  std::vector<Watch> watches;
  if (kind != WatchEvent::Kind::kChildrenChanged) {
    take(data_watches_, path, watches);
    take(absence_watches_, path, watches);
  }
  if (kind == WatchEvent::Kind::kChildrenChanged || kind == WatchEvent::Kind::kRemoved) {
    take(children_watches_, path, watches);
  }
  for (const Watch& watch : watches) watch({kind, path});
}

DatastoreClient::WatchTable DatastoreClient::take_all_watches() {
  WatchTable all = std::exchange(data_watches_, {});
  for (WatchTable* table : {&absence_watches_, &children_watches_}) {
    for (auto& [path, watches] : std::exchange(*table, {})) {
      for (Watch& watch : watches) all[path].push_back(std::move(watch));
    }
  }
  for (const auto& [path, watches] : all) watch_count_ -= watches.size();
  return all;
}

WatchedPaths DatastoreClient::watched_paths() const {
  WatchedPaths paths;
  for (const auto& [path, watches] : data_watches_) paths.data.push_back(path);
  for (const auto& [path, watches] : absence_watches_) paths.absent.push_back(path);
  for (const auto& [path, watches] : children_watches_) paths.children.push_back(path);
  return paths;
}

}  // namespace sluice

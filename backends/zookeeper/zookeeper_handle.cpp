#include "backends/zookeeper/zookeeper_handle.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/check.hpp"

namespace sluice {

namespace {

constexpr std::size_t kSequenceDigits = 10;

std::optional<DatastoreError> error_of(int code) {
  switch (code) {
    case ZOK:
      return std::nullopt;
    case ZNONODE:
      return DatastoreError::kNoNode;
    case ZNODEEXISTS:
      return DatastoreError::kNodeExists;
    case ZBADVERSION:
      return DatastoreError::kBadVersion;
    case ZNOTEMPTY:
      return DatastoreError::kNotEmpty;
    case ZNOCHILDRENFOREPHEMERALS:
      return DatastoreError::kNoChildrenForEphemerals;
    case ZSESSIONEXPIRED:
    case ZINVALIDSTATE:  // Not taken by the C client: its session has ended.
      return DatastoreError::kSessionExpired;
    case ZNOAUTH:
    case ZINVALIDACL:  // Its creator has no credentials to belong to.
      return DatastoreError::kNotAuthorised;
    case ZTHROTTLEDOP:
      return DatastoreError::kTooMany;
    case ZBADARGUMENTS:
      return DatastoreError::kBadPath;
    default:  // Whatever else goes wrong: nobody can tell what was done.
      return DatastoreError::kConnectionLost;
  }
}

NodeStat stat_of(const Stat& stat) {
  return {.created_at = static_cast<std::uint64_t>(stat.czxid),
          .modified_at = static_cast<std::uint64_t>(stat.mzxid),
          .children_changed_at = static_cast<std::uint64_t>(stat.pzxid),
          .version = stat.version,
          .owner = static_cast<std::uint64_t>(stat.ephemeralOwner),
          .child_count = static_cast<std::uint32_t>(stat.numChildren)};
}

int mode_of(CreateMode mode) {
  switch (mode) {
    case CreateMode::kPersistent:
      return ZOO_PERSISTENT;
    case CreateMode::kEphemeral:
      return ZOO_EPHEMERAL;
    case CreateMode::kPersistentSequential:
      return ZOO_PERSISTENT_SEQUENTIAL;
    case CreateMode::kEphemeralSequential:
      return ZOO_EPHEMERAL_SEQUENTIAL;
  }
  return ZOO_PERSISTENT;
}

SessionState state_of(int state) {
  if (state == ZOO_CONNECTED_STATE) return SessionState::kConnected;
  if (state == ZOO_EXPIRED_SESSION_STATE) return SessionState::kExpired;
  if (state == ZOO_AUTH_FAILED_STATE) return SessionState::kAuthenticationFailed;
  return SessionState::kSuspended;
}

std::optional<WatchEvent::Kind> event_of(int type) {
  if (type == ZOO_CREATED_EVENT) return WatchEvent::Kind::kCreated;
  if (type == ZOO_DELETED_EVENT) return WatchEvent::Kind::kRemoved;
  if (type == ZOO_CHANGED_EVENT) return WatchEvent::Kind::kDataChanged;
  if (type == ZOO_CHILD_EVENT) return WatchEvent::Kind::kChildrenChanged;
  return std::nullopt;
}

int size_of(const std::string& data) {
  return static_cast<int>(data.size());
}

}  // namespace

// --- What the C client calls, in a thread of its own ---------------------------------------------

struct ZookeeperHandle::Callbacks {
  static void on_event(zhandle_t* handle, int type, int state, const char* path, void* context) {
    auto& inbox = *static_cast<ZookeeperInbox*>(context);
    if (type == ZOO_SESSION_EVENT) {
      ZookeeperMessage::Session session{.state = state_of(state)};
      if (session.state == SessionState::kConnected) {
        session.session = static_cast<std::uint64_t>(zoo_client_id(handle)->client_id);
      }
      inbox.push({session});
    } else if (const auto kind = event_of(type); kind && path) {
      inbox.push({WatchEvent{*kind, path}});
    }
  }

  static const Ticket& ticket_of(const void* data) { return *static_cast<const Ticket*>(data); }
  static void push(const void* data, DatastoreReply reply) {
    const Ticket& ticket = ticket_of(data);
    ticket.inbox->push({ZookeeperMessage::Reply{ticket.id, std::move(reply)}});
  }

  static void on_path(int code, const char* path, const void* data) {
    DatastoreReply reply{.error = error_of(code)};
    if (!reply.error) reply.results.push_back({path ? path : "", {}});
    push(data, std::move(reply));
  }
  static void on_stat(int code, const Stat* stat, const void* data) {
    DatastoreReply reply{.error = error_of(code)};
    if (ticket_of(data).kind == DatastoreRequest::Kind::kExists && code == ZNONODE) {
      reply.error.reset();
      reply.found = false;
    }
    if (stat && !reply.error && reply.found) {
      reply.stat = stat_of(*stat);
      reply.results.push_back({"", reply.stat});
    }
    push(data, std::move(reply));
  }
  static void on_done(int code, const void* data) {
    DatastoreReply reply{.error = error_of(code)};
    if (!reply.error) reply.results.emplace_back();
    push(data, std::move(reply));
  }
  static void on_synced(int code, const char*, const void* data) { on_done(code, data); }
  static void on_data(int code, const char* bytes, int size, const Stat* stat, const void* data) {
    DatastoreReply reply{.error = error_of(code)};
    if (!reply.error && stat) {
      if (bytes && size > 0) reply.data.assign(bytes, static_cast<std::size_t>(size));
      reply.stat = stat_of(*stat);
    }
    push(data, std::move(reply));
  }
  static void on_names(int code, const String_vector* names, const Stat* stat, const void* data) {
    DatastoreReply reply{.error = error_of(code)};
    if (!reply.error && names && stat) {
      reply.names.assign(names->data, names->data + names->count);
      std::ranges::sort(reply.names);  // The server's order is that of a hash.
      reply.stat = stat_of(*stat);
    }
    push(data, std::move(reply));
  }
  static void on_multi(int code, const void* data) {
    const Ticket& ticket = ticket_of(data);
    DatastoreReply reply{.error = error_of(code)};
    for (std::size_t i = 0; i < ticket.results.size(); ++i) {
      const zoo_op_result_t& result = ticket.results[i];
      // Those before the one that failed say that they would have been done, those behind it that
      // they were not tried.
      const bool failed = result.err != ZOK && result.err != ZRUNTIMEINCONSISTENCY;
      if (reply.error && failed && reply.error != DatastoreError::kConnectionLost) {
        reply.error = error_of(result.err);
        reply.failed_index = i;
        break;
      }
      const bool made = ticket.made_paths[i].front() != '\0';
      reply.results.push_back(
          {made ? ticket.made_paths[i].data() : ticket.paths[i], stat_of(ticket.stats[i])});
    }
    push(data, std::move(reply));
  }
};

// --- A session -----------------------------------------------------------------------------------

Result<std::unique_ptr<ZookeeperHandle>, std::string> ZookeeperHandle::open(const Options& options,
                                                                            ZookeeperInbox& inbox) {
  zoo_set_debug_level(static_cast<ZooLogLevel>(0));  // It would write to stderr.
  std::unique_ptr<ZookeeperHandle> result{new ZookeeperHandle(inbox)};
  result->handle_ = zookeeper_init(options.servers.c_str(), &Callbacks::on_event,
                                   options.session_timeout_ms, nullptr, &inbox, 0);
  if (!result->handle_) {
    const int error = errno;
    return unexpected("no datastore server in " + options.servers + ": " +
                      (error == 0 ? "not found" : std::strerror(error)));
  }
  // Names are looked up when a connection is sought, not all the time in between.
  zoo_set_servers_resolution_delay(result->handle_, -1);
  if (!options.credentials.empty()) {
    const int code = zoo_add_auth(result->handle_, "digest", options.credentials.data(),
                                  size_of(options.credentials), nullptr, nullptr);
    if (code != ZOK) return unexpected(std::string{"credentials not taken: "} + zerror(code));
  }
  return result;
}

ZookeeperHandle::~ZookeeperHandle() {
  if (handle_) zookeeper_close(handle_);
}

void ZookeeperHandle::send(std::uint64_t id, const DatastoreRequest& request) {
  using Kind = DatastoreRequest::Kind;
  auto& ticket = tickets_[id];
  ticket = std::make_unique<Ticket>(Ticket{.inbox = &inbox_, .id = id, .kind = request.kind});
  const int code = request.kind == Kind::kOperation ? send_one(*ticket, request.operations.front())
                   : request.kind == Kind::kMulti   ? send_multi(*ticket, request.operations)
                                                    : send_read(*ticket, request);
  // Then nothing was sent, and no callback comes.
  if (code != ZOK) inbox_.push({ZookeeperMessage::Reply{id, {.error = error_of(code)}}});
}

int ZookeeperHandle::send_one(Ticket& ticket, const NodeOperation& operation) {
  if (const auto* create = std::get_if<CreateNode>(&operation)) {
    return zoo_acreate(handle_, create->path.c_str(), create->data.data(), size_of(create->data),
                       &ZOO_CREATOR_ALL_ACL, mode_of(create->mode), &Callbacks::on_path, &ticket);
  }
  if (const auto* set = std::get_if<SetNode>(&operation)) {
    return zoo_aset(handle_, set->path.c_str(), set->data.data(), size_of(set->data), set->expected,
                    &Callbacks::on_stat, &ticket);
  }
  const auto* remove = std::get_if<RemoveNode>(&operation);
  SLUICE_CHECK(remove);  // A check goes in a multi only.
  return zoo_adelete(handle_, remove->path.c_str(), remove->expected, &Callbacks::on_done, &ticket);
}

int ZookeeperHandle::send_multi(Ticket& ticket, const std::vector<NodeOperation>& operations) {
  const std::size_t count = operations.size();
  std::vector<zoo_op_t> ops(count);
  ticket.results.resize(count);
  ticket.stats.resize(count);
  ticket.made_paths.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string& path =
        std::visit([](const auto& each) -> const std::string& { return each.path; }, operations[i]);
    ticket.paths.push_back(path);
    ticket.made_paths[i].resize(path.size() + kSequenceDigits + 1);
    const int path_size = static_cast<int>(ticket.made_paths[i].size());
    if (const auto* create = std::get_if<CreateNode>(&operations[i])) {
      zoo_create_op_init(&ops[i], path.c_str(), create->data.data(), size_of(create->data),
                         &ZOO_CREATOR_ALL_ACL, mode_of(create->mode), ticket.made_paths[i].data(),
                         path_size);
    } else if (const auto* set = std::get_if<SetNode>(&operations[i])) {
      zoo_set_op_init(&ops[i], path.c_str(), set->data.data(), size_of(set->data), set->expected,
                      &ticket.stats[i]);
    } else if (const auto* remove = std::get_if<RemoveNode>(&operations[i])) {
      zoo_delete_op_init(&ops[i], path.c_str(), remove->expected);
    } else {
      zoo_check_op_init(&ops[i], path.c_str(), std::get<CheckNode>(operations[i]).expected);
    }
  }
  return zoo_amulti(handle_, static_cast<int>(count), ops.data(), ticket.results.data(),
                    &Callbacks::on_multi, &ticket);
}

int ZookeeperHandle::send_read(Ticket& ticket, const DatastoreRequest& request) {
  const char* path = request.path.c_str();
  const int watches = request.watches ? 1 : 0;
  switch (request.kind) {
    case DatastoreRequest::Kind::kGet:
      return zoo_aget(handle_, path, watches, &Callbacks::on_data, &ticket);
    case DatastoreRequest::Kind::kExists:
      return zoo_aexists(handle_, path, watches, &Callbacks::on_stat, &ticket);
    case DatastoreRequest::Kind::kChildren:
      return zoo_aget_children2(handle_, path, watches, &Callbacks::on_names, &ticket);
    default:
      return zoo_async(handle_, "/", &Callbacks::on_synced, &ticket);
  }
}

}  // namespace sluice

#include <algorithm>

#include "core/check.hpp"
#include "core/cluster/memory_datastore.hpp"
#include "core/cluster/memory_datastore_server.hpp"

// What a server does with what arrives from its clients.
namespace sluice {

using Kind = WatchEvent::Kind;

// --- Connections ---------------------------------------------------------------------------------

void MemoryDatastoreServer::connect(ClientId client, Epoch epoch, const Connect& message) {
  const DatastoreCredentials& credentials = message.credentials;
  const auto refuse = [&](SessionState end) {
    to_client(client, [epoch, end](MemoryDatastore& to) { to.refused(epoch, end); });
  };
  if (!running_) return break_connection(client, epoch);
  if (refused_users_.contains(credentials.user)) {
    return refuse(SessionState::kAuthenticationFailed);
  }
  SessionId id = message.session;
  if (id == 0) {
    if (sessions_.size() >= options_.session_count_max) return break_connection(client, epoch);
    id = ++session_count_;
    sessions_[id] = {.timeout = message.timeout, .last_heard = now_};
    watch_over(id, sessions_[id]);
  }
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return refuse(SessionState::kExpired);
  Session& session = found->second;
  drop_connection(id, session, false);
  session.client = client;
  session.epoch = epoch;
  session.last_heard = now_;
  session.identity = credentials.user.empty() ? "" : credentials.user + ":" + credentials.password;
  to_client(client, [epoch, id](MemoryDatastore& to) { to.connected(epoch, id); });
  watch_again(id, message);
}

void MemoryDatastoreServer::break_connection(ClientId client, Epoch epoch) {
  to_client(client, [epoch](MemoryDatastore& to) { to.broken(epoch); });
}

void MemoryDatastoreServer::drop_connection(SessionId id, Session& session, bool tell) {
  if (session.epoch == 0) return;
  if (tell) break_connection(session.client, session.epoch);
  session.epoch = 0;
  for (WatchTable* table : {&data_watches_, &children_watches_}) {
    for (auto entry = table->begin(); entry != table->end();) {
      entry->second.erase(id);
      entry = entry->second.empty() ? table->erase(entry) : std::next(entry);
    }
  }
}

MemoryDatastoreServer::Session* MemoryDatastoreServer::session_of(ClientId client, Epoch epoch,
                                                                  SessionId id) {
  const auto found = sessions_.find(id);
  if (running_ && found != sessions_.end() && found->second.client == client &&
      found->second.epoch == epoch) {
    found->second.last_heard = now_;
    return &found->second;
  }
  break_connection(client, epoch);
  return nullptr;
}

// --- Sessions ------------------------------------------------------------------------------------

void MemoryDatastoreServer::watch_over(SessionId id, Session& session) {
  session.timer = schedule(session.last_heard + session.timeout, [this, id] {
    Session& due = sessions_.at(id);
    if (due.last_heard + due.timeout > now_) return watch_over(id, due);
    end_session(id);
  });
}

void MemoryDatastoreServer::end_session(SessionId id) {
  const auto found = sessions_.find(id);
  drop_connection(id, found->second, true);
  events_.erase(found->second.timer);
  sessions_.erase(found);
  std::vector<NodeTree::Change> changes;
  tree_.end_session(id, changes);
  fire(changes);
}

void MemoryDatastoreServer::ping(ClientId client, Epoch epoch, SessionId id) {
  if (!session_of(client, epoch, id)) return;
  to_client(client, [epoch](MemoryDatastore& to) { to.ponged(epoch); });
}

void MemoryDatastoreServer::goodbye(SessionId id) {
  if (running_ && sessions_.contains(id)) end_session(id);
}

// --- Requests and watches ------------------------------------------------------------------------

void MemoryDatastoreServer::request(ClientId client, Epoch epoch, SessionId session_id,
                                    std::uint64_t id, const DatastoreRequest& message) {
  Session* session = session_of(client, epoch, session_id);
  if (!session) return;
  Wire& wire = this->wire(client);
  if (std::exchange(wire.lose_request, false)) return drop_connection(session_id, *session, true);
  const NodeTree::Caller caller{session_id, session->identity};
  std::vector<NodeTree::Change> changes;
  const DatastoreReply reply = message.operations.empty()
                                   ? tree_.read(message, caller)
                                   : tree_.apply(message.operations, caller, changes);
  if (message.watches && !reply.error) {
    const bool of_children = message.kind == DatastoreRequest::Kind::kChildren;
    (of_children ? children_watches_ : data_watches_)[message.path].insert(session_id);
  }
  fire(changes);
  if (std::exchange(wire.lose_reply, false)) return drop_connection(session_id, *session, true);
  to_client(client, [epoch, id, reply, last = tree_.last_change()](MemoryDatastore& to) {
    to.replied(epoch, id, reply, last);
  });
}

void MemoryDatastoreServer::fire(const std::vector<NodeTree::Change>& changes) {
  for (const NodeTree::Change& change : changes) {
    std::set<SessionId> watchers;
    const auto take = [&](WatchTable& table) {
      if (auto found = table.extract(change.path)) watchers.merge(found.mapped());
    };
    if (change.kind != Kind::kChildrenChanged) take(data_watches_);
    if (change.kind == Kind::kChildrenChanged || change.kind == Kind::kRemoved) {
      take(children_watches_);
    }
    for (const SessionId id : watchers) notify(id, change);
  }
}

void MemoryDatastoreServer::notify(SessionId id, const NodeTree::Change& change) {
  const Session& session = sessions_.at(id);
  to_client(session.client, [epoch = session.epoch, change, last = tree_.last_change()](
                                MemoryDatastore& to) { to.changed(epoch, change, last); });
}

/// Arms the watches of a client that comes back, or tells what they have missed.
void MemoryDatastoreServer::watch_again(SessionId id, const Connect& message) {
  const auto node_at = [this](const std::string& path) -> const NodeTree::Node* {
    const auto found = tree_.nodes().find(path);
    return found == tree_.nodes().end() ? nullptr : &found->second;
  };
  for (const std::string& path : message.watches.data) {
    const NodeTree::Node* node = node_at(path);
    if (node && node->stat.modified_at <= message.last_change) {
      data_watches_[path].insert(id);
    } else {
      notify(id, {node ? Kind::kDataChanged : Kind::kRemoved, path});
    }
  }
  for (const std::string& path : message.watches.absent) {
    if (node_at(path)) {
      notify(id, {Kind::kCreated, path});
    } else {
      data_watches_[path].insert(id);
    }
  }
  for (const std::string& path : message.watches.children) {
    const NodeTree::Node* node = node_at(path);
    if (node && node->stat.children_changed_at <= message.last_change) {
      children_watches_[path].insert(id);
    } else {
      notify(id, {node ? Kind::kChildrenChanged : Kind::kRemoved, path});
    }
  }
}

}  // namespace sluice

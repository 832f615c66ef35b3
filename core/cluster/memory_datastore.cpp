#include "core/cluster/memory_datastore.hpp"

#include <algorithm>

#include "core/check.hpp"

namespace sluice {

// As ZooKeeper's client: a ping after a third of the timeout without a word from us, and a server
// is gone that was silent for two thirds.
MemoryDatastore::MemoryDatastore(MemoryDatastoreServer& server, const Options& options)
    : DatastoreClient(options.limits),
      server_(server),
      options_(options),
      id_(server.attach(*this)) {
  SLUICE_CHECK(options.session_timeout >= Duration{3});
}

MemoryDatastore::~MemoryDatastore() {
  server_.detach(id_);
}

Instant MemoryDatastore::now() const {
  return server_.now_;
}

void MemoryDatastore::set_timer(Instant due) {
  server_.set_client_timer(id_, due);
}

Result<void, std::string> MemoryDatastore::connect() {
  known_session_ = 0;
  last_change_ = 0;
  attempt();
  return {};
}

void MemoryDatastore::disconnect() {
  if (phase_ == Phase::kUp) {
    server_.to_server(id_,
                      [&server = server_, session = known_session_] { server.goodbye(session); });
  }
  phase_ = Phase::kOff;
  ++epoch_;
}

void MemoryDatastore::send(RequestId id, const DatastoreRequest& request) {
  last_sent_ = now();
  server_.to_server(id_, [&server = server_, client = id_, epoch = epoch_, session = known_session_,
                          id, request] { server.request(client, epoch, session, id, request); });
}

void MemoryDatastore::wake() {
  server_.call_soon(id_, [](MemoryDatastore& client) { client.call_refused(); });
}

void MemoryDatastore::attempt() {
  phase_ = Phase::kAttempting;
  phase_ends_ = now() + options_.session_timeout / 3;
  ++epoch_;
  MemoryDatastoreServer::Connect message{.session = known_session_,
                                         .credentials = options_.credentials,
                                         .timeout = options_.session_timeout,
                                         .watches = watched_paths(),
                                         .last_change = last_change_};
  server_.to_server(
      id_, [&server = server_, client = id_, epoch = epoch_, message = std::move(message)] {
        server.connect(client, epoch, message);
      });
  set_timer(phase_ends_);
}

void MemoryDatastore::retry() {
  phase_ = Phase::kWaiting;
  phase_ends_ = now() + server_.options_.reconnect_interval;
  ++epoch_;
  set_timer(phase_ends_);
  on_session(SessionState::kSuspended);
}

void MemoryDatastore::on_timer() {
  switch (phase_) {
    case Phase::kOff:
      return;
    case Phase::kAttempting:
    case Phase::kWaiting:
      if (now() < phase_ends_) return set_timer(phase_ends_);
      return attempt();
    case Phase::kUp:
      break;
  }
  const Instant silent_at = last_heard_ + options_.session_timeout / 3 * 2;
  if (now() >= silent_at) return retry();
  if (now() >= last_sent_ + options_.session_timeout / 3) {
    last_sent_ = now();
    server_.to_server(id_, [&server = server_, client = id_, epoch = epoch_,
                            session = known_session_] { server.ping(client, epoch, session); });
  }
  set_timer(std::min(silent_at, last_sent_ + options_.session_timeout / 3));
}

void MemoryDatastore::heard(std::uint64_t last_change) {
  last_heard_ = now();
  last_change_ = std::max(last_change_, last_change);
}

void MemoryDatastore::connected(Epoch epoch, std::uint64_t session) {
  if (epoch != epoch_) return;
  phase_ = Phase::kUp;
  known_session_ = session;
  last_heard_ = last_sent_ = now();
  set_timer(now() + options_.session_timeout / 3);
  on_session(SessionState::kConnected, session);
}

void MemoryDatastore::refused(Epoch epoch, SessionState end) {
  if (epoch != epoch_) return;
  phase_ = Phase::kOff;
  on_session(end);
}

void MemoryDatastore::broken(Epoch epoch) {
  if (epoch == epoch_) retry();
}

void MemoryDatastore::ponged(Epoch epoch) {
  if (epoch == epoch_) heard(last_change_);
}

void MemoryDatastore::replied(Epoch epoch, RequestId id, const DatastoreReply& reply,
                              std::uint64_t last_change) {
  if (epoch != epoch_) return;
  heard(last_change);
  on_reply(id, reply);
}

void MemoryDatastore::changed(Epoch epoch, const NodeTree::Change& change,
                              std::uint64_t last_change) {
  if (epoch != epoch_) return;
  heard(last_change);
  on_watch(change.kind, change.path);
}

}  // namespace sluice

#include "core/cluster/memory_datastore_server.hpp"

#include <algorithm>

#include "core/check.hpp"
#include "core/cluster/memory_datastore.hpp"

namespace sluice {

MemoryDatastoreServer::MemoryDatastoreServer(const Options& options)
    : options_(options), tree_({.node_count_max = options.node_count_max}) {
  SLUICE_CHECK(options.reconnect_interval > Duration::zero());
}

// --- Time and wires ------------------------------------------------------------------------------

void MemoryDatastoreServer::advance(Instant now) {
  SLUICE_CHECK(!advancing_ && now >= now_);
  advancing_ = true;
  while (!events_.empty() && events_.begin()->first.first <= now) {
    const auto event = events_.extract(events_.begin());
    now_ = std::max(now_, event.key().first);
    event.mapped()();
  }
  now_ = now;
  advancing_ = false;
}

std::optional<Instant> MemoryDatastoreServer::next_event() const {
  if (events_.empty()) return std::nullopt;
  return events_.begin()->first.first;
}

MemoryDatastoreServer::EventKey MemoryDatastoreServer::schedule(Instant due, Event event) {
  const EventKey key{std::max(due, now_), event_count_++};
  events_.emplace(key, std::move(event));
  return key;
}

MemoryDatastoreServer::ClientId MemoryDatastoreServer::attach(MemoryDatastore& client) {
  const ClientId id{client_count_++};
  wires_[id].client = &client;
  return id;
}

void MemoryDatastoreServer::detach(ClientId client) {
  Wire& wire = this->wire(client);
  wire.client = nullptr;
  wire.held_replies.clear();
  if (wire.timer) events_.erase(*std::exchange(wire.timer, std::nullopt));
}

MemoryDatastoreServer::Wire& MemoryDatastoreServer::wire(ClientId client) {
  const auto found = wires_.find(client);
  SLUICE_CHECK(found != wires_.end());
  return found->second;
}

const MemoryDatastoreServer::Wire& MemoryDatastoreServer::wire(ClientId client) const {
  const auto found = wires_.find(client);
  SLUICE_CHECK(found != wires_.end());
  return found->second;
}

bool MemoryDatastoreServer::holds_requests(const Wire& wire) {
  return wire.link.requests_held;
}

bool MemoryDatastoreServer::holds_replies(const Wire& wire) {
  return wire.link.replies_held || wire.link.paused;
}

void MemoryDatastoreServer::to_server(ClientId client, Event arrival) {
  Wire& wire = this->wire(client);
  wire.last_request_due = std::max(now_ + wire.link.request_delay, wire.last_request_due);
  schedule(wire.last_request_due, [&wire, arrival = std::move(arrival)]() mutable {
    // Behind what waits, also when it is about to be released: the order is kept.
    if (!holds_requests(wire) && wire.held_requests.empty()) return arrival();
    wire.held_requests.push_back(std::move(arrival));
  });
}

void MemoryDatastoreServer::to_client(ClientId client, ClientCall arrival) {
  Wire& wire = this->wire(client);
  wire.last_reply_due = std::max(now_ + wire.link.reply_delay, wire.last_reply_due);
  schedule(wire.last_reply_due, [&wire, arrival = std::move(arrival)]() mutable {
    if (wire.client == nullptr) return;
    if (!holds_replies(wire) && wire.held_replies.empty()) return arrival(*wire.client);
    wire.held_replies.push_back([&wire, arrival = std::move(arrival)] { arrival(*wire.client); });
  });
}

void MemoryDatastoreServer::call_soon(ClientId client, ClientCall call) {
  Wire& wire = this->wire(client);
  schedule(now_, [&wire, call = std::move(call)]() mutable {
    if (wire.client == nullptr) return;
    if (!wire.link.paused) return call(*wire.client);
    wire.held_replies.push_back([&wire, call = std::move(call)] { call(*wire.client); });
  });
}

void MemoryDatastoreServer::set_client_timer(ClientId client, Instant due) {
  Wire& wire = this->wire(client);
  if (wire.timer) events_.erase(*wire.timer);
  wire.timer = schedule(due, [&wire] {
    wire.timer.reset();
    wire.timer_missed = wire.link.paused;
    if (!wire.timer_missed) wire.client->on_timer();
  });
}

// --- Faults --------------------------------------------------------------------------------------

void MemoryDatastoreServer::set_link(ClientId client, const Link& link) {
  Wire& wire = this->wire(client);
  wire.link = link;
  schedule(now_, [&wire] {
    while (!holds_requests(wire) && !wire.held_requests.empty()) {
      const Event event = std::move(wire.held_requests.front());
      wire.held_requests.pop_front();
      event();
    }
  });
  schedule(now_, [&wire] {
    while (!holds_replies(wire) && !wire.held_replies.empty()) {
      const Event event = std::move(wire.held_replies.front());
      wire.held_replies.pop_front();
      event();
    }
  });
  if (wire.timer_missed && !link.paused) {
    wire.timer_missed = false;
    set_client_timer(client, now_);
  }
}

const MemoryDatastoreServer::Link& MemoryDatastoreServer::link(ClientId client) const {
  return wire(client).link;
}

void MemoryDatastoreServer::lose_next_request(ClientId client) {
  wire(client).lose_request = true;
}

void MemoryDatastoreServer::lose_next_reply(ClientId client) {
  wire(client).lose_reply = true;
}

void MemoryDatastoreServer::expire(std::uint64_t session) {
  if (sessions_.contains(session)) end_session(session);
}

void MemoryDatastoreServer::refuse_user(const std::string& user) {
  refused_users_.insert(user);
}

void MemoryDatastoreServer::stop() {
  if (!std::exchange(running_, false)) return;
  for (auto& [id, session] : sessions_) {
    drop_connection(id, session, true);
    events_.erase(session.timer);
  }
}

void MemoryDatastoreServer::start() {
  if (std::exchange(running_, true)) return;
  for (auto& [id, session] : sessions_) {
    session.last_heard = now_;
    watch_over(id, session);
  }
}

std::vector<std::uint64_t> MemoryDatastoreServer::sessions() const {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, session] : sessions_) ids.push_back(id);
  return ids;
}

}  // namespace sluice

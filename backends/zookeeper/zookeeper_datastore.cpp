#include "backends/zookeeper/zookeeper_datastore.hpp"

#include <utility>

#include "backends/zookeeper/zookeeper_handle.hpp"
#include "backends/zookeeper/zookeeper_inbox.hpp"
#include "core/check.hpp"

namespace sluice {

ZookeeperDatastore::ZookeeperDatastore(const Options& options)
    : DatastoreClient(options.limits),
      options_(options),
      inbox_(std::make_unique<ZookeeperInbox>()) {
  SLUICE_CHECK(!options.servers.empty());
  SLUICE_CHECK(options.session_timeout >= std::chrono::milliseconds{1} &&
               options.session_timeout <= std::chrono::hours{1});
}

ZookeeperDatastore::~ZookeeperDatastore() = default;

Result<void, std::string> ZookeeperDatastore::connect() {
  using std::chrono::milliseconds;
  std::string servers;
  for (const std::string& each : options_.servers) servers += (servers.empty() ? "" : ",") + each;
  const auto& [user, password] = options_.credentials;
  const auto timeout = std::chrono::duration_cast<milliseconds>(options_.session_timeout);
  auto opened = ZookeeperHandle::open({.servers = servers,
                                       .credentials = user.empty() ? "" : user + ":" + password,
                                       .session_timeout_ms = static_cast<int>(timeout.count())},
                                      *inbox_);
  if (!opened) return unexpected(opened.error());
  handle_ = std::move(*opened);
  return {};
}

void ZookeeperDatastore::disconnect() {
  handle_.reset();
  // What it left behind must not be taken for the next session's.
  static_cast<void>(inbox_->take());
  inbox_->wake();  // There may be refused requests.
  ++session_count_;
}

void ZookeeperDatastore::send(RequestId id, const DatastoreRequest& request) {
  handle_->send(id, request);
}

void ZookeeperDatastore::wake() {
  inbox_->wake();
}

int ZookeeperDatastore::fd() const {
  return inbox_->fd();
}

void ZookeeperDatastore::poll() {
  const std::uint64_t session_count = session_count_;
  auto messages = inbox_->take();
  call_refused();
  for (ZookeeperMessage& message : messages) {
    if (session_count != session_count_) return;  // A callback has closed or opened anew.
    if (auto* reply = std::get_if<ZookeeperMessage::Reply>(&message.what)) {
      handle_->forget(reply->request);
      on_reply(reply->request, std::move(reply->reply));
    } else if (auto* event = std::get_if<WatchEvent>(&message.what)) {
      on_watch(event->kind, event->path);
    } else {
      const auto& change = std::get<ZookeeperMessage::Session>(message.what);
      on_session(change.state, change.session);
    }
  }
}

}  // namespace sluice

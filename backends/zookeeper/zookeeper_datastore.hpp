#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/cluster/datastore_client.hpp"
#include "core/units.hpp"

namespace sluice {

class ZookeeperHandle;
class ZookeeperInbox;

/// A client of a ZooKeeper ensemble.
///
/// ZooKeeper's C client has threads of its own; what they bring waits in an inbox until poll(), so
/// that everything is called back in the caller's thread. It is single-threaded like every
/// Datastore.
///
/// Each node that it creates is for its credentials only (scheme digest); there is no way to make
/// one for everybody. The credentials cross the network as they are: keep it a trusted one.
///
/// The C client takes a server that is silent for two thirds of the session timeout for gone, and
/// tells kSuspended; it arms watches anew when it is connected again. It learns of an expiry only
/// when it reaches a server again, so kExpired may come long after the servers have removed the
/// ephemeral nodes: what must not go on without its session needs a limit of its own.
class ZookeeperDatastore final : public DatastoreClient {
 public:
  struct Options {
    std::vector<std::string> servers;  ///< "host:port"; one at least. Tried in a random order.
    DatastoreCredentials credentials{};
    /// The servers hold it to their own limits (2 to 20 of their ticks, by default 4 to 40 s).
    Duration session_timeout = std::chrono::seconds{4};
    DatastoreLimits limits{};
  };
  explicit ZookeeperDatastore(const Options& options);
  /// Closes the session.
  ~ZookeeperDatastore() override;
  ZookeeperDatastore(const ZookeeperDatastore&) = delete;
  ZookeeperDatastore& operator=(const ZookeeperDatastore&) = delete;

  // open() looks up the names of the servers, and close() waits for the C client's threads: both
  // may take seconds when the network is bad, so they are for start and stop, and after kExpired.

  /// Becomes readable when there is something to poll for; for epoll. Owned here.
  [[nodiscard]] int fd() const;
  /// Calls back all that has come. Never waits.
  void poll();

 private:
  Result<void, std::string> connect() override;
  void disconnect() override;
  void send(RequestId id, const DatastoreRequest& request) override;
  void wake() override;

  Options options_;
  std::unique_ptr<ZookeeperInbox> inbox_;
  std::unique_ptr<ZookeeperHandle> handle_;  ///< Null: no session. Goes before the inbox.
  std::uint64_t session_count_ = 0;  ///< Ended ones, to notice that one ended in a callback.
};

}  // namespace sluice

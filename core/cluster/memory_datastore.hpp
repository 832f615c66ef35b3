#pragma once

#include <cstdint>
#include <string>

#include "core/cluster/datastore_client.hpp"
#include "core/cluster/memory_datastore_server.hpp"
#include "core/units.hpp"

namespace sluice {

/// A client of a MemoryDatastoreServer, in the same process and thread; its turn is the server's
/// advance(). It behaves as ZooKeeper's: it pings, misses a server that is silent for two thirds of
/// the session timeout, and tries to connect again for as long as it is open.
///
/// Destroying it is a crash: nobody says goodbye, and the session lives on until it times out.
class MemoryDatastore final : public DatastoreClient {
 public:
  struct Options {
    DatastoreCredentials credentials{};
    Duration session_timeout = std::chrono::seconds{2};  ///< At least 3 ns.
    DatastoreLimits limits{};
  };
  /// `server` outlives it.
  MemoryDatastore(MemoryDatastoreServer& server, const Options& options);
  ~MemoryDatastore() override;
  MemoryDatastore(const MemoryDatastore&) = delete;
  MemoryDatastore& operator=(const MemoryDatastore&) = delete;

  /// Names this client to the server: for its faults.
  [[nodiscard]] MemoryDatastoreServer::ClientId id() const { return id_; }

 private:
  friend class MemoryDatastoreServer;
  using Epoch = MemoryDatastoreServer::Epoch;
  enum class Phase : std::uint8_t {
    kOff,
    kAttempting,  ///< Asked for a connection.
    kWaiting,     ///< Asks again later.
    kUp,
  };

  Result<void, std::string> connect() override;
  void disconnect() override;
  void send(RequestId id, const DatastoreRequest& request) override;
  void wake() override;

  // What comes from the server; of an old connection it is nothing.
  void connected(Epoch epoch, std::uint64_t session);
  void refused(Epoch epoch, SessionState end);
  void broken(Epoch epoch);
  void ponged(Epoch epoch);
  void replied(Epoch epoch, RequestId id, const DatastoreReply& reply, std::uint64_t last_change);
  void changed(Epoch epoch, const NodeTree::Change& change, std::uint64_t last_change);

  void attempt();
  /// Tells of the lost connection, and tries again after a while.
  void retry();
  void heard(std::uint64_t last_change);
  /// The time has come that set_timer() was told, or another has since.
  void on_timer();
  void set_timer(Instant due);
  [[nodiscard]] Instant now() const;

  MemoryDatastoreServer& server_;
  Options options_;
  MemoryDatastoreServer::ClientId id_;
  Phase phase_ = Phase::kOff;
  Epoch epoch_ = 0;  ///< Counts its connections.
  std::uint64_t known_session_ = 0;
  std::uint64_t last_change_ = 0;  ///< The last that it saw.
  Instant phase_ends_{};           ///< kAttempting, kWaiting.
  Instant last_heard_{}, last_sent_{};
};

}  // namespace sluice

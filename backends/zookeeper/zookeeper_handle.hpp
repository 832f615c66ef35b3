#pragma once

#include <zookeeper/zookeeper.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backends/zookeeper/zookeeper_inbox.hpp"
#include "core/cluster/datastore_client.hpp"
#include "core/result.hpp"

namespace sluice {

/// One session of the C client, and what it must find where it was told to look for it. Private to
/// ZookeeperDatastore, so that nobody else sees the C client's header.
class ZookeeperHandle {
 public:
  struct Options {
    std::string servers;      ///< As the C client wants them: "a:1,b:2".
    std::string credentials;  ///< "user:password"; empty: none.
    int session_timeout_ms = 0;
  };
  /// Starts its threads. Whatever they bring goes to the inbox.
  [[nodiscard]] static Result<std::unique_ptr<ZookeeperHandle>, std::string> open(
      const Options& options, ZookeeperInbox& inbox);
  /// Closes the session, and waits for the threads.
  ~ZookeeperHandle();
  ZookeeperHandle(const ZookeeperHandle&) = delete;
  ZookeeperHandle& operator=(const ZookeeperHandle&) = delete;

  /// Passes a request on; its answer comes to the inbox in any case.
  void send(std::uint64_t id, const DatastoreRequest& request);
  /// Its answer was taken from the inbox.
  void forget(std::uint64_t id) { tickets_.erase(id); }

 private:
  /// A request under way: what the C client is given to hand back, and where it writes results.
  struct Ticket {
    ZookeeperInbox* inbox;
    std::uint64_t id;
    DatastoreRequest::Kind kind;
    std::vector<std::string> paths{};  ///< Of the operations; without the digits.
    std::vector<zoo_op_result_t> results{};
    std::vector<Stat> stats{};
    std::vector<std::vector<char>> made_paths{};
  };
  struct Callbacks;

  explicit ZookeeperHandle(ZookeeperInbox& inbox) : inbox_(inbox) {}
  [[nodiscard]] int send_one(Ticket& ticket, const NodeOperation& operation);
  [[nodiscard]] int send_multi(Ticket& ticket, const std::vector<NodeOperation>& operations);
  [[nodiscard]] int send_read(Ticket& ticket, const DatastoreRequest& request);

  ZookeeperInbox& inbox_;
  zhandle_t* handle_ = nullptr;
  std::map<std::uint64_t, std::unique_ptr<Ticket>> tickets_;
};

}  // namespace sluice

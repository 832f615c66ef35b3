#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "core/cluster/datastore.hpp"
#include "core/cluster/datastore_client.hpp"

namespace sluice {

/// The nodes of an in-memory datastore, with ZooKeeper's rules for them; no sessions, no watches,
/// no time. A plain value: equal calls give equal trees.
class NodeTree {
 public:
  struct Options {
    std::uint32_t node_count_max = 1u << 20;  ///< The root is one.
  };
  struct Caller {
    std::uint64_t session = 0;
    std::string identity;  ///< Of its credentials; empty: it has none.
  };
  /// What a watch might have seen.
  struct Change {
    WatchEvent::Kind kind;
    std::string path;
  };
  struct Node {
    std::string data;
    NodeStat stat{};
    std::string identity{};  ///< Who may read and write it. The root's is empty: everyone.
    std::set<std::string> children{};
    std::uint32_t children_made = 0;  ///< Ever: the number of the next sequential one.
  };

  explicit NodeTree(const Options& options);

  /// Does all operations, as one change, or none. Appends to `changes` what it changed. Several
  /// operations cost a copy of the nodes that they change, lists of children included.
  [[nodiscard]] DatastoreReply apply(std::span<const NodeOperation> operations,
                                     const Caller& caller, std::vector<Change>& changes);
  /// Answers a read. Cost: linear in the answer.
  [[nodiscard]] DatastoreReply read(const DatastoreRequest& request, const Caller& caller) const;
  /// Removes the ephemeral nodes of a session, as one change, in the order of their paths.
  void end_session(std::uint64_t session, std::vector<Change>& changes);

  /// The number of the last change (zxid).
  [[nodiscard]] std::uint64_t last_change() const { return last_change_; }
  /// For checkers: all nodes by path, the root as "/".
  [[nodiscard]] const std::map<std::string, Node>& nodes() const { return nodes_; }

 private:
  /// Nodes as they were, to go back to; nothing: there was none.
  using Undo = std::vector<std::pair<std::string, std::optional<Node>>>;

  [[nodiscard]] Node* find(const std::string& path);
  [[nodiscard]] const Node* find(const std::string& path) const;
  [[nodiscard]] static bool may_use(const Node& node, const Caller& caller);
  void go_back(Undo& undo);

  struct Step {
    const Caller& caller;
    std::vector<Change>& changes;
    Undo* undo;  ///< Null for a single operation, which fails before it changes anything.
    OperationResult& result;
  };
  using Outcome = std::optional<DatastoreError>;
  [[nodiscard]] Outcome apply_one(const CreateNode& operation, const Step& step);
  [[nodiscard]] Outcome apply_one(const SetNode& operation, const Step& step);
  [[nodiscard]] Outcome apply_one(const RemoveNode& operation, const Step& step);
  [[nodiscard]] Outcome apply_one(const CheckNode& operation, const Step& step);
  void remember(const std::string& path, const Step& step) const;
  void erase(const std::string& path, std::vector<Change>& changes);

  Options options_;
  std::map<std::string, Node> nodes_;
  std::map<std::uint64_t, std::set<std::string>> ephemerals_;  ///< By session.
  std::uint64_t last_change_ = 0;
};

}  // namespace sluice

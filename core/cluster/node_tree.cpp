#include "core/cluster/node_tree.hpp"

#include <algorithm>
#include <utility>

#include "core/check.hpp"

namespace sluice {

namespace {

/// The ten digits behind a sequential node's path.
std::string sequence_digits(std::uint32_t number) {
  const std::string digits = std::to_string(number);
  return std::string(10 - digits.size(), '0') + digits;
}

bool has_version(const NodeTree::Node& node, NodeVersion expected) {
  return expected == kAnyVersion || node.stat.version == expected;
}

}  // namespace

NodeTree::NodeTree(const Options& options) : options_(options) {
  SLUICE_CHECK(options.node_count_max > 0);
  nodes_["/"] = {};
}

NodeTree::Node* NodeTree::find(const std::string& path) {
  const auto found = nodes_.find(path);
  return found == nodes_.end() ? nullptr : &found->second;
}

const NodeTree::Node* NodeTree::find(const std::string& path) const {
  const auto found = nodes_.find(path);
  return found == nodes_.end() ? nullptr : &found->second;
}

bool NodeTree::may_use(const Node& node, const Caller& caller) {
  return node.identity.empty() || node.identity == caller.identity;
}

// --- Changes -------------------------------------------------------------------------------------

DatastoreReply NodeTree::apply(std::span<const NodeOperation> operations, const Caller& caller,
                               std::vector<Change>& changes) {
  DatastoreReply reply;
  Undo undo;
  std::vector<Change> made;
  ++last_change_;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    OperationResult& result = reply.results.emplace_back();
    const Step step{caller, made, operations.size() > 1 ? &undo : nullptr, result};
    const Outcome error = std::visit(
        [&](const auto& each) {
          result.path = each.path;
          return apply_one(each, step);
        },
        operations[i]);
    if (!error) continue;
    go_back(undo);
    --last_change_;
    return {.error = error, .failed_index = i};
  }
  changes.insert(changes.end(), made.begin(), made.end());
  return reply;
}

void NodeTree::remember(const std::string& path, const Step& step) const {
  if (step.undo == nullptr) return;
  const Node* node = find(path);
  step.undo->emplace_back(path, node ? std::optional{*node} : std::nullopt);
}

void NodeTree::go_back(Undo& undo) {
  for (auto each = undo.rbegin(); each != undo.rend(); ++each) {
    const std::string& path = each->first;
    if (const Node* node = find(path); node && node->stat.owner != 0) {
      ephemerals_[node->stat.owner].erase(path);
    }
    nodes_.erase(path);
    if (!each->second) continue;
    if (const auto owner = each->second->stat.owner; owner != 0) ephemerals_[owner].insert(path);
    nodes_.emplace(path, std::move(*each->second));
  }
}

NodeTree::Outcome NodeTree::apply_one(const CreateNode& operation, const Step& step) {
  if (step.caller.identity.empty()) return DatastoreError::kNotAuthorised;
  const std::string parent_path{parent_of(operation.path)};
  Node* parent = find(parent_path);
  if (!parent) return DatastoreError::kNoNode;
  if (!may_use(*parent, step.caller)) return DatastoreError::kNotAuthorised;
  std::string path = operation.path;
  if (is_sequential(operation.mode)) path += sequence_digits(parent->children_made);
  if (find(path)) return DatastoreError::kNodeExists;
  if (parent->stat.owner != 0) return DatastoreError::kNoChildrenForEphemerals;
  if (nodes_.size() >= options_.node_count_max) return DatastoreError::kTooMany;

  remember(parent_path, step);
  remember(path, step);
  parent->children.emplace(name_of(path));
  ++parent->children_made;
  ++parent->stat.child_count;
  parent->stat.children_changed_at = last_change_;
  Node node{.data = operation.data, .stat = {}, .identity = step.caller.identity};
  node.stat = {
      .created_at = last_change_, .modified_at = last_change_, .children_changed_at = last_change_};
  if (is_ephemeral(operation.mode)) {
    node.stat.owner = step.caller.session;
    ephemerals_[step.caller.session].insert(path);
  }
  nodes_.emplace(path, std::move(node));
  step.changes.push_back({WatchEvent::Kind::kCreated, path});
  step.changes.push_back({WatchEvent::Kind::kChildrenChanged, parent_path});
  step.result.path = std::move(path);
  return std::nullopt;
}

NodeTree::Outcome NodeTree::apply_one(const SetNode& operation, const Step& step) {
  Node* node = find(operation.path);
  if (!node) return DatastoreError::kNoNode;
  if (!may_use(*node, step.caller)) return DatastoreError::kNotAuthorised;
  if (!has_version(*node, operation.expected)) return DatastoreError::kBadVersion;

  remember(operation.path, step);
  node->data = operation.data;
  node->stat.modified_at = last_change_;
  ++node->stat.version;
  step.result.stat = node->stat;
  step.changes.push_back({WatchEvent::Kind::kDataChanged, operation.path});
  return std::nullopt;
}

NodeTree::Outcome NodeTree::apply_one(const RemoveNode& operation, const Step& step) {
  const std::string parent_path{parent_of(operation.path)};
  const Node* node = find(operation.path);
  if (!node) return DatastoreError::kNoNode;
  if (!may_use(nodes_.at(parent_path), step.caller)) return DatastoreError::kNotAuthorised;
  if (!has_version(*node, operation.expected)) return DatastoreError::kBadVersion;
  if (!node->children.empty()) return DatastoreError::kNotEmpty;

  remember(parent_path, step);
  remember(operation.path, step);
  erase(operation.path, step.changes);
  return std::nullopt;
}

NodeTree::Outcome NodeTree::apply_one(const CheckNode& operation, const Step& step) {
  const Node* node = find(operation.path);
  if (!node) return DatastoreError::kNoNode;
  if (!may_use(*node, step.caller)) return DatastoreError::kNotAuthorised;
  if (!has_version(*node, operation.expected)) return DatastoreError::kBadVersion;
  return std::nullopt;
}

void NodeTree::erase(const std::string& path, std::vector<Change>& changes) {
  const auto found = nodes_.find(path);
  const std::string parent_path{parent_of(path)};
  Node& parent = nodes_.at(parent_path);
  parent.children.erase(std::string{name_of(path)});
  --parent.stat.child_count;
  parent.stat.children_changed_at = last_change_;
  if (const auto owner = ephemerals_.find(found->second.stat.owner); owner != ephemerals_.end()) {
    owner->second.erase(path);
  }
  nodes_.erase(found);
  changes.push_back({WatchEvent::Kind::kRemoved, path});
  changes.push_back({WatchEvent::Kind::kChildrenChanged, parent_path});
}

void NodeTree::end_session(std::uint64_t session, std::vector<Change>& changes) {
  const auto found = ephemerals_.extract(session);
  if (!found) return;
  ++last_change_;
  for (const std::string& path : found.mapped()) erase(path, changes);
}

// --- Reads ---------------------------------------------------------------------------------------

DatastoreReply NodeTree::read(const DatastoreRequest& request, const Caller& caller) const {
  using Kind = DatastoreRequest::Kind;
  DatastoreReply reply;
  if (request.kind == Kind::kSync) return reply;
  const Node* node = find(request.path);
  reply.found = node != nullptr;
  if (request.kind == Kind::kExists) {  // Whether a node is there is no secret.
    if (node) reply.stat = node->stat;
    return reply;
  }
  if (!node) return {.error = DatastoreError::kNoNode};
  if (!may_use(*node, caller)) return {.error = DatastoreError::kNotAuthorised};
  reply.stat = node->stat;
  if (request.kind == Kind::kGet) {
    reply.data = node->data;
  } else {
    reply.names.assign(node->children.begin(), node->children.end());
  }
  return reply;
}

}  // namespace sluice

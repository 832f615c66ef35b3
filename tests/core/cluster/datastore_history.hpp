#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/cluster/datastore.hpp"

// What clients asked of a datastore and were told, and whether one tree that does one thing after
// another could have told them so. Shares no code with the datastore.
namespace sluice {

/// What a client asked for, or that its session ended.
struct HistoryEvent {
  enum class Kind : std::uint8_t { kOperations, kGet, kChildren, kEndOfSession };
  static constexpr std::uint32_t kNever = std::numeric_limits<std::uint32_t>::max();

  Kind kind = Kind::kOperations;
  std::vector<NodeOperation> operations{};  ///< Of a multi, or the only one.
  std::string path{};                       ///< Of a read.
  std::uint64_t session = 0;
  std::string answer{};  ///< In the words of HistoryModel.
  bool is_known = true;  ///< Else it may have been done or not.
  // It was done, if it was, after the one moment and before the other.
  std::uint32_t asked = 0;
  std::uint32_t answered = kNever;
};

/// The plain tree: nodes right below "/p", which counts what it was given.
class HistoryModel {
 public:
  /// Does it, and answers in words; empty: it cannot have been done, for its session has ended.
  std::string apply(const HistoryEvent& event) {
    if (event.kind == HistoryEvent::Kind::kEndOfSession) {
      std::erase_if(nodes_, [&](const auto& each) { return each.second.owner == event.session; });
      ended_.insert(event.session);
      return "ended";
    }
    if (ended_.contains(event.session)) return {};
    if (event.kind == HistoryEvent::Kind::kGet) {
      const auto found = nodes_.find(event.path);
      return found == nodes_.end() ? "no node" : text(found->second.data, found->second.version);
    }
    if (event.kind == HistoryEvent::Kind::kChildren) {
      std::string names;
      for (const auto& [path, node] : nodes_) names += path + " ";
      return names + ".";
    }
    const HistoryModel before = *this;
    std::string answer;
    for (std::size_t i = 0; i < event.operations.size(); ++i) {
      const auto [done, words] = std::visit(
          [&](const auto& each) { return apply_one(each, event.session); }, event.operations[i]);
      if (!done) {
        *this = before;
        return std::to_string(i) + ": " + words;
      }
      answer += words + "; ";
    }
    return answer;
  }

  static std::string text(const std::string& data, NodeVersion version) {
    return data + " at " + std::to_string(version);
  }
  /// All of it, to know it again.
  [[nodiscard]] std::string fingerprint() const {
    std::string all = std::to_string(made_);
    for (const auto& [path, node] : nodes_) {
      all += " " + path + "=" + text(node.data, node.version) + "/" + std::to_string(node.owner);
    }
    for (const std::uint64_t each : ended_) all += " -" + std::to_string(each);
    return all;
  }

 private:
  struct Node {
    std::string data;
    NodeVersion version = 0;
    std::uint64_t owner = 0;
  };
  using Outcome = std::pair<bool, std::string>;

  Outcome apply_one(const CreateNode& create, std::uint64_t session) {
    std::string path = create.path;
    if (is_sequential(create.mode)) {
      const std::string number = std::to_string(made_);
      path += std::string(10 - number.size(), '0') + number;
    }
    if (nodes_.contains(path)) return {false, "node exists"};
    nodes_[path] = {create.data, 0, is_ephemeral(create.mode) ? session : 0};
    ++made_;
    return {true, path};
  }
  Outcome apply_one(const SetNode& set, std::uint64_t) {
    const auto [done, words] = apply_one(CheckNode{set.path, set.expected}, 0);
    if (!done) return {false, words};
    Node& node = nodes_[set.path];
    node.data = set.data;
    return {true, std::to_string(++node.version)};
  }
  Outcome apply_one(const RemoveNode& remove, std::uint64_t) {
    const auto [done, words] = apply_one(CheckNode{remove.path, remove.expected}, 0);
    if (!done) return {false, words};
    nodes_.erase(remove.path);
    return {true, "done"};
  }
  Outcome apply_one(const CheckNode& check, std::uint64_t) {
    const auto found = nodes_.find(check.path);
    if (found == nodes_.end()) return {false, "no node"};
    if (check.expected != kAnyVersion && check.expected != found->second.version) {
      return {false, "bad version"};
    }
    return {true, "done"};
  }

  std::map<std::string, Node> nodes_;
  std::uint32_t made_ = 0;
  std::set<std::uint64_t> ended_;
};

/// Looks for an order of the events that explains every answer (Wing and Gong, with what was tried
/// remembered, after Lowe). At most 64 events.
class Linearization {
 public:
  explicit Linearization(const std::vector<HistoryEvent>& events) : events_(events) {}

  [[nodiscard]] bool exists() { return search(0, 0, HistoryModel{}); }

 private:
  /// `done`: a bit an event. `latest`: when the last asked of them was asked.
  bool search(std::uint64_t done, std::uint32_t latest, const HistoryModel& model) {
    bool complete = true;
    for (std::size_t i = 0; i < events_.size(); ++i) {
      if ((done >> i & 1) != 0 || !events_[i].is_known) continue;
      complete = false;
      if (events_[i].answered < latest) return false;  // Its turn has passed.
    }
    if (complete) return true;
    if (!tried_.emplace(done, model.fingerprint()).second) return false;
    for (std::size_t i = 0; i < events_.size(); ++i) {
      const HistoryEvent& event = events_[i];
      if ((done >> i & 1) != 0 || event.answered < latest) continue;
      HistoryModel next = model;
      const std::string answer = next.apply(event);
      if (answer.empty() || (event.is_known && answer != event.answer)) continue;
      if (search(done | std::uint64_t{1} << i, std::max(latest, event.asked), next)) return true;
    }
    return false;
  }

  const std::vector<HistoryEvent>& events_;
  std::set<std::pair<std::uint64_t, std::string>> tried_;
};

}  // namespace sluice

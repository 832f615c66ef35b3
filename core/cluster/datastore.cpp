#include "core/cluster/datastore.hpp"

#include "core/check.hpp"

namespace sluice {

const char* to_string(DatastoreError error) noexcept {
  switch (error) {
    case DatastoreError::kNoNode:
      return "no node";
    case DatastoreError::kNodeExists:
      return "node exists";
    case DatastoreError::kBadVersion:
      return "bad version";
    case DatastoreError::kNotEmpty:
      return "not empty";
    case DatastoreError::kNoChildrenForEphemerals:
      return "no children under ephemeral nodes";
    case DatastoreError::kConnectionLost:
      return "connection lost, outcome unknown";
    case DatastoreError::kSessionExpired:
      return "session expired";
    case DatastoreError::kNotAuthorised:
      return "not authorised";
    case DatastoreError::kTooLarge:
      return "too large";
    case DatastoreError::kTooMany:
      return "too many";
    case DatastoreError::kBadPath:
      return "bad path";
  }
  return "unknown error";
}

const char* to_string(SessionState state) noexcept {
  switch (state) {
    case SessionState::kClosed:
      return "closed";
    case SessionState::kConnecting:
      return "connecting";
    case SessionState::kConnected:
      return "connected";
    case SessionState::kSuspended:
      return "suspended";
    case SessionState::kExpired:
      return "expired";
    case SessionState::kAuthenticationFailed:
      return "authentication failed";
  }
  return "unknown state";
}

const char* to_string(WatchEvent::Kind kind) noexcept {
  switch (kind) {
    case WatchEvent::Kind::kCreated:
      return "created";
    case WatchEvent::Kind::kRemoved:
      return "removed";
    case WatchEvent::Kind::kDataChanged:
      return "data changed";
    case WatchEvent::Kind::kChildrenChanged:
      return "children changed";
    case WatchEvent::Kind::kLost:
      return "lost";
  }
  return "unknown event";
}

namespace {

/// How long the UTF-8 sequence at the start of `text` is; 0: it is none, or of a control character.
std::size_t character_size(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  const std::size_t size = first >= 0xe0 ? 3 : 2;
  // Four bytes are two surrogates in Java, which ZooKeeper refuses, as it does the ranges below.
  if (first < 0xc2 || first > 0xef || text.size() < size) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const unsigned second = byte(1);
  if (first == 0xc2 && second < 0xa0) return 0;                      // Control characters.
  if (first == 0xe0 && second < 0xa0) return 0;                      // Longer than needed.
  if (first == 0xed && second > 0x9f) return 0;                      // Surrogates.
  if (first == 0xee || (first == 0xef && second < 0xa4)) return 0;   // For private use.
  if (first == 0xef && second == 0xbf && byte(2) >= 0xb0) return 0;  // U+FFF0 to U+FFFF.
  return size;
}

}  // namespace

bool is_node_path(std::string_view path) noexcept {
  if (path == "/") return true;
  if (path.empty() || path.front() != '/') return false;
  while (!path.empty()) {
    path.remove_prefix(1);  // The slash.
    const std::string_view name = path.substr(0, path.find('/'));
    if (name.empty() || name == "." || name == "..") return false;
    for (std::string_view rest = name; !rest.empty();) {
      const std::size_t size = character_size(rest);
      if (size == 0) return false;
      rest.remove_prefix(size);
    }
    path.remove_prefix(name.size());
  }
  return true;
}

std::string_view parent_of(std::string_view path) noexcept {
  const std::size_t slash = path.rfind('/');
  SLUICE_CHECK(slash != std::string_view::npos && path.size() > 1);
  return slash == 0 ? path.substr(0, 1) : path.substr(0, slash);
}

std::string_view name_of(std::string_view path) noexcept {
  return path.substr(path.rfind('/') + 1);
}

std::optional<DatastoreError> problem_of(const NodeOperation& operation,
                                         const DatastoreLimits& limits) noexcept {
  const std::string& path =
      std::visit([](const auto& each) -> const std::string& { return each.path; }, operation);
  if (path.size() > limits.path_bytes_max) return DatastoreError::kTooLarge;
  if (!is_node_path(path)) return DatastoreError::kBadPath;
  const bool changes_tree = std::holds_alternative<CreateNode>(operation) ||
                            std::holds_alternative<RemoveNode>(operation);
  if (path == "/" && changes_tree) return DatastoreError::kBadPath;
  if (bytes_of(operation) - path.size() > limits.node_bytes_max) return DatastoreError::kTooLarge;
  return std::nullopt;
}

std::size_t bytes_of(const NodeOperation& operation) noexcept {
  return std::visit(
      [](const auto& each) {
        std::size_t bytes = each.path.size();
        if constexpr (requires { each.data; }) bytes += each.data.size();
        return bytes;
      },
      operation);
}

}  // namespace sluice

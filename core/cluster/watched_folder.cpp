#include "core/cluster/watched_folder.hpp"

#include <utility>

namespace sluice {

WatchedFolder::WatchedFolder(Datastore& datastore, std::string path, Listener listener)
    : datastore_(datastore), path_(std::move(path)), listener_(std::move(listener)) {}

void WatchedFolder::begin() {
  ++session_;
  known_.clear();
  to_read_.clear();
  list();
}

void WatchedFolder::resume() {
  for (const std::string& name : std::exchange(to_read_, {})) {
    if (name.empty()) {
      list();
    } else {
      read(name);
    }
  }
}

/// @return Whether the connection is to blame: then resume() or begin() reads it.
bool WatchedFolder::keep_for_later(DatastoreError error, const std::string& name) {
  if (error == DatastoreError::kConnectionLost) to_read_.insert(name);
  return error == DatastoreError::kConnectionLost || error == DatastoreError::kSessionExpired;
}

void WatchedFolder::list() {
  const auto watch = [this, session = session_](const WatchEvent& event) {
    if (session == session_ && event.kind != WatchEvent::Kind::kLost) list();
  };
  datastore_.children(path_, watch,
                      [this, session = session_](const Result<NodeChildren, DatastoreError>& got) {
                        if (session != session_) return;
                        if (got) {
                          listed({got->names.begin(), got->names.end()});
                        } else if (!keep_for_later(got.error(), "")) {
                          listener_.complain(path_, got.error());
                        }
                      });
}

void WatchedFolder::listed(const std::set<std::string>& names) {
  for (const std::string& name : names) {
    if (known_.insert(name).second) read(name);
  }
  std::erase_if(known_, [&](const std::string& name) { return !names.contains(name); });
  const std::size_t gone =
      std::erase_if(values_, [&](const auto& entry) { return !names.contains(entry.first); });
  if (gone > 0) listener_.changed();
}

void WatchedFolder::read(const std::string& name) {
  const auto watch = [this, name, session = session_](const WatchEvent& event) {
    if (session != session_ || event.kind == WatchEvent::Kind::kLost) return;
    if (event.kind == WatchEvent::Kind::kRemoved) {
      forget(name);  // And should it come again, the watch on the list says so.
    } else {
      read(name);
    }
  };
  datastore_.get(path_ + "/" + name, watch,
                 [this, name, session = session_](const Result<NodeContent, DatastoreError>& got) {
                   if (session != session_) return;
                   if (got) {
                     std::string& value = values_[name];
                     if (value == got->data) return;
                     value = got->data;
                     listener_.changed();
                   } else if (!keep_for_later(got.error(), name)) {
                     forget(name);
                     if (got.error() != DatastoreError::kNoNode) {
                       listener_.complain(path_ + "/" + name, got.error());
                     }
                   }
                 });
}

void WatchedFolder::forget(const std::string& name) {
  known_.erase(name);
  if (values_.erase(name) > 0) listener_.changed();
}

}  // namespace sluice

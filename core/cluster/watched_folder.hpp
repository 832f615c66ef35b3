#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "core/cluster/datastore.hpp"

namespace sluice {

/// A copy of a node's children and their data that follows the datastore by watches.
///
/// What it has stays while the datastore is away, and is read again by who changed it. Callbacks as
/// the datastore's: in its turn, in its thread. The datastore must go first, or this outlive it.
class WatchedFolder {
 public:
  struct Listener {
    std::function<void()> changed;  ///< values() is another one now.
    /// A node that cannot be read, for a reason other than the connection; it is left out.
    std::function<void(const std::string& path, DatastoreError)> complain;
  };
  /// Of the node at `path`.
  WatchedFolder(Datastore& datastore, std::string path, Listener listener);

  /// In a new session: reads everything, and goes on with the old copy until it is read.
  void begin();
  /// In the same session, connected again: reads what was asked for when the connection went. The
  /// watches have outlived that.
  void resume();

  /// By the children's names: their data.
  [[nodiscard]] const std::map<std::string, std::string>& values() const { return values_; }

 private:
  void list();
  void listed(const std::set<std::string>& names);
  void read(const std::string& name);
  void forget(const std::string& name);
  [[nodiscard]] bool keep_for_later(DatastoreError error, const std::string& name);

  Datastore& datastore_;
  std::string path_;
  Listener listener_;
  std::map<std::string, std::string> values_;
  std::set<std::string> known_;    ///< Children that are watched, or asked for.
  std::set<std::string> to_read_;  ///< Lost with the connection; "" is the list.
  std::uint64_t session_ = 0;      ///< Counts begin(): what an older session tells is too late.
};

}  // namespace sluice

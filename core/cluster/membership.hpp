#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/cluster/datastore.hpp"
#include "core/cluster/records.hpp"
#include "core/cluster/watched_folder.hpp"

namespace sluice {

/// Where a host stands with its cluster.
enum class Standing : std::uint8_t {
  kJoining,  ///< Not a member yet, or not again.
  kMember,
  kAway,    ///< The datastore cannot be reached: the last picture stays in use, and packets flow.
  kFenced,  ///< The datastore has removed this host: it takes no new flows until it has joined
            ///< anew.
  kTwin,    ///< Another process is the member of this name; joins as soon as that one is gone.
};
[[nodiscard]] const char* to_string(Standing standing) noexcept;

/// What the hosts of a cluster tell each other by the datastore, as one of them sees it: it
/// registers this host and its instances, and keeps a picture of the others (DESIGN 7).
///
/// Each life of a host has an epoch of its own, counted by the version of names/hosts/NAME, which
/// only goes up. Reading a value trusts nothing: what cannot be read is told of, with its path, and
/// the last good value of that node stays.
///
/// Callbacks come in the datastore's turn. The datastore must go first, or this outlive it.
class Membership {
 public:
  struct Options {
    std::string root = "/sluice";
    HostId id{};      ///< Number of the host, the same in every life.
    HostRecord self;  ///< Its epoch is counted here.
  };
  struct Listener {
    std::function<void(Standing)> standing;
    std::function<void()> changed;  ///< hosts() or instances() are others now.
    /// One line, for the log; the first thing in it is the path of a node, or "datastore".
    std::function<void(const std::string&)> complain;
  };
  Membership(Datastore& datastore, Options options, Listener listener);

  /// Opens the session and joins. @return Why there can be none, in words.
  [[nodiscard]] Result<void, std::string> start();
  /// All that run here, by their numbers; what is not among them goes. Kept over sessions.
  void set_instances(std::vector<InstanceRecord> instances);
  /// How many cores are free; written only when it changes.
  void set_cores_free(std::uint32_t count);

  [[nodiscard]] Standing standing() const { return standing_; }
  /// Of this life; 0 before the first one.
  [[nodiscard]] std::uint32_t epoch() const { return options_.self.epoch; }
  /// The members, this host among them when it is one.
  [[nodiscard]] const std::map<HostId, HostRecord>& hosts() const { return hosts_; }
  /// By their nodes' names: "HOST-NUMBER".
  [[nodiscard]] const std::map<std::string, InstanceRecord>& instances() const {
    return instances_;
  }

 private:
  void on(SessionState state);
  void set_standing(Standing standing);
  void join();
  void count_epoch();
  void register_host();
  void meet_twin();
  void joined();
  void write_host();
  void write_instances();
  void write_instance(const std::string& name, const std::string& text);
  void remove_instance(const std::string& name);
  void read_hosts();
  void read_instances();
  template <class Record>
  Result<Record> told(Result<Record> record, const std::string& text);
  template <class Value>
  bool lost(const Result<Value, DatastoreError>& result);
  void complain(const std::string& path, DatastoreError error);
  [[nodiscard]] std::string path(const std::string& below) const;
  [[nodiscard]] std::string own_path() const;

  Datastore& datastore_;
  Options options_;
  Listener listener_;
  Standing standing_ = Standing::kJoining;
  WatchedFolder host_folder_;
  WatchedFolder instance_folder_;
  std::map<HostId, HostRecord> hosts_;
  std::map<std::string, InstanceRecord> instances_;
  std::map<std::string, std::string> wanted_;   ///< Own instances: what their nodes shall say.
  std::map<std::string, std::string> written_;  ///< What they were told to say in this session.
  std::map<std::string, std::string> refused_;  ///< By path: values that were complained of.
  bool registered_ = false;                     ///< In this session: the host's own node is there.
  std::uint64_t session_ = 0;  ///< Counts sessions: what an older one answers is too late.
};

}  // namespace sluice

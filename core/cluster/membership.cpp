#include "core/cluster/membership.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace sluice {
namespace {

using Error = DatastoreError;

/// What follows from the values of a folder. What cannot be read stays as it was.
template <class Key, class Record, class Parse, class KeyOf>
void read_records(const WatchedFolder& folder, std::map<Key, Record>& records, KeyOf key_of,
                  Parse parse) {
  std::map<Key, Record> next;
  for (const auto& [name, text] : folder.values()) {
    const std::optional<Key> key = key_of(name);
    if (!key) continue;
    if (auto record = parse(name, text)) {
      next[*key] = std::move(*record);
    } else if (const auto known = records.find(*key); known != records.end()) {
      next.insert(*known);
    }
  }
  records = std::move(next);
}

}  // namespace

const char* to_string(Standing standing) noexcept {
  switch (standing) {
    case Standing::kJoining:
      return "joining";
    case Standing::kMember:
      return "member";
    case Standing::kAway:
      return "away";
    case Standing::kFenced:
      return "fenced";
    case Standing::kTwin:
      return "twin";
  }
  return "?";
}

Membership::Membership(Datastore& datastore, Options options, Listener listener)
    : datastore_(datastore),
      options_(std::move(options)),
      listener_(std::move(listener)),
      host_folder_(datastore_, path("/hosts"),
                   {[this] { read_hosts(); },
                    [this](const std::string& at, Error error) { complain(at, error); }}),
      instance_folder_(datastore_, path("/instances"),
                       {[this] { read_instances(); },
                        [this](const std::string& at, Error error) { complain(at, error); }}) {}

std::string Membership::path(const std::string& below) const {
  return options_.root + below;
}

std::string Membership::own_path() const {
  return path("/hosts/" + std::to_string(index_of(options_.id)));
}

void Membership::complain(const std::string& at, Error error) {
  listener_.complain(at + ": " + to_string(error));
}

void Membership::set_standing(Standing standing) {
  if (std::exchange(standing_, standing) != standing) listener_.standing(standing);
}

/// Whether the connection is to blame: then what was asked is asked again when it is back.
template <class Value>
bool Membership::lost(const Result<Value, Error>& result) {
  return !result &&
         (result.error() == Error::kConnectionLost || result.error() == Error::kSessionExpired);
}

// --- Sessions ------------------------------------------------------------------------------------

Result<void, std::string> Membership::start() {
  return datastore_.open([this](SessionState state) { on(state); });
}

void Membership::on(SessionState state) {
  switch (state) {
    case SessionState::kConnected:
      if (registered_) {
        set_standing(Standing::kMember);
        host_folder_.resume();
        instance_folder_.resume();
        // What was under way may be done or not: it is written again.
        written_.clear();
        write_host();
        write_instances();
      } else {
        join();
      }
      return;
    case SessionState::kSuspended:
      if (registered_) set_standing(Standing::kAway);
      return;
    case SessionState::kExpired:
      ++session_;
      registered_ = false;
      written_.clear();
      set_standing(Standing::kFenced);
      if (auto opened = start(); !opened) listener_.complain("datastore: " + opened.error());
      return;
    case SessionState::kAuthenticationFailed:
      listener_.complain("datastore: wrong credentials");
      return;
    case SessionState::kClosed:
    case SessionState::kConnecting:
      return;
  }
}

// --- Joining -------------------------------------------------------------------------------------

/// The nodes above all others; then in order the epoch, and the host's own node. It starts over
/// from here with each connection until it is done, so each of it may find its work done already.
void Membership::join() {
  ++session_;
  for (const char* below : {"", "/hosts", "/instances", "/names", "/names/hosts"}) {
    datastore_.create({path(below)}, [this, at = path(below)](const auto& made) {
      if (!made && !lost(made) && made.error() != Error::kNodeExists) complain(at, made.error());
    });
  }
  host_folder_.begin();
  instance_folder_.begin();
  const std::string name = path("/names/hosts/" + options_.self.name);
  datastore_.create({name, std::to_string(index_of(options_.id))}, [this, name](const auto& made) {
    if (!made && !lost(made) && made.error() != Error::kNodeExists) complain(name, made.error());
  });
  count_epoch();
}

void Membership::count_epoch() {
  const std::string name = path("/names/hosts/" + options_.self.name);
  datastore_.set({name, std::to_string(index_of(options_.id))},
                 [this, name, session = session_](const auto& counted) {
                   if (session != session_ || lost(counted)) return;
                   if (!counted) return complain(name, counted.error());
                   options_.self.epoch = static_cast<std::uint32_t>(counted->version);
                   register_host();
                 });
}

void Membership::register_host() {
  datastore_.create({own_path(), to_text(options_.self), CreateMode::kEphemeral},
                    [this, session = session_](const auto& made) {
                      if (session != session_ || lost(made)) return;
                      if (made) {
                        joined();
                      } else if (made.error() == Error::kNodeExists) {
                        meet_twin();
                      } else {
                        complain(own_path(), made.error());
                      }
                    });
}

/// The node may be our own, made just before the connection went; or it is of our last life, which
/// the datastore has not given up yet; or of somebody with our name.
void Membership::meet_twin() {
  const auto watch = [this, session = session_](const WatchEvent& event) {
    if (session != session_ || event.kind == WatchEvent::Kind::kLost) return;
    if (event.kind == WatchEvent::Kind::kRemoved) {
      count_epoch();
    } else {
      meet_twin();
    }
  };
  datastore_.exists(own_path(), watch, [this, session = session_](const auto& stat) {
    if (session != session_ || lost(stat)) return;
    if (!stat) return complain(own_path(), stat.error());
    if (!*stat) return count_epoch();
    if ((*stat)->owner == datastore_.session()) {
      joined();
      write_host();  // With the epoch of now.
      return;
    }
    if (standing_ != Standing::kTwin) {
      listener_.complain(own_path() + ": a host of this number is a member already; got " +
                         options_.self.name + "; expected its end, or another number");
    }
    set_standing(Standing::kTwin);
  });
}

void Membership::joined() {
  registered_ = true;
  set_standing(Standing::kMember);
  write_instances();
}

// --- What this host says -------------------------------------------------------------------------

void Membership::set_cores_free(std::uint32_t count) {
  if (std::exchange(options_.self.cores_free, count) != count && registered_) write_host();
}

void Membership::write_host() {
  datastore_.set({own_path(), to_text(options_.self)}, [this](const auto& done) {
    if (!done && !lost(done)) complain(own_path(), done.error());
  });
}

void Membership::set_instances(std::vector<InstanceRecord> instances) {
  wanted_.clear();
  for (InstanceRecord& instance : instances) {
    instance.host = options_.id;
    const std::string name =
        std::to_string(index_of(options_.id)) + "-" + std::to_string(index_of(instance.number));
    wanted_[name] = to_text(instance);
  }
  if (registered_) write_instances();
}

void Membership::write_instances() {
  for (const auto& [name, text] : wanted_) {
    std::string& written = written_[name];
    if (written == text) continue;
    written = text;
    write_instance(name, text);
  }
  for (auto it = written_.begin(); it != written_.end();) {
    if (wanted_.contains(it->first)) {
      ++it;
      continue;
    }
    remove_instance(it->first);
    it = written_.erase(it);
  }
  // What an answer that was lost left behind: nodes of ours that nobody wants.
  const std::string prefix = std::to_string(index_of(options_.id)) + "-";
  for (const auto& [name, text] : instance_folder_.values()) {
    if (name.starts_with(prefix) && !wanted_.contains(name)) remove_instance(name);
  }
}

/// Creates the node or changes it, whichever is right: both are asked, in order.
void Membership::write_instance(const std::string& name, const std::string& text) {
  const std::string at = path("/instances/" + name);
  datastore_.create({at, text, CreateMode::kEphemeral}, [this, at](const auto& made) {
    if (!made && !lost(made) && made.error() != Error::kNodeExists) complain(at, made.error());
  });
  datastore_.set({at, text}, [this, at](const auto& done) {
    if (!done && !lost(done)) complain(at, done.error());
  });
}

void Membership::remove_instance(const std::string& name) {
  const std::string at = path("/instances/" + name);
  datastore_.remove({at}, [this, at](const auto& done) {
    if (!done && !lost(done) && done.error() != Error::kNoNode) complain(at, done.error());
  });
}

// --- What the others say -------------------------------------------------------------------------

/// Complains of a value that cannot be read, once for each.
template <class Record>
Result<Record> Membership::told(Result<Record> record, const std::string& text) {
  if (record) return record;
  std::string& known = refused_[record.error().place.file];
  if (std::exchange(known, text) != text) listener_.complain(record.error().to_string());
  return record;
}

void Membership::read_hosts() {
  const auto key_of = [](const std::string& name) -> std::optional<HostId> {
    std::uint16_t number = 0;
    const auto [end, code] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (code != std::errc{} || end != name.data() + name.size()) return std::nullopt;
    return HostId{number};
  };
  read_records(host_folder_, hosts_, key_of, [this](const std::string& name, const auto& text) {
    return told(parse_host_record(text, path("/hosts/" + name)), text);
  });
  listener_.changed();
}

void Membership::read_instances() {
  const auto key_of = [](const std::string& name) { return std::optional<std::string>{name}; };
  read_records(instance_folder_, instances_, key_of,
               [this](const std::string& name, const auto& text) {
                 return told(parse_instance_record(text, path("/instances/" + name)), text);
               });
  listener_.changed();
}

}  // namespace sluice

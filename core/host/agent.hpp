#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/chain/chain.hpp"
#include "core/flow/classifier.hpp"
#include "core/host/agent_settings.hpp"
#include "core/host/cluster_view.hpp"
#include "core/host/ewma.hpp"
#include "core/host/load_sample.hpp"
#include "core/host/reconfiguration.hpp"
#include "core/host/routing.hpp"
#include "core/host/scale_policy.hpp"
#include "core/units.hpp"

namespace sluice {

// --- What happens to a host's control logic ------------------------------------------------------

/// The backend has the instance's rings ready and it serves from now on.
struct InstanceStarted {
  InstanceId instance;
  InstanceChannel* channel;  ///< Lives until ReleaseChannel.
  std::uint16_t worker;      ///< Which worker owns its rings.
};
/// The instance cannot touch packets any more. `died`: nobody had asked it to end.
struct InstanceEnded {
  InstanceId instance;
};
/// A worker saw it return a descriptor that is not its own.
struct InstanceMisbehaved {
  InstanceId instance;
};
/// What a backend reads off an instance each sampling interval; all counters only grow.
struct InstanceReading {
  InstanceId instance = kNoInstance;
  std::uint32_t ring_size = 0;
  std::uint32_t outstanding = 0;
  std::uint64_t heartbeat = 0;
  std::uint64_t busy_ns = 0;
  std::uint64_t delivered_packets = 0;
  std::uint64_t returned_packets = 0;
  std::uint64_t drop_count = 0;
};
struct Readings {
  std::span<const InstanceReading> instances;             ///< Ordered by instance.
  std::span<const std::uint32_t> flow_count_of_instance;  ///< By instance number, ended ones too.
  std::span<const std::uint32_t> flow_count_of_chain;     ///< By chain version index.
  /// The oldest snapshot that a worker used when flows were counted: a drain waits for counts that
  /// are younger than the snapshot that stopped new flows.
  std::uint64_t snapshot_version = ~std::uint64_t{0};
};
/// What a scaling policy, or an operator, wants. What cannot be (Agent::check) is left undone.
///
/// The number of instances that results is what the host keeps from then on: it restarts what dies.
/// A scaling policy goes on from there. Below the minimum, where only an operator can take a
/// service, it leaves the service alone, whatever the load, until an operator has started enough; a
/// Reconfigure restores the file's minimum.
struct ScaleRequest {
  enum class Kind : std::uint8_t {
    kStart,       ///< `count` instances more, up to the maximum.
    kDrain,       ///< No new flows; it stops when its last flow ended.
    kReplace,     ///< It hangs: kill it, and start another.
    kStop,        ///< Stop it now; its flows go to others.
    kQuarantine,  ///< Kill it now, and start another.
  };
  Kind kind = Kind::kStart;
  ServiceId service = kNoService;
  InstanceId instance = kNoInstance;  ///< For all but kStart; `service` is its service then.
  std::uint32_t count = 1;            ///< For kStart.
  std::string reason;                 ///< For the log.
  bool by_operator = false;           ///< May go below the policy's minimum.
};
/// New steps for chains, by number. Flows that live keep the version that they have.
struct ChainUpdate {
  struct Entry {
    ChainId chain;
    std::vector<Step> steps;
  };
  std::vector<Entry> chains;
};
using AgentEvent = std::variant<InstanceStarted, InstanceEnded, InstanceMisbehaved, Readings,
                                ScaleRequest, ChainUpdate, Reconfigure, ClusterView>;

// --- What it wants done, in order ----------------------------------------------------------------

struct StartInstance {
  InstanceId instance;
  ServiceId service;
  std::uint32_t number;  ///< Counts up per service; for names: "ids.3".
};
/// Ask it to end (kStop; an inline one just ends); InstanceEnded follows.
struct StopInstance {
  InstanceId instance;
};
/// End it now (SIGKILL); InstanceEnded follows.
struct TerminateInstance {
  InstanceId instance;
};
struct PostMessage {
  InstanceId instance;
  Message message;
};
/// All workers shall adopt it. The agent keeps the snapshot alive until a later one is published.
struct Publish {
  std::shared_ptr<const RoutingSnapshot> snapshot;
};
/// Once all workers have adopted the last published snapshot: take the instance's buffers back
/// (Worker::reclaim) and free its channel.
struct ReclaimInstance {
  InstanceId instance;
  DropReason reason;
};
/// From now on `services[i]` is the host's number of service i of the file that a Reconfigure
/// brought, and `chains[i]` that of its chain i: what StartInstance means by a number. Numbers that
/// are not named here keep their meaning, for what is old lives until its last flow ended.
struct Renumbered {
  std::vector<ServiceId> services;
  std::vector<ChainId> chains;
};
/// The answer to a Reconfigure.
struct ReconfigureEnded {
  enum class Outcome : std::uint8_t {
    kDone,       ///< New flows take the new way.
    kRefused,    ///< The host has no room for it; nothing happened.
    kTakenBack,  ///< What is new did not start in time; all goes on as before.
  };
  Outcome outcome = Outcome::kDone;
  std::string reason;  ///< A message in the form of a bad file; empty with kDone.
};
/// Something to log; nothing to do.
struct Note {
  enum class Kind : std::uint8_t {
    kInstanceStarted,
    kInstanceDraining,
    kInstanceStopped,
    kInstanceDied,
    kInstanceHung,
    kInstanceQuarantined,
    kScaleUp,
    kScaleDown,
    kScaleBlocked,
    kChainChanged,
    kChainRemoved,
    kServiceAdded,
    kServiceRetiring,  ///< Replaced or gone from the file: it ends with its last flow.
    kServiceRetired,
  };
  Kind kind;
  ServiceId service = kNoService;
  InstanceId instance = kNoInstance;
  std::string name;  ///< Of the instance: "ids.3"; empty without one.
  std::string text;
};
[[nodiscard]] const char* to_string(Note::Kind kind) noexcept;

using AgentCommand = std::variant<StartInstance, StopInstance, TerminateInstance, PostMessage,
                                  Publish, ReclaimInstance, Renumbered, ReconfigureEnded, Note>;

/// The control logic of a host: events in, commands out; a backend carries them out.
///
/// It keeps each service at its wanted number of instances (restarting the dead with back-off,
/// replacing the hung), drains before it stops, and publishes what the workers steer by. Nothing in
/// it blocks, and the data path never waits for it. One thread; not the workers'.
class Agent {
 public:
  using ServiceSettings = sluice::ServiceSettings;
  using PortSettings = sluice::PortSettings;
  struct Options {
    HostId host{};
    /// One for each worker and each instance that is not inline, but for those of services that
    /// retire: their successors need the cores.
    std::uint32_t core_count = 1;
    std::uint16_t worker_count = 1;
    std::vector<ServiceSettings> services;  ///< By service number.
    std::vector<ChainVersion> chains;       ///< By chain number; index and version are set here.
    std::vector<PortSettings> ports;        ///< By port number.
    std::shared_ptr<const Classifier> classifier;
    std::uint32_t instance_count_max = 256;
    std::uint32_t chain_version_count_max = 1024;
    std::uint32_t maglev_size = 65537;
    // As Worker::Options has them; a Reconfigure that needs more is refused.
    std::uint32_t service_count_max = 256;
    std::uint32_t chain_count_max = 256;
    std::uint32_t step_count_max = kStepCountMax;  ///< FlowTable::Options::pin_count_max.
    bool remembers_addresses = true;               ///< address_count_max is not 1.
    Duration hang_limit = std::chrono::milliseconds{200};
    Duration backoff_min = std::chrono::milliseconds{10};
    Duration backoff_max = std::chrono::seconds{1};
    Duration healthy_after = std::chrono::seconds{1};  ///< Then the back-off starts anew.
    Duration occupancy_tau = std::chrono::milliseconds{50};
    /// How long a Reconfigure waits for the first instances of what is new.
    Duration reconfigure_limit = std::chrono::seconds{10};
  };
  explicit Agent(Options options);

  /// The first snapshot and the first instances.
  [[nodiscard]] std::vector<AgentCommand> start(Instant now);
  [[nodiscard]] std::vector<AgentCommand> handle(const AgentEvent& event, Instant now);

  /// What the last Readings said, smoothed: what a scaling policy decides on.
  [[nodiscard]] const LoadSample& sample() const { return sample_; }
  /// Running and starting instances of a service that are not inline or draining.
  [[nodiscard]] std::uint32_t instance_count(ServiceId service) const;
  [[nodiscard]] std::uint32_t cores_free() const;
  /// Whether a Reconfigure waits for instances; another one is refused until it ended.
  [[nodiscard]] bool is_reconfiguring() const { return pending_.has_value(); }
  /// By service number, retiring ones and free numbers too.
  [[nodiscard]] std::span<const ServiceSettings> services() const { return options_.services; }
  [[nodiscard]] ServiceUse use_of(ServiceId service) const;
  [[nodiscard]] InstanceState state_of(InstanceId instance) const;
  [[nodiscard]] ServiceId service_of(InstanceId instance) const;
  /// Why a request would be left undone, in words for who asked: "ids.3: drains already; ...".
  [[nodiscard]] Result<void> check(const ScaleRequest& request) const;
  /// The service that new flows meet under this name; kNoService: none.
  [[nodiscard]] ServiceId service_named(std::string_view name) const;
  /// The instance of this name, "ids.3"; kNoInstance: none.
  [[nodiscard]] InstanceId instance_named(std::string_view name) const;
  /// "ids.3": the service's name and the instance's number.
  [[nodiscard]] std::string name_of(InstanceId instance) const;
  [[nodiscard]] const Options& options() const { return options_; }

 private:
  struct Instance {
    explicit Instance(Ewma smoothed) : occupancy(smoothed) {}
    Ewma occupancy;
    ServiceId service = kNoService;
    std::uint32_t number = 0;
    std::uint32_t place = 0;  ///< Of those that serve, counted from 0: see place_for_another().
    InstanceState state = InstanceState::kStarting;
    InstanceChannel* channel = nullptr;
    std::uint16_t worker = 0;
    Instant running_since{};
    Instant draining_since{};
    Instant heartbeat_changed{};
    Instant last_read{};
    std::uint64_t drain_version = 0;  ///< The snapshot since which it takes no new flows.
    bool leaving = false;  ///< Its service retires, and other instances do for the flows left.
    bool stop_sent = false;
    InstanceReading last;  ///< The reading before, for differences.
  };
  struct ServiceState {
    std::uint32_t wanted = 0;
    std::uint32_t next_number = 1;
    Duration backoff{};
    Instant restart_at{};  ///< No restart before.
    bool blocked = false;  ///< Waits for a core; said once.
    ServiceUse use = ServiceUse::kActive;
    std::uint64_t retire_version =
        0;                   ///< kRetiring: the snapshot since which no new flow meets it.
    bool in_demand = false;  ///< kRetiring: a living flow may still come to it.
  };
  /// A Reconfigure that waits for instances.
  struct Pending {
    ReconfigurationPlan plan;
    std::string file;
    Instant deadline{};
  };

  void on(const InstanceStarted& event, Instant now);
  void on(const InstanceEnded& event, Instant now);
  void on(const InstanceMisbehaved& event, Instant now);
  void on(const Readings& event, Instant now);
  void on(const ScaleRequest& event, Instant now);
  [[nodiscard]] Result<void> check_start(const ScaleRequest& request) const;
  void stop_now(InstanceId id, const std::string& reason, Instant now);
  void terminate(InstanceId id, std::optional<Note::Kind> kind, std::string reason);
  void on(const ChainUpdate& event, Instant now);
  void on(const Reconfigure& event, Instant now);
  void on(const ClusterView& event, Instant now);

  void read(Instance& instance, const InstanceReading& reading, std::uint32_t flow_count,
            Instant now);
  [[nodiscard]] bool looks_hung(const Instance& instance, const InstanceReading& reading,
                                Instant now) const;
  void advance_drain(InstanceId id, Instance& instance, Instant now);
  void drain(InstanceId id, const std::string& reason, Instant now);
  void mark_draining(InstanceId id, Instance& instance, Instant now);
  void retire_chains(std::span<const std::uint32_t> flow_count_of_chain, Instant now);
  /// Starts what is wanted and missing, as far as cores and back-off allow.
  void reconcile(Instant now);
  bool start_one(ServiceId service, Instant now);
  void publish(Instant now);
  [[nodiscard]] bool accepts(const Instance& instance) const;
  void add_remote(ServiceRoute& route) const;
  /// Makes these the active versions of their chains; there has to be room for them.
  void add_chain_versions(std::vector<ChainVersion> versions, Instant now);
  [[nodiscard]] std::uint16_t free_chain_index();

  // Reconfiguring.
  [[nodiscard]] RunningHost running_host() const;
  void begin(ReconfigurationPlan plan, const Reconfigure& event, Instant now);
  /// Goes over to the new way as soon as it can be walked; gives up when that takes too long.
  void advance_reconfiguration(Instant now);
  [[nodiscard]] std::string missing_service() const;
  void commit(Instant now);
  void take_back(const std::string& problem, Instant now);
  void keep_service(const ServiceSettings& settings, Instant now);
  void change_chains(const ReconfigurationPlan& plan, Instant now);
  void retire(std::span<const ServiceId> services, Instant now);
  void advance_retirement(const Readings& readings);
  void advance_retirement(ServiceId service, std::span<const std::uint32_t> flow_count_of_chain);
  void stop_idle(ServiceId service);
  void keep_one_while_in_demand(ServiceId service);
  [[nodiscard]] bool has_chain_version(ServiceId service) const;

  void note(Note::Kind kind, ServiceId service, InstanceId instance, std::string text = {});
  [[nodiscard]] bool is_inline(ServiceId service) const;
  [[nodiscard]] bool holds_core(ServiceId service) const;
  [[nodiscard]] InstanceId free_number() const;
  [[nodiscard]] std::uint32_t next_number(const std::string& service_name) const;
  [[nodiscard]] std::uint32_t place_for_another(ServiceId service) const;

  Options options_;
  std::map<InstanceId, Instance> instances_;
  std::vector<ServiceState> services_;
  std::vector<std::shared_ptr<const ChainVersion>> chains_;  ///< By version index.
  std::vector<std::uint16_t> active_;                        ///< By chain number.
  std::vector<Instant> chain_retired_;                       ///< By version index.
  std::vector<std::uint32_t> pinned_flows_;                  ///< By instance number, as last read.
  std::uint64_t counted_version_ = 0;                        ///< Readings::snapshot_version.
  std::optional<Pending> pending_;
  std::shared_ptr<const RoutingSnapshot> published_;
  std::shared_ptr<const ClusterRoutes> cluster_;  ///< Null: alone.
  std::vector<Member> members_;
  std::uint64_t snapshot_version_ = 0;
  std::uint16_t last_instance_ = 0xffff;
  std::uint16_t last_chain_index_ = 0xffff;
  LoadSample sample_;
  std::vector<AgentCommand> commands_;
};

}  // namespace sluice

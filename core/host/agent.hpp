#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "core/chain/chain.hpp"
#include "core/flow/classifier.hpp"
#include "core/host/ewma.hpp"
#include "core/host/load_sample.hpp"
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
};
/// What a scaling policy, or an operator, wants.
struct ScaleRequest {
  enum class Kind : std::uint8_t { kStart, kDrain, kReplace };
  Kind kind = Kind::kStart;
  ServiceId service = kNoService;
  InstanceId instance = kNoInstance;  ///< For kDrain and kReplace.
  std::uint32_t count = 1;            ///< For kStart.
  std::string reason;                 ///< For the log.
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
                                ScaleRequest, ChainUpdate>;

// --- What it wants done, in order ----------------------------------------------------------------

struct StartInstance {
  InstanceId instance;
  ServiceId service;
  std::uint32_t number;  ///< Counts up per service; for names: "ids.3".
};
/// Ask it to end (kStop); InstanceEnded follows.
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
  };
  Kind kind;
  ServiceId service = kNoService;
  InstanceId instance = kNoInstance;
  std::string name;  ///< Of the instance: "ids.3"; empty without one.
  std::string text;
};
[[nodiscard]] const char* to_string(Note::Kind kind) noexcept;

using AgentCommand = std::variant<StartInstance, StopInstance, TerminateInstance, PostMessage,
                                  Publish, ReclaimInstance, Note>;

/// The control logic of a host: events in, commands out; a backend carries them out.
///
/// It keeps each service at its wanted number of instances (restarting the dead with back-off,
/// replacing the hung), drains before it stops, and publishes what the workers steer by. Nothing in
/// it blocks, and the data path never waits for it. One thread; not the workers'.
class Agent {
 public:
  struct ServiceSettings {
    Service service;
    ScalePolicy policy;
    std::uint32_t instance_count_start = 1;
  };
  struct PortSettings {
    UnmatchedPolicy unmatched = UnmatchedPolicy::kDrop;
    PortId pass_to = kNoPort;
    PortId neighbours_to = kNoPort;  ///< Where ARP and neighbour discovery go.
    std::uint16_t frame_size_max = 1522;
    std::uint16_t worker = 0;
  };
  struct Options {
    HostId host{};
    std::uint32_t core_count = 1;  ///< One for each worker and each instance that is not inline.
    std::uint16_t worker_count = 1;
    std::vector<ServiceSettings> services;  ///< By service number.
    std::vector<ChainVersion> chains;       ///< By chain number; index and version are set here.
    std::vector<PortSettings> ports;        ///< By port number.
    std::shared_ptr<const Classifier> classifier;
    std::uint32_t instance_count_max = 256;
    std::uint32_t chain_version_count_max = 1024;
    std::uint32_t maglev_size = 65537;
    Duration hang_limit = std::chrono::milliseconds{200};
    Duration backoff_min = std::chrono::milliseconds{10};
    Duration backoff_max = std::chrono::seconds{1};
    Duration healthy_after = std::chrono::seconds{1};  ///< Then the back-off starts anew.
    Duration occupancy_tau = std::chrono::milliseconds{50};
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
  [[nodiscard]] InstanceState state_of(InstanceId instance) const;
  [[nodiscard]] ServiceId service_of(InstanceId instance) const;
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
    bool stop_sent = false;
    InstanceReading last;  ///< The reading before, for differences.
  };
  struct ServiceState {
    std::uint32_t wanted = 0;
    std::uint32_t next_number = 1;
    Duration backoff{};
    Instant restart_at{};  ///< No restart before.
    bool blocked = false;  ///< Waits for a core; said once.
  };

  void on(const InstanceStarted& event, Instant now);
  void on(const InstanceEnded& event, Instant now);
  void on(const InstanceMisbehaved& event, Instant now);
  void on(const Readings& event, Instant now);
  void on(const ScaleRequest& event, Instant now);
  void on(const ChainUpdate& event, Instant now);

  void read(Instance& instance, const InstanceReading& reading, std::uint32_t flow_count,
            Instant now);
  [[nodiscard]] bool looks_hung(const Instance& instance, const InstanceReading& reading,
                                Instant now) const;
  void advance_drain(InstanceId id, Instance& instance, Instant now);
  void drain(InstanceId id, const std::string& reason, Instant now);
  void retire_chains(std::span<const std::uint32_t> flow_count_of_chain, Instant now);
  /// Starts what is wanted and missing, as far as cores and back-off allow.
  void reconcile(Instant now);
  bool start_one(ServiceId service, Instant now);
  void publish(Instant now);
  void add_chain_version(ChainVersion version);
  void note(Note::Kind kind, ServiceId service, InstanceId instance, std::string text = {});
  [[nodiscard]] bool is_inline(ServiceId service) const;
  [[nodiscard]] InstanceId free_number() const;
  [[nodiscard]] std::uint32_t place_for_another(ServiceId service) const;

  Options options_;
  std::map<InstanceId, Instance> instances_;
  std::vector<ServiceState> services_;
  std::vector<std::shared_ptr<const ChainVersion>> chains_;  ///< By version index.
  std::vector<std::uint16_t> active_;                        ///< By chain number.
  std::vector<Instant> chain_retired_;                       ///< By version index.
  std::vector<std::uint32_t> pinned_flows_;                  ///< By instance number, as last read.
  std::shared_ptr<const RoutingSnapshot> published_;
  std::uint64_t snapshot_version_ = 0;
  std::uint16_t last_instance_ = 0xffff;
  std::uint16_t last_chain_index_ = 0xffff;
  LoadSample sample_;
  std::vector<AgentCommand> commands_;
};

}  // namespace sluice

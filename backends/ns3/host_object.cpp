#include "backends/ns3/host_object.hpp"

#include <map>
#include <utility>

#include "backends/ns3/burst_port.hpp"
#include "backends/ns3/ethernet.hpp"
#include "backends/ns3/sim_time.hpp"
#include "backends/ns3/stock_port.hpp"
#include "core/check.hpp"

namespace sluice {

namespace {

constexpr double kPpmPerOne = 1e6;

void add(PortStatistics& to, const PortStatistics& each) {
  to.received_packets += each.received_packets;
  to.received_bytes += each.received_bytes;
  to.sent_packets += each.sent_packets;
  to.sent_bytes += each.sent_bytes;
  to.no_buffer += each.no_buffer;
}

void add(ChainStatistics& to, const ChainStatistics& each) {
  to.entered_packets += each.entered_packets;
  to.left_packets += each.left_packets;
  to.left_bytes += each.left_bytes;
  to.dropped_packets += each.dropped_packets;
  to.latency.merge(each.latency);
}

template <class Statistics>
void add(std::vector<Statistics>& to, const std::vector<Statistics>& each) {
  if (to.size() < each.size()) to.resize(each.size());
  for (std::size_t i = 0; i < each.size(); ++i) add(to[i], each[i]);
}

}  // namespace

/// Turns what an Observer is told into trace sources.
class SluiceHost::Relay final : public Observer {
 public:
  explicit Relay(SluiceHost& owner) : owner_(&owner) {}
  /// From now on nobody is told anything: the owner's callbacks may name what is gone.
  void mute() { owner_ = nullptr; }
  [[nodiscard]] SluiceHost* owner() const { return owner_; }

  void received(Instant, PortId port, std::span<const Packet> packets) override {
    if (owner_ != nullptr) trace(owner_->trace_rx_, packets, index_of(port));
  }
  void sent(Instant, PortId port, std::span<const Packet> packets) override {
    if (owner_ != nullptr) trace(owner_->trace_tx_, packets, index_of(port));
  }
  void dropped(Instant, std::span<const Packet> packets, DropReason reason) override {
    if (reason == DropReason::kCopyDone || owner_ == nullptr) return;
    trace(owner_->trace_drop_, packets, reason);
  }
  void flow_started(Instant, FlowId flow, const FlowKey& key, std::uint16_t chain,
                    std::span<const Pin>) override {
    if (owner_ == nullptr || owner_->trace_flow_started_.IsEmpty()) return;
    owner_->trace_flow_started_(flow, key, name(chains_, chain));
  }
  void flow_ended(Instant, FlowId flow) override {
    if (owner_ != nullptr) owner_->trace_flow_ended_(flow);
  }
  void chain_published(Instant, const ChainVersion& chain) override {
    chains_[chain.index] = chain.name;
  }
  void instance_started(Instant, InstanceId instance, ServiceId service) override {
    if (owner_ == nullptr) return;
    instances_[instance] = owner_->GetHost()->agent().name_of(instance);
    owner_->trace_instance_started_(instances_[instance],
                                    owner_->deployment_->services[index_of(service)].service.name);
  }
  void instance_draining(Instant, InstanceId instance) override {
    if (owner_ != nullptr) owner_->trace_instance_draining_(name(instances_, instance));
  }
  void instance_ended(Instant, InstanceId instance, bool died) override {
    if (owner_ != nullptr) owner_->trace_instance_ended_(name(instances_, instance), died);
  }

 private:
  template <class Trace, class Value>
  void trace(const Trace& source, std::span<const Packet> packets, Value value) const {
    if (source.IsEmpty()) return;
    const PacketMemory& memory = owner_->GetHost()->memory();
    for (const Packet& packet : packets) source(to_ns3_packet(memory.bytes(packet)), value);
  }
  template <class Key>
  static std::string name(const std::map<Key, std::string>& names, Key key) {
    const auto found = names.find(key);
    return found == names.end() ? "?" : found->second;
  }

  SluiceHost* owner_;
  std::map<std::uint16_t, std::string> chains_;  ///< By version index.
  std::map<InstanceId, std::string> instances_;  ///< Of ended ones, too.
};

struct SluiceHost::Running {
  Running(SluiceHost& owner, std::shared_ptr<const Deployment> of)
      : deployment(std::move(of)),
        relay(owner),
        host(*deployment, owner.host_id_, owner.options(&relay)) {}
  std::shared_ptr<const Deployment> deployment;
  Relay relay;
  SimHost host;
};

NS_OBJECT_ENSURE_REGISTERED(SluiceHost);

ns3::TypeId SluiceHost::GetTypeId() {
  static const ns3::TypeId tid = add_traces(add_attributes(ns3::TypeId("sluice::Host")
                                                               .SetParent<ns3::Object>()
                                                               .SetGroupName("Sluice")
                                                               .AddConstructor<SluiceHost>()));
  return tid;
}

ns3::TypeId SluiceHost::add_attributes(ns3::TypeId tid) {
  const auto positive = ns3::MakeTimeChecker(ns3::NanoSeconds(1));
  const auto not_negative = ns3::MakeTimeChecker(ns3::Time(0));
  return tid
      .AddAttribute("Seed",
                    "Of hashes and of the functions' chance; 0: run.seed of the deployment and the "
                    "host's number.",
                    ns3::UintegerValue(0), ns3::MakeUintegerAccessor(&SluiceHost::seed_),
                    ns3::MakeUintegerChecker<std::uint64_t>())
      .AddAttribute("SampleInterval", "From one load sample to the next.",
                    ns3::TimeValue(ns3::MilliSeconds(10)),
                    ns3::MakeTimeAccessor(&SluiceHost::sample_interval_), positive)
      .AddAttribute("StartDelay",
                    "From the decision to start an instance to its first packet; the first ones "
                    "start at once.",
                    ns3::TimeValue(ns3::MilliSeconds(3)),
                    ns3::MakeTimeAccessor(&SluiceHost::start_delay_), not_negative)
      .AddAttribute("DeathNotice", "From the end of an instance to the host's knowing.",
                    ns3::TimeValue(ns3::MilliSeconds(1)),
                    ns3::MakeTimeAccessor(&SluiceHost::death_notice_), not_negative)
      .AddAttribute("BatchMax", "Packets that an instance takes at once.",
                    ns3::UintegerValue(PacketBatch::kCapacity),
                    ns3::MakeUintegerAccessor(&SluiceHost::batch_max_),
                    ns3::MakeUintegerChecker<std::uint32_t>(1, PacketBatch::kCapacity))
      .AddAttribute("RxRingFrames", "Frames that wait at a port for the host, at most.",
                    ns3::UintegerValue(4096),
                    ns3::MakeUintegerAccessor(&SluiceHost::rx_ring_frames_),
                    ns3::MakeUintegerChecker<std::uint32_t>(1))
      .AddAttribute("Scaling", "Whether the sampler is asked for instances to start and stop.",
                    ns3::BooleanValue(true), ns3::MakeBooleanAccessor(&SluiceHost::scaling_),
                    ns3::MakeBooleanChecker());
}

ns3::TypeId SluiceHost::add_traces(ns3::TypeId tid) {
  const std::string host = "sluice::SluiceHost::";
  const auto source = [&tid, &host](const char* name, const char* help, auto member,
                                    const char* callback) {
    tid = tid.AddTraceSource(name, help, ns3::MakeTraceSourceAccessor(member), host + callback);
  };
  source("Rx", "A worker took a frame from a port.", &SluiceHost::trace_rx_, "FrameTracedCallback");
  source("Tx", "A frame went to a port's device.", &SluiceHost::trace_tx_, "FrameTracedCallback");
  source("Drop", "A packet ended in the host, and why.", &SluiceHost::trace_drop_,
         "DropTracedCallback");
  source("FlowStarted", "The first packet of a flow was classified.",
         &SluiceHost::trace_flow_started_, "FlowStartedTracedCallback");
  source("FlowEnded", "A flow left the flow table.", &SluiceHost::trace_flow_ended_,
         "FlowEndedTracedCallback");
  source("InstanceStarted", "An instance serves, with the name of its service.",
         &SluiceHost::trace_instance_started_, "TextTracedCallback");
  source("InstanceDraining", "An instance gets no new flows.",
         &SluiceHost::trace_instance_draining_, "NameTracedCallback");
  source("InstanceEnded", "An instance stopped or died.", &SluiceHost::trace_instance_ended_,
         "InstanceEndedTracedCallback");
  source("ScaleUp", "A service shall have more instances, and why.", &SluiceHost::trace_scale_up_,
         "TextTracedCallback");
  source("ScaleDown", "An instance is to go, and why.", &SluiceHost::trace_scale_down_,
         "TextTracedCallback");
  source("ScaleBlocked", "A service shall have more instances and cannot, and why.",
         &SluiceHost::trace_scale_blocked_, "TextTracedCallback");
  source("Occupancy", "Of an instance's receive ring, 0 to 1, smoothed; each sample.",
         &SluiceHost::trace_occupancy_, "RatioTracedCallback");
  source("Load", "Busy time of an instance by wall time, 0 to 1; each sample.",
         &SluiceHost::trace_load_, "RatioTracedCallback");
  return tid;
}

SluiceHost::SluiceHost() = default;
SluiceHost::~SluiceHost() = default;

void SluiceHost::Bind(std::shared_ptr<const Deployment> deployment, HostId host,
                      std::vector<ns3::Ptr<ns3::NetDevice>> devices) {
  SLUICE_CHECK(deployment_ == nullptr && deployment != nullptr);
  SLUICE_CHECK(index_of(host) < deployment->hosts.size());
  SLUICE_CHECK(devices.size() == deployment->hosts[index_of(host)].ports.size());
  deployment_ = std::move(deployment);
  host_id_ = host;
  devices_ = std::move(devices);
  last_statistics_.ports.resize(devices_.size());
  last_statistics_.chains.resize(deployment_->chains.size());
}

void SluiceHost::SetSampler(SimHost::Sampler sampler) {
  sampler_ = std::move(sampler);
}

SimHost::Options SluiceHost::options(Observer* observer) const {
  SimHost::Options options;
  options.seed = seed_ != 0 ? seed_ : deployment_->run.seed + index_of(host_id_);
  options.observer = observer;
  options.sample_interval = to_duration(sample_interval_);
  options.start_delay = to_duration(start_delay_);
  options.death_notice = to_duration(death_notice_);
  options.batch_max = batch_max_;
  return options;
}

void SluiceHost::DoInitialize() {
  SLUICE_CHECK(deployment_ != nullptr);  // Made without HostHelper, and without Bind().
  running_ = std::make_shared<Running>(*this, deployment_);
  ns3::Simulator::ScheduleDestroy([keep = running_] { (void)keep; });
  attach_ports();
  Relay* const to = &running_->relay;
  running_->host.set_note_sink([to](Instant, const Note& note) {
    if (to->owner() != nullptr) to->owner()->relay(note);
  });
  running_->host.set_sampler([to](const LoadSample& sample) -> std::vector<ScaleRequest> {
    SluiceHost* const owner = to->owner();
    if (owner == nullptr) return {};
    owner->trace_load(sample);
    if (!owner->scaling_ || !owner->sampler_) return {};
    return owner->sampler_(sample);
  });
  plan_changes();
  running_->host.start();
  ns3::Object::DoInitialize();
}

void SluiceHost::attach_ports() {
  for (std::uint16_t i = 0; i < devices_.size(); ++i) {
    const SimPort::Options port{.id = PortId{i}, .rx_ring_frames = rx_ring_frames_};
    if (const auto burst = ns3::DynamicCast<BurstNetDevice>(devices_[i])) {
      running_->host.attach(port.id, std::make_unique<BurstPort>(port, burst));
    } else {
      running_->host.attach(port.id, std::make_unique<StockPort>(port, devices_[i]));
    }
  }
}

void SluiceHost::plan_changes() {
  for (const ChainChange& change : deployment_->changes) {
    if (change.host != host_id_) continue;
    ChainUpdate update;
    for (const ChainVersion& version : change.versions) {
      update.chains.push_back({version.chain, version.steps});
    }
    schedule_at(change.at, [host = &running_->host, update] { host->change(update); });
  }
}

void SluiceHost::DoDispose() {
  if (running_ != nullptr) {
    running_->relay.mute();  // First: what is connected may be gone by now.
    running_->host.shut_down();
    last_statistics_ = GetStatistics();
    last_audit_ = Audit();
    running_ = nullptr;  // And with it the devices, whose captures end with them.
  }
  sampler_ = nullptr;
  devices_.clear();
  ns3::Object::DoDispose();
}

void SluiceHost::Stop() {
  if (running_ != nullptr) running_->host.shut_down();
}

std::string SluiceHost::Audit() const {
  return running_ == nullptr ? last_audit_ : running_->host.audit();
}

SimHost* SluiceHost::GetHost() const {
  return running_ == nullptr ? nullptr : &running_->host;
}

WorkerStatistics SluiceHost::GetStatistics() const {
  if (running_ == nullptr) return last_statistics_;
  WorkerStatistics sum;
  for (std::uint16_t i = 0; i < running_->host.worker_count(); ++i) {
    const WorkerStatistics& each = running_->host.worker(i).statistics();
    add(sum.ports, each.ports);
    add(sum.chains, each.chains);
    for (std::size_t j = 0; j < sum.drops.size(); ++j) sum.drops[j] += each.drops[j];
    sum.flows_started += each.flows_started;
    sum.flows_ended += each.flows_ended;
    sum.polls += each.polls;
  }
  return sum;
}

std::uint64_t SluiceHost::GetDropCount(DropReason reason) const {
  return GetStatistics().drops[static_cast<std::size_t>(reason)];
}

std::uint64_t SluiceHost::GetDropCount() const {
  const DropCounts drops = GetStatistics().drops;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < drops.size(); ++i) {
    if (static_cast<DropReason>(i) != DropReason::kCopyDone) sum += drops[i];
  }
  return sum;
}

std::uint32_t SluiceHost::GetInstanceCount(const std::string& service) const {
  if (running_ == nullptr) return 0;
  for (const ServiceSpec& each : deployment_->services) {
    if (each.service.name == service) return running_->host.agent().instance_count(each.service.id);
  }
  return 0;
}

void SluiceHost::relay(const Note& note) {
  if (note.service == kNoService) return;
  const std::string& service = deployment_->services[index_of(note.service)].service.name;
  if (note.kind == Note::Kind::kScaleUp) trace_scale_up_(service, note.text);
  if (note.kind == Note::Kind::kScaleDown) trace_scale_down_(note.name, note.text);
  if (note.kind == Note::Kind::kScaleBlocked) trace_scale_blocked_(service, note.text);
}

void SluiceHost::trace_load(const LoadSample& sample) {
  if (trace_occupancy_.IsEmpty() && trace_load_.IsEmpty()) return;
  for (const InstanceSample& each : sample.instances) {
    const std::string instance = running_->host.agent().name_of(each.instance);
    trace_occupancy_(instance, each.occupancy.value / kPpmPerOne);
    trace_load_(instance, each.load.value / kPpmPerOne);
  }
}

}  // namespace sluice

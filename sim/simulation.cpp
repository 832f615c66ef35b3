#include "sim/simulation.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "backends/ns3/burst_channel.hpp"
#include "backends/ns3/burst_net_device.hpp"
#include "backends/ns3/burst_port.hpp"
#include "backends/ns3/frame_sink.hpp"
#include "backends/ns3/frame_source.hpp"
#include "backends/ns3/ns3.hpp"
#include "backends/ns3/sim_host.hpp"
#include "backends/ns3/sim_time.hpp"
#include "backends/ns3/simulable.hpp"
#include "backends/ns3/stock_port.hpp"
#include "backends/ns3/tcp_transfers.hpp"
#include "core/check.hpp"
#include "sim/attach_autoscaler.hpp"
#include "sim/checkers/checker_set.hpp"
#include "sim/latency_recorder.hpp"
#include "sim/observer_list.hpp"
#include "sim/trace_hash/trace_hash.hpp"
#include "sim/workload/transfers.hpp"
#include "sim/workload/workload.hpp"

namespace sluice::sim {

namespace {

constexpr Duration kSettleTime = std::chrono::milliseconds{100};
constexpr Ppm kMedian{500'000};
constexpr Ppm k99{990'000};

/// What hangs on one port of a host: the link, and the world behind it.
struct PortWorld {
  std::string name;  ///< "h1.p0"
  ns3::Ptr<ns3::NetDevice> host_device;
  ns3::Ptr<ns3::NetDevice> peer_device;
  ns3::Ptr<BurstChannel> channel;  ///< Null on stock links.
  std::unique_ptr<FrameSink> sink;
  std::uint64_t delivered_before = 0;
};

struct TrafficWorld {
  std::unique_ptr<FrameSource> source;
  std::unique_ptr<FrameSource> replies;  ///< Of a replay whose servers have a port of their own.
  std::unique_ptr<TcpTransfers> transfers;
  std::uint64_t offered_before = 0;
};

struct HostWorld {
  std::unique_ptr<CheckerSet> checkers;
  std::unique_ptr<TraceHash> trace;
  std::unique_ptr<LatencyRecorder> latency;
  ObserverList observers;
  std::unique_ptr<SimHost> host;
  std::vector<PortWorld> ports;
  SimHost::Sampler autoscaler;
  DropCounts drops_before{};  ///< At the last row of the series.
  DropCounts drops_at_warmup{};
  std::vector<double> core_seconds;          ///< By service.
  std::vector<std::uint32_t> instances_max;  ///< By service.
  std::vector<std::uint32_t> instances_now;  ///< By service.
};

DropCounts drops_of(const SimHost& host) {
  DropCounts sum{};
  for (std::uint16_t i = 0; i < host.worker_count(); ++i) {
    const DropCounts& drops = host.worker(i).statistics().drops;
    for (std::size_t j = 0; j < sum.size(); ++j) sum[j] += drops[j];
  }
  return sum;
}

std::uint64_t received_of(const SimHost& host) {
  std::uint64_t sum = 0;
  for (std::uint16_t i = 0; i < host.worker_count(); ++i) {
    for (const PortStatistics& port : host.worker(i).statistics().ports) {
      sum += port.received_packets;
    }
  }
  return sum;
}

/// "kill_instance" and the like: for results, and to count what a swarm reached.
std::string name_of(const FaultSpec& fault) {
  struct Namer {
    std::string operator()(const KillInstance&) const { return "kill_instance"; }
    std::string operator()(const HangInstance&) const { return "hang_instance"; }
    std::string operator()(const SlowInstance&) const { return "slow_instance"; }
    std::string operator()(const KillHost&) const { return "kill_host"; }
    std::string operator()(const PauseHost&) const { return "pause_host"; }
    std::string operator()(const DisturbLink&) const { return "disturb_link"; }
  };
  return std::visit(Namer{}, fault.what);
}

/// FNV-1a, for a seed of each link's own.
std::uint64_t seed_of(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

std::uint64_t received_bytes(ns3::NetDevice& device) {
  const auto* burst = dynamic_cast<BurstNetDevice*>(&device);
  return burst == nullptr ? 0 : burst->counters().rx_bytes;
}

class Simulation {
 public:
  Simulation(const Deployment& deployment, const SimulationOptions& options)
      : deployment_(deployment), options_(options), hosts_(deployment.hosts.size()) {}
  ~Simulation();

  Result<void> build();
  SimulationResult run();

 private:
  // Building.
  void build_host(std::size_t index);
  void build_port(HostWorld& world, const HostSpec& spec, const PortSpec& port);
  void build_burst_link(PortWorld& port, const PortSpec& spec);
  void build_stock_link(PortWorld& port, const PortSpec& spec);
  Result<void> build_traffic(std::size_t index);
  Result<std::unique_ptr<FrameSource>> make_source(std::size_t index, PortRef into,
                                                   ReplayGenerator::Side side);
  void build_transfers(const TrafficSpec& spec, const TcpTraffic& tcp, std::uint64_t number);
  void build_sinks();
  Result<void> plan_faults();
  void plan_changes();

  // Running.
  std::vector<ScaleRequest> decide(HostWorld& world, const LoadSample& sample);
  void note(HostWorld& world, Instant now, const Note& note);
  void begin_fault(const FaultSpec& fault);
  void end_fault(const FaultSpec& fault);
  bool apply(const FaultSpec& fault, bool begin);
  void disturb(const DisturbLink& fault, bool begin);
  void count(const FaultSpec& fault);
  void record();
  void record_host(HostWorld& world, Instant now);
  void record_services(HostWorld& world, Instant now);
  void record_traffic(Instant now);
  void end_warmup();
  void stop();
  template <class Value>
  void row(Instant now, const std::string& entity, std::string_view metric, Value value,
           std::string_view unit);

  // Ending.
  SimulationResult result();
  nlohmann::ordered_json summary();
  nlohmann::ordered_json summary_of_services() const;
  nlohmann::ordered_json summary_of_chains() const;
  nlohmann::ordered_json summary_of_instances() const;
  nlohmann::ordered_json summary_of_transfers() const;
  nlohmann::ordered_json summary_of_links() const;
  nlohmann::ordered_json summary_of_ports();

  [[nodiscard]] PortWorld& port_at(PortRef ref) {
    return hosts_[index_of(ref.host)].ports[index_of(ref.port)];
  }

  const Deployment& deployment_;
  const SimulationOptions& options_;
  std::vector<HostWorld> hosts_;
  std::vector<TrafficWorld> traffic_;
  std::map<std::string, std::uint64_t> fault_counts_;
  std::map<std::string, std::uint64_t> note_counts_;
  bool complete_ = false;
  std::uint64_t events_of_run_ = 0;
  Instant measured_from_{};
  std::uint64_t offered_bytes_ = 0;
  std::uint64_t delivered_bytes_ = 0;
};

Simulation::~Simulation() {
  // Sources, sinks and ports name devices; ns-3's own objects go last.
  traffic_.clear();
  hosts_.clear();
  ns3::Simulator::Destroy();
}

// --- Building ------------------------------------------------------------------------------------

Result<void> Simulation::build() {
  ns3::ObjectFactory scheduler;
  scheduler.SetTypeId("ns3::PriorityQueueScheduler");
  ns3::Simulator::SetScheduler(scheduler);
  ns3::RngSeedManager::SetSeed(1);
  ns3::RngSeedManager::SetRun(deployment_.run.seed);
  enable_checksums();
  for (std::size_t i = 0; i < hosts_.size(); ++i) build_host(i);
  traffic_.resize(deployment_.traffic.size());
  for (std::size_t i = 0; i < traffic_.size(); ++i) {
    if (auto built = build_traffic(i); !built) return built;
  }
  build_sinks();
  if (auto planned = plan_faults(); !planned) return planned;
  plan_changes();
  return {};
}

void Simulation::build_host(std::size_t index) {
  const HostSpec& spec = deployment_.hosts[index];
  HostWorld& world = hosts_[index];
  world.trace = std::make_unique<TraceHash>();
  world.latency = std::make_unique<LatencyRecorder>(deployment_.chains.size());
  world.observers.add(world.trace.get());
  world.observers.add(world.latency.get());
  if (deployment_.run.checkers) {
    CheckerSet::Options checkers;
    checkers.buffer_count = spec.buffer_count;
    checkers.flow_count_max = spec.flow_count_max * spec.worker_count;
    for (const ServiceSpec& service : deployment_.services) {
      checkers.services.push_back(service.service);
    }
    for (const FaultSpec& fault : deployment_.faults) {
      const Instant end = fault.at + fault.duration.value_or(Duration::zero());
      checkers.faults_end = std::max(checkers.faults_end, end);
    }
    world.checkers = std::make_unique<CheckerSet>(std::move(checkers));
    world.observers.add(world.checkers.get());
  }
  if (options_.observer != nullptr) world.observers.add(options_.observer);
  SimHost::Options options;
  options.seed = deployment_.run.seed + index;
  options.observer = &world.observers;
  options.sample_interval = deployment_.run.sample_interval;
  options.batch_max = options_.batch_max;
  world.host = std::make_unique<SimHost>(deployment_, spec.id, options);
  for (const PortSpec& port : spec.ports) build_port(world, spec, port);
  world.autoscaler = make_autoscaler(
      deployment_, spec.id, [this, &world](const LoadSample& sample, const ScaleAction& action) {
        note(world, sample.when,
             Note{Note::Kind::kScaleBlocked,
                  action.service,
                  kNoInstance,
                  {},
                  to_string(action.reason)});
      });
  world.core_seconds.resize(deployment_.services.size());
  world.instances_max.resize(deployment_.services.size());
  world.instances_now.resize(deployment_.services.size());
  world.host->set_sampler(
      [this, &world](const LoadSample& sample) { return decide(world, sample); });
  world.host->set_note_sink(
      [this, &world](Instant now, const Note& each) { note(world, now, each); });
}

void Simulation::build_port(HostWorld& world, const HostSpec& spec, const PortSpec& port) {
  world.ports.emplace_back();
  PortWorld& built = world.ports.back();
  built.name = spec.name + "." + port.name;
  if (port.link.kind == LinkSpec::Kind::kBurst) {
    build_burst_link(built, port);
    world.host->attach(
        port.id, std::make_unique<BurstPort>(SimPort::Options{.id = port.id},
                                             ns3::DynamicCast<BurstNetDevice>(built.host_device)));
    return;
  }
  build_stock_link(built, port);
  world.host->attach(
      port.id, std::make_unique<StockPort>(SimPort::Options{.id = port.id}, built.host_device));
}

void Simulation::build_burst_link(PortWorld& port, const PortSpec& spec) {
  port.channel = ns3::CreateObject<BurstChannel>();
  port.channel->SetAttribute("Delay", ns3::TimeValue(to_time(spec.link.delay)));
  for (ns3::Ptr<ns3::NetDevice>* end : {&port.host_device, &port.peer_device}) {
    const auto node = ns3::CreateObject<ns3::Node>();
    const auto device = ns3::CreateObject<BurstNetDevice>();
    device->SetAttribute("DataRate", ns3::DataRateValue(ns3::DataRate(spec.rate.bps)));
    device->SetAttribute("BurstMax", ns3::UintegerValue(spec.link.burst_count_max));
    device->SetAttribute("BurstWindow", ns3::TimeValue(to_time(spec.link.burst_window)));
    device->SetAddress(ns3::Mac48Address::Allocate());
    node->AddDevice(device);
    device->attach(port.channel);
    *end = device;
  }
  Prng prng{deployment_.run.seed ^ seed_of(port.name)};
  for (const auto& end : {port.host_device, port.peer_device}) {
    port.channel->link_from(*ns3::DynamicCast<BurstNetDevice>(end)).seed(prng.fork(1));
  }
}

void Simulation::build_stock_link(PortWorld& port, const PortSpec& spec) {
  const bool csma = spec.link.kind == LinkSpec::Kind::kCsma;
  ns3::ObjectFactory devices(csma ? "ns3::CsmaNetDevice" : "ns3::PointToPointNetDevice");
  ns3::ObjectFactory queues("ns3::DropTailQueue<Packet>");
  const ns3::DataRateValue rate{ns3::DataRate(spec.rate.bps)};
  const ns3::TimeValue delay{to_time(spec.link.delay)};
  const auto csma_channel = csma ? ns3::CreateObject<ns3::CsmaChannel>() : nullptr;
  const auto ppp_channel = csma ? nullptr : ns3::CreateObject<ns3::PointToPointChannel>();
  if (csma) {
    csma_channel->SetAttribute("DataRate", rate);
    csma_channel->SetAttribute("Delay", delay);
  } else {
    ppp_channel->SetAttribute("Delay", delay);
  }
  for (ns3::Ptr<ns3::NetDevice>* end : {&port.host_device, &port.peer_device}) {
    const auto node = ns3::CreateObject<ns3::Node>();
    const auto device = devices.Create<ns3::NetDevice>();
    device->SetAddress(ns3::Mac48Address::Allocate());
    node->AddDevice(device);
    const auto queue = queues.Create<ns3::Queue<ns3::Packet>>();
    if (csma) {
      const auto typed = ns3::DynamicCast<ns3::CsmaNetDevice>(device);
      typed->SetQueue(queue);
      typed->Attach(csma_channel);
    } else {
      const auto typed = ns3::DynamicCast<ns3::PointToPointNetDevice>(device);
      typed->SetDataRate(ns3::DataRate(spec.rate.bps));
      typed->SetQueue(queue);
      typed->Attach(ppp_channel);
    }
    *end = device;
  }
}

Result<void> Simulation::build_traffic(std::size_t index) {
  const TrafficSpec& spec = deployment_.traffic[index];
  TrafficWorld& world = traffic_[index];
  if (const auto* tcp = std::get_if<TcpTraffic>(&spec.kind)) {
    build_transfers(spec, *tcp, index);
    return {};
  }
  using Side = ReplayGenerator::Side;
  const auto* replay = std::get_if<ReplayTraffic>(&spec.kind);
  const bool two_sides = replay != nullptr && replay->to.has_value();
  auto source = make_source(index, spec.into, two_sides ? Side::kClients : Side::kAll);
  if (!source) return unexpected(source.error());
  world.source = std::move(*source);
  if (!two_sides) return {};
  auto replies = make_source(index, *replay->to, Side::kServers);
  if (!replies) return unexpected(replies.error());
  world.replies = std::move(*replies);
  return {};
}

Result<std::unique_ptr<FrameSource>> Simulation::make_source(std::size_t index, PortRef into,
                                                             ReplayGenerator::Side side) {
  const TrafficSpec& spec = deployment_.traffic[index];
  const PortSpec& port = deployment_.hosts[index_of(into.host)].ports[index_of(into.port)];
  auto generator =
      make_generator(spec, port.frame_size_max, options_.folder, deployment_.run.seed, index, side);
  if (!generator) return unexpected(generator.error());
  auto source = std::make_unique<FrameSource>(port_at(into).peer_device, std::move(*generator));
  schedule_at(spec.start, [each = source.get(), stop = spec.stop] { each->start(stop); });
  return source;
}

void Simulation::build_transfers(const TrafficSpec& spec, const TcpTraffic& tcp,
                                 std::uint64_t number) {
  TcpTransfers::Options options;
  options.client = port_at(spec.into).peer_device;
  options.server = port_at(tcp.to).peer_device;
  options.port = tcp.addresses.destination_port.first;
  options.goodput_interval = options_.series_interval;
  auto transfers = std::make_unique<TcpTransfers>(options);
  for (const auto& [start, size_bytes] : plan_transfers(spec, tcp, deployment_.run.seed, number)) {
    transfers->add(start, size_bytes);
  }
  traffic_[number].transfers = std::move(transfers);
}

void Simulation::build_sinks() {
  for (HostWorld& world : hosts_) {
    for (PortWorld& port : world.ports) {
      const bool has_stack = port.peer_device->GetNode()->GetObject<ns3::Ipv4>() != nullptr;
      if (!has_stack) port.sink = std::make_unique<FrameSink>(port.peer_device);
    }
  }
  if (options_.writer == nullptr) return;
  for (const PortRef& ref : deployment_.run.captures) {
    PortWorld& port = port_at(ref);
    if (port.sink == nullptr) continue;
    cli::PcapWriter& capture = options_.writer->capture(port.name);
    port.sink->set_watcher([&capture](std::span<const FrameView> frames) {
      for (const FrameView& frame : frames) capture.add(frame.when, frame.bytes);
    });
  }
}

Result<void> Simulation::plan_faults() {
  for (const FaultSpec& fault : deployment_.faults) {
    if (const auto* link = std::get_if<DisturbLink>(&fault.what)) {
      if (port_at(link->port).channel == nullptr) {
        return unexpected(ConfigError{fault.place, "faults: this link cannot be disturbed",
                                      "a stock link at " + port_at(link->port).name,
                                      "a port with link: burst"});
      }
    }
    schedule_at(fault.at, [this, &fault] { begin_fault(fault); });
    if (fault.duration) {
      schedule_at(fault.at + *fault.duration, [this, &fault] { end_fault(fault); });
    }
  }
  return {};
}

void Simulation::plan_changes() {
  for (const auto& change : deployment_.changes) {
    schedule_at(change.at, [this, &change] {
      ChainUpdate update;
      for (const ChainVersion& version : change.versions) {
        update.chains.push_back({version.chain, version.steps});
      }
      hosts_[index_of(change.host)].host->change(update);
    });
  }
}

// --- Running -------------------------------------------------------------------------------------

SimulationResult Simulation::run() {
  for (HostWorld& world : hosts_) world.host->start();
  schedule(options_.series_interval, [this] { record(); });
  if (deployment_.run.warmup > Duration::zero()) {
    schedule(deployment_.run.warmup, [this] { end_warmup(); });
  }
  schedule(deployment_.run.duration, [this] {
    complete_ = true;
    stop();
  });
  ns3::Simulator::Run();
  return result();
}

/// Ends the load at once and the run when what is under way had time to come out.
void Simulation::stop() {
  for (TrafficWorld& world : traffic_) {
    if (world.source != nullptr) world.source->stop();
    if (world.replies != nullptr) world.replies->stop();
  }
  events_of_run_ = ns3::Simulator::GetEventCount();
  ns3::Simulator::Stop(to_time(complete_ ? kSettleTime : Duration::zero()));
}

std::vector<ScaleRequest> Simulation::decide(HostWorld& world, const LoadSample& sample) {
  if (world.checkers != nullptr) {
    // Held to the file's word, not to what the ring says of itself.
    world.host->for_each_ring([&](InstanceId id, std::uint32_t entries, std::uint32_t) {
      const ServiceId service = world.host->agent().service_of(id);
      if (service == kNoService) return;
      world.checkers->ring_seen(sample.when, id, entries,
                                deployment_.services[index_of(service)].service.ring_capacity);
    });
  }
  record_services(world, sample.when);
  return world.autoscaler(sample);
}

void Simulation::note(HostWorld& world, Instant now, const Note& each) {
  ++note_counts_[to_string(each.kind)];
  world.trace->add((to_ns(now) << 8) ^ static_cast<std::uint64_t>(each.kind));
  if (options_.writer == nullptr) return;
  nlohmann::ordered_json fields;
  fields["host"] = world.host->spec().name;
  if (each.service != kNoService) {
    fields["service"] = deployment_.services[index_of(each.service)].service.name;
  }
  if (!each.name.empty()) fields["instance"] = each.name;
  if (!each.text.empty()) fields["reason"] = each.text;
  options_.writer->event(now, to_string(each.kind), fields);
}

void Simulation::begin_fault(const FaultSpec& fault) {
  const bool done = apply(fault, true);
  if (options_.writer == nullptr) return;
  options_.writer->event(simulated_now(), "fault",
                         {{"what", name_of(fault)}, {"begin", true}, {"done", done}});
}

void Simulation::end_fault(const FaultSpec& fault) {
  apply(fault, false);
  if (options_.writer == nullptr) return;
  options_.writer->event(simulated_now(), "fault",
                         {{"what", name_of(fault)}, {"begin", false}, {"done", true}});
}

/// @return Whether there was something to do it to: an instance may have ended before.
bool Simulation::apply(const FaultSpec& fault, bool begin) {
  const auto on_some_host = [&](auto&& what) {
    return std::any_of(hosts_.begin(), hosts_.end(),
                       [&](HostWorld& world) { return what(*world.host); });
  };
  bool done = true;
  if (const auto* kill = std::get_if<KillInstance>(&fault.what)) {
    done = on_some_host([&](SimHost& host) { return host.kill(kill->service, kill->instance); });
  } else if (const auto* hang = std::get_if<HangInstance>(&fault.what)) {
    done = on_some_host([&](SimHost& host) {
      return begin ? host.hang(hang->service, hang->instance)
                   : host.unhang(hang->service, hang->instance);
    });
  } else if (const auto* slow = std::get_if<SlowInstance>(&fault.what)) {
    done = on_some_host([&](SimHost& host) {
      return host.slow(slow->service, slow->instance, begin ? slow->factor : 1);
    });
  } else if (const auto* kill_host = std::get_if<KillHost>(&fault.what)) {
    hosts_[index_of(kill_host->host)].host->kill_host();
  } else if (const auto* pause = std::get_if<PauseHost>(&fault.what)) {
    SimHost& host = *hosts_[index_of(pause->host)].host;
    begin ? host.pause() : host.resume();
  } else {
    disturb(std::get<DisturbLink>(fault.what), begin);
  }
  if (begin && done) count(fault);
  return done;
}

/// Each thing that a disturbed link does counts as a kind of fault of its own.
void Simulation::count(const FaultSpec& fault) {
  const auto* link = std::get_if<DisturbLink>(&fault.what);
  if (link == nullptr) {
    ++fault_counts_[name_of(fault)];
    return;
  }
  if (link->loss.value > 0) ++fault_counts_["link_loss"];
  if (link->duplicate.value > 0) ++fault_counts_["link_duplicate"];
  if (link->reorder.value > 0) ++fault_counts_["link_reorder"];
  if (link->delay > Duration::zero()) ++fault_counts_["link_delay"];
}

void Simulation::disturb(const DisturbLink& fault, bool begin) {
  LinkFaults faults;
  if (begin) {
    faults.loss = fault.loss;
    faults.duplicate = fault.duplicate;
    faults.reorder = fault.reorder;
    faults.delay_extra = fault.delay;
  }
  PortWorld& port = port_at(fault.port);
  for (const auto& end : {port.host_device, port.peer_device}) {
    port.channel->link_from(*ns3::DynamicCast<BurstNetDevice>(end)).set_faults(faults);
  }
}

void Simulation::end_warmup() {
  measured_from_ = simulated_now();
  offered_bytes_ = 0;
  delivered_bytes_ = 0;
  for (HostWorld& world : hosts_) {
    world.latency->end_interval();
    world.latency->reset_total();
    world.drops_at_warmup = drops_of(*world.host);
    std::fill(world.core_seconds.begin(), world.core_seconds.end(), 0.0);
  }
}

template <class Value>
void Simulation::row(Instant now, const std::string& entity, std::string_view metric, Value value,
                     std::string_view unit) {
  if (options_.writer != nullptr) options_.writer->add(now, entity, metric, value, unit);
}

void Simulation::record() {
  const Instant now = simulated_now();
  record_traffic(now);
  std::uint64_t received = 0;
  for (HostWorld& world : hosts_) {
    record_host(world, now);
    received += received_of(*world.host);
  }
  if (options_.progress) options_.progress(now, received);
  if (options_.interrupted && options_.interrupted()) {
    stop();
    return;
  }
  if (now + options_.series_interval <= Instant{deployment_.run.duration}) {
    schedule(options_.series_interval, [this] { record(); });
  }
}

void Simulation::record_traffic(Instant now) {
  const auto per_second = [this](std::uint64_t count) {
    return count * 1'000'000'000u / static_cast<std::uint64_t>(options_.series_interval.count());
  };
  for (std::size_t i = 0; i < traffic_.size(); ++i) {
    TrafficWorld& world = traffic_[i];
    if (world.source != nullptr) {
      const std::uint64_t bytes = world.source->counters().bytes +
                                  (world.replies != nullptr ? world.replies->counters().bytes : 0);
      row(now, "traffic:" + deployment_.traffic[i].name, "offered_bps",
          per_second((bytes - world.offered_before) * 8), "bit/s");
      offered_bytes_ += bytes - world.offered_before;
      world.offered_before = bytes;
    } else {
      const std::uint64_t bytes = world.transfers->received_bytes();
      row(now, "traffic:" + deployment_.traffic[i].name, "goodput_bps",
          per_second((bytes - world.offered_before) * 8), "bit/s");
      row(now, "traffic:" + deployment_.traffic[i].name, "transfers_finished",
          world.transfers->finished_count(), "transfers");
      world.offered_before = bytes;
    }
  }
  std::uint64_t delivered = 0;
  for (HostWorld& host : hosts_) {
    for (PortWorld& port : host.ports) {
      const std::uint64_t bytes =
          port.sink != nullptr ? port.sink->counters().bytes : received_bytes(*port.peer_device);
      row(now, "port:" + port.name, "delivered_bps",
          per_second((bytes - port.delivered_before) * 8), "bit/s");
      delivered += bytes - port.delivered_before;
      port.delivered_before = bytes;
    }
  }
  delivered_bytes_ += delivered;
  row(now, "port:all", "delivered_bps", per_second(delivered * 8), "bit/s");
}

void Simulation::record_host(HostWorld& world, Instant now) {
  const auto interval_ns = static_cast<std::uint64_t>(options_.series_interval.count());
  const DropCounts drops = drops_of(*world.host);
  for (std::size_t i = 0; i < drops.size(); ++i) {
    const auto reason = static_cast<DropReason>(i);
    if (reason == DropReason::kCopyDone || drops[i] == 0) continue;
    row(now, std::string{"reason:"} + to_string(reason), "drops_per_s",
        (drops[i] - world.drops_before[i]) * 1'000'000'000u / interval_ns, "packets/s");
  }
  world.drops_before = drops;
  for (std::size_t i = 0; i < deployment_.chains.size(); ++i) {
    const LatencyHistogram& latency = world.latency->interval(i);
    if (latency.count() == 0) continue;
    const std::string entity = "chain:" + deployment_.chains[i].version.name;
    row(now, entity, "latency_p50_ns",
        static_cast<std::uint64_t>(latency.quantile(kMedian).count()), "ns");
    row(now, entity, "latency_p99_ns", static_cast<std::uint64_t>(latency.quantile(k99).count()),
        "ns");
  }
  world.latency->end_interval();
  std::uint64_t flows = 0;
  for (std::uint16_t i = 0; i < world.host->worker_count(); ++i) {
    flows += world.host->worker(i).flows().size();
  }
  const std::string entity = "host:" + world.host->spec().name;
  row(now, entity, "flows", flows, "flows");
  row(now, entity, "cores_used",
      std::uint64_t{world.host->spec().core_count - world.host->agent().cores_free()}, "cores");
  const LoadSample& sample = world.host->agent().sample();
  for (std::size_t i = 0; i < deployment_.services.size(); ++i) {
    std::uint64_t running = 0, occupancy = 0;
    for (const InstanceSample& each : sample.instances) {
      if (index_of(each.service) != i) continue;
      if (each.state != InstanceState::kRunning && each.state != InstanceState::kDraining) continue;
      ++running;
      occupancy += each.occupancy.value;
      row(now, "instance:" + world.host->agent().name_of(each.instance), "load_ppm",
          std::uint64_t{each.load.value}, "ppm");
    }
    const std::string service = "service:" + deployment_.services[i].service.name;
    row(now, service, "instances", running, "instances");
    row(now, service, "occupancy_ppm", running == 0 ? std::uint64_t{0} : occupancy / running,
        "ppm");
  }
}

void Simulation::record_services(HostWorld& world, Instant) {
  std::fill(world.instances_now.begin(), world.instances_now.end(), 0);
  for (const InstanceSample& each : world.host->agent().sample().instances) {
    const bool alive = each.state != InstanceState::kDead && each.state != InstanceState::kStopped;
    if (alive) ++world.instances_now[index_of(each.service)];
  }
  const double seconds = std::chrono::duration<double>(deployment_.run.sample_interval).count();
  for (std::size_t i = 0; i < world.instances_now.size(); ++i) {
    world.core_seconds[i] += world.instances_now[i] * seconds;
    world.instances_max[i] = std::max(world.instances_max[i], world.instances_now[i]);
  }
}

// --- Ending --------------------------------------------------------------------------------------

SimulationResult Simulation::result() {
  SimulationResult result;
  result.complete = complete_;
  result.fault_counts = fault_counts_;
  result.event_count = events_of_run_;
  TraceHash trace;
  result.summary = summary();
  const Instant now = simulated_now();
  for (HostWorld& world : hosts_) {
    result.received_packets += received_of(*world.host);
    result.memory_per_host_bytes =
        std::max(result.memory_per_host_bytes, world.host->memory_bytes());
    world.host->shut_down();
    trace.add(world.trace->value());
    if (const std::string wrong = world.host->audit(); !wrong.empty()) {
      result.violations.push_back({Property::kSingleOwner, "I-2", now, wrong});
      ++result.violation_count;
    }
    if (world.checkers == nullptr) continue;
    std::vector<const WorkerStatistics*> statistics;
    for (std::uint16_t i = 0; i < world.host->worker_count(); ++i) {
      statistics.push_back(&world.host->worker(i).statistics());
    }
    world.checkers->end(now, statistics);
    const ViolationLog& log = world.checkers->log();
    result.violation_count += log.violation_count();
    result.violations.insert(result.violations.end(), log.violations().begin(),
                             log.violations().end());
    for (std::size_t i = 0; i < kPropertyCount; ++i) {
      result.evaluations[i] += log.evaluation_count(static_cast<Property>(i));
    }
  }
  result.trace_hash = trace.to_string();
  result.summary["violations"] = result.violation_count;
  return result;
}

nlohmann::ordered_json Simulation::summary() {
  nlohmann::ordered_json json;
  const Duration measured =
      std::min(simulated_now(), Instant{deployment_.run.duration}) - measured_from_;
  const double seconds = std::chrono::duration<double>(measured).count();
  json["measured_s"] = seconds;
  json["offered_bps"] = seconds > 0 ? 8.0 * static_cast<double>(offered_bytes_) / seconds : 0.0;
  json["delivered_bps"] = seconds > 0 ? 8.0 * static_cast<double>(delivered_bytes_) / seconds : 0.0;
  DropCounts drops{};
  std::uint64_t received = 0, flows = 0;
  for (const HostWorld& world : hosts_) {
    const DropCounts all = drops_of(*world.host);
    for (std::size_t i = 0; i < drops.size(); ++i) drops[i] += all[i] - world.drops_at_warmup[i];
    received += received_of(*world.host);
    for (std::uint16_t i = 0; i < world.host->worker_count(); ++i) {
      flows += world.host->worker(i).statistics().flows_started;
    }
  }
  json["received_packets"] = received;
  json["flows_started"] = flows;
  nlohmann::ordered_json by_reason = nlohmann::ordered_json::object();
  std::uint64_t dropped = 0;
  for (std::size_t i = 0; i < drops.size(); ++i) {
    if (drops[i] == 0) continue;
    by_reason[to_string(static_cast<DropReason>(i))] = drops[i];
    if (static_cast<DropReason>(i) != DropReason::kCopyDone) dropped += drops[i];
  }
  json["dropped_packets"] = dropped;
  json["drops"] = by_reason;
  json["services"] = summary_of_services();
  json["chains"] = summary_of_chains();
  json["instances"] = summary_of_instances();
  if (auto transfers = summary_of_transfers(); !transfers.empty()) json["transfers"] = transfers;
  if (auto links = summary_of_links(); !links.empty()) json["links"] = links;
  if (auto ports = summary_of_ports(); !ports.empty()) json["ports"] = ports;
  json["events"] = note_counts_;
  json["faults"] = fault_counts_;
  return json;
}

nlohmann::ordered_json Simulation::summary_of_services() const {
  nlohmann::ordered_json services = nlohmann::ordered_json::object();
  for (std::size_t i = 0; i < deployment_.services.size(); ++i) {
    double core_seconds = 0;
    std::uint32_t instances_max = 0, instances_end = 0;
    for (const HostWorld& world : hosts_) {
      core_seconds += world.core_seconds[i];
      instances_max += world.instances_max[i];
      instances_end += world.instances_now[i];
    }
    services[deployment_.services[i].service.name] = {{"instances_max", instances_max},
                                                      {"instances_end", instances_end},
                                                      {"core_seconds", core_seconds}};
  }
  return services;
}

nlohmann::ordered_json Simulation::summary_of_chains() const {
  nlohmann::ordered_json chains = nlohmann::ordered_json::object();
  for (std::size_t i = 0; i < deployment_.chains.size(); ++i) {
    LatencyHistogram latency;
    std::uint64_t entered = 0, left = 0, dropped = 0;
    for (const HostWorld& world : hosts_) {
      latency.merge(world.latency->total(i));
      latency.merge(world.latency->interval(i));
      for (std::uint16_t j = 0; j < world.host->worker_count(); ++j) {
        const ChainStatistics& counted = world.host->worker(j).statistics().chains[i];
        entered += counted.entered_packets;
        left += counted.left_packets;
        dropped += counted.dropped_packets;
      }
    }
    chains[deployment_.chains[i].version.name] = {
        {"packets", latency.count()},
        {"entered_packets", entered},
        {"left_packets", left},
        {"dropped_packets", dropped},
        {"latency_mean_ns", latency.mean().count()},
        {"latency_p50_ns", latency.quantile(kMedian).count()},
        {"latency_p99_ns", latency.quantile(k99).count()},
        {"latency_max_ns", latency.max().count()}};
  }
  return chains;
}

/// What instances that serve to the end were given since they started, and what they gave back.
nlohmann::ordered_json Simulation::summary_of_instances() const {
  nlohmann::ordered_json instances = nlohmann::ordered_json::object();
  for (const HostWorld& world : hosts_) {
    const Agent& agent = world.host->agent();
    for (std::uint16_t i = 0; i < agent.options().instance_count_max; ++i) {
      const InstanceId id{i};
      if (agent.service_of(id) == kNoService) continue;
      const InstanceState state = agent.state_of(id);
      if (state != InstanceState::kRunning && state != InstanceState::kDraining) continue;
      std::uint64_t delivered = 0, returned = 0;
      for (std::uint16_t j = 0; j < world.host->worker_count(); ++j) {
        const InstanceStatistics& counted = world.host->worker(j).statistics().instances[i];
        delivered += counted.delivered_packets;
        returned += counted.returned_packets;
      }
      instances[agent.name_of(id)] = {{"delivered_packets", delivered},
                                      {"returned_packets", returned}};
    }
  }
  return instances;
}

nlohmann::ordered_json Simulation::summary_of_transfers() const {
  nlohmann::ordered_json all = nlohmann::ordered_json::object();
  for (std::size_t i = 0; i < traffic_.size(); ++i) {
    if (traffic_[i].transfers == nullptr) continue;
    const TcpTransfers& transfers = *traffic_[i].transfers;
    LatencyHistogram completion;
    for (const TcpTransfers::Transfer& transfer : transfers.transfers()) {
      if (transfer.finished != Instant::max()) completion.add(transfer.finished - transfer.start);
    }
    all[deployment_.traffic[i].name] = {{"started", transfers.transfers().size()},
                                        {"finished", transfers.finished_count()},
                                        {"received_bytes", transfers.received_bytes()},
                                        {"retransmissions", transfers.retransmissions()},
                                        {"completion_p50_ns", completion.quantile(kMedian).count()},
                                        {"completion_p99_ns", completion.quantile(k99).count()}};
  }
  return all;
}

/// What links did to frames on purpose, both directions together; good links are left out.
/// What was lost at ports before the host or after it, where no worker can count it.
nlohmann::ordered_json Simulation::summary_of_ports() {
  nlohmann::ordered_json ports = nlohmann::ordered_json::object();
  for (HostWorld& world : hosts_) {
    for (const PortSpec& spec : world.host->spec().ports) {
      const SimPortCounters& counters = world.host->port(spec.id).counters();
      if (counters.rx_missed + counters.rx_oversize + counters.tx_refused == 0) continue;
      ports[world.host->spec().name + "." + spec.name] = {{"rx_missed", counters.rx_missed},
                                                          {"rx_oversize", counters.rx_oversize},
                                                          {"tx_refused", counters.tx_refused}};
    }
  }
  return ports;
}

nlohmann::ordered_json Simulation::summary_of_links() const {
  nlohmann::ordered_json links = nlohmann::ordered_json::object();
  for (const HostWorld& world : hosts_) {
    for (const PortWorld& port : world.ports) {
      if (port.channel == nullptr) continue;
      LinkCounters sum;
      for (const auto& end : {port.host_device, port.peer_device}) {
        const LinkCounters& counters =
            port.channel->link_from(*ns3::DynamicCast<BurstNetDevice>(end)).counters();
        sum.lost += counters.lost;
        sum.duplicated += counters.duplicated;
        sum.reordered += counters.reordered;
        sum.delayed += counters.delayed;
      }
      if (sum == LinkCounters{}) continue;
      links[port.name] = {{"lost", sum.lost},
                          {"duplicated", sum.duplicated},
                          {"reordered", sum.reordered},
                          {"delayed", sum.delayed}};
    }
  }
  return links;
}

}  // namespace

Result<SimulationResult> simulate(const Deployment& deployment, const SimulationOptions& options) {
  if (auto simulable = check_simulable(deployment); !simulable) {
    return unexpected(simulable.error());
  }
  Simulation simulation{deployment, options};
  if (auto built = simulation.build(); !built) return unexpected(built.error());
  return simulation.run();
}

}  // namespace sluice::sim

#include "sim/traffic/port_run.hpp"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>
#include <variant>

#include "sim/traffic/probe.hpp"
#include "sim/traffic/real_time.hpp"
#include "sim/workload/workload.hpp"

namespace sluice::sim {
namespace {

using Json = nlohmann::ordered_json;
using Side = ReplayGenerator::Side;

/// As long as the simulator lets what is under way come out, and more for a busy machine.
constexpr Duration kSettleTime = std::chrono::milliseconds{500};
constexpr Duration kDrainInterval = std::chrono::milliseconds{1};
constexpr Duration kWakeGap = std::chrono::microseconds{100};
/// Batches between two looks at the clock's other duties.
constexpr int kBatchesAtOnce = 16;
constexpr Ppm kMedian{500'000};
constexpr Ppm k99{990'000};

/// Which frames of an entry enter by `port`; nothing: none that we play.
std::optional<Side> side_at(const TrafficSpec& spec, PortRef port) {
  if (std::holds_alternative<TcpTraffic>(spec.kind) || spec.client) return std::nullopt;
  const auto* replay = std::get_if<ReplayTraffic>(&spec.kind);
  const bool two_sides = replay != nullptr && replay->to.has_value();
  if (spec.into == port) return two_sides ? Side::kClients : Side::kAll;
  if (two_sides && *replay->to == port) return Side::kServers;
  return std::nullopt;
}

Json to_json(const LinkDisturber::Counters& sent, const LinkDisturber::Counters& received) {
  return {{"lost", sent.lost + received.lost},
          {"duplicated", sent.duplicated + received.duplicated},
          {"reordered", sent.reordered + received.reordered},
          {"delayed", sent.delayed + received.delayed}};
}

Json to_json(const LatencyHistogram& latency) {
  return {{"latency_mean_ns", latency.mean().count()},
          {"latency_p50_ns", latency.quantile(kMedian).count()},
          {"latency_p99_ns", latency.quantile(k99).count()},
          {"latency_max_ns", latency.max().count()}};
}

}  // namespace

bool has_clients(const Deployment& deployment, PortRef port) {
  return std::any_of(
      deployment.traffic.begin(), deployment.traffic.end(), [port](const TrafficSpec& spec) {
        if (!spec.client) return false;
        const auto* tcp = std::get_if<TcpTraffic>(&spec.kind);
        const auto* synthetic = std::get_if<SyntheticTraffic>(&spec.kind);
        const bool serves =
            (tcp != nullptr && tcp->to == port) || (synthetic != nullptr && synthetic->to == port);
        return spec.into == port || serves;
      });
}

PortRun::PortRun(const Deployment& deployment, Options options)
    : deployment_(deployment), options_(std::move(options)) {}

Result<std::unique_ptr<PortRun>> PortRun::open(const Deployment& deployment, Options options) {
  std::unique_ptr<PortRun> run(new PortRun(deployment, std::move(options)));
  // Sources first: a bad capture is a bad file, whatever the rights of who runs it.
  if (auto done = run->open_sources(); !done) return tl::unexpected(done.error());
  if (auto done = run->open_receiver(); !done) return tl::unexpected(done.error());
  if (auto done = run->open_files(); !done) return tl::unexpected(done.error());
  return run;
}

Result<void> PortRun::open_sources() {
  const PortSpec& port =
      deployment_.hosts[index_of(options_.port.host)].ports[index_of(options_.port.port)];
  std::vector<PortSender::Source> sources;
  for (std::size_t i = 0; i < deployment_.traffic.size(); ++i) {
    const TrafficSpec& spec = deployment_.traffic[i];
    const auto side = side_at(spec, options_.port);
    if (!side) continue;
    auto generator =
        make_generator(spec, port.frame_size_max, options_.folder, deployment_.run.seed, i, *side);
    if (!generator) return tl::unexpected(generator.error());
    // A capture is played byte for byte, so only made-up frames carry probes.
    sources.push_back({spec.name, static_cast<std::uint16_t>(i), std::move(*generator),
                       std::holds_alternative<SyntheticTraffic>(spec.kind)});
  }
  auto wire = WireSender::open(options_.interface);
  if (!wire) return tl::unexpected(wire.error());
  wire_out_.emplace(std::move(*wire));
  PortSender::Options sending;
  sending.frame_size_max = port.frame_size_max;
  sending.wire = [this](auto frames) { return wire_out_->send(frames); };
  sending.mark = [](std::span<std::byte> frame, std::uint16_t number) {
    write_probe(frame, {number, monotonic_now()});
  };
  LinkDisturber disturber{deployment_.faults, options_.port, Prng{deployment_.run.seed}.fork(1)};
  offered_before_.resize(sources.size());
  offered_at_warmup_.resize(sources.size());
  sender_.emplace(std::move(sources), std::move(disturber), std::move(sending));
  return {};
}

Result<void> PortRun::open_receiver() {
  const auto counters = read_interface(options_.interface);
  if (!counters) return tl::unexpected(counters.error());
  counters_at_start_ = *counters;
  if (has_clients(deployment_, options_.port)) return {};
  const PortSpec& port =
      deployment_.hosts[index_of(options_.port.host)].ports[index_of(options_.port.port)];
  auto wire =
      WireReceiver::open({.interface = options_.interface, .frame_size_max = port.frame_size_max});
  if (!wire) return tl::unexpected(wire.error());
  wire_in_.emplace(std::move(*wire));
  return {};
}

Result<void> PortRun::open_files() {
  if (options_.results.empty()) return {};
  std::error_code error;
  std::filesystem::create_directories(options_.results + "/captures", error);
  series_ = std::make_unique<cli::SeriesWriter>(options_.results + "/series.csv");
  if (error || !series_->good()) {
    return tl::unexpected(ConfigError{Place{options_.results, 0, 0}, "cannot be written",
                                      error.message(), "a folder for results"});
  }
  const auto& captures = deployment_.run.captures;
  if (std::find(captures.begin(), captures.end(), options_.port) == captures.end()) return {};
  capture_ = std::make_unique<cli::PcapWriter>(
      options_.results + "/captures/" + entity_of_port().substr(sizeof "port:" - 1) + ".pcap");
  return {};
}

std::string PortRun::entity_of_port() const {
  const HostSpec& host = deployment_.hosts[index_of(options_.port.host)];
  return "port:" + host.name + "." + host.ports[index_of(options_.port.port)].name;
}

Instant PortRun::now() const {
  return Instant{monotonic_now() - time_zero_};
}

void PortRun::run(Instant time_zero) {
  time_zero_ = time_zero;
  if (wire_in_) {
    LinkDisturber disturber{deployment_.faults, options_.port, Prng{deployment_.run.seed}.fork(2)};
    receiver_.emplace(time_zero_, std::move(disturber),
                      [this](Instant when, std::span<const std::byte> frame) {
                        if (capture_ != nullptr) capture_->add(when, frame);
                      });
  }
  const Instant end{deployment_.run.duration};
  next_record_ = Instant{options_.series_interval};
  warm_ = deployment_.run.warmup == Duration::zero();
  const auto interrupted = [this] { return options_.interrupted && options_.interrupted(); };
  Instant woke = now();
  while (woke < end && !interrupted()) {
    turn(woke);
    Instant wake = std::min({next_record_, next_drain_, end});
    if (const auto due = sender_->next_due()) wake = std::min(wake, *due);
    wake = std::max(wake, woke + kWakeGap);
    sleep_until(time_zero_ + wake.time_since_epoch());
    woke = now();
  }
  complete_ = woke >= end;
  // What fell due in the last sleep; beyond that, who cannot keep up has not offered it.
  for (int i = 0; complete_ && i < kBatchesAtOnce && sender_->send_due(end); ++i) {
  }
  const auto due = sender_->next_due();
  cut_ = due && *due < std::min(woke, end);
  if (complete_) record(end);
  while (now() < end + kSettleTime && !interrupted()) {
    drain();
    sleep_until(time_zero_ + (now() + kDrainInterval).time_since_epoch());
  }
  drain();
  if (receiver_) receiver_->end_interval();
}

void PortRun::turn(Instant at) {
  for (int i = 0; i < kBatchesAtOnce && sender_->send_due(at); ++i) at = now();
  if (at >= next_drain_) {
    drain();
    next_drain_ = at + kDrainInterval;
  }
  if (!warm_ && at >= Instant{deployment_.run.warmup}) end_warmup();
  if (at >= next_record_ && next_record_ < Instant{deployment_.run.duration}) {
    record(next_record_);
    // Rows that the machine slept through are left out: the next one covers their time.
    while (next_record_ <= at) next_record_ += options_.series_interval;
  }
}

void PortRun::drain() {
  if (!wire_in_) return;
  for (int i = 0; i < kBatchesAtOnce; ++i) {
    const auto frames = wire_in_->receive();
    receiver_->receive(frames);
    if (frames.size() < kWireBatchMax) break;
  }
  missed_ += wire_in_->take_missed();
}

InterfaceCounters PortRun::interface_since_start() const {
  const auto counters = read_interface(options_.interface);
  return counters ? *counters - counters_at_start_ : InterfaceCounters{};
}

std::uint64_t PortRun::delivered_bytes() const {
  return receiver_ ? receiver_->counters().bytes : interface_since_start().rx_bytes;
}

void PortRun::end_warmup() {
  warm_ = true;
  for (std::size_t i = 0; i < offered_at_warmup_.size(); ++i) {
    offered_at_warmup_[i] = sender_->counters(i).bytes;
  }
  delivered_at_warmup_ = delivered_bytes();
  if (receiver_) receiver_->reset_latencies();
}

void PortRun::record(Instant at) {
  // By the time that has really passed: a row may come late.
  const Instant really = now();
  const auto elapsed = static_cast<std::uint64_t>(
      std::max<std::int64_t>(1, (really - std::exchange(last_record_, really)).count()));
  const auto bits_per_second = [elapsed](std::uint64_t bytes) {
    return static_cast<std::uint64_t>(Uint128{bytes} * 8'000'000'000u / elapsed);
  };
  const std::uint64_t delivered = delivered_bytes();
  if (series_ != nullptr) {
    for (std::size_t i = 0; i < sender_->source_count(); ++i) {
      series_->add(at, "traffic:" + sender_->name(i), "offered_bps",
                   bits_per_second(sender_->counters(i).bytes - offered_before_[i]), "bit/s");
    }
    series_->add(at, entity_of_port(), "delivered_bps",
                 bits_per_second(delivered - delivered_before_), "bit/s");
  }
  for (std::size_t i = 0; i < offered_before_.size(); ++i) {
    offered_before_[i] = sender_->counters(i).bytes;
  }
  delivered_before_ = delivered;
  if (receiver_) record_latencies(at);
  if (series_ != nullptr) series_->flush();  // For who watches, and for who kills us.
}

void PortRun::record_latencies(Instant at) {
  for (const auto& [number, arrived] : receiver_->arrived()) {
    if (series_ == nullptr || arrived.interval.count() == 0) continue;
    if (number >= deployment_.traffic.size()) continue;  // Another file's traffic.
    const std::string entity = "traffic:" + deployment_.traffic[number].name;
    const auto ns = [&latency = arrived.interval](Ppm part) {
      return static_cast<std::uint64_t>(latency.quantile(part).count());
    };
    series_->add(at, entity, "one_way_p50_ns", ns(kMedian), "ns");
    series_->add(at, entity, "one_way_p99_ns", ns(k99), "ns");
  }
  receiver_->end_interval();
}

Json PortRun::summary() const {
  Json json{{"port", entity_of_port().substr(sizeof "port:" - 1)},
            {"interface", options_.interface},
            {"complete", complete_},
            {"cut", cut_}};
  json["sources"] = Json::object();
  for (std::size_t i = 0; i < sender_->source_count(); ++i) {
    const PortSender::Counters& counters = sender_->counters(i);
    json["sources"][sender_->name(i)] = {{"packets", counters.packets},
                                         {"bytes", counters.bytes},
                                         {"measured_bytes", counters.bytes - offered_at_warmup_[i]},
                                         {"refused", counters.refused},
                                         {"late_packets", counters.late_packets},
                                         {"late_max_ns", counters.late_max.count()}};
  }
  const InterfaceCounters seen = interface_since_start();
  const std::uint64_t delivered = delivered_bytes();
  json["received"] = {{"packets", receiver_ ? receiver_->counters().packets : seen.rx_packets},
                      {"bytes", delivered},
                      {"measured_bytes", delivered - delivered_at_warmup_},
                      {"missed", missed_}};
  json["arrived"] = Json::object();
  if (receiver_) {
    for (const auto& [number, arrived] : receiver_->arrived()) {
      if (number >= deployment_.traffic.size()) continue;
      Json& entry = json["arrived"][deployment_.traffic[number].name];
      entry = to_json(arrived.total);
      entry["packets"] = arrived.packets;
    }
  }
  json["link"] = to_json(sender_->link_counters(),
                         receiver_ ? receiver_->link_counters() : LinkDisturber::Counters{});
  json["counted"] = {{"rx_packets", seen.rx_packets}, {"rx_bytes", seen.rx_bytes},
                     {"rx_dropped", seen.rx_dropped}, {"tx_packets", seen.tx_packets},
                     {"tx_bytes", seen.tx_bytes},     {"tx_dropped", seen.tx_dropped}};
  return json;
}

bool PortRun::close() {
  const bool rows = series_ == nullptr || series_->close();
  const bool frames = capture_ == nullptr || capture_->close();
  return rows && frames;
}

}  // namespace sluice::sim

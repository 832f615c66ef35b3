#include "backends/dpdk/host_recorder.hpp"

#include <algorithm>
#include <utility>

namespace sluice::dpdk {
namespace {

using Json = nlohmann::ordered_json;

constexpr Ppm kMedian{500'000};
constexpr Ppm k99{990'000};

std::uint64_t per_second(std::uint64_t count, double seconds) {
  return seconds > 0 ? static_cast<std::uint64_t>(static_cast<double>(count) / seconds) : 0;
}

}  // namespace

HostRecorder::HostRecorder(std::unique_ptr<cli::RunWriter> writer, std::string host,
                           Instant time_zero)
    : writer_(std::move(writer)), host_(std::move(host)), time_zero_(time_zero) {}

template <class Value>
void HostRecorder::row(Instant now, const std::string& entity, std::string_view metric, Value value,
                       std::string_view unit) {
  writer_->add(now, entity, metric, value, unit);
}

void HostRecorder::record(const HostStatus& status) {
  const Instant now{status.now - time_zero_};
  if (now < Instant{}) return;
  if (before_ == nullptr) {
    before_ = std::make_unique<HostStatus>(status);
    return;
  }
  const HostStatus& before = *before_;
  const double seconds = std::chrono::duration<double>(status.now - before.now).count();
  std::uint64_t delivered = 0;
  for (std::size_t i = 0; i < status.ports.size(); ++i) {
    const std::uint64_t bytes =
        status.ports[i].counted.sent_bytes - before.ports[i].counted.sent_bytes;
    row(now, "port:" + host_ + "." + status.ports[i].name, "delivered_bps",
        per_second(bytes * 8, seconds), "bit/s");
    delivered += bytes;
  }
  row(now, "port:all", "delivered_bps", per_second(delivered * 8, seconds), "bit/s");
  for (std::size_t i = 0; i < status.drops.size(); ++i) {
    const auto reason = static_cast<DropReason>(i);
    if (reason == DropReason::kCopyDone || status.drops[i] == 0) continue;
    row(now, std::string{"reason:"} + to_string(reason), "drops_per_s",
        per_second(status.drops[i] - before.drops[i], seconds), "packets/s");
  }
  record_latency(status);
  row(now, "host:" + host_, "flows", status.flows, "flows");
  row(now, "host:" + host_, "cores_used", std::uint64_t{status.cores_used}, "cores");
  record_services(status, seconds);
  *before_ = status;
}

void HostRecorder::record_latency(const HostStatus& status) {
  const Instant now{status.now - time_zero_};
  for (std::size_t i = 0; i < status.chains.size(); ++i) {
    LatencyHistogram latency = status.chains[i].counted.latency;
    if (i < before_->chains.size()) latency.subtract(before_->chains[i].counted.latency);
    if (latency.count() == 0) continue;
    const std::string entity = "chain:" + status.chains[i].name;
    row(now, entity, "latency_p50_ns",
        static_cast<std::uint64_t>(latency.quantile(kMedian).count()), "ns");
    row(now, entity, "latency_p99_ns", static_cast<std::uint64_t>(latency.quantile(k99).count()),
        "ns");
  }
}

void HostRecorder::record_services(const HostStatus& status, double seconds) {
  const Instant now{status.now - time_zero_};
  for (const std::string& name : status.services) {
    std::uint64_t running = 0, alive = 0, occupancy = 0;
    for (const HostStatus::Instance& instance : status.instances) {
      if (instance.service != name) continue;
      if (!instance.is_inline) ++alive;
      if (instance.state != "running" && instance.state != "draining") continue;
      ++running;
      occupancy += instance.occupancy.value;
      row(now, "instance:" + instance.name, "load_ppm", std::uint64_t{instance.load.value}, "ppm");
    }
    row(now, "service:" + name, "instances", running, "instances");
    row(now, "service:" + name, "occupancy_ppm",
        running == 0 ? std::uint64_t{0} : occupancy / running, "ppm");
    ServiceTotals& totals = services_[name];
    totals.core_seconds += static_cast<double>(alive) * seconds;
    totals.instances_max = std::max(totals.instances_max, running);
    totals.instances_now = running;
  }
}

void HostRecorder::note(Instant now, const Note& note, const std::string& service) {
  ++event_counts_[to_string(note.kind)];
  Json fields;
  fields["host"] = host_;
  if (!service.empty()) fields["service"] = service;
  if (!note.name.empty()) fields["instance"] = note.name;
  if (!note.text.empty()) fields["reason"] = note.text;
  writer_->event(std::max(Instant{}, Instant{now - time_zero_}), to_string(note.kind), fields);
}

void HostRecorder::applied(Instant now, const std::string& deployment) {
  ++event_counts_["applied"];
  writer_->event(std::max(Instant{}, Instant{now - time_zero_}), "applied",
                 Json{{"host", host_}, {"deployment", deployment}});
}

Json HostRecorder::summary(const HostStatus& last) const {
  Json json;
  const double seconds =
      std::chrono::duration<double>(last.now - std::max(time_zero_, last.started)).count();
  std::uint64_t received = 0, sent_bytes = 0;
  for (const HostStatus::Port& port : last.ports) {
    received += port.counted.received_packets;
    sent_bytes += port.counted.sent_bytes;
  }
  json["measured_s"] = seconds;
  json["delivered_bps"] = per_second(sent_bytes * 8, seconds);
  json["received_packets"] = received;
  json["flows_started"] = last.flows_started;
  Json by_reason = Json::object();
  std::uint64_t dropped = 0;
  for (std::size_t i = 0; i < last.drops.size(); ++i) {
    if (last.drops[i] == 0) continue;
    by_reason[to_string(static_cast<DropReason>(i))] = last.drops[i];
    if (static_cast<DropReason>(i) != DropReason::kCopyDone) dropped += last.drops[i];
  }
  json["dropped_packets"] = dropped;
  json["drops"] = by_reason;
  Json services = Json::object();
  for (const auto& [name, totals] : services_) {
    services[name] = {{"instances_max", totals.instances_max},
                      {"instances_end", totals.instances_now},
                      {"core_seconds", totals.core_seconds}};
  }
  json["services"] = services;
  Json chains = Json::object();
  for (const HostStatus::Chain& chain : last.chains) {
    const LatencyHistogram& latency = chain.counted.latency;
    chains[chain.name] = {{"packets", latency.count()},
                          {"entered_packets", chain.counted.entered_packets},
                          {"left_packets", chain.counted.left_packets},
                          {"dropped_packets", chain.counted.dropped_packets},
                          {"latency_mean_ns", latency.mean().count()},
                          {"latency_p50_ns", latency.quantile(kMedian).count()},
                          {"latency_p99_ns", latency.quantile(k99).count()},
                          {"latency_max_ns", latency.max().count()}};
  }
  json["chains"] = chains;
  Json instances = Json::object();
  for (const HostStatus::Instance& instance : last.instances) {
    if (instance.state != "running" && instance.state != "draining") continue;
    instances[instance.name] = {{"delivered_packets", instance.counted.delivered_packets},
                                {"returned_packets", instance.counted.returned_packets}};
  }
  json["instances"] = instances;
  json["events"] = event_counts_;
  return json;
}

Result<void> HostRecorder::finish(const HostStatus& last, const cli::RunManifest& manifest) {
  return writer_->finish(manifest, summary(last), Json::object());
}

}  // namespace sluice::dpdk

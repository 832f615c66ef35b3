#include "backends/dpdk/host_status.hpp"

namespace sluice::dpdk {
namespace {

using Json = nlohmann::ordered_json;

constexpr Ppm kMedian{500'000};
constexpr Ppm k99{990'000};

Json to_json(const HostStatus::Port& port) {
  return {{"name", port.name},
          {"received_packets", port.counted.received_packets},
          {"received_bytes", port.counted.received_bytes},
          {"sent_packets", port.counted.sent_packets},
          {"sent_bytes", port.counted.sent_bytes},
          {"no_buffer", port.counted.no_buffer},
          {"missed", port.missed}};
}

Json to_json(const HostStatus::Instance& instance) {
  return {{"name", instance.name},
          {"service", instance.service},
          {"number", instance.number},
          {"state", instance.state},
          {"inline", instance.is_inline},
          {"pid", instance.pid},
          {"ring_size", instance.ring_size},
          {"ring_capacity", instance.ring_capacity},
          {"flows", instance.flows},
          {"load_ppm", instance.load.value},
          {"occupancy_ppm", instance.occupancy.value},
          {"delivered_packets", instance.counted.delivered_packets},
          {"returned_packets", instance.counted.returned_packets},
          {"ring_full_drops", instance.counted.ring_full_drops},
          {"refused_packets", instance.counted.refused_packets},
          {"start_ns", instance.start_time.count()}};
}

Json to_json(const HostStatus::Chain& chain) {
  const LatencyHistogram& latency = chain.counted.latency;
  return {{"name", chain.name},
          {"entered_packets", chain.counted.entered_packets},
          {"left_packets", chain.counted.left_packets},
          {"dropped_packets", chain.counted.dropped_packets},
          {"latency_p50_ns", latency.quantile(kMedian).count()},
          {"latency_p99_ns", latency.quantile(k99).count()}};
}

template <class Values>
Json list_of(const Values& values) {
  Json list = Json::array();
  for (const auto& value : values) list.push_back(to_json(value));
  return list;
}

}  // namespace

Json to_json(const HostStatus& status) {
  Json drops = Json::object();
  for (std::size_t i = 0; i < status.drops.size(); ++i) {
    if (status.drops[i] > 0) drops[to_string(static_cast<DropReason>(i))] = status.drops[i];
  }
  return {{"ok", true},
          {"host", status.host},
          {"deployment", status.deployment},
          {"ready", status.ready},
          {"time_ns", to_ns(status.now)},
          {"counted_ns", to_ns(status.counted)},
          {"uptime_s", std::chrono::duration<double>(status.now - status.started).count()},
          {"ports", list_of(status.ports)},
          {"services", status.services},
          {"instances", list_of(status.instances)},
          {"chains", list_of(status.chains)},
          {"drops", drops},
          {"flows", status.flows},
          {"flows_started", status.flows_started},
          {"buffers", {{"total", status.buffers_total}, {"free", status.buffers_free}}},
          {"cores", {{"total", status.cores_total}, {"used", status.cores_used}}},
          {"huge_pages", status.huge_pages}};
}

}  // namespace sluice::dpdk

#include "backends/dpdk/host_metrics.hpp"

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>

#include <array>
#include <chrono>
#include <exception>
#include <map>
#include <utility>
#include <vector>

namespace sluice::dpdk {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

constexpr double kPpm = 1e6;

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

/// Puts families together, each metric with the host's label in front of its own.
class Families {
 public:
  explicit Families(const std::string& host) : host_{"host", host} {}

  void counter(const std::string& name, const std::string& help, const Labels& labels,
               std::uint64_t value) {
    add(name, help, MetricType::Counter, labels).counter.value = static_cast<double>(value);
  }
  void gauge(const std::string& name, const std::string& help, const Labels& labels, double value) {
    add(name, help, MetricType::Gauge, labels).gauge.value = value;
  }
  void latency(const std::string& name, const std::string& help, const Labels& labels,
               const LatencyHistogram& histogram) {
    ClientMetric::Summary& summary = add(name, help, MetricType::Summary, labels).summary;
    summary.sample_count = histogram.count();
    summary.sample_sum = seconds(histogram.mean()) * static_cast<double>(histogram.count());
    constexpr std::array<std::uint32_t, 3> kParts = {500'000, 990'000, 999'000};
    for (const std::uint32_t part : kParts) {
      summary.quantile.push_back({part / kPpm, seconds(histogram.quantile(Ppm{part}))});
    }
  }
  [[nodiscard]] std::vector<MetricFamily> take() { return std::move(families_); }

 private:
  ClientMetric& add(const std::string& name, const std::string& help, MetricType type,
                    const Labels& labels) {
    const auto [place, is_new] = index_.try_emplace(name, families_.size());
    if (is_new) families_.push_back({name, help, type, {}});
    ClientMetric& metric = families_[place->second].metric.emplace_back();
    metric.label.push_back(host_);
    metric.label.insert(metric.label.end(), labels.begin(), labels.end());
    return metric;
  }

  ClientMetric::Label host_;
  std::map<std::string, std::size_t> index_;
  std::vector<MetricFamily> families_;
};

void add_ports(Families& to, const HostStatus& status) {
  for (const HostStatus::Port& port : status.ports) {
    const Labels labels = {{"port", port.name}};
    to.counter("sluice_port_received_packets_total", "Frames taken from the port", labels,
               port.counted.received_packets);
    to.counter("sluice_port_received_bytes_total", "Bytes of these frames", labels,
               port.counted.received_bytes);
    to.counter("sluice_port_sent_packets_total", "Frames handed to the port", labels,
               port.counted.sent_packets);
    to.counter("sluice_port_sent_bytes_total", "Bytes of these frames", labels,
               port.counted.sent_bytes);
    to.counter("sluice_port_missed_packets_total", "Frames lost by the device, before the host",
               labels, port.missed);
    to.counter("sluice_port_no_buffer_packets_total", "Frames lost for want of a buffer", labels,
               port.counted.no_buffer);
  }
}

void add_instances(Families& to, const HostStatus& status) {
  for (const HostStatus::Instance& instance : status.instances) {
    const Labels labels = {{"service", instance.service}, {"instance", instance.name}};
    Labels with_state = labels;
    with_state.push_back({"state", instance.state});
    to.gauge("sluice_instance_info", "1 for each instance, with its state", with_state, 1);
    to.gauge("sluice_instance_load_ratio", "Busy time over wall time", labels,
             instance.load.value / kPpm);
    to.gauge("sluice_instance_ring_occupancy_ratio", "Entries of its ring over its size, smoothed",
             labels, instance.occupancy.value / kPpm);
    to.gauge("sluice_instance_flows", "Flows that are pinned to it", labels, instance.flows);
    to.counter("sluice_instance_delivered_packets_total", "Packets put into its ring", labels,
               instance.counted.delivered_packets);
    to.counter("sluice_instance_returned_packets_total", "Packets that it gave back", labels,
               instance.counted.returned_packets);
    to.counter("sluice_instance_ring_full_drops_total", "Packets that its ring had no room for",
               labels, instance.counted.ring_full_drops);
  }
}

void add_chains(Families& to, const HostStatus& status) {
  for (const HostStatus::Chain& chain : status.chains) {
    const Labels labels = {{"chain", chain.name}};
    to.counter("sluice_chain_entered_packets_total", "Packets that came into the chain", labels,
               chain.counted.entered_packets);
    to.counter("sluice_chain_left_packets_total", "Packets that left it at a port", labels,
               chain.counted.left_packets);
    to.counter("sluice_chain_dropped_packets_total", "Packets dropped on their way", labels,
               chain.counted.dropped_packets);
    to.latency("sluice_chain_latency_seconds",
               "From the arrival at the host to the hand-over to the port, since its start", labels,
               chain.counted.latency);
  }
}

std::vector<MetricFamily> families_of(const HostStatus& status) {
  Families to{status.host};
  to.gauge("sluice_ready", "1 once all wanted instances have started", {}, status.ready ? 1 : 0);
  to.gauge("sluice_uptime_seconds", "Since the start of the host", {},
           seconds(status.now - status.started));
  add_ports(to, status);
  for (std::size_t i = 0; i < status.drops.size(); ++i) {
    const auto reason = static_cast<DropReason>(i);
    if (reason == DropReason::kNone || reason == DropReason::kCopyDone) continue;
    to.counter("sluice_drops_total", "Packets dropped, by reason", {{"reason", to_string(reason)}},
               status.drops[i]);
  }
  to.counter("sluice_copied_packets_total", "Copies made for steps that take one", {},
             status.copied_packets);
  add_instances(to, status);
  add_chains(to, status);
  to.gauge("sluice_flows", "Flows in the tables", {}, static_cast<double>(status.flows));
  to.counter("sluice_flows_started_total", "Flows that began", {}, status.flows_started);
  to.gauge("sluice_buffers", "Buffers of the packet memory", {}, status.buffers_total);
  to.gauge("sluice_buffers_free", "Those that are free", {}, status.buffers_free);
  to.gauge("sluice_cores", "Cores that the deployment gives the host", {}, status.cores_total);
  to.gauge("sluice_cores_used", "Those that workers and instances have", {}, status.cores_used);
  return to.take();
}

class Collector final : public prometheus::Collectable {
 public:
  explicit Collector(std::shared_ptr<const StatusBoard> board) : board_(std::move(board)) {}
  [[nodiscard]] std::vector<MetricFamily> Collect() const override {
    const auto status = board_->last();
    return status ? families_of(*status) : std::vector<MetricFamily>{};
  }

 private:
  std::shared_ptr<const StatusBoard> board_;
};

}  // namespace

struct HostMetrics::Parts {
  std::shared_ptr<Collector> collector;
  std::unique_ptr<prometheus::Exposer> exposer;  // Asks the collector, so it goes first.
};

HostMetrics::HostMetrics(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

HostMetrics::~HostMetrics() = default;

Result<std::unique_ptr<HostMetrics>, std::string> HostMetrics::serve(
    const std::string& address, std::shared_ptr<const StatusBoard> board) {
  auto parts = std::make_unique<Parts>();
  parts->collector = std::make_shared<Collector>(std::move(board));
  // The library says by an exception that it cannot listen, and not why.
  try {
    parts->exposer = std::make_unique<prometheus::Exposer>(address, 1);
    parts->exposer->RegisterCollectable(parts->collector);
  } catch (const std::exception&) {
    return unexpected(
        "metrics: cannot listen, another program has the address or it is not ours; "
        "got " +
        address + "; expected a free ADDRESS:PORT as metrics in the site file, or off");
  }
  return std::unique_ptr<HostMetrics>(new HostMetrics(std::move(parts)));
}

}  // namespace sluice::dpdk

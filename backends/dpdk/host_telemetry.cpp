#include "backends/dpdk/host_telemetry.hpp"

#include <rte_telemetry.h>

#include <mutex>
#include <string>
#include <utility>

#include "core/check.hpp"

namespace sluice::dpdk {
namespace {

// A command is a plain function, so what it reads can only be found here.
std::mutex board_mutex;
std::shared_ptr<const StatusBoard> board_of_commands;

std::shared_ptr<const HostStatus> last_status() {
  const std::lock_guard lock{board_mutex};
  return board_of_commands ? board_of_commands->last() : nullptr;
}

/// A dictionary of numbers and texts.
class Dictionary {
 public:
  explicit Dictionary(rte_tel_data* data) : data_(data) { rte_tel_data_start_dict(data); }
  void number(const char* name, std::uint64_t value) {
    rte_tel_data_add_dict_u64(data_, name, value);
  }
  void text(const char* name, const std::string& value) {
    rte_tel_data_add_dict_string(data_, name, value.c_str());
  }

 private:
  rte_tel_data* data_;
};

void fill(rte_tel_data* data, const HostStatus& status) {
  Dictionary to{data};
  to.text("host", status.host);
  to.text("deployment", status.deployment);
  to.number("ready", status.ready ? 1 : 0);
  to.number("uptime_ms", static_cast<std::uint64_t>((status.now - status.started) /
                                                    std::chrono::milliseconds{1}));
  PortStatistics all;
  std::uint64_t missed = 0;
  for (const HostStatus::Port& port : status.ports) {
    all.received_packets += port.counted.received_packets;
    all.received_bytes += port.counted.received_bytes;
    all.sent_packets += port.counted.sent_packets;
    all.sent_bytes += port.counted.sent_bytes;
    missed += port.missed;
  }
  to.number("received_packets", all.received_packets);
  to.number("received_bytes", all.received_bytes);
  to.number("sent_packets", all.sent_packets);
  to.number("sent_bytes", all.sent_bytes);
  to.number("missed_packets", missed);
  to.number("flows", status.flows);
  to.number("flows_started", status.flows_started);
  to.number("buffers", status.buffers_total);
  to.number("buffers_free", status.buffers_free);
  to.number("cores", status.cores_total);
  to.number("cores_used", status.cores_used);
}

void fill(rte_tel_data* data, const HostStatus::Instance& instance) {
  Dictionary to{data};
  to.text("name", instance.name);
  to.text("service", instance.service);
  to.text("state", instance.state);
  to.number("pid", static_cast<std::uint64_t>(instance.pid));
  to.number("ring_size", instance.ring_size);
  to.number("ring_capacity", instance.ring_capacity);
  to.number("flows", instance.flows);
  to.number("load_ppm", instance.load.value);
  to.number("delivered_packets", instance.counted.delivered_packets);
}

int answer_status(const char*, const char*, rte_tel_data* data) {
  const auto status = last_status();
  if (!status) return -1;
  fill(data, *status);
  return 0;
}

/// The names; with one as parameter, that instance. As DPDK's own commands do it, whose lists (of
/// 22.11) hold no dictionaries.
int answer_instances(const char*, const char* name, rte_tel_data* data) {
  const auto status = last_status();
  if (!status) return -1;
  if (name == nullptr || *name == '\0') {
    rte_tel_data_start_array(data, RTE_TEL_STRING_VAL);
    for (const HostStatus::Instance& instance : status->instances) {
      rte_tel_data_add_array_string(data, instance.name.c_str());
    }
    return 0;
  }
  for (const HostStatus::Instance& instance : status->instances) {
    if (instance.name != name) continue;
    fill(data, instance);
    return 0;
  }
  return -1;
}

int answer_drops(const char*, const char*, rte_tel_data* data) {
  const auto status = last_status();
  if (!status) return -1;
  Dictionary to{data};
  for (std::size_t i = 0; i < status->drops.size(); ++i) {
    const auto reason = static_cast<DropReason>(i);
    if (reason != DropReason::kNone) to.number(to_string(reason), status->drops[i]);
  }
  return 0;
}

}  // namespace

HostTelemetry::HostTelemetry(std::shared_ptr<const StatusBoard> board) {
  {
    const std::lock_guard lock{board_mutex};
    SLUICE_CHECK(!board_of_commands);
    board_of_commands = std::move(board);
  }
  rte_telemetry_register_cmd("/sluice/status", answer_status,
                             "What the Sluice host does, in sum. Takes no parameters");
  rte_telemetry_register_cmd(
      "/sluice/instances", answer_instances,
      "The instances of its network functions; with a name as parameter, that one");
  rte_telemetry_register_cmd("/sluice/drops", answer_drops,
                             "Packets dropped, by reason. Takes no parameters");
}

HostTelemetry::~HostTelemetry() {
  const std::lock_guard lock{board_mutex};
  board_of_commands.reset();
}

}  // namespace sluice::dpdk

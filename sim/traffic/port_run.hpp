#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/results/pcap_writer.hpp"
#include "cli/results/series_writer.hpp"
#include "core/deployment/deployment.hpp"
#include "core/result.hpp"
#include "core/units.hpp"
#include "sim/traffic/port_receiver.hpp"
#include "sim/traffic/port_sender.hpp"
#include "sim/traffic/wire.hpp"

namespace sluice::sim {

/// The world outside of one port, in real time: plays the sources of the file that enter by the
/// port, and counts what comes out of it. The other end of the interface is the port.
///
/// One thread, which sleeps between: at most 10,000 wake-ups a second, so what is due within 100 us
/// leaves together.
class PortRun {
 public:
  struct Options {
    PortRef port;
    std::string interface;
    std::string folder;   ///< What paths in the deployment are relative to; may be empty.
    std::string results;  ///< Where series.csv and captures/ go; empty: nowhere.
    Duration series_interval = std::chrono::milliseconds{100};
    /// Asked often whether to end early.
    std::function<bool()> interrupted;
  };
  /// Reads captures, opens the interface: all that can fail.
  [[nodiscard]] static Result<std::unique_ptr<PortRun>> open(const Deployment& deployment,
                                                             Options options);

  /// Runs until the deployment's duration has passed and what was under way had time to arrive.
  /// Blocks. To be called once.
  /// @param time_zero CLOCK_MONOTONIC at the start of the run; may lie ahead.
  void run(Instant time_zero);
  /// What was sent and what arrived, for who puts the results of several ports together.
  [[nodiscard]] nlohmann::ordered_json summary() const;
  /// Ends the files. @return Whether all was written.
  [[nodiscard]] bool close();

 private:
  PortRun(const Deployment& deployment, Options options);
  [[nodiscard]] Result<void> open_sources();
  [[nodiscard]] Result<void> open_receiver();
  [[nodiscard]] Result<void> open_files();
  [[nodiscard]] std::string entity_of_port() const;
  [[nodiscard]] Instant now() const;
  void turn(Instant now);
  void drain();
  void record(Instant at);
  void record_latencies(Instant at);
  void end_warmup();
  /// Bytes that came out of the port, by our own count or, with real clients, the interface's.
  [[nodiscard]] std::uint64_t delivered_bytes() const;
  [[nodiscard]] InterfaceCounters interface_since_start() const;

  const Deployment& deployment_;
  Options options_;
  Instant time_zero_{};
  std::optional<PortSender> sender_;
  std::optional<WireSender> wire_out_;
  std::optional<WireReceiver> wire_in_;  ///< None where real clients live.
  std::optional<PortReceiver> receiver_;
  std::unique_ptr<cli::SeriesWriter> series_;
  std::unique_ptr<cli::PcapWriter> capture_;
  InterfaceCounters counters_at_start_;
  std::uint64_t missed_ = 0;
  bool complete_ = false;
  bool cut_ = false;  ///< Frames were still due when the sending ended.

  Instant next_record_{};
  Instant next_drain_{};
  Instant last_record_{};
  bool warm_ = false;
  std::vector<std::uint64_t> offered_before_;     ///< Bytes by source, at the last row.
  std::vector<std::uint64_t> offered_at_warmup_;  ///< Bytes by source.
  std::uint64_t delivered_before_ = 0;
  std::uint64_t delivered_at_warmup_ = 0;
};

/// Whether real clients or servers stand behind a port, with addresses of their own.
[[nodiscard]] bool has_clients(const Deployment& deployment, PortRef port);

}  // namespace sluice::sim

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/results/pcap_writer.hpp"
#include "core/deployment/deployment.hpp"
#include "core/host/observer.hpp"
#include "core/packet/packet_memory.hpp"
#include "core/result.hpp"

namespace sluice::dpdk {

/// Writes the frames that a host receives and sends at some of its ports into pcap files, with the
/// time of day in nanoseconds.
///
/// A watcher of a worker, in its thread: each frame is copied into the file's buffer while the
/// worker waits, so a capture costs speed. For hosts with one worker.
class PortCapture final : public Observer {
 public:
  /// A port and the file for it.
  struct Point {
    PortId port{};
    std::string path;
  };
  /// `texts` as PORT or PORT=FILE; without one the file is PORT.pcap. The error says which is
  /// wrong.
  [[nodiscard]] static Result<std::vector<Point>, std::string> parse(
      const std::vector<std::string>& texts, const HostSpec& host);
  /// Begins the files. The error names the one that cannot be written.
  [[nodiscard]] static Result<std::unique_ptr<PortCapture>, std::string> open(
      const std::vector<Point>& points, const HostSpec& host);

  /// Where the frames lie; before the first call of a worker.
  void watch(PacketMemory memory) { memory_ = memory; }
  void received(Instant now, PortId port, std::span<const Packet> packets) override;
  void sent(Instant now, PortId port, std::span<const Packet> packets) override;
  /// After the last call of a worker. @return The files that are not whole, one line each.
  [[nodiscard]] std::vector<std::string> close();

 private:
  struct File {
    std::string path;
    std::unique_ptr<cli::PcapWriter> writer;
  };
  PortCapture() = default;

  std::vector<File> files_;  ///< By port; without a writer: not captured.
  PacketMemory memory_;
  Duration day_offset_{};  ///< From the host's clock to the time of day.
};

}  // namespace sluice::dpdk

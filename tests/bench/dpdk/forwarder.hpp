#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "core/result.hpp"

namespace sluice::bench {

/// How many packets went out up to a moment of CLOCK_MONOTONIC.
struct SentCount {
  std::uint64_t packet_count = 0;
  std::int64_t when_ns = 0;
};

/// A running program that takes packets from a capture without end and sends them nowhere. Several
/// run in turn on the same core: all but one are paused.
class Forwarder {
 public:
  virtual ~Forwarder() = default;
  [[nodiscard]] virtual Result<SentCount, std::string> count() = 0;
  /// Its processes, in the order in which they go on after a pause.
  [[nodiscard]] virtual std::vector<pid_t> processes() = 0;

  void pause();
  void resume();
};

/// Nanoseconds a packet while it is not paused, over `window` after it was warm; it is paused
/// afterwards. The error says in words what went wrong.
[[nodiscard]] Result<double, std::string> packet_ns(Forwarder& forwarder,
                                                    std::chrono::milliseconds window);
/// Waits until it has sent `packet_count`.
[[nodiscard]] Result<void, std::string> wait_for_packets(Forwarder& forwarder,
                                                         std::uint64_t packet_count);

/// What all of them get: the capture, its buffers, the memory, and the core that forwards.
struct ForwarderSetup {
  std::string folder;   ///< For its logs and sockets; its own.
  std::string capture;  ///< A pcap file.
  std::uint32_t buffer_count = 8192;
  bool huge_pages = false;
  int forwarding_core = 0;
  int control_core = 1;
};

/// The DPDK arguments for the memory of `setup`.
[[nodiscard]] std::vector<std::string> memory_arguments(const ForwarderSetup& setup);
/// The virtual devices: packets come from the first and go to the second.
[[nodiscard]] std::string source_device(const ForwarderSetup& setup);
[[nodiscard]] std::string sink_device();

}  // namespace sluice::bench

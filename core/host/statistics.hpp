#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/encapsulation/transit.hpp"
#include "core/host/latency_histogram.hpp"
#include "core/packet/packet.hpp"

namespace sluice {

using DropCounts = std::array<std::uint64_t, kDropReasonCount>;

struct PortStatistics {
  std::uint64_t received_packets = 0;
  std::uint64_t received_bytes = 0;
  std::uint64_t sent_packets = 0;
  std::uint64_t sent_bytes = 0;
  std::uint64_t no_buffer =
      0;  ///< Frames lost before they had a buffer; counted in received_packets.
};

struct ChainStatistics {
  std::uint64_t entered_packets = 0;  ///< Received or generated into the chain, and copies.
  std::uint64_t left_packets = 0;     ///< Handed to a port.
  std::uint64_t left_bytes = 0;
  std::uint64_t dropped_packets = 0;
  LatencyHistogram latency;  ///< Arrival at the host to the hand-over to the port.
};

struct InstanceStatistics {
  std::uint64_t delivered_packets = 0;
  std::uint64_t returned_packets = 0;
  std::uint64_t generated_packets = 0;
  std::uint64_t ring_full_drops = 0;    ///< Not delivered.
  std::uint64_t reclaimed_packets = 0;  ///< Were in its hands when it ended.
  std::uint64_t refused_packets = 0;    ///< Bad descriptors.
};

/// What one worker counted since its start. Written by the worker; every counter only grows.
struct WorkerStatistics {
  std::vector<PortStatistics> ports;    ///< By port number.
  std::vector<ChainStatistics> chains;  ///< By chain number, all versions together.
  std::vector<InstanceStatistics>
      instances;  ///< By instance number; reset when a number is reused.
  DropCounts drops{};
  std::uint64_t flows_started = 0;
  std::uint64_t flows_ended = 0;
  std::uint64_t generated_packets = 0;  ///< Made by instances.
  std::uint64_t copied_packets = 0;     ///< For steps that copy.
  std::uint64_t copies_missed = 0;      ///< Counted in drops, though no packet came to be.
  std::uint64_t tunnelled_packets = 0;  ///< Sent on to another host; also counted by port, chain.
  /// Frames of the underlay by what came of them; kNone: taken out of their tunnel.
  std::array<std::uint64_t, kTunnelErrorCount> tunnel_frames{};
  std::uint64_t polls = 0;
};

}  // namespace sluice

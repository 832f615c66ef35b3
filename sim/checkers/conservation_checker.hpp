#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "core/chain/chain.hpp"
#include "core/host/statistics.hpp"
#include "core/packet/packet.hpp"
#include "sim/checkers/violation_log.hpp"

namespace sluice::sim {

/// Conservation (I-1): counts what comes in and what goes out, per host, port, chain and instance.
/// A balance below zero is seen at once; packets that never came out, and counters of the host that
/// differ from what was seen, are found by end() and audit().
class ConservationChecker {
 public:
  ConservationChecker(std::uint32_t instance_count_max, ViolationLog& log)
      : instances_(instance_count_max), log_(log) {}

  void published(const ChainVersion& chain);
  void instance_started(InstanceId instance) noexcept;

  void received(Instant now, PortId port, std::span<const Packet> packets) noexcept;
  void classified(Instant now, std::span<const Packet> packets) noexcept;
  void copied(Instant now, const Packet& copy) noexcept;
  void delivered(Instant now, InstanceId instance, std::span<const Packet> packets) noexcept;
  void returned(Instant now, InstanceId instance, std::span<const Packet> packets) noexcept;
  void generated(Instant now, InstanceId instance, std::span<const Packet> packets) noexcept;
  void sent(Instant now, PortId port, std::span<const Packet> packets) noexcept;
  void dropped(Instant now, std::span<const Packet> packets, DropReason reason) noexcept;
  /// All of an instance's packets went with it: those not returned were dropped before.
  void instance_ended(InstanceId instance) noexcept;

  /// Everything must have come out: of the host and of each chain.
  void end(Instant now) noexcept;
  /// Compares the host's own counters, one set a worker, with what was seen.
  /// @param copies_missed Copies that never came to be: counted by the host, without an event.
  void audit(Instant now, std::span<const WorkerStatistics* const> workers,
             std::uint64_t copies_missed);

 private:
  struct Port {
    std::uint64_t received = 0;
    std::uint64_t received_bytes = 0;
    std::uint64_t sent = 0;
    std::uint64_t sent_bytes = 0;
  };
  struct Chain {
    std::uint64_t entered = 0;
    std::uint64_t sent = 0;
    std::uint64_t dropped = 0;
  };
  struct Instance {
    std::uint64_t delivered = 0;
    std::uint64_t returned = 0;
    std::uint64_t generated = 0;
  };

  template <class Count>
  void for_each_chain(std::span<const Packet> packets, Count&& count) noexcept;
  [[nodiscard]] Port& port_at(PortId port);
  void compare(Instant now, const char* what, std::size_t number, std::uint64_t reported,
               std::uint64_t seen);
  void check_host(Instant now) noexcept;
  void audit_chains(Instant now, std::span<const WorkerStatistics* const> workers);
  void audit_drops(Instant now, std::span<const WorkerStatistics* const> workers,
                   std::uint64_t no_buffer, std::uint64_t copies_missed);

  std::uint64_t received_ = 0, generated_ = 0, copied_ = 0, sent_ = 0, dropped_ = 0;
  std::vector<Port> ports_;
  std::vector<Chain> chains_;                 ///< By ChainVersion::index.
  std::vector<std::uint16_t> chain_numbers_;  ///< By ChainVersion::index.
  std::vector<Instance> instances_;
  DropCounts drops_{};
  ViolationLog& log_;
};

}  // namespace sluice::sim

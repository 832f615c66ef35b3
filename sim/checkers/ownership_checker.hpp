#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/packet/packet.hpp"
#include "sim/checkers/violation_log.hpp"

namespace sluice::sim {

/// Single owner (I-2): follows each buffer through free, worker, instance and lent, and reports
/// each step that its owner could not have made.
///
/// A sent buffer counts as free: the port gives it back unseen, and if it were used too early, its
/// next `received` would still be seen.
class OwnershipChecker {
 public:
  OwnershipChecker(std::uint32_t buffer_count, ViolationLog& log)
      : owners_(buffer_count, kFree), log_(log) {}

  void received(Instant now, std::span<const Packet> packets) noexcept;
  void copied(Instant now, const Packet& original, const Packet& copy) noexcept;
  void delivered(Instant now, InstanceId instance, std::span<const Packet> packets) noexcept;
  void returned(Instant now, InstanceId instance, std::span<const Packet> packets) noexcept;
  void generated(Instant now, InstanceId instance, std::span<const Packet> packets) noexcept;
  void sent(Instant now, std::span<const Packet> packets) noexcept;
  void dropped(Instant now, std::span<const Packet> packets, DropReason reason) noexcept;
  void lent(Instant now, InstanceId instance, std::span<const std::uint32_t> buffers) noexcept;
  void unlent(Instant now, InstanceId instance, std::span<const std::uint32_t> buffers) noexcept;
  void end(Instant now) noexcept;

 private:
  /// Who has a buffer: the kind in the high half, the instance in the low one.
  using Owner = std::uint32_t;
  static constexpr Owner kFree = 0;
  static constexpr Owner kWorker = 1u << 16;
  static constexpr Owner kInstance = 2u << 16;
  static constexpr Owner kLent = 3u << 16;

  void move(Instant now, std::uint32_t buffer, Owner from, Owner to, const char* what) noexcept;
  void wrong(Instant now, std::uint32_t buffer, Owner from, const char* what);

  std::vector<Owner> owners_;
  ViolationLog& log_;
};

}  // namespace sluice::sim

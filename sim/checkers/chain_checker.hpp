#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/chain/chain.hpp"
#include "core/packet/packet.hpp"
#include "sim/checkers/violation_log.hpp"

namespace sluice::sim {

/// Chain order (I-5): walks each packet through its chain version by verdict and label, and reports
/// each delivery, sending or drop that does not follow.
///
/// It reads the chains as published and the verdicts as returned, and never asks the host where a
/// packet goes. A copy that could not be made (no buffer, no instance) gives no event, so passing a
/// copy step without one is counted (copies_skipped), for the final audit to compare with the
/// host's counters.
class ChainChecker {
 public:
  ChainChecker(std::uint32_t buffer_count, std::uint32_t instance_count_max, ViolationLog& log)
      : shadows_(buffer_count), service_of_(instance_count_max, index_of(kNoService)), log_(log) {}

  void published(const ChainVersion& chain);
  void instance_started(InstanceId instance, ServiceId service) noexcept;

  void received(Instant now, std::span<const Packet> packets) noexcept;
  void classified(Instant now, std::span<const Packet> packets) noexcept;
  void copied(Instant now, const Packet& original, const Packet& copy) noexcept;
  void delivered(Instant now, InstanceId instance, std::span<const Packet> packets) noexcept;
  void returned(Instant now, InstanceId instance, std::span<const Packet> packets) noexcept;
  void generated(Instant now, InstanceId instance, std::span<const Packet> packets) noexcept;
  void sent(Instant now, PortId port, std::span<const Packet> packets) noexcept;
  void dropped(Instant now, std::span<const Packet> packets, DropReason reason) noexcept;

  [[nodiscard]] std::uint64_t copies_skipped() const noexcept { return copies_skipped_; }

 private:
  enum class Phase : std::uint8_t {
    kAbsent,
    kFresh,     ///< Received, chain not known.
    kMade,      ///< Generated, chain not known.
    kPassing,   ///< No chain: to be sent or dropped.
    kAt,        ///< To be delivered at `step`.
    kInside,    ///< With an instance at `step`.
    kAfter,     ///< Came back from `step` with `verdict`.
    kCopyDone,  ///< A copy that came back: to be dropped.
  };
  struct Shadow {
    std::uint32_t tag = 0;
    std::uint16_t chain = 0xffff;
    std::uint16_t target = 0;
    std::uint8_t step = 0;
    Phase phase = Phase::kAbsent;
    Verdict verdict = Verdict::kUndecided;
    bool is_copy = false;
  };
  static_assert(sizeof(Shadow) == 12);
  struct Route {
    std::uint16_t to_port = 0xffff;
    std::vector<Step> steps;
  };

  [[nodiscard]] Shadow* shadow_of(Instant now, const Packet& packet, const char* what) noexcept;
  [[nodiscard]] const Route* route_of(const Shadow& shadow) const noexcept;
  [[nodiscard]] Hop expected_hop(const Shadow& shadow, const Route& route) const noexcept;
  [[nodiscard]] std::optional<Hop> plain_hop(const Shadow& shadow) const noexcept;
  [[nodiscard]] static bool is_same(const Shadow& a, const Shadow& b) noexcept;
  [[nodiscard]] std::uint16_t service_at(std::uint16_t chain, std::uint8_t step) const noexcept;
  [[nodiscard]] bool same_packet(Instant now, const Shadow& shadow, const Packet& packet,
                                 const char* what) noexcept;
  void check_delivery(Instant now, Shadow& shadow, const Packet& packet, InstanceId instance,
                      std::uint16_t service);
  void check_sending(Instant now, const Shadow& shadow, const Packet& packet, PortId port);
  void check_drop(Instant now, const Shadow& shadow, const Packet& packet, DropReason reason);
  void wrong(Instant now, const Packet& packet, std::string_view text);

  std::vector<Shadow> shadows_;
  std::vector<std::uint16_t> service_of_;
  std::vector<Route> routes_;  ///< By ChainVersion::index.
  std::uint64_t copies_skipped_ = 0;
  ViolationLog& log_;
};

}  // namespace sluice::sim

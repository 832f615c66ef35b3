#pragma once

#include <cstdint>
#include <type_traits>

#include "core/units.hpp"

namespace sluice {

/// What a network function decided for a packet.
enum class Verdict : std::uint8_t {
  kUndecided,  ///< The state in which an NF receives it; left so, it is dropped as that.
  kNext,       ///< On to what the chain says next.
  kToService,  ///< To the service in `target`, out of order.
  kOut,        ///< Out of the port in `target`, past the rest of the chain.
  kDrop,       ///< Dropped for the DropReason in `target`.
  kHold,       ///< Kept by the NF until it releases it.
};

// GCC 12 warns that kNoChain, kNoInstance and kNoPort shadow the identities of the same name,
// though a scoped enumerator hides nothing.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
/// Why a packet ended here. One counter each; nothing is lost without one.
enum class DropReason : std::uint16_t {
  kNone,
  kParseError,       ///< Malformed or cut short.
  kNoChain,          ///< No rule matched and the port's policy is to drop.
  kTableFull,        ///< No room for a new flow.
  kFragmentTable,    ///< A later fragment whose first was not seen, or no room to remember it.
  kRingFull,         ///< The instance's receive ring had no room: it is overloaded.
  kNoInstance,       ///< The service has no instance that takes this flow.
  kInstanceDied,     ///< Held by an instance when it died.
  kInstanceStopped,  ///< Held by an instance that was cut at the end of its drain.
  kFunction,         ///< An NF's verdict without a reason of its own.
  kRule,             ///< An NF's rule said so (firewall, ids, a branch to drop).
  kRateLimit,        ///< An NF's rate or queue limit.
  kUndecided,        ///< An NF returned it without a verdict.
  kBadDescriptor,    ///< An NF returned something it does not own or that points outside.
  kHoldLimit,        ///< Held for too long, or too many held.
  kTtl,              ///< TTL or hop limit of the packet itself reached 0.
  kMtu,              ///< Larger than the port or tunnel carries.
  kHopLimit,         ///< Too many steps: a chain that turns in circles.
  kNoBuffer,         ///< No free buffer for a received or copied packet.
  kPortFull,         ///< The port's transmit queue had no room.
  kNoPort,           ///< Sent to a port that does not exist.
  kWorkerRing,       ///< The ring to another worker had no room.
  kUnknownPeer,      ///< Tunnelled by a host that is no member.
  kFlowEnded,        ///< An instance kept it until its flow had ended.
  kShutdown,         ///< Still held when the host stopped.
  kCopyDone,         ///< A copy at the end of its step: no loss, but the end of a buffer's way.
};
#pragma GCC diagnostic pop
inline constexpr std::size_t kDropReasonCount = 26;

/// The name of a drop reason in results and metrics, e.g. "ring_full".
[[nodiscard]] const char* to_string(DropReason reason) noexcept;
[[nodiscard]] const char* to_string(Verdict verdict) noexcept;

/// Origin host (10 bits, high) and slot in its flow tables (22 bits) of a packet's flow.
using FlowId = std::uint32_t;
inline constexpr std::uint32_t kFlowSlotBits = 22;
inline constexpr FlowId kNoFlow = 0xffffffff;

/// A packet: a descriptor by value; its bytes lie in the host's PacketMemory.
///
/// The same struct is used by the core, by an NF process and by the simulator; it is the format of
/// the rings between processes, so its layout is fixed (DESIGN 3).
struct Packet {
  std::uint32_t buffer;   ///< Index into the packet memory.
  std::uint16_t offset;   ///< First byte of the frame within the buffer.
  std::uint16_t length;   ///< Bytes of the frame.
  FlowId flow;            ///< Its flow, or kNoFlow.
  std::uint32_t tag;      ///< Labels: bit i is label i of the deployment.
  std::uint16_t chain;    ///< Index of the chain version in the routing snapshot, or 0xffff.
  std::uint8_t step;      ///< Where in the chain it is.
  Verdict verdict;        ///< What the last NF decided.
  std::uint16_t target;   ///< A service, a port or a drop reason, by verdict.
  std::uint16_t ingress;  ///< The port by which it came to this host, or 0xffff.
  std::uint64_t arrival;  ///< When it came to this host; nanoseconds of Instant.

  constexpr void next() noexcept { verdict = Verdict::kNext; }
  constexpr void to_service(ServiceId service) noexcept {
    verdict = Verdict::kToService;
    target = index_of(service);
  }
  constexpr void out(PortId port) noexcept {
    verdict = Verdict::kOut;
    target = index_of(port);
  }
  constexpr void drop(DropReason reason = DropReason::kFunction) noexcept {
    verdict = Verdict::kDrop;
    target = static_cast<std::uint16_t>(reason);
  }
  /// The NF must remember the descriptor and give it back by Context::release.
  constexpr void hold() noexcept { verdict = Verdict::kHold; }

  constexpr bool operator==(const Packet&) const = default;
};
static_assert(sizeof(Packet) == 32 && alignof(Packet) == 8);
static_assert(std::is_trivially_copyable_v<Packet>);

}  // namespace sluice

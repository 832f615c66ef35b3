#include "core/packet/packet.hpp"

#include <cstddef>

namespace sluice {
namespace {

/// Null outside the enum. No default: the compiler names a reason without a name.
constexpr const char* name_of(DropReason reason) {
  switch (reason) {
    case DropReason::kNone:
      return "none";
    case DropReason::kParseError:
      return "parse_error";
    case DropReason::kNoChain:
      return "no_chain";
    case DropReason::kTableFull:
      return "table_full";
    case DropReason::kFragmentTable:
      return "fragment_table";
    case DropReason::kRingFull:
      return "ring_full";
    case DropReason::kNoInstance:
      return "no_instance";
    case DropReason::kInstanceDied:
      return "instance_died";
    case DropReason::kInstanceStopped:
      return "instance_stopped";
    case DropReason::kFunction:
      return "function";
    case DropReason::kRule:
      return "rule";
    case DropReason::kRateLimit:
      return "rate_limit";
    case DropReason::kUndecided:
      return "undecided";
    case DropReason::kBadDescriptor:
      return "bad_descriptor";
    case DropReason::kHoldLimit:
      return "hold_limit";
    case DropReason::kTtl:
      return "ttl";
    case DropReason::kMtu:
      return "mtu";
    case DropReason::kHopLimit:
      return "hop_limit";
    case DropReason::kNoBuffer:
      return "no_buffer";
    case DropReason::kPortFull:
      return "port_full";
    case DropReason::kNoPort:
      return "no_port";
    case DropReason::kWorkerRing:
      return "worker_ring";
    case DropReason::kUnknownPeer:
      return "unknown_peer";
    case DropReason::kFlowEnded:
      return "flow_ended";
    case DropReason::kShutdown:
      return "shutdown";
    case DropReason::kCopyDone:
      return "copy_done";
  }
  return nullptr;
}

constexpr bool every_reason_counts() {
  for (std::size_t i = 0; i < kDropReasonCount; ++i) {
    if (name_of(DropReason{static_cast<std::uint16_t>(i)}) == nullptr) return false;
  }
  return name_of(DropReason{static_cast<std::uint16_t>(kDropReasonCount)}) == nullptr;
}
static_assert(every_reason_counts(), "kDropReasonCount is not the number of drop reasons");

}  // namespace

const char* to_string(DropReason reason) noexcept {
  const char* name = name_of(reason);
  return name == nullptr ? "unknown" : name;
}

const char* to_string(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::kUndecided:
      return "undecided";
    case Verdict::kNext:
      return "next";
    case Verdict::kToService:
      return "to_service";
    case Verdict::kOut:
      return "out";
    case Verdict::kDrop:
      return "drop";
    case Verdict::kHold:
      return "hold";
  }
  return "unknown";
}

}  // namespace sluice

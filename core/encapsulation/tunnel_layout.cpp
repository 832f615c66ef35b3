#include "core/encapsulation/tunnel_layout.hpp"

#include <array>

#include "core/encapsulation/transit.hpp"
#include "core/packet/packet_memory.hpp"

namespace sluice {

static_assert(tunnel::overhead(6, kTransitPinCountMax) <= kHeadroom);
static_assert(tunnel::nsh_bytes(kTransitPinCountMax) / 4 <= tunnel::kNshLengthMask);
static_assert(tunnel::kTlvFixed + 4 * tunnel::kPinsInFirst < 128);

const char* to_string(TunnelError error) noexcept {
  constexpr std::array<const char*, kTunnelErrorCount> kNames{
      "none",         "not_tunnel", "truncated", "malformed", "checksum", "fragment", "network",
      "unknown_peer", "old_epoch",  "new_epoch", "cookie",    "looped",   "nested"};
  return kNames[static_cast<std::size_t>(error)];
}

}  // namespace sluice

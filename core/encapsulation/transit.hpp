#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "core/flow/pin.hpp"
#include "core/packet/headers.hpp"
#include "core/units.hpp"

/// What a packet brings along when it changes hosts, so that the next host needs no state of its
/// flow (DESIGN 7).
namespace sluice {

/// Steps of a chain that crosses hosts: their pins, 4 bytes each, have to fit the headroom.
inline constexpr std::uint32_t kTransitPinCountMax = 32;
/// Hosts that a packet may come through: the TTL of a new NSH, which has 6 bits.
inline constexpr std::uint8_t kTransitTtl = 63;
inline constexpr std::uint32_t kPathMax = (1u << 24) - 1;

/// Beside the descriptor: which chain, as the cluster numbers it, and the flow's pins.
struct Transit {
  std::uint32_t path = 0;  ///< The cluster's number of the chain; at most kPathMax.
  std::uint32_t chain_version = 0;
  std::uint16_t entropy = 0;  ///< Of the flow's hash: spreads flows over equal paths and queues.
  std::uint8_t ttl = kTransitTtl;
  std::span<const Pin> pins{};  ///< By step; at most kTransitPinCountMax.
};

/// The same, kept for a packet while it is at this host.
struct StoredTransit {
  std::uint32_t path = 0;
  std::uint32_t chain_version = 0;
  std::uint16_t entropy = 0;
  std::uint8_t ttl = 0;
  std::uint8_t pin_count = 0;
  std::array<Pin, kTransitPinCountMax> pins{};

  /// Valid as long as this is.
  [[nodiscard]] Transit view() const noexcept {
    return {path, chain_version, entropy, ttl, std::span{pins}.first(pin_count)};
  }
};

/// A host as the underlay reaches it, in one of its lives.
struct TunnelEndpoint {
  HostId host{};
  std::uint32_t epoch = 0;  ///< Higher in each life of the host: what it said before is refused.
  MacAddress mac{};
  std::uint8_t ip_version = 4;
  IpBytes address{};  ///< As in FlowKey: an IPv4 address stands in the first four bytes.

  constexpr bool operator==(const TunnelEndpoint&) const = default;
};

/// Why a frame from the underlay is refused; each has a counter.
enum class TunnelError : std::uint8_t {
  kNone,
  kNotTunnel,    ///< Not for us, or no VXLAN-GPE with NSH: the underlay has other traffic, too.
  kTruncated,    ///< Shorter than its headers say.
  kMalformed,    ///< Lengths that contradict each other, or what this version never sends.
  kChecksum,     ///< Of IPv4 or, over IPv6, of UDP.
  kFragment,     ///< The underlay must carry whole frames.
  kNetwork,      ///< Another cluster's VNI.
  kUnknownPeer,  ///< No member has this address.
  kOldEpoch,     ///< From before the sender's last start, or since it was fenced.
  kNewEpoch,     ///< The sender knows of its restart before we do.
  kCookie,
  kLooped,  ///< The TTL of NSH is used up.
  kNested,  ///< A frame of this cluster's tunnel in another.
};
inline constexpr std::size_t kTunnelErrorCount = 13;
[[nodiscard]] const char* to_string(TunnelError error) noexcept;

}  // namespace sluice

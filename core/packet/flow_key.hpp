#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>

#include "core/units.hpp"

namespace sluice {

/// What makes packets one flow: addresses, ports, protocol, VLANs and the port by which they came.
///
/// Directed: the reply has another key (reversed()), because one symmetric key for both directions
/// made different flows collide in openNetVM. The ingress port belongs to it so that a packet with
/// forged addresses from outside never meets a flow of the inside. IPv4 addresses stand in the
/// first four bytes, the rest zero. ICMP echo: the identifier stands in both ports. No padding: two
/// keys are equal if their bytes are.
struct FlowKey {
  std::array<std::uint8_t, 16> source{};
  std::array<std::uint8_t, 16> destination{};
  std::uint16_t source_port = 0;       ///< Host byte order.
  std::uint16_t destination_port = 0;  ///< Host byte order.
  std::uint16_t vlan_outer = 0;        ///< VLAN id; 0: untagged.
  std::uint16_t vlan_inner = 0;
  std::uint16_t ingress = 0xffff;
  std::uint8_t protocol = 0;    ///< IP protocol number after extension headers.
  std::uint8_t ip_version = 0;  ///< 4 or 6; 0: not IP.
  std::uint32_t reserved = 0;   ///< 0; fills the key to six words.

  /// The key of the opposite direction, entering by `reply_ingress`.
  [[nodiscard]] FlowKey reversed(PortId reply_ingress) const {
    FlowKey key = *this;
    key.source = destination;
    key.destination = source;
    key.source_port = destination_port;
    key.destination_port = source_port;
    key.ingress = index_of(reply_ingress);
    return key;
  }
  bool operator==(const FlowKey& other) const noexcept {
    return std::memcmp(this, &other, sizeof *this) == 0;
  }
};
static_assert(sizeof(FlowKey) == 48 && std::has_unique_object_representations_v<FlowKey>);

/// Keys of the tables' hashes: from the system's random source, or from the seed in a simulation,
/// so that nobody outside can aim flows at one bucket.
struct HashKey {
  std::uint64_t low = 0x0706050403020100u;
  std::uint64_t high = 0x0f0e0d0c0b0a0908u;
};

/// A keyed hash of all of `key`: FlowHash, for one key.
[[nodiscard]] std::uint64_t hash(const FlowKey& key, const HashKey& hash_key) noexcept;

/// A keyed hash of the two addresses alone that is the same in both directions. It names the worker
/// of a flow: fragments and both directions of a session agree on it (DESIGN 4).
[[nodiscard]] std::uint64_t hash_symmetric(const FlowKey& key, const HashKey& hash_key) noexcept;

}  // namespace sluice

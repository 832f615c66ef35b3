#pragma once

#include <array>
#include <cstdint>

#include "core/check.hpp"
#include "core/packet/bytes.hpp"
#include "core/packet/flow_key.hpp"

namespace sluice {

/// A FlowKey in the order in which a table hashes and compares it.
///
/// All that tells untagged flows over IPv4 apart stands in `first`: two words, one comparison. Of
/// such a key `rest` is 0 and is not read. The highest bit of `first` says which kind a key is, so
/// of two keys with the same `first` both have a rest or neither.
struct PackedKey {
  /// The first four bytes of both addresses; ports as on the wire, ingress, protocol, version.
  std::array<std::uint64_t, 2> first;
  /// The other bytes of both addresses; VLANs and FlowKey::reserved.
  std::array<std::uint64_t, 4> rest;

  static constexpr std::uint64_t kHasRest = std::uint64_t{1} << 63;
  [[nodiscard]] bool has_rest() const noexcept { return (first[1] & kHasRest) != 0; }
};

/// FlowKey::ip_version is below 128 (checked). unpack() is the way back, without loss.
[[nodiscard]] inline PackedKey pack(const FlowKey& key) noexcept {
  SLUICE_CHECK(key.ip_version < 128);
  const auto* source = reinterpret_cast<const std::byte*>(key.source.data());
  const auto* destination = reinterpret_cast<const std::byte*>(key.destination.data());
  const auto word32 = [](const std::byte* from) {
    return std::uint64_t{load_native<std::uint32_t>(from)};
  };
  PackedKey packed;
  packed.first = {word32(source) | word32(destination) << 32,
                  std::uint64_t{big_endian(key.source_port)} |
                      std::uint64_t{big_endian(key.destination_port)} << 16 |
                      std::uint64_t{key.ingress} << 32 | std::uint64_t{key.protocol} << 48 |
                      std::uint64_t{key.ip_version} << 56};
  packed.rest = {load_native<std::uint64_t>(source + 4),
                 word32(source + 12) | word32(destination + 4) << 32,
                 load_native<std::uint64_t>(destination + 8),
                 std::uint64_t{key.vlan_outer} | std::uint64_t{key.vlan_inner} << 16 |
                     std::uint64_t{key.reserved} << 32};
  const bool has_rest = (packed.rest[0] | packed.rest[1] | packed.rest[2] | packed.rest[3]) != 0;
  if (has_rest) packed.first[1] |= PackedKey::kHasRest;
  return packed;
}

[[nodiscard]] FlowKey unpack(const PackedKey& packed) noexcept;

}  // namespace sluice

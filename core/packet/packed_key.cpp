#include "core/packet/packed_key.hpp"

#include <cstring>

namespace sluice {
namespace {

/// The low half of `word` to `low`, the high half to `high`.
void store_halves(std::uint64_t word, std::uint8_t* low, std::uint8_t* high) {
  const auto low_half = static_cast<std::uint32_t>(word);
  const auto high_half = static_cast<std::uint32_t>(word >> 32);
  std::memcpy(low, &low_half, sizeof low_half);
  std::memcpy(high, &high_half, sizeof high_half);
}

}  // namespace

FlowKey unpack(const PackedKey& packed) noexcept {
  FlowKey key;
  std::uint8_t* source = key.source.data();
  std::uint8_t* destination = key.destination.data();
  store_halves(packed.first[0], source, destination);
  const std::uint64_t second = packed.first[1] & ~PackedKey::kHasRest;
  key.source_port = big_endian(static_cast<std::uint16_t>(second));
  key.destination_port = big_endian(static_cast<std::uint16_t>(second >> 16));
  key.ingress = static_cast<std::uint16_t>(second >> 32);
  key.protocol = static_cast<std::uint8_t>(second >> 48);
  key.ip_version = static_cast<std::uint8_t>(second >> 56);
  if (!packed.has_rest()) return key;
  std::memcpy(source + 4, &packed.rest[0], 8);
  store_halves(packed.rest[1], source + 12, destination + 4);
  std::memcpy(destination + 8, &packed.rest[2], 8);
  key.vlan_outer = static_cast<std::uint16_t>(packed.rest[3]);
  key.vlan_inner = static_cast<std::uint16_t>(packed.rest[3] >> 16);
  key.reserved = static_cast<std::uint32_t>(packed.rest[3] >> 32);
  return key;
}

}  // namespace sluice

#include "sim/traffic/probe.hpp"

#include <array>

#include "core/packet/bytes.hpp"
#include "core/packet/checksum.hpp"
#include "core/packet/headers.hpp"

namespace sluice::sim {
namespace {

constexpr std::uint32_t kMagic = 0x534c5450;  // "SLTP"

/// Where the payload of a frame begins that can carry a probe.
std::optional<Headers> probe_place(std::span<const std::byte> frame) {
  const auto headers = parse(frame);
  if (!headers || headers->fragment) return std::nullopt;
  if (headers->l4 != L4::kUdp && headers->l4 != L4::kTcp) return std::nullopt;
  if (headers->payload_length < Probe::kSize) return std::nullopt;
  return *headers;
}

}  // namespace

bool write_probe(std::span<std::byte> frame, const Probe& probe) noexcept {
  const auto headers = probe_place(frame);
  if (!headers) return false;
  const std::uint64_t ns = to_ns(probe.sent);
  const std::array<std::uint32_t, Probe::kSize / 4> words{kMagic, std::uint32_t{probe.source} << 16,
                                                          static_cast<std::uint32_t>(ns >> 32),
                                                          static_cast<std::uint32_t>(ns)};
  ChecksumDelta delta;
  std::byte* at = &frame[headers->payload_offset];
  for (const std::uint32_t word : words) {
    delta.replace(load_be32(at), word);
    store_be32(at, word);
    at += sizeof word;
  }
  std::byte* checksum = &frame[l4_checksum_offset(*headers)];
  const std::uint16_t before = load_be16(checksum);
  if (headers->l4 == L4::kUdp && before == 0) return true;  // None was computed.
  const std::uint16_t after = delta.apply(before);
  store_be16(checksum, headers->l4 == L4::kUdp && after == 0 ? 0xffff : after);
  return true;
}

std::optional<Probe> read_probe(std::span<const std::byte> frame) noexcept {
  const auto headers = probe_place(frame);
  if (!headers) return std::nullopt;
  const std::byte* at = &frame[headers->payload_offset];
  if (load_be32(at) != kMagic) return std::nullopt;
  const std::uint64_t ns = std::uint64_t{load_be32(at + 8)} << 32 | load_be32(at + 12);
  return Probe{load_be16(at + 4), instant_from_ns(ns)};
}

}  // namespace sluice::sim

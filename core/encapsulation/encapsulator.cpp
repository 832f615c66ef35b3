#include "core/encapsulation/encapsulator.hpp"

#include <algorithm>
#include <cstring>

#include "core/check.hpp"
#include "core/encapsulation/cookie.hpp"
#include "core/encapsulation/tunnel_layout.hpp"
#include "core/packet/bytes.hpp"
#include "core/packet/checksum.hpp"

namespace sluice {
namespace {

using namespace tunnel;

std::uint16_t folded(std::uint64_t sum) {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

std::uint32_t sum_of(std::span<const std::byte> bytes) {
  return static_cast<std::uint16_t>(~internet_checksum(bytes));
}

std::byte* put(std::byte* to, std::span<const std::uint8_t> bytes) {
  std::memcpy(to, bytes.data(), bytes.size());
  return to + bytes.size();
}

std::byte* put_ethernet(std::byte* to, const TunnelEndpoint& from, const TunnelEndpoint& peer) {
  to = put(to, peer.mac);
  to = put(to, from.mac);
  store_be16(to, peer.ip_version == 4 ? kEtherIpv4 : kEtherIpv6);
  return to + 2;
}

/// Without total length and checksum; no fragmentation, so the id says nothing (RFC 6864).
void put_ipv4(std::byte* to, const TunnelEndpoint& from, const TunnelEndpoint& peer) {
  store_u8(to, 0x45);
  store_be16(to + 6, kDontFragment);
  store_u8(to + 8, 64);
  store_u8(to + 9, kProtocolUdp);
  put(to + 12, std::span{from.address}.first(4));
  put(to + 16, std::span{peer.address}.first(4));
}

/// Without the payload length. The flow label stays 0: the UDP source port spreads flows.
void put_ipv6(std::byte* to, const TunnelEndpoint& from, const TunnelEndpoint& peer) {
  store_u8(to, 0x60);
  store_u8(to + 6, kProtocolUdp);
  store_u8(to + 7, 64);
  put(to + 8, from.address);
  put(to + 24, peer.address);
}

/// The pins as they lie on the wire; of more than kPinsInFirst the rest is in a TLV of its own.
void put_pins(std::byte* to, std::span<const Pin> pins) noexcept {
  for (std::size_t i = 0; i < pins.size(); ++i) {
    if (i == kPinsInFirst) {
      store_be16(to, kTlvClass);
      store_u8(to + 2, kTlvMorePins);
      store_u8(to + 3, static_cast<std::uint8_t>(4 * (pins.size() - i)));
      to += kTlvHeader;
    }
    store_be16(to, pins[i].host);
    store_be16(to + 2, pins[i].instance);
    to += sizeof(Pin);
  }
}

}  // namespace

Encapsulator::Encapsulator(const Options& options)
    : remote_(options.remote), ip_bytes_(ip_bytes(options.remote.ip_version)) {
  SLUICE_CHECK(options.local.ip_version == options.remote.ip_version);
  SLUICE_CHECK(options.network < 1u << 24);
  std::byte* const ip = put_ethernet(template_.data(), options.local, options.remote);
  if (remote_.ip_version == 4) {
    put_ipv4(ip, options.local, options.remote);
    checksum_sum_ = sum_of({ip, kIpv4});
  } else {
    put_ipv6(ip, options.local, options.remote);
    checksum_sum_ = sum_of({ip + 8, 32}) + kProtocolUdp;
  }
  std::byte* const udp = ip + ip_bytes_;
  store_be16(udp + 2, kUdpPort);
  std::byte* const gpe = udp + kUdp;
  store_u8(gpe, kGpeFlags);
  store_u8(gpe + 3, kGpeNextNsh);
  store_be32(gpe + 4, options.network << 8);
  std::byte* const nsh = gpe + kGpe;
  store_u8(nsh + 2, kNshMdType2);
  store_u8(nsh + 3, kNshNextEthernet);
  std::byte* const tlv = nsh + kNshBase;
  store_be16(tlv, kTlvClass);
  store_u8(tlv + 2, kTlvTransit);
  std::byte* const value = tlv + kTlvHeader;
  const TunnelWay way{options.local.host, options.remote.host, options.local.epoch};
  store_be32(value + kCookie, tunnel_cookie(options.secret, way));
  store_be32(value + kEpoch, options.local.epoch);
  store_u8(value + kFormat, kFormatVersion);
}

std::uint32_t Encapsulator::overhead(std::uint32_t pin_count) const noexcept {
  return tunnel::overhead(remote_.ip_version, pin_count);
}

void Encapsulator::write_headers(std::byte* outer, const Packet& packet, const Transit& transit,
                                 std::uint32_t nsh_bytes) const noexcept {
  // Of sizes that the compiler knows.
  if (remote_.ip_version == 4) {
    std::memcpy(outer, template_.data(), tunnel::overhead(4, 0));
  } else {
    std::memcpy(outer, template_.data(), tunnel::overhead(6, 0));
  }
  std::byte* const udp = outer + kEthernet + ip_bytes_;
  store_be16(udp, kSourcePortFirst | (transit.entropy & kSourcePortMask));
  std::byte* const nsh = udp + kUdp + kGpe;
  store_be16(
      nsh, static_cast<std::uint16_t>(std::uint32_t{transit.ttl} << kNshTtlShift | nsh_bytes / 4));
  store_be32(nsh + 4, transit.path << 8 | static_cast<std::uint8_t>(255 - packet.step));
  std::byte* const tlv = nsh + kNshBase;
  const auto pin_count = static_cast<std::uint32_t>(transit.pins.size());
  const std::uint32_t first_count = std::min(pin_count, kPinsInFirst);
  store_u8(tlv + 3, static_cast<std::uint8_t>(kTlvFixed + 4 * first_count));
  std::byte* const value = tlv + kTlvHeader;
  store_be32(value + kFlow, packet.flow);
  store_be32(value + kTag, packet.tag);
  store_be32(value + kChainVersion, transit.chain_version);
  store_be16(value + kTarget, packet.target);
  store_u8(value + kPinCount, static_cast<std::uint8_t>(pin_count));
  put_pins(value + kTlvFixed, transit.pins);
}

void Encapsulator::write_lengths(std::byte* outer, std::uint32_t udp_bytes) const noexcept {
  std::byte* const ip = outer + kEthernet;
  std::byte* const udp = ip + ip_bytes_;
  store_be16(udp + 4, static_cast<std::uint16_t>(udp_bytes));
  if (remote_.ip_version == 4) {
    const std::uint32_t total = kIpv4 + udp_bytes;
    store_be16(ip + 2, static_cast<std::uint16_t>(total));
    store_be16(ip + 10, static_cast<std::uint16_t>(~folded(std::uint64_t{checksum_sum_} + total)));
    return;
  }
  store_be16(ip + 4, static_cast<std::uint16_t>(udp_bytes));
  const std::uint64_t sum =
      std::uint64_t{checksum_sum_} + udp_bytes + sum_of({udp, std::size_t{udp_bytes}});
  const auto checksum = static_cast<std::uint16_t>(~folded(sum));
  store_be16(udp + 6, checksum == 0 ? 0xffff : checksum);  // 0 would say: none (RFC 8200, 8.1).
}

std::size_t Encapsulator::operator()(const PacketMemory& memory, std::span<Packet> packets,
                                     std::span<const Transit> transits) const noexcept {
  SLUICE_CHECK(packets.size() == transits.size());
  for (std::size_t i = 0; i < packets.size(); ++i) {
    Packet& packet = packets[i];
    const Transit& transit = transits[i];
    SLUICE_CHECK(transit.pins.size() <= kTransitPinCountMax && transit.path <= kPathMax &&
                 transit.ttl <= kTransitTtl);
    const std::uint32_t nsh = nsh_bytes(static_cast<std::uint32_t>(transit.pins.size()));
    const std::uint32_t grown = kEthernet + ip_bytes_ + kUdp + kGpe + nsh;
    if (packet.offset < grown || std::uint32_t{packet.length} + grown > 0xffff) return i;
    packet.offset = static_cast<std::uint16_t>(packet.offset - grown);
    packet.length = static_cast<std::uint16_t>(packet.length + grown);
    std::byte* const outer = memory.bytes(packet).data();
    write_headers(outer, packet, transit, nsh);
    write_lengths(outer, packet.length - kEthernet - ip_bytes_);
  }
  return packets.size();
}

}  // namespace sluice

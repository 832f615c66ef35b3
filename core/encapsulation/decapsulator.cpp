#include "core/encapsulation/decapsulator.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/check.hpp"
#include "core/encapsulation/cookie.hpp"
#include "core/encapsulation/tunnel_layout.hpp"
#include "core/packet/bytes.hpp"
#include "core/packet/checksum.hpp"

namespace sluice {
namespace {

using namespace tunnel;

IpBytes address_at(const std::byte* from, std::size_t size) {
  IpBytes address{};
  std::memcpy(address.data(), from, size);
  return address;
}

/// Spreads addresses over the table. Members choose their addresses, so nobody can make them meet.
std::size_t place_of(const IpBytes& address, std::size_t mask) {
  const auto* bytes = reinterpret_cast<const std::byte*>(address.data());
  const std::uint64_t mixed =
      (load_native<std::uint64_t>(bytes) ^ std::rotl(load_native<std::uint64_t>(bytes + 8), 32)) *
      0x9e3779b97f4a7c15u;
  return (mixed >> 40) & mask;
}

/// Over the pseudo header and the datagram; a right one gives 0.
bool is_udp_checksum_right(std::span<const std::byte> addresses,
                           std::span<const std::byte> datagram) {
  std::uint64_t sum = static_cast<std::uint16_t>(~internet_checksum(addresses));
  sum += static_cast<std::uint16_t>(~internet_checksum(datagram));
  sum += datagram.size() + kProtocolUdp;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum == 0xffff;
}

/// What NSH says of its own size and of the TLVs in it.
struct NshParts {
  const std::byte* value = nullptr;  ///< Of the transit TLV.
  std::uint32_t bytes = 0;
};

/// Exactly what an Encapsulator writes: another TLV, or another order, is from no host of ours.
TunnelError read_nsh(std::span<const std::byte> nsh, NshParts& parts) noexcept {
  if (nsh.size() < kNshBase + kTlvHeader + kTlvFixed) return TunnelError::kTruncated;
  const std::uint16_t base = load_be16(nsh.data());
  constexpr std::uint16_t kVersionAndFlags = 0xf000;  // Version, O and an unused bit.
  if ((base & kVersionAndFlags) != 0) return TunnelError::kMalformed;
  if ((load_u8(nsh.data() + 2) & 0x0f) != kNshMdType2) return TunnelError::kMalformed;
  if (load_u8(nsh.data() + 3) != kNshNextEthernet) return TunnelError::kMalformed;
  parts.bytes = (base & kNshLengthMask) * 4u;
  if (parts.bytes > nsh.size()) return TunnelError::kTruncated;
  const std::byte* const tlv = nsh.data() + kNshBase;
  parts.value = tlv + kTlvHeader;
  const std::uint32_t pin_count = load_u8(parts.value + kPinCount);
  if (pin_count > kTransitPinCountMax) return TunnelError::kMalformed;
  if (parts.bytes != nsh_bytes(pin_count)) return TunnelError::kMalformed;
  const std::uint32_t first_count = std::min(pin_count, kPinsInFirst);
  const auto says = [](const std::byte* at, std::uint8_t type, std::uint32_t length) {
    return load_be16(at) == kTlvClass && load_u8(at + 2) == type &&
           (load_u8(at + 3) & 0x7f) == length;
  };
  bool right = says(tlv, kTlvTransit, kTlvFixed + 4 * first_count);
  if (pin_count > kPinsInFirst) {
    const std::byte* const more = parts.value + kTlvFixed + 4 * kPinsInFirst;
    right = right && says(more, kTlvMorePins, 4 * (pin_count - kPinsInFirst));
  }
  right = right && load_u8(parts.value + kFormat) == kFormatVersion;
  return right ? TunnelError::kNone : TunnelError::kMalformed;
}

void read_pins(const std::byte* from, StoredTransit& transit) noexcept {
  for (std::uint32_t i = 0; i < transit.pin_count; ++i) {
    if (i == kPinsInFirst) from += kTlvHeader;
    transit.pins[i] = {load_be16(from), load_be16(from + 2)};
    from += sizeof(Pin);
  }
}

}  // namespace

Decapsulator::Decapsulator() : peers_(std::bit_ceil(std::size_t{2} * kPeerCountMax + 1)) {}

void Decapsulator::use(const Options& options, std::span<const TunnelEndpoint> peers) noexcept {
  SLUICE_CHECK(options.network < 1u << 24 && peers.size() <= kPeerCountMax);
  local_ = options.local;
  network_ = options.network;
  std::fill(peers_.begin(), peers_.end(), Peer{});
  const std::size_t mask = peers_.size() - 1;
  for (const TunnelEndpoint& peer : peers) {
    if (peer.ip_version != local_.ip_version) continue;
    std::size_t place = place_of(peer.address, mask);
    while (peers_[place].used) place = (place + 1) & mask;
    const TunnelWay way{peer.host, local_.host, peer.epoch};
    peers_[place] = {peer.address, peer.host, peer.epoch, tunnel_cookie(options.secret, way), true};
  }
}

const Decapsulator::Peer* Decapsulator::find(const IpBytes& address) const noexcept {
  const std::size_t mask = peers_.size() - 1;
  std::size_t place = place_of(address, mask);
  while (peers_[place].used) {
    if (peers_[place].address == address) return &peers_[place];
    place = (place + 1) & mask;
  }
  return nullptr;
}

TunnelError Decapsulator::read_ipv4(std::span<const std::byte> frame,
                                    Layers& layers) const noexcept {
  if (frame.size() < kEthernet + kIpv4) return TunnelError::kTruncated;
  const std::byte* const ip = frame.data() + kEthernet;
  if (address_at(ip + 16, 4) != local_.address) return TunnelError::kNotTunnel;
  if (load_u8(ip + 9) != kProtocolUdp) return TunnelError::kNotTunnel;
  // More fragments, or an offset.
  if ((load_be16(ip + 6) & 0x3fff) != 0) return TunnelError::kFragment;
  if (load_u8(ip) != 0x45) return TunnelError::kMalformed;  // Options: no host of ours has any.
  if (internet_checksum({ip, kIpv4}) != 0) return TunnelError::kChecksum;
  const std::uint32_t total = load_be16(ip + 2);
  if (total < kIpv4 + kUdp) return TunnelError::kMalformed;
  if (kEthernet + total > frame.size()) return TunnelError::kTruncated;
  layers = {kEthernet + kIpv4, kEthernet + total, address_at(ip + 12, 4)};
  return TunnelError::kNone;
}

TunnelError Decapsulator::read_ipv6(std::span<const std::byte> frame,
                                    Layers& layers) const noexcept {
  if (frame.size() < kEthernet + kIpv6) return TunnelError::kTruncated;
  const std::byte* const ip = frame.data() + kEthernet;
  if (address_at(ip + 24, 16) != local_.address) return TunnelError::kNotTunnel;
  constexpr std::uint8_t kFragmentHeader = 44;
  if (load_u8(ip + 6) == kFragmentHeader) return TunnelError::kFragment;
  if (load_u8(ip + 6) != kProtocolUdp) return TunnelError::kNotTunnel;
  if ((load_u8(ip) & 0xf0) != 0x60) return TunnelError::kMalformed;
  const std::uint32_t length = load_be16(ip + 4);
  if (length < kUdp) return TunnelError::kMalformed;
  if (kEthernet + kIpv6 + length > frame.size()) return TunnelError::kTruncated;
  layers = {kEthernet + kIpv6, kEthernet + kIpv6 + length, address_at(ip + 8, 16)};
  return TunnelError::kNone;
}

TunnelError Decapsulator::read_ip(std::span<const std::byte> frame, Layers& layers) const noexcept {
  if (frame.size() < kEthernet) return TunnelError::kTruncated;
  const std::uint16_t type = load_be16(frame.data() + 12);
  const bool v4 = local_.ip_version == 4;
  if (type != (v4 ? kEtherIpv4 : kEtherIpv6)) return TunnelError::kNotTunnel;
  if (const auto error = v4 ? read_ipv4(frame, layers) : read_ipv6(frame, layers);
      error != TunnelError::kNone) {
    return error;
  }
  const std::byte* const udp = frame.data() + layers.udp;
  if (load_be16(udp + 2) != kUdpPort) return TunnelError::kNotTunnel;
  if (load_be16(udp + 4) != layers.udp_end - layers.udp) return TunnelError::kMalformed;
  // Over IPv4 a checksum is not wanted, but may be there: some network cards add one.
  const bool unchecked = load_be16(udp + 6) == 0;
  if (unchecked) return v4 ? TunnelError::kNone : TunnelError::kChecksum;
  const std::span<const std::byte> addresses =
      v4 ? frame.subspan(kEthernet + 12u, 8) : frame.subspan(kEthernet + 8u, 32);
  return is_udp_checksum_right(addresses, frame.subspan(layers.udp, layers.udp_end - layers.udp))
             ? TunnelError::kNone
             : TunnelError::kChecksum;
}

/// A frame of this cluster's tunnel in a tunnel would go round for ever; those of others are a
/// user's traffic.
bool Decapsulator::is_nested(std::span<const std::byte> inner) const noexcept {
  if (inner.size() < kEthernet + kIpv4) return false;
  const std::uint16_t type = load_be16(inner.data() + 12);
  const std::byte* const ip = inner.data() + kEthernet;
  std::size_t udp = 0;
  if (type == kEtherIpv4 && load_u8(ip + 9) == kProtocolUdp) {
    udp = kEthernet + std::size_t{load_u8(ip) & 0x0fu} * 4;
  } else if (type == kEtherIpv6 && load_u8(ip + 6) == kProtocolUdp) {
    udp = kEthernet + kIpv6;
  } else {
    return false;
  }
  if (inner.size() < udp + kUdp + kGpe) return false;
  const std::byte* const gpe = inner.data() + udp + kUdp;
  return load_be16(inner.data() + udp + 2) == kUdpPort && load_u8(gpe) == kGpeFlags &&
         load_be32(gpe + 4) >> 8 == network_;
}

TunnelError Decapsulator::take(const PacketMemory& memory, Packet& packet,
                               Arrival& arrival) const noexcept {
  const std::span<const std::byte> frame = memory.bytes(packet);
  Layers layers;
  if (const auto error = read_ip(frame, layers); error != TunnelError::kNone) return error;
  const std::span<const std::byte> datagram =
      frame.subspan(layers.udp, layers.udp_end - layers.udp);
  if (datagram.size() < kUdp + kGpe) return TunnelError::kTruncated;
  const std::byte* const gpe = datagram.data() + kUdp;
  if (load_u8(gpe) != kGpeFlags || load_u8(gpe + 3) != kGpeNextNsh) return TunnelError::kNotTunnel;
  if (load_be32(gpe + 4) >> 8 != network_) return TunnelError::kNetwork;
  const Peer* const peer = find(layers.source);
  if (peer == nullptr) return TunnelError::kUnknownPeer;
  const std::span<const std::byte> nsh = datagram.subspan(kUdp + kGpe);
  NshParts parts;
  if (const auto error = read_nsh(nsh, parts); error != TunnelError::kNone) return error;
  const std::uint32_t epoch = load_be32(parts.value + kEpoch);
  if (epoch < peer->epoch) return TunnelError::kOldEpoch;
  if (epoch > peer->epoch) return TunnelError::kNewEpoch;
  if (load_be32(parts.value + kCookie) != peer->cookie) return TunnelError::kCookie;
  const auto ttl = static_cast<std::uint8_t>(load_be16(nsh.data()) >> kNshTtlShift & 0x3f);
  if (ttl == 0) return TunnelError::kLooped;
  const std::span<const std::byte> inner = nsh.subspan(parts.bytes);
  if (inner.size() < kEthernet) return TunnelError::kTruncated;
  if (is_nested(inner)) return TunnelError::kNested;

  const std::uint32_t path_and_index = load_be32(nsh.data() + 4);
  StoredTransit& transit = *arrival.transit;
  arrival.sender = peer->host;
  transit.path = path_and_index >> 8;
  transit.chain_version = load_be32(parts.value + kChainVersion);
  transit.entropy = load_be16(datagram.data()) & kSourcePortMask;
  transit.ttl = static_cast<std::uint8_t>(ttl - 1);
  transit.pin_count = load_u8(parts.value + kPinCount);
  read_pins(parts.value + kTlvFixed, transit);
  packet.flow = load_be32(parts.value + kFlow);
  packet.tag = load_be32(parts.value + kTag);
  packet.target = load_be16(parts.value + kTarget);
  packet.step = static_cast<std::uint8_t>(255 - (path_and_index & 0xff));
  packet.offset = static_cast<std::uint16_t>(packet.offset + (inner.data() - frame.data()));
  packet.length = static_cast<std::uint16_t>(inner.size());
  return TunnelError::kNone;
}

void Decapsulator::operator()(const PacketMemory& memory, std::span<Packet> packets,
                              std::span<TunnelError> errors, std::span<Arrival> arrivals) noexcept {
  SLUICE_CHECK(packets.size() == errors.size() && packets.size() == arrivals.size());
  for (std::size_t i = 0; i < packets.size(); ++i) {
    errors[i] = take(memory, packets[i], arrivals[i]);
    ++counts_[static_cast<std::size_t>(errors[i])];
  }
}

}  // namespace sluice

#pragma once

#include <cstdint>

/// Where things lie in a tunnelled frame, for both ends:
///
///     Ethernet · IPv4 (RFC 791) or IPv6 (RFC 8200) · UDP (RFC 768) to 4790
///     VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe): VNI = the cluster, next protocol NSH
///     NSH (RFC 8300), MD type 2, next protocol Ethernet: path and 255 - step, then TLVs of an
///     experimental class: one of kTlvFixed bytes and the first pins, one more if they do not fit
///     the inner frame
///
/// Offsets within a header; all fields in network byte order.
namespace sluice::tunnel {

inline constexpr std::uint16_t kUdpPort = 4790;
inline constexpr std::uint16_t kEtherIpv4 = 0x0800, kEtherIpv6 = 0x86dd;
inline constexpr std::uint8_t kProtocolUdp = 17;
inline constexpr std::uint16_t kDontFragment = 0x4000;
/// UDP source ports: the dynamic ones (RFC 7348, 5).
inline constexpr std::uint16_t kSourcePortFirst = 0xc000, kSourcePortMask = 0x3fff;

inline constexpr std::uint16_t kEthernet = 14, kIpv4 = 20, kIpv6 = 40, kUdp = 8, kGpe = 8,
                               kNshBase = 8, kTlvHeader = 4, kTlvFixed = 24;

// VXLAN-GPE: version 0, with a VNI (I) and a next protocol (P).
inline constexpr std::uint8_t kGpeFlags = 0x0c, kGpeNextNsh = 4;

// NSH: version 0, MD type 2. Its length counts words of 4 bytes.
inline constexpr std::uint8_t kNshMdType2 = 2, kNshNextEthernet = 3;
inline constexpr std::uint16_t kNshLengthMask = 0x3f;
inline constexpr std::uint32_t kNshTtlShift = 6;
inline constexpr std::uint16_t kTlvClass = 0xfff6;  // The first of those for experiments.
inline constexpr std::uint8_t kTlvTransit = 1, kTlvMorePins = 2;

// In the value of the transit TLV.
inline constexpr std::uint16_t kFlow = 0, kTag = 4, kChainVersion = 8, kCookie = 12, kEpoch = 16,
                               kTarget = 20, kPinCount = 22, kFormat = 23;
inline constexpr std::uint8_t kFormatVersion = 1;
/// A TLV's length has 7 bits.
inline constexpr std::uint32_t kPinsInFirst = 25;

/// Bytes of NSH with so many pins.
constexpr std::uint32_t nsh_bytes(std::uint32_t pin_count) {
  const std::uint32_t more = pin_count > kPinsInFirst ? kTlvHeader : 0;
  return kNshBase + kTlvHeader + kTlvFixed + 4 * pin_count + more;
}
constexpr std::uint32_t ip_bytes(std::uint8_t ip_version) {
  return ip_version == 4 ? kIpv4 : kIpv6;
}
/// Bytes before the inner frame.
constexpr std::uint32_t overhead(std::uint8_t ip_version, std::uint32_t pin_count) {
  return kEthernet + ip_bytes(ip_version) + kUdp + kGpe + nsh_bytes(pin_count);
}

}  // namespace sluice::tunnel

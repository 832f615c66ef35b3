#include "core/packet/headers.hpp"

#include <algorithm>
#include <cstring>

#include "core/packet/bytes.hpp"
#include "core/packet/checksum.hpp"

namespace sluice {
namespace {

constexpr std::uint16_t kEtherIpv4 = 0x0800, kEtherArp = 0x0806, kEtherIpv6 = 0x86dd;
constexpr std::uint8_t kProtocolHopByHop = 0, kProtocolIcmp = 1, kProtocolTcp = 6,
                       kProtocolUdp = 17, kProtocolRouting = 43, kProtocolFragment = 44,
                       kProtocolAuthentication = 51, kProtocolIcmpv6 = 58, kProtocolNone = 59,
                       kProtocolDestination = 60, kProtocolSctp = 132, kProtocolMobility = 135,
                       kProtocolHostIdentity = 139, kProtocolShim6 = 140;
constexpr std::uint32_t kDatagramMax = 65535;

/// What is left to read of a frame: `at` moves forward over what was read, `end` comes down when a
/// length field says that the rest is padding. Never crosses the frame.
struct Cursor {
  const std::byte* base;
  std::uint32_t at;
  std::uint32_t end;

  [[nodiscard]] std::uint32_t left() const { return end - at; }
  [[nodiscard]] const std::byte* here() const { return base + at; }
};

std::uint16_t offset16(std::uint32_t offset) {
  return static_cast<std::uint16_t>(offset);
}

ParseError parse_ethernet(Cursor& cursor, Headers& headers) {
  if (cursor.left() < 14) return ParseError::kShortEthernet;
  cursor.at += 12;
  headers.ether_type = load_be16(cursor.here());
  cursor.at += 2;
  while (headers.vlan_count < 2 &&
         (headers.ether_type == kEtherVlan || headers.ether_type == kEtherServiceVlan)) {
    if (cursor.left() < 4) return ParseError::kShortVlan;
    const std::uint16_t id = load_be16(cursor.here()) & 0x0fffu;
    (headers.vlan_count == 0 ? headers.vlan_outer : headers.vlan_inner) = id;
    ++headers.vlan_count;
    headers.ether_type = load_be16(cursor.here() + 2);
    cursor.at += 4;
  }
  headers.l3_offset = offset16(cursor.at);
  return ParseError::kNone;
}

/// Whether a strict or loose source route (RFC 791, 3.1) is not at its end. Malformed options are
/// the end hosts' business; they only end the search.
bool has_source_route(std::span<const std::byte> options) {
  while (options.size() >= 2) {
    const std::uint8_t kind = load_u8(options.data());
    if (kind == 0) return false;
    if (kind == 1) {
      options = options.subspan(1);
      continue;
    }
    const std::size_t length = load_u8(options.data() + 1);
    if (length < 2 || length > options.size()) return false;
    const bool route = kind == 131 || kind == 137;
    if (route && length >= 3 && load_u8(options.data() + 2) <= length) return true;
    options = options.subspan(length);
  }
  return false;
}

/// Checks place and length of a fragment (both in bytes; `data` is all that follows its IP
/// headers).
ParseError check_fragment(std::uint32_t offset, bool more, std::uint32_t data) {
  if (data == 0 || offset + data > kDatagramMax) return ParseError::kFragment;
  if (more && data % 8 != 0) return ParseError::kFragment;
  return ParseError::kNone;
}

ParseError parse_ipv4(Cursor& cursor, Headers& headers) {
  if (cursor.left() < 20) return ParseError::kShortIp;
  const std::byte* ip = cursor.here();
  if (load_u8(ip) >> 4 != 4) return ParseError::kIpVersion;
  const std::uint32_t header_length = (load_u8(ip) & 0xfu) * 4u;
  if (header_length < 20) return ParseError::kIpHeaderLength;
  if (header_length > cursor.left()) return ParseError::kShortIp;
  const std::uint32_t total_length = load_be16(ip + 2);
  if (total_length < header_length || total_length > cursor.left()) {
    return ParseError::kIpTotalLength;
  }
  if (internet_checksum({ip, header_length}) != 0) return ParseError::kIpChecksum;
  headers.l3 = L3::kIpv4;
  headers.ttl = load_u8(ip + 8);
  headers.protocol = load_u8(ip + 9);
  headers.source_routed = has_source_route({ip + 20, header_length - 20});
  const std::uint16_t fragment = load_be16(ip + 6);
  cursor.end = cursor.at + total_length;
  cursor.at += header_length;
  const bool more = (fragment & 0x2000u) != 0;
  const std::uint32_t offset = (fragment & 0x1fffu) * 8u;
  if (!more && offset == 0) return ParseError::kNone;
  headers.fragment = true;
  headers.later_fragment = offset != 0;
  headers.fragment_id = load_be16(ip + 4);
  return check_fragment(offset, more, cursor.left());
}

bool is_extension(std::uint8_t protocol) {
  switch (protocol) {
    case kProtocolHopByHop:
    case kProtocolRouting:
    case kProtocolFragment:
    case kProtocolAuthentication:
    case kProtocolDestination:
    case kProtocolMobility:
    case kProtocolHostIdentity:
    case kProtocolShim6:
      return true;
    default:
      return false;
  }
}

ParseError parse_ipv6_fragment(Cursor& cursor, Headers& headers) {
  const std::uint16_t field = load_be16(cursor.here() + 2);
  const std::uint32_t offset = field & 0xfff8u;
  const bool more = (field & 1u) != 0;
  if (offset == 0 && !more) return ParseError::kNone;  // Atomic: whole all the same (RFC 6946).
  headers.fragment = true;
  headers.later_fragment = offset != 0;
  headers.fragment_id = load_be32(cursor.here() + 4);
  return check_fragment(offset, more, cursor.left() - 8);
}

ParseError parse_ipv6_extensions(Cursor& cursor, Headers& headers) {
  bool fragment_seen = false;
  for (std::uint32_t count = 0; is_extension(headers.protocol); ++count) {
    const std::uint8_t kind = headers.protocol;
    if (count == kExtensionMax || cursor.left() < 8) return ParseError::kIpv6Extension;
    // Hop-by-hop options must come first (RFC 8200, 4.1); two fragment headers mean nothing.
    if (kind == kProtocolHopByHop && count != 0) return ParseError::kIpv6Extension;
    if (kind == kProtocolFragment && fragment_seen) return ParseError::kIpv6Extension;
    const std::uint32_t units = load_u8(cursor.here() + 1);
    std::uint32_t length = (units + 1) * 8;
    if (kind == kProtocolFragment) length = 8;
    if (kind == kProtocolAuthentication) length = (units + 2) * 4;  // RFC 4302, 2.2.
    if (length < 8 || length > cursor.left()) return ParseError::kIpv6Extension;
    headers.protocol = load_u8(cursor.here());
    if (kind == kProtocolRouting) headers.source_routed |= load_u8(cursor.here() + 3) != 0;
    if (kind == kProtocolFragment) {
      fragment_seen = true;
      const ParseError error = parse_ipv6_fragment(cursor, headers);
      if (error != ParseError::kNone) return error;
    }
    cursor.at += length;
    if (headers.later_fragment) return ParseError::kNone;  // What follows is no header.
  }
  return ParseError::kNone;
}

ParseError parse_ipv6(Cursor& cursor, Headers& headers) {
  if (cursor.left() < 40) return ParseError::kShortIp;
  const std::byte* ip = cursor.here();
  if (load_u8(ip) >> 4 != 6) return ParseError::kIpVersion;
  const std::uint32_t payload_length = load_be16(ip + 4);
  cursor.at += 40;
  if (payload_length > cursor.left()) return ParseError::kIpTotalLength;
  cursor.end = cursor.at + payload_length;
  headers.l3 = L3::kIpv6;
  headers.protocol = load_u8(ip + 6);
  headers.ttl = load_u8(ip + 7);
  return parse_ipv6_extensions(cursor, headers);
}

ParseError parse_arp(const Cursor& cursor, Headers& headers) {
  if (cursor.left() < 8) return ParseError::kShortArp;
  const std::uint32_t hardware_size = load_u8(cursor.here() + 4);
  const std::uint32_t protocol_size = load_u8(cursor.here() + 5);
  if (cursor.left() < 8 + 2 * (hardware_size + protocol_size)) return ParseError::kShortArp;
  headers.l3 = L3::kArp;
  return ParseError::kNone;
}

void set_payload(const Cursor& cursor, Headers& headers, std::uint32_t header_length) {
  headers.payload_offset = offset16(cursor.at + header_length);
  headers.payload_length = offset16(cursor.left() - header_length);
}

/// A first fragment must bring its whole L4 header, or a rule over ports or flags could be evaded
/// (RFC 1858, RFC 7112).
ParseError short_l4(const Headers& headers) {
  return headers.fragment ? ParseError::kFragment : ParseError::kShortL4;
}

void read_ports(const Cursor& cursor, Headers& headers) {
  headers.source_port = load_be16(cursor.here());
  headers.destination_port = load_be16(cursor.here() + 2);
}

ParseError parse_tcp(const Cursor& cursor, Headers& headers) {
  if (cursor.left() < 20) return short_l4(headers);
  const std::uint32_t length = (load_u8(cursor.here() + 12) >> 4) * 4u;
  if (length < 20 || length > cursor.left()) return ParseError::kTcpOffset;
  headers.l4 = L4::kTcp;
  headers.tcp_flags = load_u8(cursor.here() + 13);
  read_ports(cursor, headers);
  set_payload(cursor, headers, length);
  return ParseError::kNone;
}

ParseError parse_udp(const Cursor& cursor, Headers& headers) {
  if (cursor.left() < 8) return short_l4(headers);
  const std::uint32_t length = load_be16(cursor.here() + 4);
  if (length < 8 || (length > cursor.left() && !headers.fragment)) return ParseError::kUdpLength;
  headers.l4 = L4::kUdp;
  read_ports(cursor, headers);
  set_payload(cursor, headers, 8);
  if (!headers.fragment) headers.payload_length = offset16(length - 8);
  return ParseError::kNone;
}

ParseError parse_sctp(const Cursor& cursor, Headers& headers) {
  if (cursor.left() < 12) return short_l4(headers);
  headers.l4 = L4::kSctp;
  read_ports(cursor, headers);
  set_payload(cursor, headers, 12);
  return ParseError::kNone;
}

ParseError parse_icmp(const Cursor& cursor, Headers& headers) {
  if (cursor.left() < 8) return short_l4(headers);
  const bool v4 = headers.protocol == kProtocolIcmp;
  headers.l4 = v4 ? L4::kIcmp : L4::kIcmpv6;
  const std::uint8_t type = load_u8(cursor.here());
  const bool echo = v4 ? type == 0 || type == 8 : type == 128 || type == 129;
  if (echo) {
    headers.source_port = load_be16(cursor.here() + 4);
    headers.destination_port = headers.source_port;
  }
  set_payload(cursor, headers, 8);
  return ParseError::kNone;
}

ParseError parse_l4(const Cursor& cursor, Headers& headers) {
  set_payload(cursor, headers, 0);
  if (headers.later_fragment) return ParseError::kNone;
  headers.l4_offset = offset16(cursor.at);
  const bool v4 = headers.l3 == L3::kIpv4;
  switch (headers.protocol) {
    case kProtocolTcp:
      return parse_tcp(cursor, headers);
    case kProtocolUdp:
      return parse_udp(cursor, headers);
    case kProtocolSctp:
      return parse_sctp(cursor, headers);
    case kProtocolIcmp:
      if (v4) return parse_icmp(cursor, headers);
      break;
    case kProtocolIcmpv6:
      if (!v4) return parse_icmp(cursor, headers);
      break;
    case kProtocolNone:
      headers.l4_offset = 0;
      return ParseError::kNone;
    default:
      break;
  }
  headers.l4 = L4::kOther;
  return ParseError::kNone;
}

}  // namespace

Result<Headers, ParseError> parse(std::span<const std::byte> frame) noexcept {
  Headers headers;
  // Offsets are 16 bits wide, as is Packet::length; what lies behind is not looked at.
  const auto size = static_cast<std::uint32_t>(std::min<std::size_t>(frame.size(), kDatagramMax));
  Cursor cursor{frame.data(), 0, size};
  ParseError error = parse_ethernet(cursor, headers);
  if (error != ParseError::kNone) return unexpected(error);
  switch (headers.ether_type) {
    case kEtherIpv4:
      error = parse_ipv4(cursor, headers);
      break;
    case kEtherIpv6:
      error = parse_ipv6(cursor, headers);
      break;
    case kEtherArp:
      error = parse_arp(cursor, headers);
      break;
    default:
      break;
  }
  if (error != ParseError::kNone) return unexpected(error);
  if (headers.l3 == L3::kIpv4 || headers.l3 == L3::kIpv6) {
    error = parse_l4(cursor, headers);
    if (error != ParseError::kNone) return unexpected(error);
  } else {
    set_payload(cursor, headers, 0);
  }
  return headers;
}

FlowKey flow_key(std::span<const std::byte> frame, const Headers& headers,
                 PortId ingress) noexcept {
  FlowKey key;
  key.vlan_outer = headers.vlan_outer;
  key.vlan_inner = headers.vlan_inner;
  key.ingress = index_of(ingress);
  const std::byte* ip = frame.data() + headers.l3_offset;
  if (headers.l3 == L3::kIpv4) {
    key.ip_version = 4;
    std::memcpy(key.source.data(), ip + 12, 4);
    std::memcpy(key.destination.data(), ip + 16, 4);
  } else if (headers.l3 == L3::kIpv6) {
    key.ip_version = 6;
    std::memcpy(key.source.data(), ip + 8, 16);
    std::memcpy(key.destination.data(), ip + 24, 16);
  } else {
    key.destination_port = headers.ether_type;
    return key;
  }
  key.protocol = headers.protocol;
  key.source_port = headers.source_port;
  key.destination_port = headers.destination_port;
  return key;
}

const char* to_string(ParseError error) noexcept {
  switch (error) {
    case ParseError::kNone:
      return "none";
    case ParseError::kShortEthernet:
      return "short_ethernet";
    case ParseError::kShortVlan:
      return "short_vlan";
    case ParseError::kShortArp:
      return "short_arp";
    case ParseError::kShortIp:
      return "short_ip";
    case ParseError::kIpVersion:
      return "ip_version";
    case ParseError::kIpHeaderLength:
      return "ip_header_length";
    case ParseError::kIpTotalLength:
      return "ip_total_length";
    case ParseError::kIpChecksum:
      return "ip_checksum";
    case ParseError::kIpv6Extension:
      return "ipv6_extension";
    case ParseError::kFragment:
      return "fragment";
    case ParseError::kShortL4:
      return "short_l4";
    case ParseError::kTcpOffset:
      return "tcp_offset";
    case ParseError::kUdpLength:
      return "udp_length";
  }
  return "unknown";
}

}  // namespace sluice

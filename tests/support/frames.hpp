#pragma once

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/packet/packet.hpp"
#include "core/packet/packet_memory.hpp"

/// Frames for tests, built from the outside in, with right lengths and checksums.
///
/// Shares no code with core/packet, so that a test of it does not agree with its own mistake. The
/// checksums here are the plain loops of the RFCs. Each builder takes designated initialisers:
///
///     frames::tcp({.source_port = 1234, .flags = 0x02}, {.source = "10.0.0.1"}, {.vlans = {{.id =
///     7}}}) frames::udp({.payload = frames::text("hello")}, {.source = "2001:db8::1", .destination
///     = "2001:db8::2"})
namespace sluice::frames {

using Bytes = std::vector<std::byte>;

// --- Bytes ---------------------------------------------------------------------------------------

/// "de ad be ef" as bytes; blanks are skipped, anything else that is no hex digit ends the program.
inline Bytes hex(std::string_view digits) {
  Bytes bytes;
  int high = -1;
  for (const char c : digits) {
    if (c == ' ' || c == '\n') continue;
    const int value = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (value < 0) std::abort();
    if (high < 0) {
      high = value;
    } else {
      bytes.push_back(static_cast<std::byte>(high * 16 + value));
      high = -1;
    }
  }
  if (high >= 0) std::abort();
  return bytes;
}
inline std::string to_hex(std::span<const std::byte> bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : bytes) {
    text += digits[std::to_integer<std::size_t>(byte >> 4)];
    text += digits[std::to_integer<std::size_t>(byte & std::byte{15})];
  }
  return text;
}
inline Bytes text(std::string_view characters) {
  Bytes bytes(characters.size());
  std::transform(characters.begin(), characters.end(), bytes.begin(),
                 [](char c) { return static_cast<std::byte>(c); });
  return bytes;
}
inline void append(Bytes& to, std::span<const std::byte> more) {
  to.insert(to.end(), more.begin(), more.end());
}
inline void append8(Bytes& to, unsigned value) {
  to.push_back(static_cast<std::byte>(value));
}
inline void append16(Bytes& to, unsigned value) {
  append8(to, value >> 8 & 0xff);
  append8(to, value & 0xff);
}
inline void append32(Bytes& to, std::uint32_t value) {
  append16(to, value >> 16);
  append16(to, value & 0xffff);
}
inline unsigned read16(std::span<const std::byte> bytes, std::size_t at) {
  return std::to_integer<unsigned>(bytes[at]) << 8 | std::to_integer<unsigned>(bytes[at + 1]);
}
inline void write16(std::span<std::byte> bytes, std::size_t at, unsigned value) {
  bytes[at] = static_cast<std::byte>(value >> 8 & 0xff);
  bytes[at + 1] = static_cast<std::byte>(value & 0xff);
}

// --- Checksums, the plain way --------------------------------------------------------------------

/// The one's complement sum of RFC 1071; `sum` is what was summed before, over an even byte count.
inline unsigned ones_sum(std::span<const std::byte> bytes, unsigned sum = 0) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = std::to_integer<unsigned>(bytes[i]);
    sum += i % 2 == 0 ? byte << 8 : byte;
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return sum;
}
inline std::uint32_t crc32c_bitwise(std::span<const std::byte> bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const std::byte byte : bytes) {
    crc ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
  }
  return ~crc;
}

// --- Layers --------------------------------------------------------------------------------------

struct Vlan {
  std::uint16_t id = 1;
  std::uint16_t priority = 0;
  std::uint16_t tpid = 0x8100;
};
struct Ethernet {
  std::array<std::uint8_t, 6> source{0x02, 0, 0, 0, 0, 0x01};
  std::array<std::uint8_t, 6> destination{0x02, 0, 0, 0, 0, 0x02};
  std::vector<Vlan> vlans{};  ///< The outer one first.
  std::size_t size_min = 0;   ///< Padded with zeros to this; real ones are 60 or longer.
};
/// An IPv6 extension header: its bytes from the third on, the length rounded up to 8 with zeros.
struct Extension {
  std::uint8_t kind = 60;
  Bytes body = Bytes(6);
};
struct Ip {
  std::string source = "10.0.0.1";  ///< With a colon in it: IPv6.
  std::string destination = "10.0.0.2";
  std::uint8_t ttl = 64;
  std::uint8_t traffic_class = 0;
  std::uint32_t id = 0;
  bool dont_fragment = false;  ///< IPv4.
  bool more_fragments = false;
  std::uint16_t fragment_offset = 0;    ///< Bytes, a multiple of 8.
  Bytes options{};                      ///< IPv4; padded to a multiple of 4 with zeros.
  std::vector<Extension> extensions{};  ///< IPv6, before a fragment header.
  bool atomic_fragment = false;         ///< IPv6: a fragment header around a whole packet.

  [[nodiscard]] bool is_v6() const { return source.find(':') != std::string::npos; }
};
struct Tcp {
  std::uint16_t source_port = 40000;
  std::uint16_t destination_port = 80;
  std::uint32_t sequence = 1;
  std::uint32_t acknowledgement = 0;
  std::uint8_t flags = 0x10;
  std::uint16_t window = 65535;
  Bytes options{};  ///< Padded to a multiple of 4 with zeros.
  Bytes payload{};
};
struct Udp {
  std::uint16_t source_port = 40000;
  std::uint16_t destination_port = 53;
  Bytes payload{};
  bool checksum = true;  ///< False: 0, none computed.
};
struct Sctp {
  std::uint16_t source_port = 40000;
  std::uint16_t destination_port = 2905;
  std::uint32_t verification_tag = 1;
  Bytes payload{};
};
struct Icmp {
  std::uint8_t type = 8;  ///< Echo request; over IPv6 that is 128.
  std::uint8_t code = 0;
  std::uint16_t identifier = 1;
  std::uint16_t sequence = 1;
  Bytes payload{};
};
struct Arp {
  std::uint16_t operation = 1;
  std::string sender = "10.0.0.1";
  std::string target = "10.0.0.2";
};

inline Bytes address(const std::string& text_form) {
  const bool v6 = text_form.find(':') != std::string::npos;
  Bytes bytes(v6 ? 16 : 4);
  if (inet_pton(v6 ? AF_INET6 : AF_INET, text_form.c_str(), bytes.data()) != 1) std::abort();
  return bytes;
}

inline Bytes ethernet(std::uint16_t ether_type, const Bytes& payload,
                      const Ethernet& options = {}) {
  Bytes frame;
  for (const std::uint8_t byte : options.destination) append8(frame, byte);
  for (const std::uint8_t byte : options.source) append8(frame, byte);
  for (const Vlan& vlan : options.vlans) {
    append16(frame, vlan.tpid);
    append16(frame, static_cast<unsigned>(vlan.priority << 13 | vlan.id));
  }
  append16(frame, ether_type);
  append(frame, payload);
  if (frame.size() < options.size_min) frame.resize(options.size_min);
  return frame;
}

inline unsigned pseudo_header_sum(std::uint8_t protocol, std::size_t length, const Ip& ip) {
  Bytes bytes = address(ip.source);
  append(bytes, address(ip.destination));
  append32(bytes, static_cast<std::uint32_t>(length));
  append32(bytes, protocol);
  return ones_sum(bytes);
}

/// Writes the checksum of a whole L4 segment whose field is 0. `checksum` false leaves a UDP one 0.
inline void fill_checksum(Bytes& segment, std::uint8_t protocol, const Ip& ip,
                          bool checksum = true) {
  if (protocol == 132) {
    const std::uint32_t crc = crc32c_bitwise(segment);
    for (std::size_t i = 0; i < 4; ++i) segment[8 + i] = static_cast<std::byte>(crc >> 8 * i & 255);
    return;
  }
  const std::size_t at = protocol == 6 ? 16 : protocol == 17 ? 6 : 2;
  if (!checksum) return;
  const unsigned start = protocol == 1 ? 0 : pseudo_header_sum(protocol, segment.size(), ip);
  unsigned value = ~ones_sum(segment, start) & 0xffff;
  if (protocol == 17 && value == 0) value = 0xffff;
  write16(segment, at, value);
}

inline Bytes ipv4(std::uint8_t protocol, const Bytes& payload, const Ip& ip) {
  Bytes options = ip.options;
  options.resize((options.size() + 3) / 4 * 4);
  Bytes header;
  append8(header, static_cast<unsigned>(0x45 + options.size() / 4));
  append8(header, ip.traffic_class);
  append16(header, static_cast<unsigned>(20 + options.size() + payload.size()));
  append16(header, ip.id);
  append16(header, (ip.dont_fragment ? 0x4000u : 0u) | (ip.more_fragments ? 0x2000u : 0u) |
                       ip.fragment_offset / 8u);
  append8(header, ip.ttl);
  append8(header, protocol);
  append16(header, 0);
  append(header, address(ip.source));
  append(header, address(ip.destination));
  append(header, options);
  write16(header, 10, ~ones_sum(header) & 0xffff);
  append(header, payload);
  return header;
}

inline Bytes ipv6(std::uint8_t protocol, const Bytes& payload, const Ip& ip) {
  std::vector<Extension> extensions = ip.extensions;
  if (ip.more_fragments || ip.fragment_offset != 0 || ip.atomic_fragment) {
    Extension fragment{44, {}};
    append16(fragment.body, ip.fragment_offset | (ip.more_fragments ? 1u : 0u));
    append32(fragment.body, ip.id);
    extensions.push_back(fragment);
  }
  Bytes chain;
  for (std::size_t i = 0; i < extensions.size(); ++i) {
    Bytes body = extensions[i].body;
    body.resize((body.size() + 2 + 7) / 8 * 8 - 2);
    append8(chain, i + 1 < extensions.size() ? extensions[i + 1].kind : protocol);
    append8(chain,
            extensions[i].kind == 44 ? 0u : static_cast<unsigned>((body.size() + 2) / 8 - 1));
    append(chain, body);
  }
  Bytes packet;
  append32(packet, 6u << 28 | std::uint32_t{ip.traffic_class} << 20);
  append16(packet, static_cast<unsigned>(chain.size() + payload.size()));
  append8(packet, extensions.empty() ? protocol : extensions.front().kind);
  append8(packet, ip.ttl);
  append(packet, address(ip.source));
  append(packet, address(ip.destination));
  append(packet, chain);
  append(packet, payload);
  return packet;
}

/// An IP packet with any payload, as it is given.
inline Bytes ip_frame(std::uint8_t protocol, const Bytes& payload, const Ip& ip = {},
                      const Ethernet& options = {}) {
  return ip.is_v6() ? ethernet(0x86dd, ipv6(protocol, payload, ip), options)
                    : ethernet(0x0800, ipv4(protocol, payload, ip), options);
}

// --- Segments, with their checksum for the addresses of `ip` -------------------------------------

inline Bytes tcp_segment(const Tcp& tcp, const Ip& ip) {
  Bytes options = tcp.options;
  options.resize((options.size() + 3) / 4 * 4);
  Bytes segment;
  append16(segment, tcp.source_port);
  append16(segment, tcp.destination_port);
  append32(segment, tcp.sequence);
  append32(segment, tcp.acknowledgement);
  append8(segment, static_cast<unsigned>((5 + options.size() / 4) << 4));
  append8(segment, tcp.flags);
  append16(segment, tcp.window);
  append32(segment, 0);
  append(segment, options);
  append(segment, tcp.payload);
  fill_checksum(segment, 6, ip);
  return segment;
}
inline Bytes udp_segment(const Udp& udp, const Ip& ip) {
  Bytes segment;
  append16(segment, udp.source_port);
  append16(segment, udp.destination_port);
  append16(segment, static_cast<unsigned>(8 + udp.payload.size()));
  append16(segment, 0);
  append(segment, udp.payload);
  fill_checksum(segment, 17, ip, udp.checksum);
  return segment;
}
inline Bytes sctp_segment(const Sctp& sctp, const Ip& ip) {
  Bytes segment;
  append16(segment, sctp.source_port);
  append16(segment, sctp.destination_port);
  append32(segment, sctp.verification_tag);
  append32(segment, 0);
  append(segment, sctp.payload);
  fill_checksum(segment, 132, ip);
  return segment;
}
inline Bytes icmp_segment(const Icmp& icmp, const Ip& ip) {
  Bytes segment;
  append8(segment, ip.is_v6() && icmp.type == 8 ? 128u : icmp.type);
  append8(segment, icmp.code);
  append16(segment, 0);
  append16(segment, icmp.identifier);
  append16(segment, icmp.sequence);
  append(segment, icmp.payload);
  fill_checksum(segment, ip.is_v6() ? 58 : 1, ip);
  return segment;
}

// --- Whole frames --------------------------------------------------------------------------------

inline Bytes tcp(const Tcp& tcp = {}, const Ip& ip = {}, const Ethernet& options = {}) {
  return ip_frame(6, tcp_segment(tcp, ip), ip, options);
}
inline Bytes udp(const Udp& udp = {}, const Ip& ip = {}, const Ethernet& options = {}) {
  return ip_frame(17, udp_segment(udp, ip), ip, options);
}
inline Bytes sctp(const Sctp& sctp = {}, const Ip& ip = {}, const Ethernet& options = {}) {
  return ip_frame(132, sctp_segment(sctp, ip), ip, options);
}
/// ICMP over IPv4, ICMPv6 over IPv6.
inline Bytes icmp(const Icmp& icmp = {}, const Ip& ip = {}, const Ethernet& options = {}) {
  return ip_frame(ip.is_v6() ? 58 : 1, icmp_segment(icmp, ip), ip, options);
}
inline Bytes arp(const Arp& arp = {}, const Ethernet& options = {}) {
  Bytes body = hex("0001 0800 06 04");
  append16(body, arp.operation);
  for (const std::uint8_t byte : options.source) append8(body, byte);
  append(body, address(arp.sender));
  body.resize(body.size() + 6);
  append(body, address(arp.target));
  return ethernet(0x0806, body, options);
}
/// `segment` cut into fragments of `size` bytes (a multiple of 8), the last one shorter.
inline std::vector<Bytes> fragments(std::uint8_t protocol, const Bytes& segment, std::size_t size,
                                    Ip ip, const Ethernet& options = {}) {
  std::vector<Bytes> result;
  for (std::size_t at = 0; at < segment.size(); at += size) {
    const std::size_t end = std::min(at + size, segment.size());
    ip.fragment_offset = static_cast<std::uint16_t>(at);
    ip.more_fragments = end < segment.size();
    const Bytes piece(segment.begin() + static_cast<std::ptrdiff_t>(at),
                      segment.begin() + static_cast<std::ptrdiff_t>(end));
    result.push_back(ip_frame(protocol, piece, ip, options));
  }
  return result;
}

// --- Packet memory -------------------------------------------------------------------------------

/// Packet memory on the heap, for tests.
class Memory {
 public:
  explicit Memory(std::uint32_t buffer_count, std::uint32_t buffer_size = 2048)
      : bytes_(std::size_t{buffer_count} * buffer_size), view_(bytes_, buffer_size) {}

  [[nodiscard]] const PacketMemory& view() const { return view_; }
  /// Copies `frame` into buffer `index`, as a backend receives it: undecided, without flow and
  /// chain.
  Packet put(std::uint32_t index, const Bytes& frame, PortId ingress = PortId{0},
             std::uint64_t arrival = 0) {
    const Packet packet{.buffer = index,
                        .offset = kHeadroom,
                        .length = static_cast<std::uint16_t>(frame.size()),
                        .flow = kNoFlow,
                        .tag = 0,
                        .chain = 0xffff,
                        .step = 0,
                        .verdict = Verdict::kUndecided,
                        .target = 0,
                        .ingress = index_of(ingress),
                        .arrival = arrival};
    if (!view_.contains(packet)) std::abort();
    std::copy(frame.begin(), frame.end(), view_.bytes(packet).begin());
    return packet;
  }
  [[nodiscard]] Bytes frame(const Packet& packet) const {
    const auto bytes = view_.bytes(packet);
    return {bytes.begin(), bytes.end()};
  }

 private:
  std::vector<std::byte> bytes_;
  PacketMemory view_;
};

}  // namespace sluice::frames

#include <algorithm>
#include <cstring>

#include "core/check.hpp"
#include "core/packet/bytes.hpp"
#include "core/packet/checksum.hpp"
#include "core/packet/headers.hpp"

namespace sluice {
namespace {

constexpr std::size_t kMacOffset = 12;  // Of what follows both MAC addresses: tag or EtherType.
constexpr std::size_t kTagSize = 4;

bool is_tag(std::uint16_t ether_type) {
  return ether_type == kEtherVlan || ether_type == kEtherServiceVlan;
}

/// Brings the checksum of TCP, UDP, ICMP or ICMPv6 up to date. One of SCTP is no internet checksum.
void apply_to_l4(std::span<std::byte> frame, const Headers& headers, const ChecksumDelta& delta) {
  const std::uint16_t offset = l4_checksum_offset(headers);
  if (offset == 0 || headers.l4 == L4::kSctp) return;
  std::byte* field = frame.data() + offset;
  const std::uint16_t before = load_be16(field);
  const bool udp = headers.l4 == L4::kUdp;
  if (udp && before == 0) return;
  std::uint16_t after = delta.apply(before);
  if (udp && after == 0) after = 0xffff;
  store_be16(field, after);
}

void apply_to_ipv4(std::byte* ip, const ChecksumDelta& delta) {
  store_be16(ip + 10, delta.apply(load_be16(ip + 10)));
}

enum class Side : std::uint8_t { kSource, kDestination };

Rewrite set_address(std::span<std::byte> frame, const Headers& headers, const IpBytes& address,
                    Side side) {
  const bool v4 = headers.l3 == L3::kIpv4;
  if (!v4 && headers.l3 != L3::kIpv6) return Rewrite::kNoSuchField;
  const std::size_t size = v4 ? 4 : 16;
  const std::size_t first = v4 ? 12 : 8;
  std::byte* ip = frame.data() + headers.l3_offset;
  std::byte* field = ip + first + (side == Side::kDestination ? size : 0);
  const auto* to = reinterpret_cast<const std::byte*>(address.data());
  ChecksumDelta delta;
  for (std::size_t i = 0; i < size; i += 4) delta.replace(load_be32(field + i), load_be32(to + i));
  std::memcpy(field, to, size);
  if (v4) apply_to_ipv4(ip, delta);
  const bool in_pseudo_header =
      headers.l4 != L4::kIcmp && !(headers.source_routed && side == Side::kDestination);
  if (in_pseudo_header) apply_to_l4(frame, headers, delta);
  return Rewrite::kDone;
}

/// CRC32c is linear: what a changed word changes in it depends on the change and on how many bytes
/// follow. Sent through zeros, the difference leaves a wrong CRC wrong by as much.
void change_sctp(std::span<std::byte> frame, const Headers& headers, std::size_t field_offset,
                 std::uint16_t port) {
  const std::size_t end = std::size_t{headers.payload_offset} + headers.payload_length;
  std::byte* field = frame.data() + field_offset;
  std::array<std::byte, 2> change;
  const auto difference = static_cast<std::uint16_t>(load_be16(field) ^ port);
  store_be16(change.data(), difference);
  std::byte* checksum = frame.data() + l4_checksum_offset(headers);
  store_le32(checksum,
             load_le32(checksum) ^ crc32c_difference(change, end - field_offset - change.size()));
  store_be16(field, port);
}

Rewrite set_port(std::span<std::byte> frame, Headers& headers, std::uint16_t port, Side side) {
  const bool sctp = headers.l4 == L4::kSctp;
  if (headers.l4 != L4::kTcp && headers.l4 != L4::kUdp && !sctp) return Rewrite::kNoSuchField;
  if (sctp && headers.fragment) return Rewrite::kNotWhole;
  const std::size_t offset = headers.l4_offset + (side == Side::kDestination ? 2u : 0u);
  if (sctp) {
    change_sctp(frame, headers, offset, port);
  } else {
    std::byte* field = frame.data() + offset;
    ChecksumDelta delta;
    delta.replace(load_be16(field), port);
    store_be16(field, port);
    apply_to_l4(frame, headers, delta);
  }
  (side == Side::kSource ? headers.source_port : headers.destination_port) = port;
  return Rewrite::kDone;
}

bool is_echo(std::span<const std::byte> frame, const Headers& headers) {
  const std::uint8_t type = load_u8(frame.data() + headers.l4_offset);
  if (headers.l4 == L4::kIcmp) return type == 0 || type == 8;
  return type == 128 || type == 129;
}

std::span<const std::byte> segment_of(std::span<const std::byte> frame, const Headers& headers) {
  const std::size_t end = std::size_t{headers.payload_offset} + headers.payload_length;
  return frame.subspan(headers.l4_offset, end - headers.l4_offset);
}

bool is_zero(std::span<const std::byte> bytes) {
  return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

Rewrite set_echo_identifier(std::span<std::byte> frame, Headers& headers,
                            std::uint16_t identifier) {
  if (!is_echo(frame, headers)) return Rewrite::kNoSuchField;
  // A message of zeros alone is the one case in which the two zeros of one's complement differ:
  // without pseudo header its right checksum is 0xffff, and with 0 it is wrong, and stays so.
  const bool was_zero = is_zero(segment_of(frame, headers));
  std::byte* field = frame.data() + headers.l4_offset + 4;
  ChecksumDelta delta;
  delta.replace(load_be16(field), identifier);
  store_be16(field, identifier);
  if (!was_zero) {
    apply_to_l4(frame, headers, delta);
    if (is_zero(segment_of(frame, headers))) {
      store_be16(frame.data() + l4_checksum_offset(headers), 0xffff);
    }
  }
  headers.source_port = identifier;
  headers.destination_port = identifier;
  return Rewrite::kDone;
}

Rewrite set_port_or_identifier(std::span<std::byte> frame, Headers& headers, std::uint16_t port,
                               Side side) {
  if (headers.l4 == L4::kIcmp || headers.l4 == L4::kIcmpv6) {
    return set_echo_identifier(frame, headers, port);
  }
  return set_port(frame, headers, port, side);
}

MacAddress mac_at(std::span<const std::byte> frame, std::size_t offset) {
  SLUICE_CHECK(frame.size() >= kMacOffset);
  MacAddress address;
  std::memcpy(address.data(), frame.data() + offset, address.size());
  return address;
}

void set_mac_at(std::span<std::byte> frame, std::size_t offset, const MacAddress& address) {
  SLUICE_CHECK(frame.size() >= kMacOffset);
  std::memcpy(frame.data() + offset, address.data(), address.size());
}

}  // namespace

MacAddress source_mac(std::span<const std::byte> frame) noexcept {
  return mac_at(frame, 6);
}

MacAddress destination_mac(std::span<const std::byte> frame) noexcept {
  return mac_at(frame, 0);
}

void set_source_mac(std::span<std::byte> frame, const MacAddress& address) noexcept {
  set_mac_at(frame, 6, address);
}

void set_destination_mac(std::span<std::byte> frame, const MacAddress& address) noexcept {
  set_mac_at(frame, 0, address);
}

Rewrite set_source_address(std::span<std::byte> frame, const Headers& headers,
                           const IpBytes& address) noexcept {
  return set_address(frame, headers, address, Side::kSource);
}

Rewrite set_destination_address(std::span<std::byte> frame, const Headers& headers,
                                const IpBytes& address) noexcept {
  return set_address(frame, headers, address, Side::kDestination);
}

Rewrite set_source_port(std::span<std::byte> frame, Headers& headers, std::uint16_t port) noexcept {
  return set_port_or_identifier(frame, headers, port, Side::kSource);
}

Rewrite set_destination_port(std::span<std::byte> frame, Headers& headers,
                             std::uint16_t port) noexcept {
  return set_port_or_identifier(frame, headers, port, Side::kDestination);
}

Rewrite decrement_ttl(std::span<std::byte> frame, Headers& headers) noexcept {
  const bool v4 = headers.l3 == L3::kIpv4;
  if (!v4 && headers.l3 != L3::kIpv6) return Rewrite::kNoSuchField;
  if (headers.ttl <= 1) return Rewrite::kExpired;
  std::byte* ip = frame.data() + headers.l3_offset;
  --headers.ttl;
  if (!v4) {
    store_u8(ip + 7, headers.ttl);
    return Rewrite::kDone;
  }
  ChecksumDelta delta;
  const std::uint16_t before = load_be16(ip + 8);
  store_u8(ip + 8, headers.ttl);
  delta.replace(before, load_be16(ip + 8));
  apply_to_ipv4(ip, delta);
  return Rewrite::kDone;
}

Rewrite set_vlan(std::span<std::byte> frame, Headers& headers, std::uint16_t vlan) noexcept {
  if (headers.vlan_count == 0) return Rewrite::kNoSuchField;
  std::byte* tci = frame.data() + kMacOffset + 2;
  const std::uint16_t id = vlan & 0x0fffu;
  store_be16(tci, static_cast<std::uint16_t>((load_be16(tci) & 0xf000u) | id));
  headers.vlan_outer = id;
  return Rewrite::kDone;
}

Rewrite push_vlan(const PacketMemory& memory, Packet& packet, const VlanTag& tag) noexcept {
  const auto frame = memory.bytes(packet);
  if (frame.size() < kMacOffset + 2) return Rewrite::kNoSuchField;
  if (packet.offset < kTagSize || packet.length > 0xffff - kTagSize) return Rewrite::kNoRoom;
  const bool tagged = is_tag(load_be16(frame.data() + kMacOffset));
  const bool twice = tagged && frame.size() >= kMacOffset + kTagSize + 2 &&
                     is_tag(load_be16(frame.data() + kMacOffset + kTagSize));
  if (twice) return Rewrite::kNoRoom;
  packet.offset = static_cast<std::uint16_t>(packet.offset - kTagSize);
  packet.length = static_cast<std::uint16_t>(packet.length + kTagSize);
  std::byte* to = memory.bytes(packet).data();
  std::memmove(to, to + kTagSize, kMacOffset);
  store_be16(to + kMacOffset, tag.tpid);
  store_be16(to + kMacOffset + 2, tag.tci);
  return Rewrite::kDone;
}

Rewrite pop_vlan(const PacketMemory& memory, Packet& packet) noexcept {
  const auto frame = memory.bytes(packet);
  if (frame.size() < kMacOffset + kTagSize + 2 || !is_tag(load_be16(frame.data() + kMacOffset))) {
    return Rewrite::kNoSuchField;
  }
  std::memmove(frame.data() + kTagSize, frame.data(), kMacOffset);
  packet.offset = static_cast<std::uint16_t>(packet.offset + kTagSize);
  packet.length = static_cast<std::uint16_t>(packet.length - kTagSize);
  return Rewrite::kDone;
}

std::span<const std::byte> find_tcp_option(std::span<const std::byte> frame, const Headers& headers,
                                           std::uint8_t kind) noexcept {
  if (headers.l4 != L4::kTcp || kind == kTcpOptionEnd) return {};
  constexpr std::size_t fixed = 20;
  auto left =
      frame.subspan(headers.l4_offset + fixed, headers.payload_offset - headers.l4_offset - fixed);
  while (!left.empty()) {
    const std::uint8_t found = load_u8(left.data());
    if (found == kTcpOptionEnd) return {};
    std::size_t length = 1;
    if (found != kTcpOptionNop) {
      if (left.size() < 2) return {};
      length = load_u8(left.data() + 1);
      if (length < 2 || length > left.size()) return {};
    }
    if (found == kind) return left.first(length);
    left = left.subspan(length);
  }
  return {};
}

Rewrite clamp_mss(std::span<std::byte> frame, const Headers& headers,
                  std::uint16_t mss_max) noexcept {
  if ((headers.tcp_flags & kTcpSyn) == 0) return Rewrite::kNoSuchField;
  const auto option = find_tcp_option(frame, headers, kTcpOptionMss);
  if (option.size() != 4) return Rewrite::kNoSuchField;
  const auto at = static_cast<std::size_t>(option.data() + 2 - frame.data());
  const std::uint16_t before = load_be16(frame.data() + at);
  if (before <= mss_max) return Rewrite::kDone;
  store_be16(frame.data() + at, mss_max);
  ChecksumDelta delta;
  // An option may stand at an odd byte of the segment: then its bytes lie in the sum the other way.
  if ((at - headers.l4_offset) % 2 == 0) {
    delta.replace(before, mss_max);
  } else {
    delta.replace(byte_swap(before), byte_swap(mss_max));
  }
  apply_to_l4(frame, headers, delta);
  return Rewrite::kDone;
}

}  // namespace sluice

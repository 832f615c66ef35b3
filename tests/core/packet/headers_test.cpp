#include "core/packet/headers.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "tests/support/frames.hpp"

namespace sluice {
namespace {

using frames::Bytes;
using frames::hex;
using frames::write16;

const frames::Ip kV6{.source = "2001:db8::1", .destination = "2001:db8::2"};

ParseError error_of(const Bytes& frame) {
  const auto headers = parse(frame);
  return headers ? ParseError::kNone : headers.error();
}

/// Brings the IPv4 header checksum up to date after a change of header bytes.
Bytes with_ipv4_checksum(Bytes frame) {
  write16(frame, 24, 0);
  const std::size_t length = (std::to_integer<std::size_t>(frame[14]) & 15) * 4;
  write16(frame, 24, ~frames::ones_sum(std::span(frame).subspan(14, length)) & 0xffff);
  return frame;
}

// --- What good frames say ------------------------------------------------------------------------

TEST(Headers, OfTcpOverIpv4) {
  const Bytes frame = frames::tcp({.source_port = 1234,
                                   .destination_port = 443,
                                   .flags = kTcpSyn | kTcpAck,
                                   .options = hex("020405b4"),
                                   .payload = frames::text("hello")},
                                  {.ttl = 17, .options = hex("94040000")}, {.size_min = 90});
  const auto headers = parse(frame);
  ASSERT_TRUE(headers.has_value());
  EXPECT_EQ(headers->ether_type, 0x0800);
  EXPECT_EQ(headers->l3, L3::kIpv4);
  EXPECT_EQ(headers->l4, L4::kTcp);
  EXPECT_EQ(headers->protocol, 6);
  EXPECT_EQ(headers->tcp_flags, kTcpSyn | kTcpAck);
  EXPECT_EQ(headers->ttl, 17);
  EXPECT_FALSE(headers->fragment || headers->later_fragment || headers->source_routed);
  EXPECT_EQ(headers->l3_offset, 14);
  EXPECT_EQ(headers->l4_offset, 14 + 24);
  EXPECT_EQ(headers->payload_offset, 14 + 24 + 24);
  EXPECT_EQ(headers->payload_length, 5);  // Without the padding.
  EXPECT_EQ(headers->source_port, 1234);
  EXPECT_EQ(headers->destination_port, 443);
}

TEST(Headers, OfUdpInTwoVlans) {
  const Bytes frame =
      frames::udp({.source_port = 5, .payload = Bytes(3)}, kV6,
                  {.vlans = {{.id = 100, .priority = 7, .tpid = 0x88a8}, {.id = 4095}}});
  const auto headers = parse(frame);
  ASSERT_TRUE(headers.has_value());
  EXPECT_EQ(headers->vlan_count, 2);
  EXPECT_EQ(headers->vlan_outer, 100);
  EXPECT_EQ(headers->vlan_inner, 4095);
  EXPECT_EQ(headers->ether_type, 0x86dd);
  EXPECT_EQ(headers->l3_offset, 22);
  EXPECT_EQ(headers->l4, L4::kUdp);
  EXPECT_EQ(headers->l4_offset, 62);
  EXPECT_EQ(headers->payload_length, 3);
}

TEST(Headers, OfAThirdVlanAreNotLookedInto) {
  const auto headers = parse(frames::tcp({}, {}, {.vlans = {{}, {}, {}}}));
  ASSERT_TRUE(headers.has_value());
  EXPECT_EQ(headers->vlan_count, 2);
  EXPECT_EQ(headers->l3, L3::kOther);
  EXPECT_EQ(headers->ether_type, 0x8100);
}

TEST(Headers, WalkIpv6ExtensionsOfEveryKind) {
  auto ip = kV6;
  ip.extensions = {{.kind = 0},   {.kind = 60, .body = Bytes(14)},
                   {.kind = 43},  {.kind = 135},
                   {.kind = 139}, {.kind = 140}};
  ip.atomic_fragment = true;
  const auto headers = parse(frames::sctp({.destination_port = 9}, ip));
  ASSERT_TRUE(headers.has_value());
  EXPECT_EQ(headers->l4, L4::kSctp);
  EXPECT_EQ(headers->destination_port, 9);
  EXPECT_EQ(headers->l4_offset, 14 + 40 + 8 * 7 + 8);
  EXPECT_FALSE(headers->fragment);  // An atomic fragment is whole (RFC 6946).
}

TEST(Headers, MeasureTheAuthenticationHeaderInFourBytes) {
  // RFC 4302: payload length 4 means (4 + 2) * 4 = 24 bytes.
  Bytes payload = hex("1104 0000 00000001 00000001 000000000000000000000000");
  const Bytes udp = frames::udp_segment({.destination_port = 4500}, kV6);
  frames::append(payload, udp);
  const auto headers = parse(frames::ip_frame(51, payload, kV6));
  ASSERT_TRUE(headers.has_value());
  EXPECT_EQ(headers->destination_port, 4500);
  EXPECT_EQ(headers->l4_offset, 14 + 40 + 24);
}

TEST(Headers, OfIcmpEchoHaveItsIdentifierAsBothPorts) {
  for (const frames::Ip& ip : {frames::Ip{}, kV6}) {
    const auto headers = parse(frames::icmp({.identifier = 0x4711}, ip));
    ASSERT_TRUE(headers.has_value());
    EXPECT_EQ(headers->l4, ip.is_v6() ? L4::kIcmpv6 : L4::kIcmp);
    EXPECT_EQ(headers->source_port, 0x4711);
    EXPECT_EQ(headers->destination_port, 0x4711);
    const auto unreachable = parse(frames::icmp({.type = 3, .identifier = 0x4711}, ip));
    ASSERT_TRUE(unreachable.has_value());
    EXPECT_EQ(unreachable->source_port, 0);
  }
}

TEST(Headers, OfFragments) {
  for (frames::Ip ip : {frames::Ip{}, kV6}) {
    ip.id = 4242;
    const Bytes segment = frames::tcp_segment({.payload = Bytes(30)}, ip);
    const auto pieces = frames::fragments(6, segment, 24, ip);
    const auto first = parse(pieces[0]);
    const auto last = parse(pieces.back());
    ASSERT_TRUE(first.has_value() && last.has_value());
    EXPECT_TRUE(first->fragment && !first->later_fragment);
    EXPECT_TRUE(last->fragment && last->later_fragment);
    EXPECT_EQ(first->l4, L4::kTcp);
    EXPECT_EQ(first->source_port, 40000);
    EXPECT_EQ(last->l4, L4::kNone);
    EXPECT_EQ(last->l4_offset, 0);
    EXPECT_EQ(last->source_port, 0);
    EXPECT_EQ(last->protocol, 6);
    EXPECT_EQ(last->payload_length, 2);
    EXPECT_EQ(first->fragment_id, 4242u);
    EXPECT_EQ(last->fragment_id, 4242u);
  }
}

TEST(Headers, OfOtherProtocols) {
  const auto arp = parse(frames::arp());
  ASSERT_TRUE(arp.has_value());
  EXPECT_EQ(arp->l3, L3::kArp);
  const auto lldp = parse(frames::ethernet(0x88cc, Bytes(20)));
  ASSERT_TRUE(lldp.has_value());
  EXPECT_EQ(lldp->l3, L3::kOther);
  EXPECT_EQ(lldp->payload_length, 20);
  const auto gre = parse(frames::ip_frame(47, Bytes(4)));
  ASSERT_TRUE(gre.has_value());
  EXPECT_EQ(gre->l4, L4::kOther);
  EXPECT_EQ(gre->payload_length, 4);
  const auto nothing = parse(frames::ip_frame(59, {}, kV6));
  ASSERT_TRUE(nothing.has_value());
  EXPECT_EQ(nothing->l4, L4::kNone);
  // ICMP of the other IP version is no ICMP: its checksum would be another.
  const auto crossed = parse(frames::ip_frame(58, Bytes(8)));
  ASSERT_TRUE(crossed.has_value());
  EXPECT_EQ(crossed->l4, L4::kOther);
}

TEST(Headers, SeeSourceRoutesThatAreNotAtTheirEnd) {
  const auto routed = [](const frames::Ip& ip) {
    const auto headers = parse(frames::tcp({}, ip));
    EXPECT_TRUE(headers.has_value());
    return headers && headers->source_routed;
  };
  EXPECT_TRUE(routed({.options = hex("01 8307 04 0a000003")}));
  EXPECT_FALSE(routed({.options = hex("01 8307 08 0a000003")}));
  EXPECT_TRUE(routed({.options = hex("01 8907 04 0a000003")}));
  EXPECT_FALSE(routed({.options = hex("00 8307 04 0a000003")}));  // After the end of options.
  EXPECT_FALSE(routed({.options = hex("8300 04 0a")}));           // Malformed.
  auto ip = kV6;
  ip.extensions = {{.kind = 43, .body = hex("0401 00000000")}};
  EXPECT_TRUE(routed(ip));
  ip.extensions = {{.kind = 43, .body = hex("0400 00000000")}};
  EXPECT_FALSE(routed(ip));
}

TEST(Headers, MakeTheFlowKey) {
  const Bytes frame = frames::udp({.source_port = 1, .destination_port = 2},
                                  {.source = "1.2.3.4", .destination = "5.6.7.8"},
                                  {.vlans = {{.id = 9}, {.id = 10}}});
  const auto headers = parse(frame);
  ASSERT_TRUE(headers.has_value());
  FlowKey expected;
  expected.source = {1, 2, 3, 4};
  expected.destination = {5, 6, 7, 8};
  expected.source_port = 1;
  expected.destination_port = 2;
  expected.vlan_outer = 9;
  expected.vlan_inner = 10;
  expected.ingress = 3;
  expected.protocol = 17;
  expected.ip_version = 4;
  EXPECT_EQ(flow_key(frame, *headers, PortId{3}), expected);

  const Bytes six = frames::udp({}, kV6);
  const FlowKey key = flow_key(six, *parse(six), PortId{3});
  EXPECT_EQ(key.ip_version, 6);
  EXPECT_EQ(key.source[0], 0x20);
  EXPECT_EQ(key.destination[15], 2);

  const Bytes arp = frames::arp();
  FlowKey other;
  other.destination_port = 0x0806;
  other.ingress = 3;
  EXPECT_EQ(flow_key(arp, *parse(arp), PortId{3}), other);
}

// --- What is refused, and why --------------------------------------------------------------------

TEST(HeadersRefuse, EthernetAndVlanCutShort) {
  EXPECT_EQ(error_of({}), ParseError::kShortEthernet);
  EXPECT_EQ(error_of(Bytes(13)), ParseError::kShortEthernet);
  EXPECT_EQ(error_of(frames::ethernet(0x8100, Bytes(3))), ParseError::kShortVlan);
  EXPECT_EQ(error_of(frames::ethernet(0x88a8, hex("0001 8100 0001"))), ParseError::kShortVlan);
}

TEST(HeadersRefuse, ArpCutShort) {
  EXPECT_EQ(error_of(frames::ethernet(0x0806, Bytes(7))), ParseError::kShortArp);
  Bytes frame = frames::arp();
  frame.pop_back();
  EXPECT_EQ(error_of(frame), ParseError::kShortArp);
}

TEST(HeadersRefuse, IpHeadersThatDoNotFit) {
  EXPECT_EQ(error_of(frames::ethernet(0x0800, Bytes(19))), ParseError::kShortIp);
  EXPECT_EQ(error_of(frames::ethernet(0x86dd, Bytes(39))), ParseError::kShortIp);
  Bytes frame = frames::ethernet(0x0800, frames::ipv4(253, {}, {}));
  frame[14] = std::byte{0x46};  // 24 bytes of header in a frame with 20.
  EXPECT_EQ(error_of(frame), ParseError::kShortIp);
}

TEST(HeadersRefuse, AnotherIpVersionThanTheEtherTypeSays) {
  EXPECT_EQ(error_of(frames::ethernet(0x0800, frames::ipv6(59, {}, kV6))), ParseError::kIpVersion);
  EXPECT_EQ(error_of(frames::ethernet(0x86dd, frames::ipv4(6, Bytes(40), {}))),
            ParseError::kIpVersion);
}

TEST(HeadersRefuse, WrongIpLengths) {
  Bytes frame = frames::tcp();
  frame[14] = std::byte{0x44};
  EXPECT_EQ(error_of(with_ipv4_checksum(frame)), ParseError::kIpHeaderLength);
  for (const unsigned length : {0u, 19u, 41u, 65535u}) {
    frame = frames::tcp();
    write16(frame, 16, length);
    EXPECT_EQ(error_of(with_ipv4_checksum(frame)), ParseError::kIpTotalLength) << length;
  }
  Bytes six = frames::tcp({}, kV6);
  write16(six, 18, 21);
  EXPECT_EQ(error_of(six), ParseError::kIpTotalLength);
}

TEST(HeadersRefuse, AWrongIpv4HeaderChecksum) {
  for (std::size_t at = 14; at < 34; ++at) {
    if (at == 14 || at == 16 || at == 17) continue;  // Version and lengths are looked at before.
    Bytes frame = frames::tcp();
    frame[at] ^= std::byte{0x10};
    EXPECT_EQ(error_of(frame), ParseError::kIpChecksum) << at;
  }
}

TEST(HeadersRefuse, Ipv6ExtensionsThatMakeNoSense) {
  auto ip = kV6;
  Bytes cut = frames::ip_frame(60, hex("11 01 0000 00000000"), ip);  // Says 16 bytes, has 8.
  EXPECT_EQ(error_of(cut), ParseError::kIpv6Extension);
  EXPECT_EQ(error_of(frames::ip_frame(60, Bytes(7), ip)), ParseError::kIpv6Extension);
  ip.extensions = {{.kind = 60}, {.kind = 0}};  // Hop-by-hop must come first.
  EXPECT_EQ(error_of(frames::udp({}, ip)), ParseError::kIpv6Extension);
  ip.extensions = {{.kind = 44}, {.kind = 44}};
  EXPECT_EQ(error_of(frames::udp({}, ip)), ParseError::kIpv6Extension);
  ip.extensions.assign(kExtensionMax, {.kind = 60});
  EXPECT_EQ(error_of(frames::udp({}, ip)), ParseError::kNone);
  ip.extensions.assign(kExtensionMax + 1, {.kind = 60});
  EXPECT_EQ(error_of(frames::udp({}, ip)), ParseError::kIpv6Extension);
}

TEST(HeadersRefuse, FragmentsOfImpossibleSize) {
  for (const frames::Ip& base : {frames::Ip{}, kV6}) {
    frames::Ip ip = base;
    ip.fragment_offset = 65528;
    EXPECT_EQ(error_of(frames::ip_frame(17, Bytes(7), ip)), ParseError::kNone);
    EXPECT_EQ(error_of(frames::ip_frame(17, Bytes(8), ip)), ParseError::kFragment);
    ip.fragment_offset = 8;
    EXPECT_EQ(error_of(frames::ip_frame(17, {}, ip)), ParseError::kFragment);
    ip.more_fragments = true;
    EXPECT_EQ(error_of(frames::ip_frame(17, Bytes(12), ip)), ParseError::kFragment);
    EXPECT_EQ(error_of(frames::ip_frame(17, Bytes(16), ip)), ParseError::kNone);
  }
}

TEST(HeadersRefuse, AFirstFragmentWithoutItsL4Header) {
  for (const frames::Ip& base : {frames::Ip{}, kV6}) {
    frames::Ip ip = base;
    ip.more_fragments = true;
    EXPECT_EQ(error_of(frames::ip_frame(6, Bytes(16), ip)), ParseError::kFragment);
    EXPECT_EQ(error_of(frames::ip_frame(132, Bytes(8), ip)), ParseError::kFragment);
    EXPECT_EQ(error_of(frames::ip_frame(17, hex("0001 0002 0008 0000"), ip)), ParseError::kNone);
  }
}

TEST(HeadersRefuse, L4HeadersThatDoNotFit) {
  for (const frames::Ip& ip : {frames::Ip{}, kV6}) {
    EXPECT_EQ(error_of(frames::ip_frame(6, Bytes(19), ip)), ParseError::kShortL4);
    EXPECT_EQ(error_of(frames::ip_frame(17, Bytes(7), ip)), ParseError::kShortL4);
    EXPECT_EQ(error_of(frames::ip_frame(132, Bytes(11), ip)), ParseError::kShortL4);
    EXPECT_EQ(error_of(frames::ip_frame(ip.is_v6() ? 58 : 1, Bytes(7), ip)), ParseError::kShortL4);
    for (const unsigned words : {0u, 4u, 6u}) {
      Bytes segment = frames::tcp_segment({}, ip);
      segment[12] = static_cast<std::byte>(words << 4);
      EXPECT_EQ(error_of(frames::ip_frame(6, segment, ip)), ParseError::kTcpOffset) << words;
    }
    for (const unsigned length : {0u, 7u, 12u}) {
      Bytes segment = frames::udp_segment({.payload = Bytes(3)}, ip);
      write16(segment, 4, length);
      EXPECT_EQ(error_of(frames::ip_frame(17, segment, ip)), ParseError::kUdpLength) << length;
    }
  }
}

TEST(HeadersRefuse, EveryProperPrefixOfAPacket) {
  auto extended = kV6;
  extended.extensions = {{.kind = 0}, {.kind = 60}};
  auto fragment = kV6;
  fragment.more_fragments = true;
  const std::vector<Bytes> whole = {
      frames::tcp({.options = hex("020405b4"), .payload = Bytes(9)}, {.options = Bytes(8)},
                  {.vlans = {{}, {}}}),
      frames::udp({.payload = Bytes(9)}, extended),
      frames::sctp(),
      frames::icmp({}, kV6),
      frames::arp(),
      frames::ip_frame(17, frames::udp_segment({.payload = Bytes(16)}, fragment), fragment),
  };
  for (const Bytes& frame : whole) {
    EXPECT_EQ(error_of(frame), ParseError::kNone) << frames::to_hex(frame);
    for (std::size_t size = 0; size < frame.size(); ++size) {
      // A vector of exactly this size: the address sanitizer sees a byte read too far.
      const Bytes prefix(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size));
      EXPECT_NE(error_of(prefix), ParseError::kNone) << size << " " << frames::to_hex(frame);
    }
  }
}

TEST(HeadersRefuse, EachReasonHasANameOfItsOwn) {
  std::set<std::string> names;
  for (int i = 0; i <= static_cast<int>(ParseError::kUdpLength); ++i) {
    EXPECT_TRUE(names.insert(to_string(static_cast<ParseError>(i))).second) << i;
  }
  EXPECT_EQ(names.count("unknown"), 0u);
}

}  // namespace
}  // namespace sluice

#include <gtest/gtest.h>

#include "core/packet/checksum.hpp"
#include "core/packet/headers.hpp"
#include "tests/support/frames.hpp"

// Each rewriting against the frame that the builder makes with the new value.
namespace sluice {
namespace {

using frames::Bytes;
using frames::hex;
using frames::to_hex;

const frames::Ip kV4{.source = "10.0.0.1", .destination = "10.0.0.2"};
const frames::Ip kV6{.source = "2001:db8::1", .destination = "2001:db8::2"};

IpBytes ip_bytes(const std::string& text) {
  IpBytes result{};
  const Bytes bytes = frames::address(text);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    result[i] = std::to_integer<std::uint8_t>(bytes[i]);
  }
  return result;
}

Headers headers_of(const Bytes& frame) {
  const auto headers = parse(frame);
  EXPECT_TRUE(headers.has_value());
  return headers.value_or(Headers{});
}

TEST(Rewrite, AddressesOfEveryProtocol) {
  const Bytes odd = frames::text("odd");
  for (const frames::Ip& ip : {kV4, kV6}) {
    frames::Ip other = ip;
    other.source = ip.is_v6() ? "fe80::abcd" : "192.168.255.254";
    other.destination = ip.is_v6() ? "ff02::fb" : "224.0.0.251";
    const auto check = [&](const auto& build) {
      Bytes frame = build(ip);
      const Headers headers = headers_of(frame);
      EXPECT_EQ(set_source_address(frame, headers, ip_bytes(other.source)), Rewrite::kDone);
      EXPECT_EQ(set_destination_address(frame, headers, ip_bytes(other.destination)),
                Rewrite::kDone);
      EXPECT_EQ(to_hex(frame), to_hex(build(other)));
    };
    check([&](const frames::Ip& to) { return frames::tcp({.payload = odd}, to); });
    check([&](const frames::Ip& to) { return frames::udp({.payload = odd}, to); });
    check([&](const frames::Ip& to) { return frames::sctp({.payload = odd}, to); });
    check([&](const frames::Ip& to) { return frames::icmp({.payload = odd}, to); });
  }
}

TEST(Rewrite, PortsOfEveryProtocol) {
  const Bytes odd = frames::text("odd");
  for (const frames::Ip& ip : {kV4, kV6}) {
    const auto check = [&](Bytes frame, const Bytes& expected) {
      Headers headers = headers_of(frame);
      EXPECT_EQ(set_source_port(frame, headers, 7), Rewrite::kDone);
      EXPECT_EQ(set_destination_port(frame, headers, 65535), Rewrite::kDone);
      EXPECT_EQ(headers.source_port, 7);
      EXPECT_EQ(headers.destination_port, 65535);
      EXPECT_EQ(to_hex(frame), to_hex(expected));
    };
    check(frames::tcp({.payload = odd}, ip),
          frames::tcp({.source_port = 7, .destination_port = 65535, .payload = odd}, ip));
    check(frames::udp({.payload = odd}, ip),
          frames::udp({.source_port = 7, .destination_port = 65535, .payload = odd}, ip));
    check(frames::sctp({.payload = odd}, ip),
          frames::sctp({.source_port = 7, .destination_port = 65535, .payload = odd}, ip));
  }
}

TEST(Rewrite, AnEchoIdentifierStandsForBothPorts) {
  for (const frames::Ip& ip : {kV4, kV6}) {
    Bytes frame = frames::icmp({.identifier = 1}, ip);
    Headers headers = headers_of(frame);
    EXPECT_EQ(set_source_port(frame, headers, 0xabcd), Rewrite::kDone);
    EXPECT_EQ(headers.destination_port, 0xabcd);
    EXPECT_EQ(to_hex(frame), to_hex(frames::icmp({.identifier = 0xabcd}, ip)));
    Bytes error = frames::icmp({.type = 3}, ip);
    const Bytes before = error;
    headers = headers_of(error);
    EXPECT_EQ(set_source_port(error, headers, 1), Rewrite::kNoSuchField);
    EXPECT_EQ(error, before);
  }
}

TEST(Rewrite, AnEchoReplyOfZerosAloneKeepsTheChecksumThatReceiversExpect) {
  // Echo replies (type 0) with sequence 0 and no payload: no pseudo header, nothing but zeros.
  const frames::Icmp reply{.type = 0, .identifier = 0, .sequence = 0};
  const frames::Icmp other{.type = 0, .identifier = 7, .sequence = 0};
  Bytes frame = frames::icmp(other);
  Headers headers = headers_of(frame);
  EXPECT_EQ(set_source_port(frame, headers, 0), Rewrite::kDone);
  EXPECT_EQ(to_hex(frame), to_hex(frames::icmp(reply)));
  EXPECT_EQ(frames::read16(frame, l4_checksum_offset(headers)), 0xffffu);
  EXPECT_EQ(set_source_port(frame, headers, 7), Rewrite::kDone);
  EXPECT_EQ(to_hex(frame), to_hex(frames::icmp(other)));
  // With the other zero it is wrong, and must not become right.
  frame = frames::icmp(reply);
  frames::write16(frame, l4_checksum_offset(headers), 0);
  headers = headers_of(frame);
  EXPECT_EQ(set_source_port(frame, headers, 7), Rewrite::kDone);
  EXPECT_EQ(verify_l4_checksum(frame, headers), ChecksumState::kWrong);
}

TEST(Rewrite, AbsentUdpChecksumStaysAbsent) {
  Bytes frame = frames::udp({.checksum = false});
  Headers headers = headers_of(frame);
  EXPECT_EQ(set_source_address(frame, headers, ip_bytes("1.2.3.4")), Rewrite::kDone);
  EXPECT_EQ(set_destination_port(frame, headers, 1), Rewrite::kDone);
  EXPECT_EQ(to_hex(frame),
            to_hex(frames::udp({.destination_port = 1, .checksum = false}, {.source = "1.2.3.4"})));
}

TEST(Rewrite, UdpChecksumThatBecomesZeroIsWrittenAsOnes) {
  // The port that was the checksum with port 0 makes the sum all ones.
  Bytes frame = frames::udp({.source_port = 0, .payload = Bytes(2)});
  Headers headers = headers_of(frame);
  const auto at = l4_checksum_offset(headers);
  const auto port = static_cast<std::uint16_t>(frames::read16(frame, at));
  EXPECT_EQ(set_source_port(frame, headers, port), Rewrite::kDone);
  EXPECT_EQ(frames::read16(frame, at), 0xffffu);
  EXPECT_EQ(to_hex(frame), to_hex(frames::udp({.source_port = port, .payload = Bytes(2)})));
  // And back: 0xffff is a checksum like any other.
  EXPECT_EQ(set_source_port(frame, headers, 0), Rewrite::kDone);
  EXPECT_EQ(to_hex(frame), to_hex(frames::udp({.source_port = 0, .payload = Bytes(2)})));
}

TEST(Rewrite, FragmentsAllAlikeGiveTheRewrittenDatagram) {
  for (const frames::Ip& ip : {kV4, kV6}) {
    frames::Ip other = ip;
    other.source = ip.is_v6() ? "fe80::9" : "9.9.9.9";
    const frames::Udp udp{.payload = Bytes(50, std::byte{7})};
    auto pieces = frames::fragments(17, frames::udp_segment(udp, ip), 24, ip);
    const auto expected = frames::fragments(17, frames::udp_segment(udp, other), 24, other);
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const Headers headers = headers_of(pieces[i]);
      EXPECT_EQ(set_source_address(pieces[i], headers, ip_bytes(other.source)), Rewrite::kDone);
      EXPECT_EQ(to_hex(pieces[i]), to_hex(expected[i])) << i;
    }
  }
}

TEST(Rewrite, PortsOfLaterFragmentsAndOfCutSctpAreRefused) {
  auto pieces = frames::fragments(132, frames::sctp_segment({.payload = Bytes(20)}, kV4), 16, kV4);
  for (Bytes& piece : pieces) {
    const Bytes before = piece;
    Headers headers = headers_of(piece);
    EXPECT_EQ(set_source_port(piece, headers, 1),
              headers.later_fragment ? Rewrite::kNoSuchField : Rewrite::kNotWhole);
    EXPECT_EQ(piece, before);
  }
}

TEST(Rewrite, DestinationOfASourceRoutedPacketIsNotInItsChecksum) {
  frames::Ip ip = kV6;
  ip.extensions = {{.kind = 43, .body = hex("0401 00000000")}};
  Bytes frame = frames::tcp({}, ip);
  const Headers headers = headers_of(frame);
  const unsigned before = frames::read16(frame, l4_checksum_offset(headers));
  EXPECT_EQ(set_destination_address(frame, headers, ip_bytes("fe80::1")), Rewrite::kDone);
  EXPECT_EQ(frames::read16(frame, l4_checksum_offset(headers)), before);
  EXPECT_EQ(set_source_address(frame, headers, ip_bytes("fe80::1")), Rewrite::kDone);
  EXPECT_NE(frames::read16(frame, l4_checksum_offset(headers)), before);
}

TEST(Rewrite, TtlAndHopLimitStopAtOne) {
  for (frames::Ip ip : {kV4, kV6}) {
    ip.ttl = 2;
    Bytes frame = frames::tcp({}, ip);
    Headers headers = headers_of(frame);
    EXPECT_EQ(decrement_ttl(frame, headers), Rewrite::kDone);
    EXPECT_EQ(headers.ttl, 1);
    ip.ttl = 1;
    EXPECT_EQ(to_hex(frame), to_hex(frames::tcp({}, ip)));
    EXPECT_EQ(decrement_ttl(frame, headers), Rewrite::kExpired);
    EXPECT_EQ(to_hex(frame), to_hex(frames::tcp({}, ip)));
  }
  Bytes arp = frames::arp();
  Headers headers = headers_of(arp);
  EXPECT_EQ(decrement_ttl(arp, headers), Rewrite::kNoSuchField);
}

TEST(Rewrite, MacAddresses) {
  Bytes frame = frames::tcp();
  const MacAddress source{1, 2, 3, 4, 5, 6};
  const MacAddress destination{7, 8, 9, 10, 11, 12};
  set_source_mac(frame, source);
  set_destination_mac(frame, destination);
  EXPECT_EQ(source_mac(frame), source);
  EXPECT_EQ(destination_mac(frame), destination);
  EXPECT_EQ(to_hex(frame),
            to_hex(frames::tcp({}, {}, {.source = source, .destination = destination})));
}

TEST(Rewrite, VlanTagsGoOnAndComeOff) {
  frames::Memory memory{1};
  const Bytes plain = frames::tcp();
  Packet packet = memory.put(0, plain);
  ASSERT_EQ(push_vlan(memory.view(), packet, {.tci = 7}), Rewrite::kDone);
  const Bytes once = frames::tcp({}, {}, {.vlans = {{.id = 7}}});
  EXPECT_EQ(to_hex(memory.frame(packet)), to_hex(once));
  ASSERT_EQ(push_vlan(memory.view(), packet, {.tpid = kEtherServiceVlan, .tci = 0xa064}),
            Rewrite::kDone);
  EXPECT_EQ(to_hex(memory.frame(packet)),
            to_hex(frames::tcp(
                {}, {}, {.vlans = {{.id = 100, .priority = 5, .tpid = 0x88a8}, {.id = 7}}})));
  EXPECT_EQ(push_vlan(memory.view(), packet, {}), Rewrite::kNoRoom);
  ASSERT_EQ(pop_vlan(memory.view(), packet), Rewrite::kDone);
  EXPECT_EQ(to_hex(memory.frame(packet)), to_hex(once));
  ASSERT_EQ(pop_vlan(memory.view(), packet), Rewrite::kDone);
  EXPECT_EQ(to_hex(memory.frame(packet)), to_hex(plain));
  EXPECT_EQ(packet.offset, kHeadroom);
  EXPECT_EQ(pop_vlan(memory.view(), packet), Rewrite::kNoSuchField);
}

TEST(Rewrite, AVlanTagNeedsHeadroom) {
  frames::Memory memory{1};
  Packet packet = memory.put(0, frames::tcp());
  packet.offset = 3;
  const Packet before = packet;
  EXPECT_EQ(push_vlan(memory.view(), packet, {}), Rewrite::kNoRoom);
  EXPECT_EQ(packet, before);
}

TEST(Rewrite, SetVlanKeepsThePriority) {
  Bytes frame = frames::tcp({}, {}, {.vlans = {{.id = 1, .priority = 5}, {.id = 2}}});
  Headers headers = headers_of(frame);
  EXPECT_EQ(set_vlan(frame, headers, 0xf123), Rewrite::kDone);
  EXPECT_EQ(headers.vlan_outer, 0x123);
  EXPECT_EQ(to_hex(frame),
            to_hex(frames::tcp({}, {}, {.vlans = {{.id = 0x123, .priority = 5}, {.id = 2}}})));
  Bytes plain = frames::tcp();
  headers = headers_of(plain);
  EXPECT_EQ(set_vlan(plain, headers, 1), Rewrite::kNoSuchField);
}

TEST(TcpOptions, AreFoundBehindOthers) {
  const Bytes frame = frames::tcp({.options = hex("0101080a0000000100000002 04 02 030307")});
  const Headers headers = headers_of(frame);
  EXPECT_EQ(find_tcp_option(frame, headers, kTcpOptionTimestamps).size(), 10u);
  EXPECT_EQ(find_tcp_option(frame, headers, kTcpOptionSackPermitted).size(), 2u);
  const auto scale = find_tcp_option(frame, headers, kTcpOptionWindowScale);
  ASSERT_EQ(scale.size(), 3u);
  EXPECT_EQ(scale[2], std::byte{7});
  EXPECT_TRUE(find_tcp_option(frame, headers, kTcpOptionMss).empty());
  EXPECT_TRUE(find_tcp_option(frame, headers, kTcpOptionEnd).empty());
}

TEST(TcpOptions, MalformedOnesEndTheSearch) {
  for (const char* options : {"08 00 0101 020405b4", "08 01 0101 020405b4", "08 ff 0101 020405b4",
                              "00 010101 020405b4", "010101 02"}) {
    const Bytes frame = frames::tcp({.flags = kTcpSyn, .options = hex(options)});
    EXPECT_TRUE(find_tcp_option(frame, headers_of(frame), kTcpOptionMss).empty()) << options;
  }
}

TEST(TcpOptions, MssIsClampedAtEvenAndOddPlaces) {
  for (const auto& [before, after] :
       {std::pair{"020405b4", "02040200"}, std::pair{"01020405b4", "0102040200"},
        std::pair{"01030307020405b4", "0103030702040200"}}) {
    Bytes frame = frames::tcp({.flags = kTcpSyn, .options = hex(before)}, kV6);
    EXPECT_EQ(clamp_mss(frame, headers_of(frame), 512), Rewrite::kDone);
    EXPECT_EQ(to_hex(frame), to_hex(frames::tcp({.flags = kTcpSyn, .options = hex(after)}, kV6)));
    EXPECT_EQ(clamp_mss(frame, headers_of(frame), 9000), Rewrite::kDone);  // Never raised.
    EXPECT_EQ(to_hex(frame), to_hex(frames::tcp({.flags = kTcpSyn, .options = hex(after)}, kV6)));
  }
  Bytes data = frames::tcp({.options = hex("020405b4")});
  EXPECT_EQ(clamp_mss(data, headers_of(data), 512), Rewrite::kNoSuchField);
  Bytes bare = frames::tcp({.flags = kTcpSyn});
  EXPECT_EQ(clamp_mss(bare, headers_of(bare), 512), Rewrite::kNoSuchField);
}

}  // namespace
}  // namespace sluice

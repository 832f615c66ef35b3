#include "core/encapsulation/encapsulator.hpp"

#include <gtest/gtest.h>

#include "core/encapsulation/cookie.hpp"
#include "tests/core/encapsulation/tunnel_rig.hpp"

namespace sluice {
namespace {

using test::TunnelRig;

const frames::Bytes kInner = frames::udp({.payload = frames::text("inside")});

/// NSH and its TLVs as RFC 8300 and DESIGN 7 have them, put together by hand.
frames::Bytes nsh(const std::vector<Pin>& pins, unsigned ttl) {
  const std::size_t first = std::min<std::size_t>(pins.size(), 25);
  const std::size_t more = pins.size() - first;
  frames::Bytes bytes;
  const std::size_t size = 8 + 4 + 24 + 4 * pins.size() + (more > 0 ? 4 : 0);
  frames::append16(bytes, static_cast<unsigned>(ttl << 6 | size / 4));
  frames::append8(bytes, 2);
  frames::append8(bytes, 3);
  frames::append32(bytes, 0x0000aau << 8 | 253);
  frames::append16(bytes, 0xfff6);
  frames::append8(bytes, 1);
  frames::append8(bytes, static_cast<unsigned>(24 + 4 * first));
  frames::append32(bytes, 0x01020304);
  frames::append32(bytes, 0x80000001);
  frames::append32(bytes, 9);
  frames::append32(bytes, tunnel_cookie(test::kSecret, {HostId{1}, HostId{2}, 7}));
  frames::append32(bytes, 7);
  frames::append16(bytes, 0x0506);
  frames::append8(bytes, static_cast<unsigned>(pins.size()));
  frames::append8(bytes, 1);
  for (std::size_t i = 0; i < pins.size(); ++i) {
    if (i == 25) {
      frames::append16(bytes, 0xfff6);
      frames::append8(bytes, 2);
      frames::append8(bytes, static_cast<unsigned>(4 * more));
    }
    frames::append16(bytes, pins[i].host);
    frames::append16(bytes, pins[i].instance);
  }
  return bytes;
}

frames::Bytes expected_frame(std::uint8_t ip_version, const std::vector<Pin>& pins) {
  frames::Udp udp{.source_port = 0xc000 + 0x0abc, .destination_port = 4790};
  udp.payload = frames::hex("0c 00 00 04 12 34 56 00");
  frames::append(udp.payload, nsh(pins, 63));
  frames::append(udp.payload, kInner);
  udp.checksum = ip_version == 6;
  frames::Ip ip{.source = "192.168.7.1", .destination = "192.168.7.2", .dont_fragment = true};
  if (ip_version == 6) ip = {.source = "fd00::7:1", .destination = "fd00::7:2"};
  return frames::udp(udp, ip, {.source = {2, 0, 0, 0, 1, 1}, .destination = {2, 0, 0, 0, 1, 2}});
}

class EveryIp : public testing::TestWithParam<int> {
 protected:
  std::uint8_t version = static_cast<std::uint8_t>(GetParam());
};
INSTANTIATE_TEST_SUITE_P(Ip, EveryIp, testing::Values(4, 6));

TEST_P(EveryIp, WritesTheBytesOfTheRfcs) {
  for (const std::size_t count : {0u, 1u, 3u, 25u, 26u, 32u}) {
    TunnelRig rig{version};
    const auto pins = test::pins(count);
    Packet packet = rig.packet(kInner);
    ASSERT_EQ(rig.encapsulate(packet, {.path = 0xaa,
                                       .chain_version = 9,
                                       .entropy = 0x8abc,  // 14 bits of it.
                                       .pins = pins}),
              1u);
    const auto expected = expected_frame(version, pins);
    EXPECT_EQ(frames::to_hex(rig.frame(packet)), frames::to_hex(expected)) << count << " pins";
    EXPECT_EQ(packet.length - kInner.size(),
              rig.encapsulator.overhead(static_cast<unsigned>(count)));
  }
}

TEST_P(EveryIp, ABatchIsAsItsPackets) {
  TunnelRig rig{version};
  std::vector<std::byte> bytes(3 * 1024);
  const PacketMemory memory{bytes, 1024};
  std::vector<Packet> packets(3);
  std::vector<Transit> transits(3);
  for (std::uint32_t i = 0; i < 3; ++i) {
    packets[i].buffer = i;
    packets[i].offset = kHeadroom;
    packets[i].length = static_cast<std::uint16_t>(60 + i);
    transits[i].entropy = static_cast<std::uint16_t>(i);
  }
  packets[2].offset = 10;
  EXPECT_EQ(rig.encapsulator(memory, packets, transits), 2u);
  EXPECT_LT(packets[0].offset, kHeadroom);
  EXPECT_LT(packets[1].offset, kHeadroom);
  EXPECT_EQ(packets[2].offset, 10);
  EXPECT_EQ(packets[2].length, 62);
}

TEST(Encapsulator, WithoutHeadroomThePacketStaysAsItIs) {
  TunnelRig rig;
  const auto pins = test::pins(2);
  const auto needed = static_cast<std::uint16_t>(rig.encapsulator.overhead(2));
  Packet packet = rig.packet(kInner, static_cast<std::uint16_t>(needed - 1));
  const Packet before = packet;
  EXPECT_EQ(rig.encapsulate(packet, {.pins = pins}), 0u);
  EXPECT_EQ(packet, before);
  EXPECT_EQ(rig.frame(packet), kInner);
  packet = rig.packet(kInner, needed);
  EXPECT_EQ(rig.encapsulate(packet, {.pins = pins}), 1u);
  EXPECT_EQ(packet.offset, 0);
}

// The distributed openNetVM had one pair of outer ports, so that all its packets took one way.
TEST(Encapsulator, FlowsSpreadOverSourcePorts) {
  TunnelRig rig;
  std::vector<int> ports(16384);
  for (std::uint32_t flow = 0; flow < 16384; ++flow) {
    Packet packet = rig.packet(kInner);
    ASSERT_EQ(rig.encapsulate(packet, {.entropy = static_cast<std::uint16_t>(flow)}), 1u);
    ++ports[frames::read16(rig.frame(packet), 34) - 49152];
  }
  EXPECT_EQ(std::ranges::count(ports, 1), 16384);
}

}  // namespace
}  // namespace sluice

#include "core/encapsulation/decapsulator.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "tests/core/encapsulation/tunnel_rig.hpp"

namespace sluice {
namespace {

using test::TunnelRig;

const frames::Bytes kInner = frames::tcp({.payload = frames::text("inside")});

class Tunnel : public testing::TestWithParam<int> {
 protected:
  /// A frame in the tunnel, to be spoilt.
  Packet tunnelled(const Transit& transit = {.path = 5, .chain_version = 3, .entropy = 77}) {
    Packet packet = rig.packet(kInner);
    EXPECT_EQ(rig.encapsulate(packet, transit), 1u);
    return packet;
  }
  [[nodiscard]] std::byte* at(const Packet& packet, std::size_t offset) {
    return rig.memory.bytes(packet).data() + offset;
  }
  /// Makes the checksums right again, so that a spoilt field is refused for itself.
  void repair(const Packet& packet) {
    const auto frame = rig.memory.bytes(packet);
    if (v4) {
      frames::write16(frame, kIp + 10, 0);
      frames::write16(frame, kIp + 10, ~frames::ones_sum(frame.subspan(kIp, 20)) & 0xffff);
      return;
    }
    const std::size_t size = frames::read16(frame, kIp + 4);
    if (kUdp() + size > frame.size()) return;
    frames::write16(frame, kUdp() + 6, 0);
    frames::Bytes sum(frame.begin() + kIp + 8, frame.begin() + kIp + 40);
    frames::append32(sum, static_cast<std::uint32_t>(size));
    frames::append32(sum, 17);
    frames::append(sum, frame.subspan(kUdp(), size));
    frames::write16(frame, kUdp() + 6, ~frames::ones_sum(sum) & 0xffff);
  }
  /// Spoils one thing in a good frame, and expects it to be refused for that, untouched, counted.
  void refused(TunnelError expected, const std::function<void(Packet&)>& spoil) {
    Packet packet = tunnelled();
    spoil(packet);
    const Packet before = packet;
    const auto bytes = rig.frame(packet);
    const auto index = static_cast<std::size_t>(expected);
    const std::uint64_t count = rig.decapsulator.counts()[index];
    EXPECT_STREQ(to_string(rig.decapsulate(packet)), to_string(expected));
    EXPECT_EQ(packet, before);
    EXPECT_EQ(rig.frame(packet), bytes);
    EXPECT_EQ(rig.decapsulator.counts()[index], count + 1);
  }
  void refused_when(TunnelError expected, std::size_t offset, unsigned value) {
    SCOPED_TRACE("byte " + std::to_string(offset));
    refused(expected, [&](Packet& packet) {
      *at(packet, offset) = static_cast<std::byte>(value);
      repair(packet);
    });
  }

  static constexpr std::size_t kIp = 14;
  [[nodiscard]] std::size_t kUdp() const { return kIp + (v4 ? 20 : 40); }
  [[nodiscard]] std::size_t gpe() const { return kUdp() + 8; }
  [[nodiscard]] std::size_t nsh() const { return gpe() + 8; }
  [[nodiscard]] std::size_t value() const { return nsh() + 12; }

  bool v4 = GetParam() == 4;
  TunnelRig rig{static_cast<std::uint8_t>(GetParam())};
};
INSTANTIATE_TEST_SUITE_P(Ip, Tunnel, testing::Values(4, 6));

TEST_P(Tunnel, GivesBackWhatWentIn) {
  const auto pins = test::pins(26);
  Packet packet = tunnelled({.path = kPathMax, .chain_version = 3, .entropy = 77, .pins = pins});
  packet.flow = packet.tag = packet.target = packet.step = 0;
  ASSERT_EQ(rig.decapsulate(packet), TunnelError::kNone);
  EXPECT_EQ(rig.frame(packet), kInner);
  EXPECT_EQ(packet.offset, kHeadroom);
  EXPECT_EQ(packet.flow, 0x01020304u);
  EXPECT_EQ(packet.tag, 0x80000001u);
  EXPECT_EQ(packet.step, 2);
  EXPECT_EQ(packet.target, 0x0506);
  EXPECT_EQ(rig.arrival.sender, HostId{1});
  const Transit transit = rig.transit.view();
  EXPECT_EQ(transit.path, kPathMax);
  EXPECT_EQ(transit.chain_version, 3u);
  EXPECT_EQ(transit.entropy, 77);
  EXPECT_EQ(transit.ttl, 62);
  EXPECT_TRUE(std::ranges::equal(transit.pins, pins));
  EXPECT_EQ(rig.decapsulator.counts()[0], 1u);
}

TEST_P(Tunnel, PaddingOfTheUnderlayIsLeftOff) {
  Packet packet = tunnelled();
  packet.length = static_cast<std::uint16_t>(packet.length + 8);
  ASSERT_EQ(rig.decapsulate(packet), TunnelError::kNone);
  EXPECT_EQ(rig.frame(packet), kInner);
}

TEST_P(Tunnel, OtherTrafficOfTheUnderlayIsNoTunnel) {
  refused_when(TunnelError::kNotTunnel, 12, 0x09);          // EtherType
  refused_when(TunnelError::kNotTunnel, v4 ? 33 : 53, 99);  // Destination address
  refused_when(TunnelError::kNotTunnel, v4 ? 23 : 20, 6);   // TCP
  refused_when(TunnelError::kNotTunnel, kUdp() + 3, 0xb5);  // 4789: VXLAN
  refused_when(TunnelError::kNotTunnel, gpe(), 0x08);       // VXLAN without GPE
  refused_when(TunnelError::kNotTunnel, gpe() + 3, 3);      // Ethernet without NSH
}

TEST_P(Tunnel, CutFramesAreRefusedAtEachLength) {
  const Packet whole = tunnelled();
  for (std::uint16_t length = 0; length < whole.length; ++length) {
    refused(TunnelError::kTruncated, [&](Packet& packet) { packet.length = length; });
  }
}

TEST_P(Tunnel, ContradictingLengthsAreRefused) {
  refused_when(TunnelError::kMalformed, kUdp() + 5, 9);
  refused_when(v4 ? TunnelError::kMalformed : TunnelError::kMalformed, v4 ? 17 : 19, 7);
  refused_when(TunnelError::kMalformed, nsh() + 1, 0xc0 | 8);   // A word of NSH less
  refused_when(TunnelError::kTruncated, nsh() + 1, 0xc0 | 63);  // More words than there are
  refused_when(TunnelError::kMalformed, value() + 22, 1);       // A pin that is not there
  refused_when(TunnelError::kMalformed, value() + 22, 33);      // More than there can be
  refused_when(TunnelError::kMalformed, value() - 1, 23);       // The TLV's length
}

TEST_P(Tunnel, WhatThisVersionNeverSendsIsRefused) {
  refused_when(TunnelError::kMalformed, nsh(), 0x4f);      // Version 1
  refused_when(TunnelError::kMalformed, nsh(), 0x2f);      // OAM
  refused_when(TunnelError::kMalformed, nsh() + 2, 1);     // MD type 1
  refused_when(TunnelError::kMalformed, nsh() + 3, 1);     // IPv4 inside
  refused_when(TunnelError::kMalformed, nsh() + 9, 0xf7);  // Another class
  refused_when(TunnelError::kMalformed, nsh() + 10, 9);    // Another TLV
  refused_when(TunnelError::kMalformed, value() + 23, 2);  // A later format
  if (v4) refused_when(TunnelError::kMalformed, kIp, 0x46);
  if (!v4) refused_when(TunnelError::kMalformed, kIp, 0x50);
}

TEST_P(Tunnel, WrongChecksumsAreRefused) {
  refused(TunnelError::kChecksum,
          [&](Packet& packet) { *at(packet, v4 ? kIp + 8 : packet.length - 1u) ^= std::byte{1}; });
  // Over IPv6 there must be one.
  if (v4) return;
  refused(TunnelError::kChecksum,
          [&](Packet& packet) { frames::write16(rig.memory.bytes(packet), kUdp() + 6, 0); });
}

TEST(TunnelOverIpv4, AChecksumThatACardAddedIsVerified) {
  TunnelRig rig;
  Packet packet = rig.packet(kInner);
  ASSERT_EQ(rig.encapsulate(packet, {}), 1u);
  const auto frame = rig.memory.bytes(packet);
  frames::Bytes segment(frame.begin() + 34, frame.end());
  frames::fill_checksum(segment, 17, {.source = "192.168.7.1", .destination = "192.168.7.2"});
  std::ranges::copy(segment, frame.begin() + 34);
  Packet wrong = packet;
  frame[41] ^= std::byte{1};
  EXPECT_EQ(rig.decapsulate(wrong), TunnelError::kChecksum);
  frame[41] ^= std::byte{1};
  EXPECT_EQ(rig.decapsulate(packet), TunnelError::kNone);
}

TEST_P(Tunnel, FragmentsAreRefused) {
  if (v4) {
    refused_when(TunnelError::kFragment, kIp + 6, 0x20);
    refused_when(TunnelError::kFragment, kIp + 7, 1);
  } else {
    refused_when(TunnelError::kFragment, kIp + 6, 44);
  }
}

TEST_P(Tunnel, StrangersAreRefused) {
  refused_when(TunnelError::kNetwork, gpe() + 6, 0x57);
  refused_when(TunnelError::kUnknownPeer, v4 ? 29 : 37, 99);
  // A member's address with what another member says.
  refused_when(TunnelError::kCookie, v4 ? 29 : 37, 3);
  refused_when(TunnelError::kCookie, value() + 12, 0);
  refused_when(TunnelError::kOldEpoch, value() + 19, 6);
  refused_when(TunnelError::kNewEpoch, value() + 19, 8);
}

TEST_P(Tunnel, APeerThatCameBackIsRefusedInItsOldLife) {
  const TunnelEndpoint peers[] = {test::endpoint(1, static_cast<std::uint8_t>(GetParam()), 8)};
  Packet late = tunnelled();
  rig.use(peers);
  EXPECT_EQ(rig.decapsulate(late), TunnelError::kOldEpoch);
  rig.use({});
  EXPECT_EQ(rig.decapsulate(late), TunnelError::kUnknownPeer);
}

TEST_P(Tunnel, AFrameThatWentRoundIsRefused) {
  Packet packet = tunnelled({.ttl = 0});
  EXPECT_EQ(rig.decapsulate(packet), TunnelError::kLooped);
  packet = tunnelled({.ttl = 1});
  EXPECT_EQ(rig.decapsulate(packet), TunnelError::kNone);
  EXPECT_EQ(rig.transit.view().ttl, 0);
}

TEST_P(Tunnel, ATunnelInATunnelIsRefused) {
  // Only the inner frame's headers fit the headroom twice.
  Packet packet = rig.packet(kInner, 2 * kHeadroom);
  ASSERT_EQ(rig.encapsulate(packet, {}), 1u);
  ASSERT_EQ(rig.encapsulate(packet, {}), 1u);
  EXPECT_EQ(rig.decapsulate(packet), TunnelError::kNested);
}

TEST_P(Tunnel, ATunnelOfOthersIsAUsersTraffic) {
  Packet packet = rig.packet(kInner, 2 * kHeadroom);
  ASSERT_EQ(rig.encapsulate(packet, {}), 1u);
  *at(packet, gpe() + 6) ^= std::byte{1};
  const auto inner = rig.frame(packet);
  ASSERT_EQ(rig.encapsulate(packet, {}), 1u);
  EXPECT_EQ(rig.decapsulate(packet), TunnelError::kNone);
  EXPECT_EQ(rig.frame(packet), inner);
}

TEST_P(Tunnel, AThousandPeersAreAllKnown) {
  std::vector<TunnelEndpoint> peers;
  for (std::uint16_t i = 0; i < 1000; ++i) {
    TunnelEndpoint peer = test::endpoint(1, static_cast<std::uint8_t>(GetParam()));
    peer.host = HostId{static_cast<std::uint16_t>(i + 10)};
    peer.address[2] = static_cast<std::uint8_t>(i >> 8);
    peer.address[3] = static_cast<std::uint8_t>(i);
    peers.push_back(peer);
  }
  rig.use(peers);
  const TunnelEndpoint local = test::endpoint(2, static_cast<std::uint8_t>(GetParam()));
  for (const TunnelEndpoint& peer : peers) {
    const Encapsulator to_us{
        {.local = peer, .remote = local, .network = test::kNetwork, .secret = test::kSecret}};
    Packet packet = rig.packet(kInner);
    const Transit transit;
    ASSERT_EQ(to_us(rig.memory, {&packet, 1}, {&transit, 1}), 1u);
    ASSERT_EQ(rig.decapsulate(packet), TunnelError::kNone);
    ASSERT_EQ(rig.arrival.sender, peer.host);
  }
}

}  // namespace
}  // namespace sluice

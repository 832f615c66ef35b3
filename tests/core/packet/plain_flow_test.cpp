#include "core/packet/plain_flow.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "core/packet/headers.hpp"
#include "core/prng.hpp"
#include "tests/support/frames.hpp"

namespace sluice {
namespace {

using frames::Bytes;

constexpr PortId kPort{3};

struct PlainFlow {
  FlowKey key;
  std::uint8_t tcp_flags = 0;
  bool operator==(const PlainFlow&) const = default;
};

std::optional<PlainFlow> read(const Bytes& frame) {
  // Left by another frame: must not shine through.
  PackedKey key{{~0ull, ~0ull}, {~0ull, ~0ull, ~0ull, ~0ull}};
  const std::uint32_t flags = PlainFlowReader{kPort}.read(frame, key);
  if (flags == PlainFlowReader::kNotPlain) return std::nullopt;
  const PlainFlow flow{unpack(key), static_cast<std::uint8_t>(flags)};
  EXPECT_EQ(pack(flow.key).first, key.first);
  return flow;
}

/// What the long way says of the frames that the short way is for.
std::optional<PlainFlow> read_the_long_way(const Bytes& frame) {
  const auto headers = parse(frame);
  if (!headers || headers->vlan_count > 0 || headers->fragment) return std::nullopt;
  if (headers->l4 != L4::kTcp && headers->l4 != L4::kUdp) return std::nullopt;
  const std::uint16_t ip_length = headers->l3 == L3::kIpv4 ? 20 : 40;
  if (headers->l4_offset != headers->l3_offset + ip_length) return std::nullopt;
  return PlainFlow{flow_key(frame, *headers, kPort), headers->tcp_flags};
}

frames::Ip random_ip(Prng& prng) {
  frames::Ip ip;
  if (prng.below(2) == 0) {
    if (prng.below(4) == 0) ip.options = frames::hex("94040000");
    ip.source = "10.0.0." + std::to_string(prng.below(256));
    ip.more_fragments = prng.below(8) == 0;
    ip.dont_fragment = prng.below(2) == 0;
    ip.fragment_offset = static_cast<std::uint16_t>(prng.below(8) == 0 ? 8 * prng.below(4) : 0);
  } else {
    ip.source = "2001:db8::" + std::to_string(prng.below(256));
    ip.destination = "2001:db8::2";
    ip.atomic_fragment = prng.below(8) == 0;
    if (prng.below(4) == 0) ip.extensions = {{.kind = 60, .body = Bytes(14)}};
  }
  ip.traffic_class = static_cast<std::uint8_t>(prng.next());
  return ip;
}

Bytes random_frame(Prng& prng) {
  const frames::Ip ip = random_ip(prng);
  frames::Ethernet ethernet;
  if (prng.below(8) == 0) ethernet.vlans.resize(1);
  ethernet.size_min = prng.below(2) * 60;
  const Bytes payload(prng.below(40));
  const auto port = static_cast<std::uint16_t>(prng.next());
  const auto flags = static_cast<std::uint8_t>(prng.next());
  switch (prng.below(6)) {
    case 0:
      return frames::sctp({.source_port = port, .payload = payload}, ip, ethernet);
    case 1:
      return frames::icmp({.identifier = port, .payload = payload}, ip, ethernet);
    case 2:
      return frames::tcp({.source_port = port,
                          .flags = flags,
                          .options = frames::hex("020405b4"),
                          .payload = payload},
                         ip, ethernet);
    case 3:
      return frames::tcp({.source_port = port, .flags = flags, .payload = payload}, ip, ethernet);
    default:
      return frames::udp({.source_port = port, .payload = payload}, ip, ethernet);
  }
}

/// Cut short or with bytes changed, mostly those of the headers; a changed IPv4 header gets a right
/// checksum half of the time, so that what stands behind that check is reached.
void damage(Bytes& frame, Prng& prng) {
  if (prng.below(4) == 0) frame.resize(prng.below(frame.size() + 1));
  for (std::uint64_t left = prng.below(3); left > 0 && !frame.empty(); --left) {
    frame[prng.below(std::min<std::size_t>(frame.size(), 60))] =
        static_cast<std::byte>(prng.next());
  }
  if (frame.size() < 34 || prng.below(2) == 0) return;
  frame[24] = frame[25] = std::byte{0};
  const unsigned sum = ~frames::ones_sum(std::span{frame}.subspan(14, 20));
  frame[24] = static_cast<std::byte>(sum >> 8);
  frame[25] = static_cast<std::byte>(sum);
}

TEST(PlainFlow, ReadsTcpAndUdpOverBothVersionsOfIp) {
  const frames::Ip v6{.source = "2001:db8::1", .destination = "2001:db8::2"};
  const auto tcp = read(frames::tcp({.source_port = 7, .destination_port = 80, .flags = 0x12}));
  ASSERT_TRUE(tcp.has_value());
  EXPECT_EQ(tcp->key.source, (std::array<std::uint8_t, 16>{10, 0, 0, 1}));
  EXPECT_EQ(tcp->key.destination, (std::array<std::uint8_t, 16>{10, 0, 0, 2}));
  EXPECT_EQ(tcp->key.source_port, 7);
  EXPECT_EQ(tcp->key.destination_port, 80);
  EXPECT_EQ(tcp->key.ingress, 3);
  EXPECT_EQ(tcp->key.protocol, 6);
  EXPECT_EQ(tcp->key.ip_version, 4);
  EXPECT_EQ(tcp->tcp_flags, 0x12);
  const auto udp = read(frames::udp({.source_port = 7}, v6));
  ASSERT_TRUE(udp.has_value());
  EXPECT_EQ(udp->key.source[15], 1);
  EXPECT_EQ(udp->key.destination[15], 2);
  EXPECT_EQ(udp->key.source_port, 7);
  EXPECT_EQ(udp->key.protocol, 17);
  EXPECT_EQ(udp->key.ip_version, 6);
  EXPECT_EQ(udp->tcp_flags, 0);
}

TEST(PlainFlow, LeavesWhatIsNotPlainToTheParser) {
  EXPECT_FALSE(read(frames::udp({}, {}, {.vlans = {{.id = 7}}})));
  EXPECT_FALSE(read(frames::udp({}, {.options = frames::hex("94040000")})));
  EXPECT_FALSE(read(frames::udp({.payload = Bytes(16)}, {.more_fragments = true})));
  EXPECT_FALSE(read(frames::udp({.payload = Bytes(16)}, {.fragment_offset = 8})));
  EXPECT_FALSE(read(frames::icmp()));
  EXPECT_FALSE(read(frames::sctp()));
  EXPECT_FALSE(read(frames::arp()));
  EXPECT_FALSE(read({}));
}

TEST(PlainFlow, LeavesWhatTheParserRefusesToTheParser) {
  Bytes frame = frames::udp();
  frame[24] ^= std::byte{1};  // The IPv4 checksum.
  ASSERT_EQ(parse(frame).error(), ParseError::kIpChecksum);
  EXPECT_FALSE(read(frame));
}

RC_GTEST_PROP(PlainFlowProperty, AgreesWithTheParserOnAnyFrame, (std::uint64_t seed)) {
  Prng prng{seed};
  for (int i = 0; i < 200; ++i) {
    Bytes frame = random_frame(prng);
    if (prng.below(3) != 0) damage(frame, prng);
    const auto flow = read(frame);
    const auto expected = read_the_long_way(frame);
    RC_ASSERT(flow.has_value() == expected.has_value());
    RC_ASSERT(flow == expected);
  }
}

}  // namespace
}  // namespace sluice

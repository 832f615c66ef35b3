#include "core/encapsulation/too_big.hpp"

#include <gtest/gtest.h>

#include <array>

#include "core/packet/checksum.hpp"
#include "tests/support/frames.hpp"

namespace sluice {
namespace {

frames::Bytes answer_to(const frames::Bytes& frame, std::uint16_t mtu) {
  const auto headers = parse(frame);
  EXPECT_TRUE(headers.has_value());
  frames::Bytes answer(kTooBigBytesMax);
  answer.resize(write_too_big(frame, *headers, mtu, answer));
  return answer;
}
bool may_answer(const frames::Bytes& frame) {
  const auto headers = parse(frame);
  return headers.has_value() && may_answer_too_big(frame, *headers);
}

TEST(TooBig, OfIpv4IsFragmentationNeeded) {
  const auto frame = frames::udp({.payload = frames::Bytes(1000)}, {.dont_fragment = true},
                                 {.vlans = {{.id = 7}}});
  ASSERT_TRUE(may_answer(frame));
  const auto answer = answer_to(frame, 900);
  // As much of the packet as 576 bytes hold, from its IP header on.
  frames::Bytes icmp = frames::hex("03 04 00 00 00 00 03 84");
  frames::append(icmp, std::span{frame}.subspan(18, 576 - 28));
  frames::fill_checksum(icmp, 1, {});
  const auto expected = frames::ip_frame(
      1, icmp, {.source = "10.0.0.2", .destination = "10.0.0.1"},
      {.source = {2, 0, 0, 0, 0, 2}, .destination = {2, 0, 0, 0, 0, 1}, .vlans = {{.id = 7}}});
  EXPECT_EQ(frames::to_hex(answer), frames::to_hex(expected));
}

TEST(TooBig, OfIpv6IsPacketTooBig) {
  const frames::Ip ip{.source = "fd00::1", .destination = "fd00::2"};
  const auto frame = frames::udp({.payload = frames::Bytes(1400)}, ip);
  ASSERT_TRUE(may_answer(frame));
  const auto answer = answer_to(frame, 1380);
  frames::Bytes icmp = frames::hex("02 00 00 00 00 00 05 64");
  frames::append(icmp, std::span{frame}.subspan(14, 1280 - 48));
  const frames::Ip back{.source = "fd00::2", .destination = "fd00::1"};
  frames::fill_checksum(icmp, 58, back);
  const auto expected = frames::ip_frame(
      58, icmp, back, {.source = {2, 0, 0, 0, 0, 2}, .destination = {2, 0, 0, 0, 0, 1}});
  EXPECT_EQ(frames::to_hex(answer), frames::to_hex(expected));
}

TEST(TooBig, ASmallPacketIsQuotedWhole) {
  const auto frame =
      frames::udp({.payload = frames::Bytes(10)}, {.dont_fragment = true}, {.size_min = 64});
  EXPECT_EQ(answer_to(frame, 68).size(), 14u + 20 + 8 + 20 + 8 + 10);
}

TEST(TooBig, NoMtuBelowWhatIpPromises) {
  const auto v4 = answer_to(frames::udp({}, {.dont_fragment = true}), 10);
  EXPECT_EQ(frames::read16(v4, 14 + 20 + 6), 68u);
  const auto v6 = answer_to(frames::udp({}, {.source = "fd00::1", .destination = "fd00::2"}), 10);
  EXPECT_EQ(frames::read16(v6, 14 + 40 + 6), 1280u);
}

TEST(TooBig, WithoutRoomNothingIsWritten) {
  const auto frame = frames::udp({}, {.dont_fragment = true});
  const auto headers = parse(frame);
  std::array<std::byte, 60> small{};
  EXPECT_EQ(write_too_big(frame, *headers, 1000, small), 0u);
}

TEST(TooBig, SomePacketsGetNoAnswer) {
  const frames::Ip ip{.dont_fragment = true};
  EXPECT_TRUE(may_answer(frames::tcp({}, ip)));
  EXPECT_TRUE(may_answer(frames::icmp({}, ip)));  // An echo is no error.
  EXPECT_FALSE(may_answer(frames::udp({})));      // May be fragmented.
  EXPECT_FALSE(may_answer(frames::icmp({.type = 3, .code = 4}, ip)));
  EXPECT_FALSE(may_answer(frames::icmp({.type = 11}, ip)));
  EXPECT_FALSE(may_answer(frames::udp({}, {.destination = "224.0.0.1", .dont_fragment = true})));
  EXPECT_FALSE(
      may_answer(frames::udp({}, {.destination = "255.255.255.255", .dont_fragment = true})));
  EXPECT_FALSE(may_answer(frames::udp({}, {.source = "0.0.0.0", .dont_fragment = true})));
  EXPECT_FALSE(may_answer(frames::udp({}, {.source = "127.0.0.1", .dont_fragment = true})));
  EXPECT_FALSE(may_answer(frames::udp({}, ip, {.destination = {1, 0, 0x5e, 0, 0, 1}})));
  EXPECT_FALSE(may_answer(frames::arp({})));
  const frames::Ip v6{.source = "fd00::1", .destination = "fd00::2"};
  EXPECT_TRUE(may_answer(frames::udp({}, v6)));
  EXPECT_FALSE(may_answer(frames::icmp({.type = 2}, v6)));
  EXPECT_FALSE(may_answer(frames::udp({}, {.source = "fd00::1", .destination = "ff02::1"})));
  EXPECT_FALSE(may_answer(frames::udp({}, {.source = "::", .destination = "fd00::2"})));
}

}  // namespace
}  // namespace sluice

#include "core/packet/checksum.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstring>
#include <string>

#include "tests/support/frames.hpp"

namespace sluice {
namespace {

using frames::Bytes;

TEST(Checksum, IsThatOfTheExampleInRfc1071) {
  // Section 3: the sum of these is ddf2.
  EXPECT_EQ(internet_checksum(frames::hex("0001 f203 f4f5 f6f7")), 0xffff - 0xddf2);
}

TEST(Checksum, OverBytesWithARightChecksumIsZero) {
  EXPECT_EQ(internet_checksum(frames::hex("45000073000040004011b861c0a80001c0a800c7")), 0);
}

TEST(Checksum, OfNothingIsAllOnes) {
  EXPECT_EQ(internet_checksum({}), 0xffff);
}

TEST(Checksum, CarriesDoNotGetLostInLongRunsOfOnes) {
  EXPECT_EQ(internet_checksum(Bytes(65535, std::byte{0xff})),
            static_cast<std::uint16_t>(~frames::ones_sum(Bytes(65535, std::byte{0xff}))));
}

RC_GTEST_PROP(Checksum, EqualsThePlainSumAtAnyLengthAndAlignment, ()) {
  const auto raw = *rc::gen::container<std::string>(rc::gen::arbitrary<char>());
  const auto skip = *rc::gen::inRange<std::size_t>(0, raw.size() + 1);
  const Bytes bytes = frames::text(raw);
  const auto part = std::span(bytes).subspan(skip);
  RC_ASSERT(internet_checksum(part) == static_cast<std::uint16_t>(~frames::ones_sum(part)));
}

TEST(Checksum, Crc32cIsThatOfRfc3720) {
  EXPECT_EQ(crc32c(Bytes(32)), 0x8a9136aau);
  EXPECT_EQ(crc32c(Bytes(32, std::byte{0xff})), 0x62a8ab43u);
  EXPECT_EQ(crc32c(frames::text("123456789")), 0xe3069283u);
}

TEST(Checksum, DeltaIsTheExampleOfRfc1624) {
  // Section 4: the old equation gave 0xffff here, which is wrong.
  ChecksumDelta delta;
  delta.replace(std::uint16_t{0x5555}, std::uint16_t{0x3285});
  EXPECT_EQ(delta.apply(0xdd2f), 0x0000);
}

ChecksumState state_of(const Bytes& frame) {
  const auto headers = parse(frame);
  EXPECT_TRUE(headers.has_value());
  return verify_l4_checksum(frame, *headers);
}

const frames::Ip kV6{.source = "2001:db8::1", .destination = "2001:db8::2"};

TEST(L4Checksum, OfEveryProtocolIsVerified) {
  const Bytes odd = frames::text("odd");
  for (const frames::Ip& ip : {frames::Ip{}, kV6}) {
    for (Bytes frame : {frames::tcp({.payload = odd}, ip), frames::udp({.payload = odd}, ip),
                        frames::sctp({.payload = odd}, ip), frames::icmp({.payload = odd}, ip)}) {
      EXPECT_EQ(state_of(frame), ChecksumState::kRight) << frames::to_hex(frame);
      frame.back() ^= std::byte{1};
      EXPECT_EQ(state_of(frame), ChecksumState::kWrong) << frames::to_hex(frame);
    }
  }
}

TEST(L4Checksum, IgnoresEthernetPadding) {
  Bytes frame = frames::tcp({}, {}, {.size_min = 60});
  ASSERT_EQ(frame.size(), 60u);
  frame.back() = std::byte{0xee};
  EXPECT_EQ(state_of(frame), ChecksumState::kRight);
}

TEST(L4Checksum, ZeroOfUdpIsAbsentOverIpv4AndWrongOverIpv6) {
  EXPECT_EQ(state_of(frames::udp({.checksum = false})), ChecksumState::kAbsent);
  EXPECT_EQ(state_of(frames::udp({.checksum = false}, kV6)), ChecksumState::kWrong);
}

TEST(L4Checksum, OfAFragmentCannotBeVerified) {
  const auto pieces = frames::fragments(6, frames::tcp_segment({.payload = Bytes(40)}, {}), 24, {});
  for (const Bytes& piece : pieces) EXPECT_EQ(state_of(piece), ChecksumState::kUnverifiable);
}

TEST(L4Checksum, WriteRestoresWhatWasWiped) {
  for (const frames::Ip& ip : {frames::Ip{}, kV6}) {
    for (const Bytes& good : {frames::tcp({}, ip), frames::udp({.payload = Bytes(3)}, ip),
                              frames::sctp({}, ip), frames::icmp({}, ip)}) {
      Bytes frame = good;
      const auto headers = parse(frame);
      ASSERT_TRUE(headers.has_value());
      frames::write16(frame, l4_checksum_offset(*headers), 0x1234);
      if (!ip.is_v6()) frames::write16(frame, 24, 0x1234);
      write_checksums(frame, *headers);
      EXPECT_EQ(frames::to_hex(frame), frames::to_hex(good));
    }
  }
}

TEST(L4Checksum, UdpThatComputesToZeroIsWrittenAsOnes) {
  // The payload is the checksum that the datagram has with payload 0: then the sum is all ones.
  Bytes frame = frames::udp({.payload = Bytes(2)});
  const auto headers = parse(frame);
  ASSERT_TRUE(headers.has_value());
  const auto at = l4_checksum_offset(*headers);
  frames::write16(frame, headers->payload_offset, frames::read16(frame, at));
  write_checksums(frame, *headers);
  EXPECT_EQ(frames::read16(frame, at), 0xffffu);
  EXPECT_EQ(verify_l4_checksum(frame, *headers), ChecksumState::kRight);
}

}  // namespace
}  // namespace sluice

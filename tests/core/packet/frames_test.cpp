#include "tests/support/frames.hpp"

#include <gtest/gtest.h>

#include "core/packet/headers.hpp"

// The builder against bytes that stand here. All but the SCTP frame were read by an independent
// dissector, which found every checksum right.
namespace sluice {
namespace {

using frames::to_hex;

constexpr const char* kMacs = "020000000002020000000001";
const frames::Ip kV4{.source = "192.0.2.1", .destination = "198.51.100.2"};
const frames::Ip kV6{.source = "2001:db8::1", .destination = "2001:db8::2"};
const std::string kV6Addresses =
    "20010db8000000000000000000000001"
    "20010db8000000000000000000000002";

TEST(Frames, TcpSynWithOptions) {
  const auto frame = frames::tcp(
      {.source_port = 1234, .flags = 0x02, .options = frames::hex("020405b4 01 030307")}, kV4);
  EXPECT_EQ(to_hex(frame), std::string(kMacs) +
                               "0800"
                               "450000300000000040068e91c0000201c6336402"
                               "04d2005000000001000000007002ffff92be0000"
                               "020405b401030307");
}

TEST(Frames, UdpWithIpOptionsInTwoVlans) {
  auto ip = kV4;
  ip.options = frames::hex("94040000");
  const auto frame =
      frames::udp({.source_port = 5353, .payload = frames::text("hello")}, ip,
                  {.vlans = {{.id = 100, .priority = 5, .tpid = 0x88a8}, {.id = 7}}});
  EXPECT_EQ(to_hex(frame), std::string(kMacs) +
                               "88a8a064810000070800"
                               "46000025000000004011f98cc0000201c633640294040000"
                               "14e90035000dbaac68656c6c6f");
}

TEST(Frames, UdpBehindExtensionHeaders) {
  auto ip = kV6;
  ip.extensions = {{.kind = 0, .body = frames::hex("050200000100")},
                   {.kind = 60, .body = frames::hex("010400000000")}};
  EXPECT_EQ(to_hex(frames::udp({.payload = frames::text("abc")}, ip)),
            std::string(kMacs) + "86dd60000000001b0040" + kV6Addresses +
                "3c00050200000100"
                "1100010400000000"
                "9c400035000b438b616263");
}

TEST(Frames, IcmpAndIcmpv6Echo) {
  const frames::Icmp echo{.identifier = 0x1234, .payload = frames::text("ping")};
  EXPECT_EQ(to_hex(frames::icmp(echo)), std::string(kMacs) +
                                            "0800450000200000000040"
                                            "0166db0a0000010a000002080006fa1234000170696e67");
  EXPECT_EQ(to_hex(frames::icmp(echo, kV6)), std::string(kMacs) + "86dd60000000000c3a40" +
                                                 kV6Addresses + "8000333e1234000170696e67");
}

TEST(Frames, Arp) {
  EXPECT_EQ(to_hex(frames::arp()), std::string(kMacs) +
                                       "08060001080006040001"
                                       "0200000000010a0000010000000000000a000002");
}

TEST(Frames, FragmentsOfOneDatagram) {
  frames::Ip ip;
  ip.id = 77;
  const auto segment = frames::udp_segment({.payload = frames::Bytes(40, std::byte{'x'})}, ip);
  const auto pieces = frames::fragments(17, segment, 16, ip);
  ASSERT_EQ(pieces.size(), 3u);
  const std::string start = std::string(kMacs) + "080045000024004d";
  EXPECT_EQ(to_hex(pieces[0]), start +
                                   "20004011467a0a0000010a000002"
                                   "9c4000350030e5ac7878787878787878");
  EXPECT_EQ(to_hex(pieces[2]), start +
                                   "0004401166760a0000010a000002"
                                   "78787878787878787878787878787878");
  auto ip6 = kV6;
  ip6.id = 77;
  const auto later = frames::fragments(17, segment, 16, ip6)[1];
  EXPECT_EQ(to_hex(later), std::string(kMacs) + "86dd6000000000182c40" + kV6Addresses +
                               "110000110000004d78787878787878787878787878787878");
}

TEST(Frames, SctpCarriesTheCrcOfItsStandard) {
  EXPECT_EQ(frames::crc32c_bitwise(frames::text("123456789")), 0xe3069283u);
  EXPECT_EQ(to_hex(frames::sctp_segment({.payload = frames::hex("0b000004")}, {})),
            "9c400b59000000012b6cbc710b000004");
}

}  // namespace
}  // namespace sluice

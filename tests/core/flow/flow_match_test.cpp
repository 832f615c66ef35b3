#include "core/flow/flow_match.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <cstdint>
#include <string>

namespace sluice {
namespace {

std::string address(std::string_view text) {
  const auto parsed = IpAddress::parse(text);
  return parsed ? parsed->to_string() : "error: " + parsed.error();
}

std::string prefix(std::string_view text) {
  const auto parsed = IpPrefix::parse(text);
  return parsed ? parsed->to_string() : "error: " + parsed.error();
}

std::string ports(std::string_view text) {
  const auto parsed = PortRange::parse(text);
  return parsed ? parsed->to_string() : "error: " + parsed.error();
}

TEST(IpAddress, ReadsAndWritesBothVersions) {
  EXPECT_EQ(address("0.0.0.0"), "0.0.0.0");
  EXPECT_EQ(address("255.1.20.3"), "255.1.20.3");
  EXPECT_EQ(address("::"), "::");
  EXPECT_EQ(address("::1"), "::1");
  EXPECT_EQ(address("1::"), "1::");
  EXPECT_EQ(address("2001:DB8:0:0:1:0:0:1"), "2001:db8::1:0:0:1");
  EXPECT_EQ(address("1:0:2:3:4:5:6:7"), "1:0:2:3:4:5:6:7");
  EXPECT_EQ(address("1:2:3:4:5:6:7::"), "1:2:3:4:5:6:7:0");
  EXPECT_EQ(address("::ffff:192.0.2.1"), "::ffff:c000:201");
  EXPECT_EQ(address("1:2:3:4:5:6:1.2.3.4"), "1:2:3:4:5:6:102:304");
}

TEST(IpAddress, RefusesWhatIsNone) {
  for (const char* text : {"",
                           "1",
                           "1.2.3",
                           "1.2.3.4.5",
                           "256.0.0.1",
                           "1.2.3.-4",
                           "1.2.3.4 ",
                           "01.2.3.4",
                           "1..2.3",
                           "1.2.3.4x",
                           ".1.2.3",
                           ":",
                           ":::",
                           "1:2:3:4:5:6:7",
                           "1:2:3:4:5:6:7:8:9",
                           "1::2::3",
                           "1:2:3:4:5:6:7::8",
                           "12345::",
                           "g::",
                           "1:",
                           ":1",
                           "::1:",
                           "1.2.3.4::",
                           "::1.2.3",
                           "1:2:3:4:5:6:7:1.2.3.4",
                           "::1.2.3.4:5",
                           "fe80::1%eth0",
                           "+1::"}) {
    EXPECT_FALSE(IpAddress::parse(text).has_value()) << text;
  }
  EXPECT_EQ(address("256.0.0.1"),
            "error: \"256.0.0.1\" is not an IPv4 address (four numbers 0..255, no leading zeros) "
            "nor an IPv6 address");
  EXPECT_EQ(address("fe80:::1"), "error: \"fe80:::1\" is not an IPv6 address such as 2001:db8::1");
}

RC_GTEST_PROP(IpAddress, ReadsWhatItWrites, ()) {
  IpAddress original;
  original.ip_version = *rc::gen::element<std::uint8_t>(4, 6);
  const std::size_t size = original.ip_version == 4 ? 4 : 16;
  for (std::size_t i = 0; i < size; ++i) {
    original.bytes[i] =
        *rc::gen::oneOf(rc::gen::just<std::uint8_t>(0), rc::gen::arbitrary<std::uint8_t>());
  }
  const auto read = IpAddress::parse(original.to_string());
  RC_ASSERT(read.has_value());
  RC_ASSERT(*read == original);
}

TEST(IpPrefix, ReadsPrefixesAndSingleAddresses) {
  EXPECT_EQ(prefix("10.0.0.0/8"), "10.0.0.0/8");
  EXPECT_EQ(prefix("0.0.0.0/0"), "0.0.0.0/0");
  EXPECT_EQ(prefix("10.1.2.3"), "10.1.2.3/32");
  EXPECT_EQ(prefix("192.0.2.128/25"), "192.0.2.128/25");
  EXPECT_EQ(prefix("2001:db8::/32"), "2001:db8::/32");
  EXPECT_EQ(prefix("::/0"), "::/0");
  EXPECT_EQ(prefix("::1"), "::1/128");
}

TEST(IpPrefix, SaysInWordsWhatIsWrong) {
  EXPECT_EQ(prefix("10.0.0.1/24"),
            "error: \"10.0.0.1/24\" has host bits set beyond /24; the prefix is 10.0.0.0/24");
  EXPECT_EQ(prefix("2001:db8::1/64"),
            "error: \"2001:db8::1/64\" has host bits set beyond /64; the prefix is "
            "2001:db8::/64");
  EXPECT_EQ(prefix("10.0.0.0/33"),
            "error: prefix length \"33\" of \"10.0.0.0/33\" is not a number 0..32");
  EXPECT_EQ(prefix("::/129"), "error: prefix length \"129\" of \"::/129\" is not a number 0..128");
  EXPECT_EQ(prefix("10.0.0.0/"),
            "error: prefix length \"\" of \"10.0.0.0/\" is not a number 0..32");
  for (const char* text : {"10.0.0.0/8/8", "10.0.0.0/-1", "10.0.0.0/ 8", "/8", "10.0.0/8"}) {
    EXPECT_FALSE(IpPrefix::parse(text).has_value()) << text;
  }
}

TEST(IpPrefix, ContainsByItsBits) {
  const IpPrefix half = IpPrefix::parse("192.0.2.128/25").value();
  const auto bytes = [](std::string_view text) { return IpAddress::parse(text).value().bytes; };
  EXPECT_TRUE(half.contains(4, bytes("192.0.2.128")));
  EXPECT_TRUE(half.contains(4, bytes("192.0.2.255")));
  EXPECT_FALSE(half.contains(4, bytes("192.0.2.127")));
  EXPECT_FALSE(half.contains(6, bytes("192.0.2.128"))) << "other IP version";
  EXPECT_TRUE(IpPrefix::parse("0.0.0.0/0").value().contains(4, bytes("1.2.3.4")));
  EXPECT_FALSE(IpPrefix::parse("0.0.0.0/0").value().contains(6, bytes("::1")));
}

TEST(PortRange, ReadsPortsAndRanges) {
  EXPECT_EQ(ports("80"), "80");
  EXPECT_EQ(ports("0"), "0");
  EXPECT_EQ(ports("65535"), "65535");
  EXPECT_EQ(ports("8000-8099"), "8000-8099");
  EXPECT_EQ(ports("8099-8000"),
            "error: port range \"8099-8000\" is reversed; the lower port comes first");
  for (const char* text : {"", "65536", "-1", "80-", "-", "1-2-3", "http", "0x50", "080", " 80"}) {
    EXPECT_EQ(ports(text), "error: \"" + std::string{text} +
                               "\" is not a port 0..65535 nor a range such as 8000-8099");
  }
}

TEST(ParseProtocol, KnowsNamesAndNumbers) {
  EXPECT_EQ(parse_protocol("tcp").value(), 6);
  EXPECT_EQ(parse_protocol("icmpv6").value(), 58);
  EXPECT_EQ(parse_protocol("255").value(), 255);
  EXPECT_EQ(parse_protocol("TCP").error(),
            "\"TCP\" is not an IP protocol (tcp, udp, sctp, icmp, icmpv6 or a number 0..255)");
  EXPECT_FALSE(parse_protocol("256").has_value());
}

TEST(FlowMatch, EmptyTakesEverything) {
  EXPECT_TRUE(FlowMatch{}.matches(FlowKey{}));
  EXPECT_TRUE(FlowMatch{}.matches(FlowKey{.protocol = 6, .ip_version = 4}));
}

TEST(FlowMatch, PortConditionHoldsOnlyWherePortsArePorts) {
  const FlowMatch web{.destination_port = PortRange{80, 80}};
  EXPECT_TRUE(web.matches({.destination_port = 80, .protocol = 6, .ip_version = 4}));
  EXPECT_TRUE(web.matches({.destination_port = 80, .protocol = 132, .ip_version = 6}));
  EXPECT_FALSE(web.matches({.destination_port = 80, .protocol = 1, .ip_version = 4})) << "echo id";
  EXPECT_FALSE(web.matches({.destination_port = 80})) << "EtherType";
  const FlowMatch any{.source_port = PortRange{}};
  EXPECT_FALSE(any.matches({.protocol = 1, .ip_version = 4}));
}

TEST(FlowMatch, FrameWithoutIpHasNoProtocol) {
  EXPECT_FALSE(FlowMatch{.protocol = std::uint8_t{0}}.matches(FlowKey{}));
  EXPECT_TRUE(FlowMatch{.ip_version = std::uint8_t{0}}.matches(FlowKey{}));
  EXPECT_TRUE(FlowMatch{.protocol = std::uint8_t{0}}.matches(FlowKey{.ip_version = 6}));
}

}  // namespace
}  // namespace sluice

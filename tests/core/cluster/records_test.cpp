#include "core/cluster/records.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <functional>
#include <string>

namespace sluice {
namespace {

const std::string kHost =
    "host 1\nname h1\nepoch 3\naddress 192.168.7.1\nmac 02:00:00:00:01:01\n"
    "cores_total 16\ncores_free 12\nclock_hz 2600000000\n";
const std::string kInstance = "instance 1\nservice ids\nhost 2\nnumber 7\naccepts no\n";

HostRecord host() {
  HostRecord record;
  record.name = "h1";
  record.epoch = 3;
  record.address = *IpAddress::parse("192.168.7.1");
  record.mac = {2, 0, 0, 0, 1, 1};
  record.cores_total = 16;
  record.cores_free = 12;
  record.clock = Frequency{2'600'000'000};
  return record;
}
std::string with(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}
std::string host_error(const std::string& text) {
  const auto record = parse_host_record(text, "/sluice/hosts/h1");
  return record ? "" : record.error().to_string();
}
std::string instance_error(const std::string& text) {
  const auto record = parse_instance_record(text, "/sluice/instances/9");
  return record ? "" : record.error().to_string();
}

TEST(Records, AreTextThatAnOperatorCanRead) {
  EXPECT_EQ(to_text(host()), kHost);
  EXPECT_EQ(parse_host_record(kHost, "x").value(), host());
  const InstanceRecord instance{"ids", HostId{2}, InstanceId{7}, false};
  EXPECT_EQ(to_text(instance), kInstance);
  EXPECT_EQ(parse_instance_record(kInstance, "x").value(), instance);
  const ServiceRecord service{3, Ppm{1'500'000}, Ppm{2'100'000}};
  EXPECT_EQ(to_text(service), "service 1\ninstances 3\nload_ppm 1500000\ncapacity_ppm 2100000\n");
  EXPECT_EQ(parse_service_record(to_text(service), "x").value(), service);
}

TEST(Records, WhatIsWrongIsSaidWithThePathOfTheNode) {
  EXPECT_EQ(host_error(""), "/sluice/hosts/h1: not a record of a host; got \"\"; expected host 1");
  EXPECT_EQ(host_error("host 2\nname h1\n"),
            "/sluice/hosts/h1: written by another version of Sluice; got \"host 2\"; "
            "expected host 1");
  EXPECT_EQ(host_error(with(kHost, "epoch 3\n", "")), "/sluice/hosts/h1: epoch: missing");
  EXPECT_EQ(host_error(kHost + "speed 9\n"), "/sluice/hosts/h1: unknown field; got \"speed\"");
  EXPECT_EQ(host_error(kHost + "epoch 4\n"),
            "/sluice/hosts/h1: twice the same field; got \"epoch\"");
  EXPECT_EQ(host_error(kHost + "nonsense\n"),
            "/sluice/hosts/h1: not a field and its value; got \"nonsense\"; expected FIELD VALUE");
  EXPECT_EQ(host_error(with(kHost, "epoch 3", "epoch 4294967296")),
            "/sluice/hosts/h1: epoch: not a number in range; got \"4294967296\"; "
            "expected 0 to 4294967295");
  EXPECT_EQ(host_error(with(kHost, "cores_free 12", "cores_free 17")),
            "/sluice/hosts/h1: cores_free: out of range; expected at most cores_total");
  EXPECT_EQ(host_error(with(kHost, "192.168.7.1", "192.168.7.256")),
            "/sluice/hosts/h1: address: not an address; got \"192.168.7.256\"; "
            "expected one as 10.0.0.1");
  EXPECT_NE(host_error(with(kHost, "02:00", "03:00")), "");
  EXPECT_EQ(instance_error(with(kInstance, "accepts no", "accepts maybe")),
            "/sluice/instances/9: accepts: not a truth value; got \"maybe\"; expected yes or no");
  EXPECT_NE(instance_error(with(kInstance, "host 2", "host 1023")), "");
  EXPECT_NE(instance_error(with(kInstance, "service ids", "service a b")), "");
}

TEST(Records, GarbageIsShownInOneShortLine) {
  const std::string error = host_error("\x01\xff" + std::string(200, 'x'));
  EXPECT_NE(error.find("??xxx"), std::string::npos);
  EXPECT_LT(error.size(), 140u);
  EXPECT_NE(host_error(std::string(5000, 'x')).find("too large; got 5000 bytes"),
            std::string::npos);
}

RC_GTEST_PROP(RecordsProperty, ComeBackAsTheyWere, ()) {
  HostRecord record = host();
  record.epoch = *rc::gen::arbitrary<std::uint32_t>();
  record.cores_total = *rc::gen::inRange<std::uint32_t>(0, 4097);
  record.cores_free = *rc::gen::inRange<std::uint32_t>(0, record.cores_total + 1);
  record.clock.hz = *rc::gen::inRange<std::uint64_t>(0, 1'000'000'000'001);
  record.address.ip_version = static_cast<std::uint8_t>(*rc::gen::element(4, 6));
  const int bytes = record.address.ip_version == 4 ? 4 : 16;
  record.address.bytes = {};
  for (int i = 0; i < bytes; ++i) {
    record.address.bytes[static_cast<std::size_t>(i)] = *rc::gen::arbitrary<std::uint8_t>();
  }
  const auto again = parse_host_record(to_text(record), "x");
  RC_ASSERT(again.has_value());
  RC_ASSERT(*again == record);
}

}  // namespace
}  // namespace sluice

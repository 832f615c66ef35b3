#include "core/functions/router.hpp"

#include <gtest/gtest.h>

#include <map>

#include "core/packet/checksum.hpp"
#include "core/prng.hpp"
#include "tests/core/functions/harness.hpp"
#include "tests/core/functions/seed.hpp"

namespace sluice::functions_test {
namespace {

using namespace std::chrono_literals;

IpPrefix random_prefix(Prng& prng, std::uint8_t version) {
  IpPrefix prefix;
  prefix.address.ip_version = version;
  const std::uint32_t bits = version == 4 ? 32 : 128;
  prefix.length = static_cast<std::uint8_t>(prng.below(bits + 1));
  // Few distinct bytes, so that prefixes nest and share ends.
  for (std::uint32_t i = 0; i < bits / 8; ++i) {
    constexpr std::uint8_t kBytes[] = {0, 0, 0xff, 0xff, 0x80, 0x7f, 1};
    prefix.address.bytes[i] = kBytes[prng.below(7)];
  }
  for (std::uint32_t bit = prefix.length; bit < bits; ++bit) {
    prefix.address.bytes[bit / 8] =
        static_cast<std::uint8_t>(prefix.address.bytes[bit / 8] & ~(0x80u >> bit % 8));
  }
  return prefix;
}

TEST(PrefixTable, EqualsALinearSearchForTheLongestPrefix) {
  Prng prng(test_seed());
  for (int round = 0; round < 200; ++round) {
    std::vector<PrefixTable::Route> routes;
    const std::uint64_t count = prng.below(60);
    while (routes.size() < count) {
      routes.push_back({random_prefix(prng, prng.below(2) == 0 ? 4 : 6),
                        static_cast<std::uint32_t>(routes.size())});
    }
    const PrefixTable table(routes);
    for (int look_up = 0; look_up < 200; ++look_up) {
      const IpPrefix address = random_prefix(prng, prng.below(2) == 0 ? 4 : 6);
      std::uint32_t expected = PrefixTable::kNoRoute;
      int longest = -1;
      for (const auto& route : routes) {
        if (!route.prefix.contains(address.address.ip_version, address.address.bytes)) continue;
        if (route.prefix.length < longest) continue;
        longest = route.prefix.length;
        expected = route.value;
      }
      ASSERT_EQ(table.find(address.address.ip_version, address.address.bytes), expected)
          << "round " << round << ": " << address.to_string();
    }
  }
}

TEST(PrefixTable, FindsNothingWithoutRoutes) {
  EXPECT_EQ(PrefixTable({}).find(4, {}), PrefixTable::kNoRoute);
  EXPECT_EQ(PrefixTable({}).find(0, {}), PrefixTable::kNoRoute);
}

ConfigValue routes() {
  return map({{"routes", list({map({{"prefix", text("10.0.0.0/8")}, {"out", text("3")}}),
                               map({{"prefix", text("10.1.0.0/16")},
                                    {"next_hop_mac", text("02:00:00:00:00:aa")},
                                    {"source_mac", text("02:00:00:00:00:bb")}}),
                               map({{"prefix", text("2001:db8::/32")}, {"out", text("4")}})})}});
}

TEST(Router, SendsByTheLongestPrefix) {
  Rig rig(**make_program("router", routes()));
  const Seen wide = rig.send(frames::udp({}, {.destination = "10.2.0.1"}), at(1s));
  EXPECT_EQ(wide.verdict(), Verdict::kOut);
  EXPECT_EQ(wide.packet.target, 3);
  const Seen narrow = rig.send(frames::udp({}, {.destination = "10.1.2.3"}), at(1s));
  EXPECT_EQ(narrow.verdict(), Verdict::kNext);
  EXPECT_EQ(destination_mac(narrow.frame), (MacAddress{2, 0, 0, 0, 0, 0xaa}));
  EXPECT_EQ(source_mac(narrow.frame), (MacAddress{2, 0, 0, 0, 0, 0xbb}));
  const Seen v6 =
      rig.send(frames::tcp({}, {.source = "2001:db8::1", .destination = "2001:db8::2"}), at(1s));
  EXPECT_EQ(v6.packet.target, 4);
}

TEST(Router, DropsWithoutRouteAndPassesWhatIsNotIp) {
  Rig rig(**make_program("router", routes()));
  EXPECT_EQ(rig.send(frames::udp({}, {.destination = "11.0.0.1"}), at(1s)).reason(),
            DropReason::kRule);
  EXPECT_EQ(rig.send(frames::hex("00"), at(1s)).reason(), DropReason::kParseError);
  EXPECT_EQ(rig.send(frames::arp(), at(1s)).frame, frames::arp());
  EXPECT_EQ(rig.send(frames::arp(), at(1s)).verdict(), Verdict::kNext);
}

TEST(Router, LowersTheTtlAndDropsAtItsEnd) {
  Rig rig(**make_program("router", routes()));
  const frames::Ip ip{.destination = "10.2.0.1", .ttl = 2};
  const frames::Ip after{.destination = "10.2.0.1", .ttl = 1};
  EXPECT_EQ(rig.send(frames::udp({}, ip), at(1s)).frame, frames::udp({}, after));
  const Seen expired = rig.send(frames::udp({}, after), at(1s));
  EXPECT_EQ(expired.reason(), DropReason::kTtl);
  EXPECT_EQ(expired.frame, frames::udp({}, after));
}

TEST(Router, SaysWhatIsWrongWithARoute) {
  const auto error = [](std::vector<std::pair<std::string, ConfigValue>> route) {
    return error_of("router", map({{"routes", list({map(std::move(route), 2)})}}));
  };
  EXPECT_EQ(error({{"out", text("1")}}), "f.yaml:1:2: services.s.routes[0].prefix: missing");
  EXPECT_EQ(error({{"prefix", text("10.0.0.0/8")}, {"out", text("p1", 5)}}),
            "f.yaml:1:5: services.s.routes[0].out: no port; got \"p1\"; expected next or a port's "
            "number, 0 to 65534");
  EXPECT_EQ(error({{"prefix", text("10.0.0.0/8")}, {"next_hop_mac", text("02:00", 6)}}),
            "f.yaml:1:6: services.s.routes[0].next_hop_mac: no MAC address as 02:00:00:00:00:01; "
            "got \"02:00\"");
  EXPECT_EQ(error_of("router", map({})), "f.yaml:1:1: services.s.routes: missing");
  const ConfigValue route = map({{"prefix", text("10.0.0.0/8")}}, 4);
  EXPECT_EQ(error_of("router", map({{"routes", list({route, route})}})),
            "f.yaml:1:4: services.s.routes[1]: a second route for this prefix; got 10.0.0.0/8; "
            "expected each prefix once");
}

}  // namespace
}  // namespace sluice::functions_test

#include "core/functions/load_balancer.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "tests/core/functions/harness.hpp"

namespace sluice::functions_test {
namespace {

using namespace std::chrono_literals;

ConfigValue two_backends(const std::string& first = "10.0.0.1", const std::string& weight = "1",
                         const std::string& flows = "1000") {
  return map(
      {{"vip", text("10.0.0.100")},
       {"flows", text(flows)},
       {"backends", list({map({{"ip", text(first)}, {"weight", text(weight)}}),
                          map({{"ip", text("10.0.0.2")}, {"mac", text("02:00:00:00:00:22")}})})}});
}
frames::Bytes request(std::uint16_t port, const std::string& to = "10.0.0.100") {
  return frames::tcp({.source_port = port}, {.source = "192.0.2.1", .destination = to});
}
frames::Bytes reply(std::uint16_t port, const std::string& from) {
  return frames::tcp({.source_port = 80, .destination_port = port},
                     {.source = from, .destination = "192.0.2.1"});
}
// The backend that a rewritten request went to, by its whole frame, checksums and all.
std::string backend_of(const Seen& seen, std::uint16_t port) {
  if (seen.frame == request(port, "10.0.0.1")) return "10.0.0.1";
  const auto second =
      frames::tcp({.source_port = port}, {.source = "192.0.2.1", .destination = "10.0.0.2"},
                  {.destination = {2, 0, 0, 0, 0, 0x22}});
  return seen.frame == second ? "10.0.0.2" : "none";
}

TEST(LoadBalancer, RewritesRequestsAndTheirRepliesBack) {
  Rig rig(**make_program("load_balancer", two_backends()));
  std::set<std::string> used;
  for (std::uint16_t port = 1000; port < 1050; ++port) {
    const Seen seen = rig.send(request(port), at(1s));
    EXPECT_EQ(seen.verdict(), Verdict::kNext);
    const std::string backend = backend_of(seen, port);
    ASSERT_NE(backend, "none");
    used.insert(backend);
    const Seen back = rig.send(reply(port, backend), at(1s), PortId{1});
    EXPECT_EQ(back.verdict(), Verdict::kNext);
    EXPECT_EQ(back.frame, reply(port, "10.0.0.100"));
    const std::string other = backend == "10.0.0.1" ? "10.0.0.2" : "10.0.0.1";
    EXPECT_EQ(rig.send(reply(port, other), at(1s)).frame, reply(port, other));
  }
  EXPECT_EQ(used.size(), 2u);
}

TEST(LoadBalancer, LeavesOtherPacketsAlone) {
  Rig rig(**make_program("load_balancer", two_backends()));
  const auto ipv6 = frames::udp({}, {.source = "2001:db8::1", .destination = "2001:db8::2"});
  for (const auto& frame : {request(1, "10.0.0.7"), reply(1, "10.0.0.1"), frames::arp(), ipv6}) {
    const Seen seen = rig.send(frame, at(1s));
    EXPECT_EQ(seen.verdict(), Verdict::kNext);
    EXPECT_EQ(seen.frame, frame);
  }
  EXPECT_EQ(rig.as<LoadBalancer>().flow_count(), 0u);
}

TEST(LoadBalancer, SharesFlowsByWeight) {
  Rig rig(**make_program("load_balancer", two_backends("10.0.0.1", "3", "10000")));
  int first = 0;
  for (std::uint16_t port = 1; port <= 4000; ++port) {
    first += backend_of(rig.send(request(port), at(1s)), port) == "10.0.0.1" ? 1 : 0;
  }
  EXPECT_GT(first, 2800);  // 3000 expected, standard deviation 27.
  EXPECT_LT(first, 3200);
}

TEST(LoadBalancer, AllInstancesChooseAlike) {
  const auto program = make_program("load_balancer", two_backends());
  Rig one(**program, 1);
  Rig two(**program, 2);
  for (std::uint16_t port = 1; port < 100; ++port) {
    EXPECT_EQ(one.send(request(port), at(1s)).frame, two.send(request(port), at(9s)).frame);
  }
}

TEST(LoadBalancer, KeepsTheBackendOfAFlowThatMovedHere) {
  Rig from(**make_program("load_balancer", two_backends("10.0.0.9")));
  std::map<std::uint16_t, frames::Bytes> before;
  for (std::uint16_t port = 1; port < 60; ++port) {
    before[port] = from.send(request(port), at(1s)).frame;
  }
  // Other weights choose otherwise, but what is remembered holds.
  const auto other = make_program("load_balancer", two_backends("10.0.0.9", "50"));
  Rig fresh(**other);
  Rig to(**other);
  to.function().import_state(from.function().export_state({}));
  int changed = 0;
  for (std::uint16_t port = 1; port < 60; ++port) {
    EXPECT_EQ(to.send(request(port), at(999s)).frame, before[port]);
    changed += fresh.send(request(port), at(999s)).frame == before[port] ? 0 : 1;
  }
  EXPECT_GT(changed, 0);
}

TEST(LoadBalancer, DropsNewFlowsBeyondItsTableUntilOldOnesAreIdle) {
  Rig rig(**make_program("load_balancer", two_backends("10.0.0.1", "1", "1")));
  EXPECT_EQ(rig.send(request(1), at(1s)).verdict(), Verdict::kNext);
  EXPECT_EQ(rig.send(request(2), at(1s)).reason(), DropReason::kTableFull);
  EXPECT_EQ(rig.send(request(1), at(2s)).verdict(), Verdict::kNext);
  EXPECT_EQ(rig.send(request(2), at(62s)).reason(), DropReason::kTableFull);
  EXPECT_EQ(rig.send(request(2), at(62s + 1ns)).verdict(), Verdict::kNext);
}

TEST(LoadBalancer, FragmentsGoToTheBackendOfTheirFlow) {
  Rig rig(**make_program("load_balancer", two_backends()));
  for (std::uint16_t port = 1; port < 20; ++port) {
    const frames::Ip ip{.source = "192.0.2.1", .destination = "10.0.0.100", .id = port};
    const auto segment =
        frames::udp_segment({.source_port = port, .payload = frames::Bytes(40)}, ip);
    const auto pieces = frames::fragments(17, segment, 24, ip);
    EXPECT_EQ(rig.send(pieces[1], at(1s)).reason(), DropReason::kFragmentTable);
    const Seen first = rig.send(pieces[0], at(1s));
    const Seen later = rig.send(pieces[1], at(1s));
    ASSERT_EQ(later.verdict(), Verdict::kNext);
    // The destination address: bytes 30 to 33.
    EXPECT_TRUE(
        std::equal(first.frame.begin() + 30, first.frame.begin() + 34, later.frame.begin() + 30));
    EXPECT_NE(later.frame, pieces[1]);
  }
}

TEST(LoadBalancer, SaysWhatIsWrongWithItsBackends) {
  const auto error = [](const ConfigValue& backend) {
    return error_of("load_balancer",
                    map({{"vip", text("10.0.0.100")},
                         {"backends", list({map({{"ip", text("10.0.0.1")}}), backend})}}));
  };
  EXPECT_EQ(error(map({{"weight", text("2")}}, 3)),
            "f.yaml:1:3: services.s.backends[1].ip: missing");
  EXPECT_EQ(error(map({{"ip", text("10.0.0.1")}}, 3)),
            "f.yaml:1:3: services.s.backends[1]: address used twice; got 10.0.0.1; expected each "
            "address once, none the vip's");
  EXPECT_EQ(error(map({{"ip", text("2001:db8::1")}}, 3)),
            "f.yaml:1:3: services.s.backends[1]: of another IP version than the vip; got "
            "2001:db8::1; expected an IPv4 address");
  EXPECT_EQ(error(map({{"ip", text("10.0.0.2")}, {"weight", text("0", 8)}})),
            "f.yaml:1:8: services.s.backends[1].weight: out of range; got \"0\"; expected a whole "
            "number from 1 to 65536");
  EXPECT_EQ(error_of("load_balancer", map({{"vip", text("10.0.0.100")}})),
            "f.yaml:1:1: services.s.backends: missing");
}

}  // namespace
}  // namespace sluice::functions_test

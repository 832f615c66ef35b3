#include "core/cluster/routes.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/cluster/memory_datastore.hpp"
#include "tests/support/loopback_cluster.hpp"

// The whole of it: hosts that know each other by the datastore alone, and packets between them.
namespace sluice {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::LoopbackCluster;

/// A host's way to the datastore: what runs on it goes there, and what others run comes from there.
class Link {
 public:
  Link(MemoryDatastoreServer& server, LoopbackCluster& cluster, std::uint16_t number)
      : cluster_(cluster),
        number_(number),
        datastore_(server, {.credentials = {"sluice", "p"}, .session_timeout = seconds{2}}),
        membership_(datastore_, {.id = HostId{number}, .self = record(cluster, number)},
                    {.standing = [this](Standing) { tell(); },
                     .changed = [this] { tell(); },
                     .complain = [this](const std::string& text) { complaints.push_back(text); }}) {
    settings_.self = HostId{number};
    settings_.underlay = test::kUnderlay;
    settings_.network = 42;
    settings_.secret = {7, 8};
    settings_.service_named = [this](const std::string& name) {
      return cluster_.host(number_).agent().service_named(name);
    };
    EXPECT_TRUE(membership_.start());
  }
  /// Writes what runs here.
  void publish() {
    std::vector<InstanceRecord> instances;
    const Agent& agent = cluster_.host(number_).agent();
    for (const ServiceSettings& settings : agent.services()) {
      for (const InstanceId id : cluster_.host(number_).instances_of(settings.service.id)) {
        instances.push_back(
            {settings.service.name, HostId{}, id, agent.state_of(id) == InstanceState::kRunning});
      }
    }
    membership_.set_instances(std::move(instances));
  }
  void suspect(std::uint16_t host) {
    settings_.suspected.insert(HostId{host});
    tell();
  }
  [[nodiscard]] const Membership& membership() const { return membership_; }
  [[nodiscard]] std::uint64_t session() const { return datastore_.session(); }
  std::vector<std::string> complaints;

 private:
  static HostRecord record(const LoopbackCluster& cluster, std::uint16_t number) {
    const TunnelEndpoint end = cluster.endpoint(number);
    HostRecord record;
    record.name = "h" + std::to_string(number);
    record.address = {end.address, end.ip_version};
    record.mac = end.mac;
    return record;
  }
  void tell() {
    if (const auto view = cluster_view(membership_, settings_)) {
      cluster_.host(number_).handle(*view);
    }
  }

  LoopbackCluster& cluster_;
  std::uint16_t number_;
  RouteSettings settings_;
  MemoryDatastore datastore_;
  Membership membership_;
};

class RoutesTest : public testing::Test {
 protected:
  void start(std::vector<LoopbackCluster::HostPlan> hosts) {
    cluster = std::make_unique<LoopbackCluster>(
        LoopbackCluster::Plan{.hosts = hosts, .services = {test::go_on}, .by_datastore = true});
    for (std::uint16_t i = 0; i < hosts.size(); ++i) {
      links.push_back(std::make_unique<Link>(server, *cluster, i));
    }
    run(milliseconds{100});
    for (const auto& link : links) link->publish();
    run(milliseconds{100});
  }
  void run(Duration time) {
    now_ += time;
    for (auto next = server.next_event(); next && *next <= now_; next = server.next_event()) {
      server.advance(*next);
    }
    server.advance(now_);
  }
  /// Sends a packet of each flow into host 0. @return How many came out again.
  std::size_t send(std::uint16_t first, std::uint16_t count) {
    const std::size_t before = cluster->sent(0).size();
    for (std::uint16_t flow = first; flow < first + count; ++flow) cluster->inject(flow);
    cluster->settle();
    return cluster->sent(0).size() - before;
  }

  MemoryDatastoreServer server{MemoryDatastoreServer::Options{}};
  std::unique_ptr<LoopbackCluster> cluster;
  std::vector<std::unique_ptr<Link>> links;
  Instant now_{};
};

TEST_F(RoutesTest, AServiceIsFoundWhereItRuns) {
  start({{{0}}, {{0}}, {{2}}});
  EXPECT_EQ(send(0, 20), 20u);
  EXPECT_EQ(cluster->deliveries(2).seen.size(), 20u);
  for (const auto& link : links) EXPECT_TRUE(link->complaints.empty());
  cluster->expect_accounts_close();
}

// Rule: packets never wait for the datastore.
TEST_F(RoutesTest, PacketsFlowWhileTheDatastoreIsAway) {
  start({{{0}}, {{1}}});
  server.stop();
  run(seconds{30});
  EXPECT_EQ(links[0]->membership().standing(), Standing::kAway);
  EXPECT_EQ(send(0, 20), 20u);  // New flows, too.
  cluster->expect_accounts_close();
}

TEST_F(RoutesTest, AHostThatTheDatastoreRemovedGetsNoMorePackets) {
  start({{{0}}, {{1}}, {{1}}});
  EXPECT_EQ(send(0, 20), 20u);
  links[1].reset();  // It crashes.
  run(seconds{5});
  EXPECT_EQ(send(0, 40), 40u);
  EXPECT_EQ(cluster->deliveries(2).seen.size(), 40u);
  cluster->expect_accounts_close();
}

TEST_F(RoutesTest, WhoSuspectsAHostAsksNobody) {
  start({{{0}}, {{1}}, {{1}}});
  EXPECT_EQ(send(0, 20), 20u);
  links[0]->suspect(1);
  EXPECT_EQ(send(0, 20), 20u);
  EXPECT_EQ(cluster->deliveries(2).seen.size(), 20u);
  cluster->expect_accounts_close();
}

// Fencing (I-15): what a host says in its old epoch is refused by all that know of its new one.
TEST_F(RoutesTest, TheLatePacketsOfAFencedHostAreRefused) {
  start({{{0}}, {{1}}});
  cluster->lossy = true;
  EXPECT_EQ(send(0, 1), 0u);
  const test::Frame late = cluster->crossed.back();
  cluster->lossy = false;
  server.expire(links[0]->session());
  run(seconds{3});
  ASSERT_EQ(links[0]->membership().standing(), Standing::kMember);
  cluster->host(1).inject(test::kUnderlay, late);
  cluster->settle();
  const auto& counts = cluster->host(1).worker().statistics().tunnel_frames;
  EXPECT_EQ(counts[static_cast<std::size_t>(TunnelError::kOldEpoch)], 1u);
  EXPECT_EQ(send(0, 20), 20u);  // And what it says in its new one is believed.
  cluster->expect_accounts_close();
}

TEST_F(RoutesTest, AnInstanceThatStartsLaterIsFound) {
  start({{{0}}, {{0}}});
  EXPECT_EQ(send(0, 1), 0u);
  EXPECT_EQ(cluster->host(0).drops(DropReason::kNoInstance), 1u);
  ScaleRequest more;
  more.service = ServiceId{0};
  cluster->host(1).handle(more);
  links[1]->publish();
  run(milliseconds{100});
  EXPECT_EQ(send(0, 20), 20u);
  cluster->expect_accounts_close();
}

}  // namespace
}  // namespace sluice

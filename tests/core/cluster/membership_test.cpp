#include "core/cluster/membership.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/cluster/memory_datastore.hpp"

namespace sluice {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

/// A host in one of its lives. Destroyed, it has crashed.
class Life {
 public:
  Life(MemoryDatastoreServer& server, std::uint16_t number, const std::string& password = "p")
      : membership_(datastore_holder(server, password),
                    {.id = HostId{number}, .self = record(number)},
                    {.standing = [this](Standing standing) { standings.push_back(standing); },
                     .changed = [this] { ++change_count; },
                     .complain = [this](const std::string& text) { complaints.push_back(text); }}) {
    EXPECT_TRUE(membership_.start());
  }

  static HostRecord record(std::uint16_t number) {
    HostRecord host;
    host.name = "h" + std::to_string(number);
    host.address = *IpAddress::parse("10.9.0." + std::to_string(number));
    host.mac = {2, 0, 0, 0, 9, static_cast<std::uint8_t>(number)};
    host.cores_total = 8;
    host.cores_free = 4;
    host.clock = Frequency{2'000'000'000};
    return host;
  }
  Membership* operator->() { return &membership_; }
  [[nodiscard]] MemoryDatastoreServer::ClientId client() const { return datastore_->id(); }
  [[nodiscard]] std::uint64_t session() const { return datastore_->session(); }
  [[nodiscard]] std::vector<std::uint16_t> members() const {
    std::vector<std::uint16_t> numbers;
    for (const auto& [host, record] : membership_.hosts()) numbers.push_back(index_of(host));
    return numbers;
  }

  std::vector<Standing> standings;
  int change_count = 0;
  std::vector<std::string> complaints;

 private:
  MemoryDatastore& datastore_holder(MemoryDatastoreServer& server, const std::string& password) {
    datastore_ = std::make_unique<MemoryDatastore>(
        server, MemoryDatastore::Options{.credentials = {"sluice", password},
                                         .session_timeout = seconds{2}});
    return *datastore_;
  }
  std::unique_ptr<MemoryDatastore> datastore_;
  Membership membership_;
};

class MembershipTest : public testing::Test {
 protected:
  void run(Duration time) {
    now_ += time;
    for (auto next = server.next_event(); next && *next <= now_; next = server.next_event()) {
      server.advance(*next);
    }
    server.advance(now_);
  }
  [[nodiscard]] std::string data(const std::string& path) const {
    const auto found = server.tree().nodes().find(path);
    return found == server.tree().nodes().end() ? "none" : found->second.data;
  }
  MemoryDatastoreServer server{MemoryDatastoreServer::Options{}};
  Instant now_{};
};

InstanceRecord instance(const std::string& service, std::uint16_t number, bool accepts = true) {
  return {service, HostId{}, InstanceId{number}, accepts};
}

TEST_F(MembershipTest, HostsSeeEachOther) {
  Life first{server, 1};
  run(milliseconds{100});
  EXPECT_EQ(first->standing(), Standing::kMember);
  EXPECT_THAT(first.members(), ElementsAre(1));
  Life second{server, 2};
  run(milliseconds{100});
  EXPECT_THAT(first.members(), ElementsAre(1, 2));
  EXPECT_THAT(second.members(), ElementsAre(1, 2));
  HostRecord expected = Life::record(2);
  expected.epoch = second->epoch();
  EXPECT_EQ(first->hosts().at(HostId{2}), expected);
  EXPECT_TRUE(first.complaints.empty());
}

TEST_F(MembershipTest, InstancesComeChangeAndGo) {
  Life first{server, 1}, second{server, 2};
  first->set_instances({instance("ids", 0)});  // Before it is a member.
  run(milliseconds{100});
  ASSERT_EQ(second->instances().size(), 1u);
  EXPECT_EQ(second->instances().at("1-0"), (InstanceRecord{"ids", HostId{1}, InstanceId{0}, true}));
  first->set_instances({instance("ids", 0, false), instance("firewall", 3)});
  run(milliseconds{100});
  EXPECT_EQ(second->instances().size(), 2u);
  EXPECT_FALSE(second->instances().at("1-0").accepts);
  first->set_instances({});
  first->set_cores_free(7);
  run(milliseconds{100});
  EXPECT_TRUE(second->instances().empty());
  EXPECT_EQ(second->hosts().at(HostId{1}).cores_free, 7u);
}

TEST_F(MembershipTest, ACrashedHostGoesWithItsSessionAndComesBackInAHigherEpoch) {
  auto first = std::make_unique<Life>(server, 1);
  Life second{server, 2};
  (*first)->set_instances({instance("ids", 0)});
  run(milliseconds{100});
  const std::uint32_t epoch = (*first)->epoch();
  first.reset();
  run(milliseconds{100});
  EXPECT_THAT(second.members(), ElementsAre(1, 2));
  run(seconds{4});
  EXPECT_THAT(second.members(), ElementsAre(2));
  EXPECT_TRUE(second->instances().empty());
  Life again{server, 1};
  run(milliseconds{100});
  EXPECT_GT(again->epoch(), epoch);
  EXPECT_EQ(second->hosts().at(HostId{1}).epoch, again->epoch());
}

TEST_F(MembershipTest, OneThatIsFastToComeBackWaitsForItsOldLifeToEnd) {
  auto first = std::make_unique<Life>(server, 1);
  run(milliseconds{100});
  const std::uint32_t epoch = (*first)->epoch();
  first.reset();
  Life again{server, 1};
  run(milliseconds{200});
  EXPECT_EQ(again->standing(), Standing::kTwin);
  ASSERT_EQ(again.complaints.size(), 1u);
  EXPECT_THAT(again.complaints[0], HasSubstr("/sluice/hosts/1: a host of this number is a member "
                                             "already; got h1; expected"));
  run(seconds{4});
  EXPECT_EQ(again->standing(), Standing::kMember);
  EXPECT_GT(again->epoch(), epoch + 1);
  EXPECT_EQ(again->hosts().at(HostId{1}).epoch, again->epoch());
}

TEST_F(MembershipTest, AwayItKeepsItsPictureAndSaysLaterWhatChanged) {
  Life first{server, 1}, second{server, 2};
  first->set_instances({instance("ids", 0)});
  run(milliseconds{100});
  server.stop();
  run(seconds{5});
  EXPECT_EQ(first->standing(), Standing::kAway);
  EXPECT_THAT(first.members(), ElementsAre(1, 2));
  first->set_instances({instance("ids", 5)});
  server.start();
  run(seconds{1});
  EXPECT_EQ(first->standing(), Standing::kMember);
  ASSERT_EQ(second->instances().size(), 1u);
  EXPECT_TRUE(second->instances().contains("1-5"));
}

TEST_F(MembershipTest, AnExpiredHostIsFencedUntilItHasJoinedAnew) {
  Life first{server, 1}, second{server, 2};
  first->set_instances({instance("ids", 0)});
  run(milliseconds{100});
  const std::uint32_t epoch = first->epoch();
  server.expire(first.session());
  run(seconds{1});
  EXPECT_THAT(first.standings, ElementsAre(Standing::kMember, Standing::kAway, Standing::kFenced,
                                           Standing::kMember));
  EXPECT_EQ(first->epoch(), epoch + 1);
  EXPECT_EQ(second->hosts().at(HostId{1}).epoch, epoch + 1);
  EXPECT_TRUE(second->instances().contains("1-0"));
}

TEST_F(MembershipTest, WrongCredentialsAreSaid) {
  server.refuse_user("sluice");
  Life first{server, 1};
  run(seconds{1});
  EXPECT_THAT(first.complaints, ElementsAre("datastore: wrong credentials"));
}

TEST_F(MembershipTest, OthersNodesAreSaid) {
  Life first{server, 1};
  run(milliseconds{100});
  Life stranger{server, 2, "another"};
  run(milliseconds{100});
  EXPECT_NE(stranger->standing(), Standing::kMember);
  EXPECT_THAT(stranger.complaints, testing::Contains("/sluice/hosts: not authorised"));
  EXPECT_THAT(first.members(), ElementsAre(1));
}

TEST_F(MembershipTest, AValueThatCannotBeReadIsToldOfAndTheLastGoodOneStays) {
  Life first{server, 1}, second{server, 2};
  run(milliseconds{100});
  MemoryDatastore operators{server, {.credentials = {"sluice", "p"}}};
  ASSERT_TRUE(operators.open([](SessionState) {}));
  run(milliseconds{100});
  operators.set({"/sluice/hosts/2", "host 2\nname h2\n"}, [](const auto&) {});
  operators.create({"/sluice/hosts/nobody", "x"}, [](const auto&) {});
  operators.create({"/sluice/instances/7-7", "\x01\x02"}, [](const auto&) {});
  run(milliseconds{100});
  EXPECT_THAT(first.members(), ElementsAre(1, 2));
  EXPECT_TRUE(first->instances().empty());
  EXPECT_THAT(first.complaints,
              testing::Contains("/sluice/hosts/2: written by another version of Sluice; "
                                "got \"host 2\"; expected host 1"));
  EXPECT_THAT(first.complaints, testing::Contains(HasSubstr("/sluice/instances/7-7: ")));
  // Once, however often the picture changes.
  const std::size_t complaint_count = first.complaints.size();
  first->set_instances({instance("ids", 0)});
  second->set_cores_free(1);
  run(milliseconds{100});
  EXPECT_EQ(first.complaints.size(), complaint_count);
}

// Liveness (I-21): when the faults are over, everybody has the same picture, and it is right.
RC_GTEST_FIXTURE_PROP(MembershipTest, EndsWithOnePictureForAll, ()) {
  std::vector<std::unique_ptr<Life>> lives(3);
  std::vector<std::vector<InstanceRecord>> running(3);
  std::vector<std::uint32_t> epochs(3);
  const auto start = [&](std::uint16_t number) {
    lives[number] = std::make_unique<Life>(server, number);
    (*lives[number])->set_instances(running[number]);
  };
  for (std::uint16_t number = 0; number < 3; ++number) start(number);
  const int step_count = *rc::gen::inRange(1, 40);
  for (int i = 0; i < step_count; ++i) {
    const auto number = *rc::gen::inRange<std::uint16_t>(0, 3);
    Life& life = *lives[number];
    switch (*rc::gen::inRange(0, 8)) {
      case 0:
        start(number);  // The old one crashes.
        break;
      case 1:
        if (life.session() != 0) server.expire(life.session());
        break;
      case 2:
        server.lose_next_reply(life.client());
        break;
      case 3:
        server.lose_next_request(life.client());
        break;
      case 4: {
        const bool held = *rc::gen::arbitrary<bool>();
        server.set_link(life.client(), {.requests_held = held, .replies_held = held});
        break;
      }
      default: {
        running[number].clear();
        for (std::uint16_t j = 0; j < 3; ++j) {
          if (*rc::gen::arbitrary<bool>()) {
            running[number].push_back(instance("s", j, *rc::gen::arbitrary<bool>()));
          }
        }
        life->set_instances(running[number]);
      }
    }
    run(milliseconds{*rc::gen::inRange(0, 1500)});
    for (std::uint16_t j = 0; j < 3; ++j) {
      RC_ASSERT((*lives[j])->epoch() >= epochs[j] || (*lives[j])->epoch() == 0);
      epochs[j] = std::max(epochs[j], (*lives[j])->epoch());
    }
  }
  for (const auto& life : lives) server.set_link(life->client(), {});
  run(seconds{20});
  std::map<std::string, InstanceRecord> expected;
  for (std::uint16_t number = 0; number < 3; ++number) {
    for (InstanceRecord each : running[number]) {
      each.host = HostId{number};
      expected[std::to_string(number) + "-" + std::to_string(index_of(each.number))] = each;
    }
  }
  for (const auto& life : lives) {
    RC_ASSERT((*life)->standing() == Standing::kMember);
    RC_ASSERT(life->members() == std::vector<std::uint16_t>({0, 1, 2}));
    RC_ASSERT((*life)->instances() == expected);
    for (std::uint16_t number = 0; number < 3; ++number) {
      RC_ASSERT((*life)->hosts().at(HostId{number}).epoch == (*lives[number])->epoch());
    }
  }
}

}  // namespace
}  // namespace sluice

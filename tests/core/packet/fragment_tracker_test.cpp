#include "core/packet/fragment_tracker.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <deque>
#include <optional>

#include "core/packet/headers.hpp"
#include "core/prng.hpp"
#include "tests/support/frames.hpp"

namespace sluice {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

FlowKey key_of(const frames::Bytes& frame, std::uint32_t& fragment_id) {
  const auto headers = parse(frame);
  EXPECT_TRUE(headers.has_value());
  fragment_id = headers->fragment_id;
  return flow_key(frame, *headers, PortId{0});
}

/// The keys of all fragments of one datagram, in order, as a worker makes them.
std::vector<FlowKey> keys_of(const std::vector<frames::Bytes>& pieces, FragmentTracker& tracker) {
  std::vector<FlowKey> keys;
  std::uint32_t id = 0;
  for (const auto& piece : pieces) {
    FlowKey key = key_of(piece, id);
    if (keys.empty()) {
      tracker.remember(key, id, Instant{});
    } else {
      EXPECT_TRUE(tracker.find(key, id, Instant{} + milliseconds{1}));
    }
    keys.push_back(key);
  }
  return keys;
}

TEST(FragmentTracker, LaterFragmentsGetTheKeyOfTheirFirst) {
  for (frames::Ip ip : {frames::Ip{}, frames::Ip{.source = "fe80::1", .destination = "fe80::2"}}) {
    FragmentTracker tracker{{}};
    ip.id = 99;
    const auto segment = frames::udp_segment({.payload = frames::Bytes(64)}, ip);
    const auto keys = keys_of(frames::fragments(17, segment, 24, ip), tracker);
    ASSERT_EQ(keys.size(), 3u);
    EXPECT_EQ(keys[0].source_port, 40000);
    EXPECT_EQ(keys[1], keys[0]);
    EXPECT_EQ(keys[2], keys[0]);
  }
}

TEST(FragmentTracker, AnIpv6FragmentWhoseHeaderChainGoesOnIsFoundAllTheSame) {
  // The fragmentable part starts with destination options: later fragments name those as protocol.
  FragmentTracker tracker{{}};
  frames::Ip ip{.source = "fe80::1", .destination = "fe80::2"};
  ip.id = 5;
  frames::Bytes part = frames::hex("1100010400000000");
  frames::append(part, frames::udp_segment({.payload = frames::Bytes(32)}, ip));
  const auto keys = keys_of(frames::fragments(60, part, 24, ip), tracker);
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_EQ(keys[0].protocol, 17);
  EXPECT_EQ(keys[1], keys[0]);
}

TEST(FragmentTracker, DatagramsThatDifferInOneFieldAreNotMixed) {
  FragmentTracker tracker{{}};
  FlowKey first;
  first.ip_version = 4;
  first.protocol = 17;
  first.source_port = 1;
  first.destination_port = 2;
  tracker.remember(first, 7, Instant{});
  const auto found = [&](FlowKey key, std::uint32_t id = 7) {
    key.source_port = key.destination_port = 0;
    return tracker.find(key, id, Instant{});
  };
  EXPECT_TRUE(found(first));
  EXPECT_FALSE(found(first, 8));
  for (const auto change :
       {+[](FlowKey& key) { key.source[0] = 1; }, +[](FlowKey& key) { key.destination[3] = 1; },
        +[](FlowKey& key) { key.protocol = 6; }, +[](FlowKey& key) { key.vlan_outer = 1; },
        +[](FlowKey& key) { key.vlan_inner = 1; }, +[](FlowKey& key) { key.ingress = 1; }}) {
    FlowKey other = first;
    change(other);
    EXPECT_FALSE(found(other));
  }
}

TEST(FragmentTracker, ForgetsAfterItsLifetimeAndLeavesTheKeyAlone) {
  FragmentTracker tracker{{.lifetime = seconds{2}}};
  FlowKey key;
  key.source_port = 1;
  tracker.remember(key, 7, Instant{});
  FlowKey later;
  EXPECT_TRUE(tracker.find(later, 7, Instant{} + seconds{2} - Duration{1}));
  later = {};
  EXPECT_FALSE(tracker.find(later, 7, Instant{} + seconds{2}));
  EXPECT_EQ(later, FlowKey{});
}

TEST(FragmentTracker, AFloodForgetsTheOldestAndCountsIt) {
  FragmentTracker tracker{{.datagram_count_max = 3}};
  FlowKey key;
  for (std::uint32_t id = 0; id < 5; ++id) tracker.remember(key, id, Instant{});
  EXPECT_EQ(tracker.evicted_count(), 2u);
  for (std::uint32_t id = 0; id < 5; ++id) EXPECT_EQ(tracker.find(key, id, Instant{}), id >= 2);
}

TEST(FragmentTrackerDeathTest, TimeNeverGoesBack) {
  FragmentTracker tracker{{}};
  tracker.remember({}, 1, Instant{} + seconds{1});
  EXPECT_DEATH(tracker.remember({}, 1, Instant{}), "check failed");
}

/// The last `capacity` datagrams in order of arrival; a replaced one leaves an empty place.
class Oracle {
 public:
  Oracle(std::size_t capacity, Duration lifetime) : capacity_(capacity), lifetime_(lifetime) {}

  void remember(const FlowKey& name, std::uint16_t port, Instant now) {
    for (auto& entry : entries_) {
      if (entry.alive && entry.name == name) entry.alive = false;
    }
    if (entries_.size() == capacity_) entries_.pop_front();
    entries_.push_back({name, port, now + lifetime_, true});
  }
  [[nodiscard]] std::optional<std::uint16_t> find(const FlowKey& name, Instant now) const {
    for (const auto& entry : entries_) {
      if (entry.alive && entry.name == name && entry.expires > now) return entry.port;
    }
    return {};
  }

 private:
  struct Entry {
    FlowKey name;
    std::uint16_t port;
    Instant expires;
    bool alive;
  };
  std::deque<Entry> entries_;
  std::size_t capacity_;
  Duration lifetime_;
};

RC_GTEST_PROP(FragmentTracker, AgreesWithAPlainListOfTheLastDatagrams, (std::uint64_t seed)) {
  Prng prng{seed};
  const auto capacity = static_cast<std::uint32_t>(1 + prng.below(12));
  const Duration lifetime{static_cast<std::int64_t>(1 + prng.below(50))};
  FragmentTracker tracker{{.datagram_count_max = capacity, .lifetime = lifetime}};
  Oracle oracle{capacity, lifetime};
  Instant now{};
  for (int step = 0; step < 300; ++step) {
    now += Duration{static_cast<std::int64_t>(prng.below(4))};
    FlowKey key;
    key.ip_version = 4;
    key.source[0] = static_cast<std::uint8_t>(prng.below(4));
    FlowKey name = key;
    name.reserved = static_cast<std::uint32_t>(prng.below(5));
    if (prng.below(2) == 0) {
      key.source_port = static_cast<std::uint16_t>(prng.next());
      tracker.remember(key, name.reserved, now);
      oracle.remember(name, key.source_port, now);
      continue;
    }
    const auto expected = oracle.find(name, now);
    RC_ASSERT(tracker.find(key, name.reserved, now) == expected.has_value());
    RC_ASSERT(key.source_port == expected.value_or(0));
  }
}

}  // namespace
}  // namespace sluice

#include "core/flow/flow_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace sluice {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Instant kStart = instant_from_ns(1'000'000'000'000);

FlowKey key_number(std::uint32_t number) {
  FlowKey key;
  key.source = {10, 0, static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)};
  key.destination = {192, 0, 2, 1};
  key.source_port = static_cast<std::uint16_t>(number >> 16);
  key.destination_port = 80;
  key.protocol = 6;
  key.ip_version = 4;
  return key;
}

FlowTable::Query prepared(const FlowTable& table, const FlowKey& key) {
  FlowTable::Query query;
  query.key = pack(key);
  table.prepare(query);
  return query;
}

std::uint32_t lookup_one(FlowTable& table, const FlowKey& key, Instant now) {
  std::uint32_t slot = 0;
  table.lookup({&key, 1}, {&slot, 1}, now);
  return slot;
}

std::vector<std::uint32_t> expire_all(FlowTable& table, Instant now) {
  std::vector<std::uint32_t> out(table.capacity());
  out.resize(table.expire(now, ~0u, out));
  return out;
}

TEST(FlowTable, FreshFlowHasUnsetPinsAndAFreshEntry) {
  FlowTable table{{.flow_count_max = 4, .rest_time = Duration{0}, .pin_count_max = 3}};
  const std::uint32_t first = table.insert(key_number(1), kStart);
  ASSERT_TRUE(table.live(first));
  table.pins(first)[2] = {1, 2};
  table.entry(first) = {.sticky_tag = 7, .chain = 3, .flags = 1, .peer = 0};
  table.erase(first, kStart);
  EXPECT_FALSE(table.live(first));
  const std::uint32_t second = table.insert(key_number(2), kStart + seconds{1});
  EXPECT_EQ(second, first) << "a rested slot comes before an unused one";
  EXPECT_EQ(table.key(second), key_number(2));
  EXPECT_EQ(table.pins(second).size(), 3u);
  for (const Pin pin : table.pins(second)) EXPECT_FALSE(pin.is_set());
  EXPECT_EQ(table.entry(second).sticky_tag, 0u);
  EXPECT_EQ(table.entry(second).peer, kNoSlot);
  EXPECT_EQ(table.entry(second).chain, 0xffff);
  EXPECT_EQ(table.entry(second).flags, 0);
  EXPECT_EQ(table.entry(second).last_seen_ns, to_ns(kStart + seconds{1}));
}

TEST(FlowTable, FullTableRefusesNewFlowsAndKeepsTheOld) {
  FlowTable table{{.flow_count_max = 100}};
  for (std::uint32_t i = 0; i < 100; ++i) ASSERT_NE(table.insert(key_number(i), kStart), kNoSlot);
  EXPECT_EQ(table.insert(key_number(100), kStart), kNoSlot);
  EXPECT_EQ(lookup_one(table, key_number(100), kStart), kNoSlot);
  EXPECT_EQ(table.size(), 100u);
  for (std::uint32_t i = 0; i < 100; ++i)
    EXPECT_NE(lookup_one(table, key_number(i), kStart), kNoSlot);
}

TEST(FlowTable, FreedSlotRests) {
  FlowTable table{{.flow_count_max = 1, .rest_time = seconds{1}}};
  table.erase(table.insert(key_number(1), kStart), kStart);
  EXPECT_EQ(table.insert(key_number(2), kStart + seconds{1} - Duration{1}), kNoSlot);
  EXPECT_EQ(table.insert(key_number(2), kStart + seconds{1}), 0u);
}

TEST(FlowTable, LookupFindsWholeBatchesAndMarksThemSeen) {
  FlowTable table{{.flow_count_max = 1000}};
  std::vector<FlowKey> keys;
  for (std::uint32_t i = 0; i < 100; ++i) {
    keys.push_back(key_number(i));
    if (i % 3 == 0) continue;
    ASSERT_NE(table.insert(keys.back(), kStart), kNoSlot);
  }
  std::vector<std::uint32_t> slots(keys.size(), 5);
  table.lookup(keys, slots, kStart + seconds{1});
  std::vector<PackedKey> packed(keys.size());
  std::transform(keys.begin(), keys.end(), packed.begin(), pack);
  std::vector<std::uint32_t> slots_by_packed(keys.size(), 6);
  table.lookup(std::span<const PackedKey>{packed}, slots_by_packed, kStart + seconds{1});
  EXPECT_EQ(slots, slots_by_packed);
  for (std::uint32_t i = 0; i < 100; ++i) {
    ASSERT_EQ(slots[i] == kNoSlot, i % 3 == 0) << i;
    if (slots[i] == kNoSlot) continue;
    EXPECT_EQ(table.key(slots[i]), keys[i]);
    EXPECT_EQ(table.entry(slots[i]).last_seen_ns, to_ns(kStart + seconds{1}));
  }
}

TEST(FlowTable, DirectionsIngressAndVlanMakeDifferentFlows) {
  FlowTable table{{.flow_count_max = 10}};
  FlowKey key = key_number(1);
  key.ingress = 0;
  ASSERT_NE(table.insert(key, kStart), kNoSlot);
  FlowKey other = key.reversed(PortId{0});
  EXPECT_EQ(lookup_one(table, other, kStart), kNoSlot);
  other = key;
  other.ingress = 1;
  EXPECT_EQ(lookup_one(table, other, kStart), kNoSlot);
  other = key;
  other.vlan_inner = 9;
  EXPECT_EQ(lookup_one(table, other, kStart), kNoSlot);
  EXPECT_NE(lookup_one(table, key, kStart), kNoSlot);
}

// Two keys that agree in the first part of PackedKey, and in all that the index keeps of them.
TEST(FlowTable, TellsKeysApartThatDifferInTheirRestAlone) {
  FlowTable table{{.flow_count_max = 6}};  // One bucket.
  FlowKey key = key_number(1);
  key.vlan_outer = 1;
  const std::uint32_t slot = table.insert(key, kStart);
  FlowKey other = key;
  const auto same_home = [&] {
    return prepared(table, other).signature == prepared(table, key).signature;
  };
  do ++other.vlan_outer;
  while (!same_home() && other.vlan_outer < 4096);
  ASSERT_TRUE(same_home());
  EXPECT_EQ(lookup_one(table, other, kStart), kNoSlot);
  const std::uint32_t other_slot = table.insert(other, kStart);
  EXPECT_NE(other_slot, slot);
  EXPECT_EQ(lookup_one(table, other, kStart), other_slot);
  EXPECT_EQ(lookup_one(table, key, kStart), slot);
}

// 64 keys whose home is the same one of the index's 11 buckets, which holds 12: they fill six.
TEST(FlowTable, FindsKeysThatAllWantTheSameBucket) {
  FlowTable table{{.flow_count_max = 64, .rest_time = Duration{0}}};
  std::vector<FlowKey> keys;
  for (std::uint32_t i = 0; keys.size() < 80; ++i) {
    if (prepared(table, key_number(i)).bucket == 9) keys.push_back(key_number(i));
  }
  std::vector<std::uint32_t> slots(80, kNoSlot);
  for (std::size_t i = 0; i < 64; ++i) slots[i] = table.insert(keys[i], kStart);
  std::vector<std::uint32_t> found(80);
  table.lookup(keys, found, kStart);
  EXPECT_EQ(found, slots);
  // Holes in early buckets must not hide what lies in later ones.
  for (std::size_t i = 0; i < 64; i += 2) {
    table.erase(slots[i], kStart);
    slots[i] = kNoSlot;
  }
  table.lookup(keys, found, kStart);
  EXPECT_EQ(found, slots);
  for (std::size_t i = 0; i < 64; i += 2) slots[i] = table.insert(keys[i], kStart);
  table.lookup(keys, found, kStart);
  EXPECT_EQ(found, slots);
  EXPECT_EQ(std::count(found.begin(), found.end(), kNoSlot), 16);
}

TEST(FlowTable, IdleFlowEndsAfterItsTimeout) {
  FlowTable table{{.flow_count_max = 10, .idle_timeout = seconds{5}}};
  const std::uint32_t slot = table.insert(key_number(1), kStart);
  (void)lookup_one(table, key_number(1), kStart + seconds{3});
  EXPECT_TRUE(expire_all(table, kStart + seconds{8} - Duration{1}).empty());
  EXPECT_EQ(expire_all(table, kStart + seconds{8} + table.granularity()),
            std::vector<std::uint32_t>{slot});
}

TEST(FlowTable, ClosedFlowEndsWhateverItStillSees) {
  FlowTable table{{.flow_count_max = 10, .idle_timeout = seconds{5}, .closing_time = seconds{1}}};
  const std::uint32_t slot = table.insert(key_number(1), kStart);
  table.close(slot, kStart);
  (void)lookup_one(table, key_number(1), kStart + milliseconds{900});
  table.close(slot, kStart + milliseconds{950});  // A second close does not prolong it.
  EXPECT_TRUE(expire_all(table, kStart + milliseconds{999}).empty());
  EXPECT_EQ(expire_all(table, kStart + seconds{1} + table.granularity()),
            std::vector<std::uint32_t>{slot});
}

TEST(FlowTable, FlowThatTheCallerLeavesIsReportedAgainOrLivesOn) {
  FlowTable table{{.flow_count_max = 10, .idle_timeout = seconds{5}}};
  const std::uint32_t slot = table.insert(key_number(1), kStart);
  const std::vector<std::uint32_t> expected{slot};
  EXPECT_EQ(expire_all(table, kStart + seconds{100}), expected);
  EXPECT_EQ(expire_all(table, kStart + seconds{100}), expected);
  table.entry(slot).last_seen_ns = to_ns(kStart + seconds{99});
  EXPECT_TRUE(expire_all(table, kStart + seconds{101}).empty());
  EXPECT_EQ(expire_all(table, kStart + seconds{105}), expected);
  table.erase(slot, kStart + seconds{105});
  EXPECT_TRUE(expire_all(table, kStart + seconds{200}).empty());
}

TEST(FlowTable, ExpireStopsAtItsBudget) {
  FlowTable table{{.flow_count_max = 1000, .idle_timeout = seconds{5}}};
  for (std::uint32_t i = 0; i < 300; ++i) (void)table.insert(key_number(i), kStart);
  for (std::uint32_t i = 0; i < 200; ++i) {
    (void)lookup_one(table, key_number(i), kStart + seconds{4});
  }
  const Instant later = kStart + seconds{6};
  std::array<std::uint32_t, 64> out;
  // The first 200 were seen since: to put them back is work that counts.
  EXPECT_EQ(table.expire(later, 150, out), 0u);
  EXPECT_EQ(table.expire(later, 60, out), 10u);
  EXPECT_EQ(table.expire(later, 0, out), 0u);
  EXPECT_EQ(table.expire(later, 10, {}), 0u);
  for (std::uint32_t i = 0; i < 10; ++i) table.erase(out[i], later);
  EXPECT_EQ(table.expire(later, 1000, out), 64u);
}

TEST(FlowTable, FlowSeenSinceEndsAfterThoseDueBeforeIt) {
  FlowTable table{{.flow_count_max = 10, .idle_timeout = seconds{5}}};
  const std::uint32_t first = table.insert(key_number(1), kStart);
  const std::uint32_t second = table.insert(key_number(2), kStart + milliseconds{100});
  (void)lookup_one(table, key_number(1), kStart + milliseconds{200});
  EXPECT_EQ(expire_all(table, kStart + seconds{9}), (std::vector<std::uint32_t>{second, first}));
}

TEST(FlowTable, ExpireReportsAFlowOnceAfterALongSilence) {
  FlowTable table{{.flow_count_max = 1000, .idle_timeout = seconds{5}}};
  for (std::uint32_t i = 0; i < 500; ++i) {
    (void)table.insert(key_number(i), kStart + milliseconds{i});
  }
  std::vector<std::uint32_t> out = expire_all(table, kStart + std::chrono::hours{10'000});
  ASSERT_EQ(out.size(), 500u);
  std::sort(out.begin(), out.end());
  EXPECT_EQ(std::unique(out.begin(), out.end()), out.end());
}

TEST(FlowTable, WorksInStorageOfTheCaller) {
  const FlowTable::Options options{.flow_count_max = 500};
  struct alignas(FlowTable::kAlignment) Line {
    std::array<std::byte, FlowTable::kAlignment> bytes;
  };
  const std::size_t size = FlowTable::storage_bytes(options);
  std::vector<Line> lines(size / sizeof(Line) + 1);
  for (Line& line : lines) line.bytes.fill(std::byte{0xa5});
  FlowTable table{options, std::as_writable_bytes(std::span{lines}).first(size)};
  for (std::uint32_t i = 0; i < 500; ++i) {
    const std::uint32_t slot = table.insert(key_number(i), kStart);
    ASSERT_NE(slot, kNoSlot);
    std::ranges::fill(table.pins(slot), Pin{1, 1});
  }
  for (std::uint32_t i = 0; i < 500; ++i)
    EXPECT_NE(lookup_one(table, key_number(i), kStart), kNoSlot);
  EXPECT_TRUE(std::ranges::all_of(lines.back().bytes,
                                  [](std::byte byte) { return byte == std::byte{0xa5}; }));
}

TEST(FlowTable, HundredThousandFlowsWithEightPinsTakeLessThan16Megabytes) {
  const FlowTable table{{.flow_count_max = 100'000, .pin_count_max = 8}};
  EXPECT_LT(table.memory_bytes(), 16'000'000u);
  EXPECT_GT(table.memory_bytes(), 100'000u * (sizeof(FlowKey) + 8 * sizeof(Pin)));
}

TEST(FlowTable, NoNumberOutsideIsLive) {
  FlowTable table{{.flow_count_max = 2}};
  (void)table.insert(key_number(1), kStart);
  EXPECT_TRUE(table.live(0));
  EXPECT_FALSE(table.live(1));
  EXPECT_FALSE(table.live(2));
  EXPECT_FALSE(table.live(kNoSlot));
}

TEST(FlowTableDeathTest, RefusesMistakes) {
  FlowTable table{{.flow_count_max = 2}};
  (void)table.insert(key_number(1), kStart);
  EXPECT_DEATH((void)table.insert(key_number(2), kStart - Duration{1}), "now_ns >= now_ns_");
  EXPECT_DEATH((void)table.insert(key_number(1), kStart), "find");
  EXPECT_DEATH(table.erase(1, kStart), "live");
  EXPECT_DEATH(FlowTable({.flow_count_max = 0}), "flow_count_max");
  EXPECT_DEATH(FlowTable({.flow_count_max = FlowTable::kFlowCountMax + 1}), "flow_count_max");
  EXPECT_DEATH(FlowTable({.idle_timeout = Duration{0}}), "duration");
}

}  // namespace
}  // namespace sluice

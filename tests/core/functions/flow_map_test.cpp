#include "core/functions/flow_map.hpp"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "core/prng.hpp"
#include "tests/core/functions/seed.hpp"

namespace sluice {
namespace {

using Map = FlowMap<std::uint32_t>;

FlowKey key_of(std::uint64_t number) {
  FlowKey key;
  key.source_port = static_cast<std::uint16_t>(number);
  key.ip_version = 4;
  return key;
}

TEST(FlowMap, InsertFailsWhenFullAndWorksAfterErase) {
  Map map(2);
  ASSERT_NE(map.insert(key_of(1), 0, Instant{}), nullptr);
  ASSERT_NE(map.insert(key_of(2), 0, Instant{}), nullptr);
  EXPECT_EQ(map.insert(key_of(3), 0, Instant{}), nullptr);
  map.erase(*map.find(key_of(1)));
  EXPECT_NE(map.insert(key_of(3), 0, Instant{}), nullptr);
  EXPECT_EQ(map.find(key_of(1)), nullptr);
  EXPECT_EQ(map.size(), 2u);
}

TEST(FlowMap, WithoutRoomFindsAndInsertsNothing) {
  Map map(0);
  EXPECT_EQ(map.find(key_of(1)), nullptr);
  EXPECT_EQ(map.insert(key_of(1), 0, Instant{}), nullptr);
}

// The oracle: a std::map, and per list the keys in the order in which they were last seen.
struct Oracle {
  struct Value {
    std::uint32_t value, list;
  };
  std::map<std::uint64_t, Value> values;
  std::vector<std::vector<std::uint64_t>> lists = std::vector<std::vector<std::uint64_t>>(4);

  void remove(std::uint64_t number) {
    for (auto& list : lists) std::erase(list, number);
    values.erase(number);
  }
  void put(std::uint64_t number, std::uint32_t value, std::uint32_t list) {
    remove(number);
    values[number] = {value, list};
    lists[list].push_back(number);
  }
};

TEST(FlowMap, EqualsAnOracleUnderRandomOperations) {
  Prng prng(test_seed());
  constexpr std::uint32_t kCapacity = 40;
  Map map(kCapacity);
  Oracle oracle;
  std::uint32_t full_count = 0;
  for (std::uint32_t step = 0; step < 30'000; ++step) {
    const std::uint64_t number = prng.below(60);
    const auto list = static_cast<std::uint32_t>(prng.below(4));
    const Instant now = instant_from_ns(step);
    auto* entry = map.find(key_of(number));
    ASSERT_EQ(entry != nullptr, oracle.values.contains(number));
    if (entry != nullptr) {
      ASSERT_EQ(entry->value, oracle.values[number].value);
    }
    const std::uint64_t what = prng.below(100);
    if (what == 99) {
      map.rekey({prng.next(), prng.next()});
    } else if (what >= 60 && entry != nullptr) {
      map.erase(*entry);
      oracle.remove(number);
    } else if (entry != nullptr) {
      map.touch(*entry, list, now);
      oracle.put(number, entry->value, list);
    } else if (auto* added = map.insert(key_of(number), list, now)) {
      added->value = step;
      oracle.put(number, step, list);
    } else {
      ASSERT_EQ(oracle.values.size(), kCapacity);
      ++full_count;
    }
    ASSERT_EQ(map.size(), oracle.values.size());
    const auto& expected = oracle.lists[list];
    ASSERT_EQ(map.oldest(list) == nullptr, expected.empty());
    if (!expected.empty()) {
      ASSERT_EQ(map.oldest(list)->key, key_of(expected.front()));
    }
  }
  EXPECT_GT(full_count, 100u);
  std::vector<FlowKey> visited;
  std::vector<FlowKey> expected;
  map.for_each([&](const Map::Entry& entry) { visited.push_back(entry.key); });
  for (const auto& list : oracle.lists) {
    for (const std::uint64_t number : list) expected.push_back(key_of(number));
  }
  EXPECT_EQ(visited, expected);
}

}  // namespace
}  // namespace sluice

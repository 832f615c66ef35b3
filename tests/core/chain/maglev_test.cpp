#include "core/chain/maglev.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

namespace sluice {
namespace {

using Table = std::vector<std::uint16_t>;
using Permutation = MaglevTable::Permutation;

std::vector<MaglevMember> members_up_to(int count) {
  std::vector<MaglevMember> members;
  for (int id = 0; id < count; ++id) members.push_back({static_cast<std::uint16_t>(id), 1});
  return members;
}

Table table_of(const MaglevTable& maglev) {
  return {maglev.table().begin(), maglev.table().end()};
}

std::map<std::uint16_t, std::uint32_t> shares(const MaglevTable& maglev) {
  std::map<std::uint16_t, std::uint32_t> result;
  for (const std::uint16_t id : maglev.table()) ++result[id];
  return result;
}

// Table 1 of Eisenbud et al., NSDI 2016, and the same without B1.
TEST(Maglev, GivesTheExampleOfThePaper) {
  const std::vector<Permutation> three{{3, 4}, {0, 2}, {3, 1}};
  EXPECT_EQ(MaglevTable::populate(three, 7), (Table{1, 0, 1, 0, 2, 2, 0}));
  const std::vector<Permutation> two{{3, 4}, {3, 1}};  // Member 1 is B2 here.
  EXPECT_EQ(MaglevTable::populate(two, 7), (Table{0, 0, 0, 0, 1, 1, 1}));
}

/// The paper's pseudocode 1, with the permutations written out, and turns by weight counted anew in
/// every round.
Table populate_plainly(const std::vector<Permutation>& members, std::uint32_t size) {
  std::vector<std::vector<std::uint32_t>> permutation(members.size());
  std::uint64_t weight_max = 0;
  for (std::size_t i = 0; i < members.size(); ++i) {
    weight_max = std::max<std::uint64_t>(weight_max, members[i].weight);
    for (std::uint64_t j = 0; j < size; ++j) {
      permutation[i].push_back(
          static_cast<std::uint32_t>((members[i].offset + j * members[i].skip) % size));
    }
  }
  std::vector<std::size_t> next(members.size(), 0);
  std::vector<int> entry(size, -1);
  std::uint32_t filled = 0;
  for (std::uint64_t round = 1; filled < size; ++round) {
    for (std::size_t i = 0; i < members.size() && filled < size; ++i) {
      const std::uint64_t turns = round * members[i].weight / weight_max;
      if (turns == (round - 1) * members[i].weight / weight_max) continue;
      while (entry[permutation[i][next[i]]] >= 0) ++next[i];
      entry[permutation[i][next[i]]] = static_cast<int>(i);
      ++next[i];
      ++filled;
    }
  }
  return {entry.begin(), entry.end()};
}

RC_GTEST_PROP(Maglev, EqualsThePapersPseudocode, ()) {
  const auto size = *rc::gen::element(2u, 3u, 7u, 101u, 1009u, 4099u);
  std::vector<Permutation> members;
  const auto count = *rc::gen::inRange(1, 40);
  for (int i = 0; i < count; ++i) {
    members.push_back({.offset = *rc::gen::inRange(0u, size),
                       .skip = *rc::gen::inRange(1u, size),
                       .weight = *rc::gen::element(1u, 1u, 2u, 3u, 100u)});
  }
  RC_ASSERT(MaglevTable::populate(members, size) == populate_plainly(members, size));
}

TEST(Maglev, WithoutMembersThereIsNone) {
  EXPECT_EQ(MaglevTable{}.lookup(5), MaglevTable::kNoMember);
  const std::vector<MaglevMember> none;
  EXPECT_EQ(MaglevTable{none}.lookup(5), MaglevTable::kNoMember);
}

TEST(Maglev, LookupCoversTheWholeTable) {
  const MaglevTable maglev{members_up_to(5), 7};
  EXPECT_EQ(maglev.lookup(0), maglev.table().front());
  EXPECT_EQ(maglev.lookup(~std::uint64_t{0}), maglev.table().back());
  for (std::uint64_t place = 0; place < 7; ++place) {
    EXPECT_EQ(maglev.lookup(((place << 32) / 7 + 1) << 32), maglev.table()[place]);
  }
}

TEST(Maglev, DependsOnMembersAndKeyButNotOnOrder) {
  std::vector<MaglevMember> members = members_up_to(50);
  members[3].weight = 4;
  const Table table = table_of(MaglevTable{members});
  std::reverse(members.begin(), members.end());
  EXPECT_EQ(table_of(MaglevTable{members}), table);
  EXPECT_NE(table_of(MaglevTable{members, MaglevTable::kSizeDefault, {1, 2}}), table);
  members.pop_back();
  EXPECT_NE(table_of(MaglevTable{members}), table);
}

// Equal turns: of M places each of N members has M/N, rounded down or up. Section 5.3 of the paper
// bounds the imbalance so.
TEST(Maglev, SharesOfEqualMembersDifferByAtMostOne) {
  for (const int count : {1, 2, 3, 10, 100, 655, 1000}) {
    const auto result = shares(MaglevTable{members_up_to(count)});
    ASSERT_EQ(result.size(), static_cast<std::size_t>(count));
    const std::uint32_t fair = MaglevTable::kSizeDefault / static_cast<std::uint32_t>(count);
    for (const auto& [id, share] : result) {
      EXPECT_GE(share, fair) << id;
      EXPECT_LE(share, fair + 1) << id;
    }
  }
}

// One turn for each weight_max of credit: a share differs from its exact part by at most the turns
// that one round can add or withhold.
RC_GTEST_PROP(Maglev, SharesFollowWeights, ()) {
  const std::uint32_t size = 65537;
  std::vector<MaglevMember> members;
  std::uint64_t weight_sum = 0;
  std::uint32_t weight_max = 0;
  const auto count = *rc::gen::inRange<std::uint16_t>(1, 20);
  for (std::uint16_t id = 0; id < count; ++id) {
    members.push_back({id, *rc::gen::inRange(1u, 20u)});
    weight_sum += members.back().weight;
    weight_max = std::max(weight_max, members.back().weight);
  }
  auto result = shares(MaglevTable{members, size});
  for (const MaglevMember& member : members) {
    const auto exact = static_cast<std::int64_t>(std::uint64_t{size} * member.weight / weight_sum);
    RC_ASSERT(std::abs(std::int64_t{result[member.id]} - exact) <= count + 1);
  }
}

// Section 5.3: when one of N members goes, its places must move, and few others do; the paper found
// under 2 % at N = 1000 and M = 65537. The bound here leaves room for the few members.
TEST(Maglev, RemovalMovesFewPlacesOfOthers) {
  for (const int count : {10, 100, 1000}) {
    std::vector<MaglevMember> members = members_up_to(count);
    const Table before = table_of(MaglevTable{members});
    const std::uint16_t gone = members[static_cast<std::size_t>(count) / 2].id;
    members.erase(members.begin() + count / 2);
    const Table after = table_of(MaglevTable{members});
    std::uint32_t moved = 0;
    for (std::size_t i = 0; i < before.size(); ++i) {
      EXPECT_NE(after[i], gone);
      if (before[i] != gone && after[i] != before[i]) ++moved;
    }
    EXPECT_LT(moved, before.size() * 5 / 100) << count;
  }
}

TEST(MaglevDeathTest, RefusesMistakes) {
  const std::vector<MaglevMember> twice{{1, 1}, {1, 1}};
  EXPECT_DEATH((MaglevTable{twice}), "id");
  EXPECT_DEATH((MaglevTable{members_up_to(3), 65536}), "is_prime");
  const std::vector<MaglevMember> weightless{{1, 0}};
  EXPECT_DEATH((MaglevTable{weightless}), "weight");
}

}  // namespace
}  // namespace sluice

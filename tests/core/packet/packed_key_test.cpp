#include "core/packet/packed_key.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <bit>
#include <cstring>
#include <vector>

#include "core/packet/flow_hash.hpp"
#include "core/prng.hpp"

namespace sluice {
namespace {

constexpr HashKey kKey{.low = 0x1234, .high = 0xabcdef};

/// Of any kind: tagged or not, IPv4, IPv6 or neither, with few different values in each field so
/// that two keys are often nearly the same.
FlowKey random_key(Prng& prng) {
  FlowKey key;
  const auto byte = [&] { return static_cast<std::uint8_t>(prng.below(3)); };
  const bool v6 = prng.below(2) == 0;
  key.ip_version = v6 ? 6 : prng.below(4) == 0 ? 0 : 4;
  for (std::size_t i = 0; i < (v6 ? 16u : 4u); ++i) {
    key.source[i] = byte();
    key.destination[i] = byte();
  }
  key.source_port = static_cast<std::uint16_t>(byte() << 8 | byte());
  key.destination_port = static_cast<std::uint16_t>(byte() << 8 | byte());
  if (prng.below(2) == 0) key.vlan_outer = byte();
  if (prng.below(2) == 0) key.vlan_inner = byte();
  key.ingress = byte();
  key.protocol = byte();
  return key;
}

bool same(const PackedKey& a, const PackedKey& b) {
  return a.first == b.first && (!a.has_rest() || a.rest == b.rest);
}

RC_GTEST_PROP(PackedKey, IsEqualWhereTheKeyIs, (std::uint64_t seed)) {
  Prng prng{seed};
  const FlowKey key = random_key(prng);
  RC_ASSERT(unpack(pack(key)) == key);
  FlowKey other = key;
  reinterpret_cast<std::uint8_t*>(&other)[prng.below(sizeof other)] ^= 1;
  RC_ASSERT(same(pack(key), pack(key)));
  RC_ASSERT(!same(pack(key), pack(other)));
  RC_ASSERT(!same(pack(other), pack(key)));
}

TEST(PackedKey, OfAnUntaggedFlowOverIpv4HasNoRest) {
  FlowKey key;
  key.ip_version = 4;
  key.source = {10, 0, 0, 1};
  key.destination = {10, 0, 0, 2};
  EXPECT_FALSE(pack(key).has_rest());
  key.vlan_inner = 1;
  EXPECT_TRUE(pack(key).has_rest());
  key.vlan_inner = 0;
  key.source[15] = 1;
  EXPECT_TRUE(pack(key).has_rest());
}

TEST(PackedKeyDeathTest, RefusesAVersionThatWouldLookLikeItsOwnMark) {
  FlowKey key;
  key.ip_version = 0x84;
  EXPECT_DEATH((void)pack(key), "ip_version");
}

TEST(PackedKeyHash, EveryBitOfAKeyWithoutARestMovesAboutHalfOfTheBits) {
  // Binomial (n = 64, p = 1/2) over 200 trials a bit: a mean off by 4 is 14 standard deviations.
  const FlowHash hash{kKey};
  Prng prng{7};
  std::vector<std::uint64_t> moved(120);  // All but the version.
  constexpr std::uint64_t rounds = 200;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    const PackedKey key{{prng.next(), prng.next() >> 8}, {}};
    for (std::size_t bit = 0; bit < moved.size(); ++bit) {
      PackedKey other = key;
      other.first[bit / 64] ^= std::uint64_t{1} << bit % 64;
      moved[bit] += static_cast<std::uint64_t>(std::popcount(hash(key) ^ hash(other)));
    }
  }
  for (std::size_t bit = 0; bit < moved.size(); ++bit) {
    EXPECT_GT(moved[bit], rounds * 28) << bit;
    EXPECT_LT(moved[bit], rounds * 36) << bit;
  }
}

TEST(PackedKeyHash, DependsOnTheRestAndOnTheHashKey) {
  PackedKey key = pack([] {
    FlowKey tagged;
    tagged.ip_version = 4;
    tagged.vlan_outer = 7;
    return tagged;
  }());
  const std::uint64_t before = FlowHash{kKey}(key);
  EXPECT_NE(FlowHash{HashKey{}}(key), before);
  for (std::uint64_t& word : key.rest) {
    word ^= 1;
    EXPECT_NE(FlowHash{kKey}(key), before);
    word ^= 1;
  }
}

TEST(PackedKeyHash, ConsecutiveFlowsFillBucketsLikeRandomOnes) {
  // 64 Ki consecutive keys into 4 Ki buckets, by low and by high bits: about 16 each.
  constexpr std::size_t buckets = 4096;
  const FlowHash hash{kKey};
  std::vector<int> low(buckets);
  std::vector<int> high(buckets);
  for (std::uint32_t i = 0; i < 65536; ++i) {
    FlowKey key;
    key.ip_version = 4;
    key.source = {10, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)};
    key.destination = {10, 1, 0, 1};
    const std::uint64_t value = hash(pack(key));
    ++low[value % buckets];
    ++high[value >> 52];
  }
  for (const auto& counts : {low, high}) {
    double chi_square = 0;
    for (const int count : counts) chi_square += (count - 16.0) * (count - 16.0) / 16.0;
    // 4095 degrees of freedom: mean 4095, standard deviation 90.5; within six of them.
    EXPECT_GT(chi_square, 4095 - 543);
    EXPECT_LT(chi_square, 4095 + 543);
  }
}

}  // namespace
}  // namespace sluice

#include "core/packet/flow_key.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "core/prng.hpp"

namespace sluice {
namespace {

constexpr HashKey kKey{.low = 0x1234567890abcdefu, .high = 0xfedcba0987654321u};

FlowKey random_key(Prng& prng) {
  FlowKey key;
  for (auto& byte : key.source) byte = static_cast<std::uint8_t>(prng.next());
  for (auto& byte : key.destination) byte = static_cast<std::uint8_t>(prng.next());
  key.source_port = static_cast<std::uint16_t>(prng.next());
  key.destination_port = static_cast<std::uint16_t>(prng.next());
  key.vlan_outer = static_cast<std::uint16_t>(prng.below(4096));
  key.ingress = static_cast<std::uint16_t>(prng.below(16));
  key.protocol = 6;
  key.ip_version = 6;
  return key;
}

RC_GTEST_PROP(FlowKey, ReversedTwiceIsTheSame, (std::uint64_t seed, std::uint16_t other)) {
  Prng prng{seed};
  const FlowKey key = random_key(prng);
  const FlowKey back = key.reversed(PortId{other});
  RC_ASSERT(back.reversed(PortId{key.ingress}) == key);
  RC_ASSERT(back.source == key.destination && back.source_port == key.destination_port);
  RC_ASSERT(back.ingress == other);
}

RC_GTEST_PROP(FlowKey, SymmetricHashIsThatOfBothAddressesAlone, (std::uint64_t seed)) {
  Prng prng{seed};
  const FlowKey key = random_key(prng);
  const std::uint64_t value = hash_symmetric(key, kKey);
  RC_ASSERT(hash_symmetric(key.reversed(PortId{9}), kKey) == value);
  FlowKey fragment = key;
  fragment.source_port = fragment.destination_port = 0;
  fragment.protocol = 44;
  fragment.vlan_outer ^= 1;
  RC_ASSERT(hash_symmetric(fragment, kKey) == value);
  FlowKey other = key;
  other.destination[prng.below(16)] ^= 1;
  RC_ASSERT(hash_symmetric(other, kKey) != value);
}

TEST(FlowKeyHash, DependsOnTheHashKey) {
  Prng prng{1};
  const FlowKey key = random_key(prng);
  for (int bit = 0; bit < 64; ++bit) {
    const HashKey low{.low = kKey.low ^ (1ull << bit), .high = kKey.high};
    const HashKey high{.low = kKey.low, .high = kKey.high ^ (1ull << bit)};
    EXPECT_NE(hash(key, kKey), hash(key, low));
    EXPECT_NE(hash(key, kKey), hash(key, high));
    EXPECT_NE(hash_symmetric(key, kKey), hash_symmetric(key, low));
    EXPECT_NE(hash_symmetric(key, kKey), hash_symmetric(key, high));
  }
}

TEST(FlowKeyHash, EveryBitOfTheKeyMovesAboutHalfOfTheBits) {
  // Binomial (n = 64, p = 1/2) over 384 x 200 trials: a mean off by 1 is 70 standard deviations.
  Prng prng{7};
  std::vector<std::uint64_t> moved(sizeof(FlowKey) * 8);
  constexpr std::uint64_t rounds = 200;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    const FlowKey key = random_key(prng);
    for (std::size_t bit = 0; bit < moved.size(); ++bit) {
      FlowKey other = key;
      reinterpret_cast<std::uint8_t*>(&other)[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
      moved[bit] += static_cast<std::uint64_t>(std::popcount(hash(key, kKey) ^ hash(other, kKey)));
    }
  }
  for (std::size_t bit = 0; bit < moved.size(); ++bit) {
    EXPECT_GT(moved[bit], rounds * 28) << bit;
    EXPECT_LT(moved[bit], rounds * 36) << bit;
  }
}

TEST(FlowKeyHash, ConsecutiveFlowsFillBucketsLikeRandomOnes) {
  // 64 Ki consecutive keys into 4 Ki buckets, by low and by high bits: about 16 each.
  constexpr std::size_t buckets = 4096;
  std::vector<int> low(buckets);
  std::vector<int> high(buckets);
  for (std::uint32_t i = 0; i < 65536; ++i) {
    FlowKey key;
    key.ip_version = 4;
    key.source = {10, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)};
    key.destination = {10, 1, 0, 1};
    const std::uint64_t value = hash(key, kKey);
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

TEST(FlowKeyHash, DoesNotChangeUnnoticed) {
  // What results of a run depend on: changing it changes every trace hash, so it must be on
  // purpose.
  Prng prng{42};
  const FlowKey key = random_key(prng);
  EXPECT_EQ(hash(key, kKey), 9257678572005911977u);
  EXPECT_EQ(hash_symmetric(key, kKey), 10650897109813204311u);
}

}  // namespace
}  // namespace sluice

#include "core/encapsulation/cookie.hpp"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/frames.hpp"

namespace sluice {
namespace {

// Appendix A of the paper.
TEST(SipHash, GivesTheExampleOfItsPaper) {
  const HashKey key{0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
  EXPECT_EQ(siphash(key, frames::hex("00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e")),
            0xa129ca6149be45e5u);
}

// The first of the reference implementation's vectors.
TEST(SipHash, OfNothingAndOfWholeWords) {
  const HashKey key{0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
  EXPECT_EQ(siphash(key, {}), 0x726fdb47dd0e0e31u);
  EXPECT_EQ(siphash(key, frames::hex("00 01 02 03 04 05 06 07")), 0x93f5f5799a932462u);
}

TEST(TunnelCookie, IsOfTheWayTheEpochAndTheSecret) {
  const HashKey secret{1, 2};
  std::set<std::uint32_t> cookies;
  for (const HostId sender : {HostId{1}, HostId{2}}) {
    for (const HostId receiver : {HostId{3}, HostId{4}}) {
      for (const std::uint32_t epoch : {0u, 1u}) {
        const TunnelWay way{sender, receiver, epoch};
        cookies.insert(tunnel_cookie(secret, way));
        cookies.insert(tunnel_cookie({1, 3}, way));
      }
    }
  }
  EXPECT_EQ(cookies.size(), 16u);
}

}  // namespace
}  // namespace sluice

#include "core/host/ewma.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace sluice {
namespace {

using std::chrono::milliseconds;

TEST(Ewma, StartsAtItsInitialValue) {
  EXPECT_EQ(Ewma(milliseconds{50}).value(), Ppm{0});
  EXPECT_EQ(Ewma(milliseconds{50}, Ppm{123'456}).value(), Ppm{123'456});
}

TEST(Ewma, OneStepMovesByDtOverTauPlusDt) {
  Ewma ewma{milliseconds{50}};
  EXPECT_EQ(ewma.update(Ppm{600'000}, milliseconds{10}), Ppm{100'000});
}

TEST(Ewma, AConstantIsReached) {
  Ewma ewma{milliseconds{50}};
  for (int i = 0; i < 200; ++i) ewma.update(Ppm{700'000}, milliseconds{10});
  EXPECT_EQ(ewma.value(), Ppm{700'000});
  for (int i = 0; i < 200; ++i) ewma.update(Ppm{0}, milliseconds{10});
  EXPECT_EQ(ewma.value(), Ppm{0});
}

TEST(Ewma, FollowsTheClosedFormOfAStep) {
  // y(k) = 1 - (tau / (tau + dt))^k.
  Ewma ewma{milliseconds{50}};
  for (int k = 1; k <= 50; ++k) {
    const Ppm value = ewma.update(kPpmOne, milliseconds{10});
    EXPECT_NEAR(value.value, 1e6 * (1 - std::pow(50.0 / 60.0, k)), 1.0) << "k = " << k;
  }
}

TEST(Ewma, NeverOvershoots) {
  Ewma ewma{milliseconds{50}, Ppm{0}};
  EXPECT_LE(ewma.update(Ppm{500'000}, std::chrono::hours{24}), Ppm{500'000});
  EXPECT_GE(ewma.value(), Ppm{499'999});
  EXPECT_GE(ewma.update(Ppm{0}, std::chrono::hours{24}), Ppm{0});
  Ewma widest{milliseconds{50}, Ppm{0}};
  EXPECT_LE(widest.update(Ppm{~0u}, std::chrono::hours{24 * 365}), Ppm{~0u});
  EXPECT_GT(widest.value(), Ppm{~0u - 1'000});
}

TEST(Ewma, NoTimeChangesNothing) {
  Ewma ewma{milliseconds{50}, Ppm{42}};
  EXPECT_EQ(ewma.update(kPpmOne, Duration{0}), Ppm{42});
}

TEST(Ewma, TimeThatGoesBackAborts) {
  Ewma ewma{milliseconds{50}};
  EXPECT_DEATH(ewma.update(kPpmOne, Duration{-1}), "check failed");
}

}  // namespace
}  // namespace sluice

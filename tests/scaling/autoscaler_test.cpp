#include "scaling/autoscaler.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace sluice {

// How gtest shows an action in a failure.
void PrintTo(const ScaleAction& action, std::ostream* os) {
  *os << to_string(action.kind) << " service " << index_of(action.service) << " instance "
      << index_of(action.instance) << " for " << to_string(action.reason);
}

namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using Kind = ScaleAction::Kind;
using Reason = ScaleAction::Reason;

constexpr ServiceId kIds{3};
constexpr ServiceId kFirewall{1};

ScaleAction start(Reason reason, ServiceId service = kIds) {
  return {.kind = Kind::kStart, .service = service, .instance = kNoInstance, .reason = reason};
}
ScaleAction blocked(Reason reason, ServiceId service = kIds) {
  return {.kind = Kind::kBlocked, .service = service, .instance = kNoInstance, .reason = reason};
}
ScaleAction drain(std::uint16_t instance, Reason reason) {
  return {Kind::kDrain, kIds, InstanceId{instance}, reason};
}
ScaleAction replace(std::uint16_t instance) {
  return {Kind::kReplace, kIds, InstanceId{instance}, Reason::kHung};
}

InstanceSample running(std::uint16_t id, std::uint32_t occupancy, std::uint32_t load = 600'000) {
  InstanceSample sample;
  sample.instance = InstanceId{id};
  sample.service = kIds;
  sample.state = InstanceState::kRunning;
  sample.occupancy = Ppm{occupancy};
  sample.load = Ppm{load};
  sample.packet_count = 1'000;
  sample.flow_count = 10;
  return sample;
}
InstanceSample in_state(std::uint16_t id, InstanceState state, ServiceId service = kIds) {
  InstanceSample sample = running(id, 0);
  sample.service = service;
  sample.state = state;
  return sample;
}

/// Feeds samples to the plan and keeps its state; applies nothing.
class Autoscaler : public testing::Test {
 protected:
  Autoscaler() {
    policies_ = {{kIds, {}}};
    policy().instance_count_max = 4;
  }
  ScalePolicy& policy() { return policies_.back().policy; }

  std::vector<ScaleAction> at(Duration when, std::vector<InstanceSample> instances,
                              std::uint32_t cores_free = 8) {
    const LoadSample sample{Instant{when}, HostId{0}, cores_free, std::move(instances)};
    ScalePlan result = plan(state_, policies_, sample);
    state_ = std::move(result.state);
    return result.actions;
  }

  std::vector<ServicePolicy> policies_;
  AutoscalerState state_;
};

// Up.

TEST_F(Autoscaler, StartsWhenTheOccupancyWasHighForItsWindow) {
  EXPECT_THAT(at(milliseconds{0}, {running(0, 700'000)}), IsEmpty());
  EXPECT_THAT(at(milliseconds{50}, {running(0, 700'000)}), IsEmpty());
  EXPECT_THAT(at(milliseconds{100}, {running(0, 700'000)}), ElementsAre(start(Reason::kOccupancy)));
}

TEST_F(Autoscaler, DoesNotStartANanosecondBeforeItsWindowEnds) {
  EXPECT_THAT(at(milliseconds{0}, {running(0, 1'000'000)}), IsEmpty());
  EXPECT_THAT(at(milliseconds{99}, {running(0, 1'000'000)}), IsEmpty());
  EXPECT_THAT(at(milliseconds{100} - nanoseconds{1}, {running(0, 1'000'000)}), IsEmpty());
  EXPECT_THAT(at(milliseconds{100}, {running(0, 1'000'000)}),
              ElementsAre(start(Reason::kOccupancy)));
}

TEST_F(Autoscaler, DoesNotStartOnePpmBelowItsThreshold) {
  for (int ms = 0; ms <= 1'000; ms += 10) {
    EXPECT_THAT(at(milliseconds{ms}, {running(0, 699'999)}), IsEmpty());
  }
}

TEST_F(Autoscaler, OneSampleBelowTheThresholdBeginsTheWindowAnew) {
  EXPECT_THAT(at(milliseconds{0}, {running(0, 900'000)}), IsEmpty());
  EXPECT_THAT(at(milliseconds{90}, {running(0, 699'999)}), IsEmpty());
  EXPECT_THAT(at(milliseconds{100}, {running(0, 900'000)}), IsEmpty());
  EXPECT_THAT(at(milliseconds{190}, {running(0, 900'000)}), IsEmpty());
  EXPECT_THAT(at(milliseconds{200}, {running(0, 900'000)}), ElementsAre(start(Reason::kOccupancy)));
}

TEST_F(Autoscaler, TheMeanOfTheRunningInstancesCounts) {
  // Mean exactly 0.7 of three; a rounded-down mean of the second set would be 0.699999.
  EXPECT_THAT(
      at(milliseconds{0}, {running(0, 400'000), running(1, 700'000), running(2, 1'000'000)}),
      IsEmpty());
  EXPECT_THAT(
      at(milliseconds{100}, {running(0, 400'000), running(1, 700'000), running(2, 1'000'000)}),
      ElementsAre(start(Reason::kOccupancy)));
}

TEST_F(Autoscaler, AMeanOneThirdOfAPpmBelowTheThresholdIsBelowIt) {
  const auto below = [] {
    return std::vector{running(0, 699'999), running(1, 700'000), running(2, 700'000)};
  };
  EXPECT_THAT(at(milliseconds{0}, below()), IsEmpty());
  EXPECT_THAT(at(milliseconds{500}, below()), IsEmpty());
}

TEST_F(Autoscaler, DrainingInstancesAreNotPartOfTheMean) {
  InstanceSample leaving = in_state(1, InstanceState::kDraining);
  leaving.occupancy = Ppm{0};
  EXPECT_THAT(at(milliseconds{0}, {running(0, 700'000), leaving}), IsEmpty());
  EXPECT_THAT(at(milliseconds{100}, {running(0, 700'000), leaving}),
              ElementsAre(start(Reason::kOccupancy)));
}

TEST_F(Autoscaler, StartsAtOnceWhenOneInAThousandIsDropped) {
  InstanceSample instance = running(0, 0);
  instance.packet_count = 999;
  instance.drop_count = 1;
  EXPECT_THAT(at(milliseconds{0}, {instance}), ElementsAre(start(Reason::kDrops)));
}

TEST_F(Autoscaler, DoesNotStartWhenFewerThanOneInAThousandAreDropped) {
  InstanceSample instance = running(0, 0);
  instance.packet_count = 1'000;
  instance.drop_count = 1;
  EXPECT_THAT(at(milliseconds{0}, {instance}), IsEmpty());
}

TEST_F(Autoscaler, DropsOfTheWholeServiceAreTakenTogether) {
  InstanceSample dropping = running(0, 0);
  dropping.packet_count = 998;
  dropping.drop_count = 2;
  EXPECT_THAT(at(milliseconds{0}, {dropping, running(1, 0)}), ElementsAre(start(Reason::kDrops)));
  InstanceSample other = running(1, 0);
  other.packet_count = 1'001;  // 2 of 2001.
  state_ = {};
  EXPECT_THAT(at(milliseconds{0}, {dropping, other}), IsEmpty());
}

TEST_F(Autoscaler, ADropRatioOfZeroMeansNever) {
  policy().up_drop_ratio = Ppm{0};
  InstanceSample instance = running(0, 0);
  instance.packet_count = 0;
  instance.drop_count = 1'000'000;
  EXPECT_THAT(at(milliseconds{0}, {instance}), IsEmpty());
}

TEST_F(Autoscaler, HugeCountsDoNotOverflow) {
  InstanceSample instance = running(0, 0);
  instance.packet_count = 1ull << 62;
  instance.drop_count = 1ull << 53;  // 2^-9, above 0.001; times 10^6 it is above 2^64.
  EXPECT_THAT(at(milliseconds{0}, {instance}), ElementsAre(start(Reason::kDrops)));
  state_ = {};
  instance.drop_count = 1ull << 52;  // 2^-10 = 0.000977.
  EXPECT_THAT(at(milliseconds{0}, {instance}), IsEmpty());
}

TEST_F(Autoscaler, StartsAStepsWorthButNotBeyondTheMaximum) {
  policy().step = 2;
  InstanceSample dropping = running(0, 0);
  dropping.drop_count = 500;
  EXPECT_THAT(at(milliseconds{0}, {dropping}),
              ElementsAre(start(Reason::kDrops), start(Reason::kDrops)));
  const auto three = {dropping, running(1, 0), running(2, 0)};
  EXPECT_THAT(at(seconds{1}, three), ElementsAre(start(Reason::kDrops)));
  EXPECT_THAT(at(seconds{2}, {dropping, running(1, 0), running(2, 0), running(3, 0)}), IsEmpty());
}

TEST_F(Autoscaler, StartingInstancesCountAgainstTheMaximum) {
  policy().instance_count_max = 2;
  InstanceSample dropping = running(0, 0);
  dropping.drop_count = 500;
  EXPECT_THAT(at(milliseconds{0}, {dropping, in_state(1, InstanceState::kStarting)}), IsEmpty());
}

TEST_F(Autoscaler, WaitsForTheCooldownBetweenTwoStarts) {
  const auto dropping = [] {
    InstanceSample instance = running(0, 1'000'000);
    instance.drop_count = 500;
    return instance;
  };
  const InstanceSample second = in_state(1, InstanceState::kStarting);
  EXPECT_THAT(at(milliseconds{0}, {dropping()}), ElementsAre(start(Reason::kDrops)));
  EXPECT_THAT(at(milliseconds{10}, {dropping(), second}), IsEmpty());
  EXPECT_THAT(at(seconds{1} - nanoseconds{1}, {dropping(), second}), IsEmpty());
  EXPECT_THAT(at(seconds{1}, {dropping(), second}), ElementsAre(start(Reason::kOccupancy)));
}

TEST_F(Autoscaler, WhatWasSeenBeforeAnActionDoesNotCountAfterIt) {
  policy().cooldown = Duration{0};
  EXPECT_THAT(at(milliseconds{0}, {running(0, 900'000)}), IsEmpty());
  EXPECT_THAT(at(milliseconds{100}, {running(0, 900'000)}), ElementsAre(start(Reason::kOccupancy)));
  const InstanceSample second = in_state(1, InstanceState::kStarting);
  EXPECT_THAT(at(milliseconds{110}, {running(0, 900'000), second}), IsEmpty());
  EXPECT_THAT(at(milliseconds{209}, {running(0, 900'000), second}), IsEmpty());
  EXPECT_THAT(at(milliseconds{210}, {running(0, 900'000), second}),
              ElementsAre(start(Reason::kOccupancy)));
}

// Down.

TEST_F(Autoscaler, DrainsOneWhenTheLoadWasLowForItsWindow) {
  const auto calm = {running(0, 0, 249'999), running(1, 0, 250'000)};
  EXPECT_THAT(at(seconds{0}, calm), IsEmpty());
  EXPECT_THAT(at(seconds{2} - nanoseconds{1}, calm), IsEmpty());
  EXPECT_THAT(at(seconds{2}, calm), ElementsAre(drain(1, Reason::kLowLoad)));
}

TEST_F(Autoscaler, DoesNotDrainWhenTheRestWouldReachTheThreshold) {
  for (int s = 0; s < 10; ++s) {
    EXPECT_THAT(at(seconds{s}, {running(0, 0, 250'000), running(1, 0, 250'000)}), IsEmpty());
  }
}

TEST_F(Autoscaler, TheLoadIsDividedByOneInstanceFewer) {
  // 3 instances, sum 0.999999 < 0.5 * 2 although the mean of the three is only a third.
  const auto calm = {running(0, 0, 333'333), running(1, 0, 333'333), running(2, 0, 333'333)};
  EXPECT_THAT(at(seconds{0}, calm), IsEmpty());
  EXPECT_THAT(at(seconds{2}, calm), ElementsAre(drain(2, Reason::kLowLoad)));
  state_ = {};
  const auto not_calm = {running(0, 0, 333'333), running(1, 0, 333'333), running(2, 0, 333'334)};
  EXPECT_THAT(at(seconds{0}, not_calm), IsEmpty());
  EXPECT_THAT(at(seconds{2}, not_calm), IsEmpty());
}

TEST_F(Autoscaler, DrainsTheOneWithTheFewestFlows) {
  std::vector calm{running(0, 0, 0), running(1, 0, 0), running(2, 0, 0)};
  calm[0].flow_count = 7;
  calm[1].flow_count = 6;
  calm[2].flow_count = 8;
  EXPECT_THAT(at(seconds{0}, calm), IsEmpty());
  EXPECT_THAT(at(seconds{2}, calm), ElementsAre(drain(1, Reason::kLowLoad)));
}

TEST_F(Autoscaler, OfEqualVictimsTheHighestIdDrains) {
  std::vector calm{running(0, 0, 0), running(1, 0, 0), running(2, 0, 0)};
  calm[0].flow_count = 6;
  calm[1].flow_count = 6;
  EXPECT_THAT(at(seconds{0}, calm), IsEmpty());
  EXPECT_THAT(at(seconds{2}, calm), ElementsAre(drain(1, Reason::kLowLoad)));
}

TEST_F(Autoscaler, NeverDrainsBelowTheMinimum) {
  policy().instance_count_min = 2;
  for (int s = 0; s < 10; ++s) {
    EXPECT_THAT(at(seconds{s}, {running(0, 0, 0), running(1, 0, 0)}), IsEmpty());
  }
}

TEST_F(Autoscaler, NeverDrainsTheLastInstance) {
  policy().instance_count_min = 0;
  for (int s = 0; s < 10; ++s) EXPECT_THAT(at(seconds{s}, {running(0, 0, 0)}), IsEmpty());
}

TEST_F(Autoscaler, DoesNotDrainASecondWhileOneDrains) {
  const auto calm = {running(0, 0, 0), running(1, 0, 0), running(2, 0, 0)};
  EXPECT_THAT(at(seconds{0}, calm), IsEmpty());
  EXPECT_THAT(at(seconds{2}, calm), ElementsAre(drain(2, Reason::kLowLoad)));
  for (int s = 3; s < 10; ++s) {
    EXPECT_THAT(
        at(seconds{s}, {running(0, 0, 0), running(1, 0, 0), in_state(2, InstanceState::kDraining)}),
        IsEmpty());
  }
  EXPECT_THAT(at(seconds{10}, {running(0, 0, 0), running(1, 0, 0)}), IsEmpty());
  EXPECT_THAT(at(seconds{12}, {running(0, 0, 0), running(1, 0, 0)}),
              ElementsAre(drain(1, Reason::kLowLoad)));
}

TEST_F(Autoscaler, DoesNotDrainWhileOneStarts) {
  const auto calm = {running(0, 0, 0), running(1, 0, 0), in_state(2, InstanceState::kStarting)};
  for (int s = 0; s < 5; ++s) EXPECT_THAT(at(seconds{s}, calm), IsEmpty());
}

TEST_F(Autoscaler, ABusySampleBeginsTheCalmWindowAnew) {
  const auto calm = {running(0, 0, 100'000), running(1, 0, 100'000)};
  EXPECT_THAT(at(seconds{0}, calm), IsEmpty());
  EXPECT_THAT(at(seconds{1}, {running(0, 0, 500'000), running(1, 0, 0)}), IsEmpty());
  EXPECT_THAT(at(seconds{2}, calm), IsEmpty());
  EXPECT_THAT(at(seconds{3}, calm), IsEmpty());
  EXPECT_THAT(at(seconds{4}, calm), ElementsAre(drain(1, Reason::kLowLoad)));
}

TEST_F(Autoscaler, AMaximumThatWasLoweredDrainsOneByOneThroughTheCooldown) {
  EXPECT_THAT(at(seconds{0}, {running(0, 0), running(1, 0), running(2, 0), running(3, 0)}),
              IsEmpty());
  policy().instance_count_max = 2;
  EXPECT_THAT(at(milliseconds{10}, {running(0, 0), running(1, 0), running(2, 0), running(3, 0)}),
              ElementsAre(drain(3, Reason::kAboveMax)));
  EXPECT_THAT(at(milliseconds{20}, {running(0, 0), running(1, 0), running(2, 0)}), IsEmpty());
  EXPECT_THAT(at(milliseconds{1'010}, {running(0, 0), running(1, 0), running(2, 0)}),
              ElementsAre(drain(2, Reason::kAboveMax)));
  EXPECT_THAT(at(seconds{5}, {running(0, 0), running(1, 0)}), IsEmpty());
}

TEST_F(Autoscaler, ALoweredMaximumWaitsForTheOneThatDrains) {
  policy().instance_count_max = 1;
  EXPECT_THAT(at(seconds{0}, {running(0, 0), running(1, 0), running(2, 0)}),
              ElementsAre(drain(2, Reason::kAboveMax)));
  for (int s = 1; s < 5; ++s) {
    EXPECT_THAT(
        at(seconds{s}, {running(0, 0), running(1, 0), in_state(2, InstanceState::kDraining)}),
        IsEmpty());
  }
  EXPECT_THAT(at(seconds{5}, {running(0, 0), running(1, 0)}),
              ElementsAre(drain(1, Reason::kAboveMax)));
}

TEST_F(Autoscaler, AfterADrainThatEndsAtOnceTheCalmWindowBeginsAnew) {
  policy().cooldown = Duration{0};
  EXPECT_THAT(at(seconds{0}, {running(0, 0, 0), running(1, 0, 0), running(2, 0, 0)}), IsEmpty());
  EXPECT_THAT(at(seconds{2}, {running(0, 0, 0), running(1, 0, 0), running(2, 0, 0)}),
              ElementsAre(drain(2, Reason::kLowLoad)));
  const auto rest = {running(0, 0, 0), running(1, 0, 0)};
  EXPECT_THAT(at(milliseconds{2'010}, rest), IsEmpty());
  EXPECT_THAT(at(milliseconds{4'009}, rest), IsEmpty());
  EXPECT_THAT(at(milliseconds{4'010}, rest), ElementsAre(drain(1, Reason::kLowLoad)));
}

// Loss.

TEST_F(Autoscaler, StartsTheMinimumAtTheFirstSample) {
  policy().instance_count_min = 2;
  EXPECT_THAT(at(seconds{0}, {}), ElementsAre(start(Reason::kBelowMin), start(Reason::kBelowMin)));
}

TEST_F(Autoscaler, DoesNotStartAgainWhatIsStarting) {
  EXPECT_THAT(at(seconds{0}, {}), ElementsAre(start(Reason::kBelowMin)));
  EXPECT_THAT(at(milliseconds{10}, {in_state(0, InstanceState::kStarting)}), IsEmpty());
  EXPECT_THAT(at(milliseconds{20}, {running(0, 0)}), IsEmpty());
}

TEST_F(Autoscaler, ADeadInstanceIsReplacedAtOnceDespiteTheCooldown) {
  InstanceSample dropping = running(0, 0);
  dropping.drop_count = 500;
  EXPECT_THAT(at(milliseconds{0}, {dropping}), ElementsAre(start(Reason::kDrops)));
  EXPECT_THAT(at(milliseconds{10}, {running(0, 0), running(1, 0)}), IsEmpty());
  EXPECT_THAT(at(milliseconds{20}, {in_state(0, InstanceState::kDead), running(1, 0)}),
              ElementsAre(start(Reason::kDied)));
  EXPECT_THAT(at(milliseconds{30}, {in_state(0, InstanceState::kDead), running(1, 0),
                                    in_state(2, InstanceState::kStarting)}),
              IsEmpty());
}

TEST_F(Autoscaler, AnInstanceThatVanishedIsTakenForDead) {
  EXPECT_THAT(at(milliseconds{0}, {running(0, 0), running(1, 0)}), IsEmpty());
  EXPECT_THAT(at(milliseconds{10}, {running(0, 0)}), ElementsAre(start(Reason::kDied)));
}

TEST_F(Autoscaler, AHungInstanceIsReplacedOnceEvenAtTheMaximum) {
  policy().instance_count_max = 2;
  EXPECT_THAT(at(milliseconds{0}, {running(0, 0), running(1, 0)}), IsEmpty());
  const InstanceSample hung = in_state(1, InstanceState::kHung);
  EXPECT_THAT(at(milliseconds{10}, {running(0, 0), hung}), ElementsAre(replace(1)));
  EXPECT_THAT(at(milliseconds{20}, {running(0, 0), hung, in_state(2, InstanceState::kStarting)}),
              IsEmpty());
  EXPECT_THAT(at(milliseconds{30}, {running(0, 0), running(2, 0)}), IsEmpty());
}

TEST_F(Autoscaler, AHungInstanceIsReplacedOnItsOwnCoreWhenNoneIsFree) {
  EXPECT_THAT(at(milliseconds{0}, {running(0, 0)}, 0), IsEmpty());
  EXPECT_THAT(at(milliseconds{10}, {in_state(0, InstanceState::kHung)}, 0),
              ElementsAre(replace(0)));
}

TEST_F(Autoscaler, AReplacementTakesTheLastCoreBeforeAScaleUpDoes) {
  policies_ = {{kFirewall, {}}, {kIds, {}}};
  policies_[0].policy.instance_count_max = 4;
  policies_[1].policy.instance_count_max = 4;
  InstanceSample dropping = in_state(0, InstanceState::kRunning, kFirewall);
  EXPECT_THAT(at(milliseconds{0}, {dropping, running(1, 0)}, 1), IsEmpty());
  dropping.drop_count = 500;
  EXPECT_THAT(at(milliseconds{10}, {dropping, in_state(1, InstanceState::kDead)}, 1),
              ElementsAre(start(Reason::kDied), blocked(Reason::kDrops, kFirewall)));
}

TEST_F(Autoscaler, AnInstanceStoppedByHandIsNotReplaced) {
  EXPECT_THAT(at(milliseconds{0}, {running(0, 0), running(1, 0), running(2, 0)}), IsEmpty());
  EXPECT_THAT(at(milliseconds{10}, {running(0, 0), in_state(1, InstanceState::kDraining),
                                    in_state(2, InstanceState::kStopped)}),
              IsEmpty());
  EXPECT_THAT(at(milliseconds{20}, {running(0, 0)}), IsEmpty());
}

TEST_F(Autoscaler, TheMinimumHoldsAlsoAgainstAStopByHand) {
  EXPECT_THAT(at(milliseconds{0}, {running(0, 0)}), IsEmpty());
  EXPECT_THAT(at(milliseconds{10}, {in_state(0, InstanceState::kDraining)}),
              ElementsAre(start(Reason::kBelowMin)));
}

TEST_F(Autoscaler, AnInstanceStartedByHandIsReplacedWhenItDies) {
  EXPECT_THAT(at(milliseconds{0}, {running(0, 0)}), IsEmpty());
  EXPECT_THAT(at(milliseconds{10}, {running(0, 0), running(1, 0)}), IsEmpty());
  EXPECT_THAT(at(milliseconds{20}, {running(0, 0), in_state(1, InstanceState::kDead)}),
              ElementsAre(start(Reason::kDied)));
}

TEST_F(Autoscaler, AnInstanceThatItDrainedIsNotMissed) {
  const auto calm = {running(0, 0, 0), running(1, 0, 0)};
  EXPECT_THAT(at(seconds{0}, calm), IsEmpty());
  EXPECT_THAT(at(seconds{2}, calm), ElementsAre(drain(1, Reason::kLowLoad)));
  EXPECT_THAT(at(milliseconds{2'010}, {running(0, 0), in_state(1, InstanceState::kDead)}),
              IsEmpty());
  EXPECT_THAT(at(milliseconds{2'020}, {running(0, 0)}), IsEmpty());
}

TEST_F(Autoscaler, ADeathBesideItsOwnDrainIsReplaced) {
  const auto calm = {running(0, 0, 0), running(1, 0, 0), running(2, 0, 0)};
  EXPECT_THAT(at(seconds{0}, calm), IsEmpty());
  EXPECT_THAT(at(seconds{2}, calm), ElementsAre(drain(2, Reason::kLowLoad)));
  EXPECT_THAT(at(milliseconds{2'010}, {running(0, 0), in_state(1, InstanceState::kDead),
                                       in_state(2, InstanceState::kDraining)}),
              ElementsAre(start(Reason::kDied)));
}

TEST(ScaleAction, RestoresOnlyWhenItChangesNoWantedNumber) {
  EXPECT_TRUE(restores(start(Reason::kDied)));
  EXPECT_TRUE(restores(start(Reason::kBelowMin)));
  EXPECT_TRUE(restores(blocked(Reason::kDied)));
  EXPECT_TRUE(restores(replace(1)));
  EXPECT_FALSE(restores(start(Reason::kOccupancy)));
  EXPECT_FALSE(restores(blocked(Reason::kDrops)));
  EXPECT_FALSE(restores(drain(1, Reason::kLowLoad)));
}

TEST_F(Autoscaler, ARestartThatSomeoneElseDelaysDoesNotGrowTheWantedNumber) {
  EXPECT_THAT(at(milliseconds{0}, {running(0, 0), running(1, 0)}), IsEmpty());
  for (int ms = 10; ms < 500; ms += 10) {
    EXPECT_THAT(at(milliseconds{ms}, {running(0, 0)}), ElementsAre(start(Reason::kDied)));
  }
  EXPECT_THAT(at(milliseconds{500}, {running(0, 0), in_state(2, InstanceState::kStarting)}),
              IsEmpty());
}

// What must not happen.

TEST_F(Autoscaler, WithoutAFreeCoreItStartsNothingAndSaysSoOnce) {
  InstanceSample dropping = running(0, 0);
  dropping.drop_count = 500;
  EXPECT_THAT(at(milliseconds{0}, {dropping}, 0), ElementsAre(blocked(Reason::kDrops)));
  EXPECT_THAT(at(milliseconds{10}, {dropping}, 0), IsEmpty());
  EXPECT_THAT(at(milliseconds{20}, {running(0, 0)}, 0), IsEmpty());
  EXPECT_THAT(at(milliseconds{30}, {dropping}, 0), ElementsAre(blocked(Reason::kDrops)));
  EXPECT_THAT(at(milliseconds{40}, {dropping}, 1), ElementsAre(start(Reason::kDrops)));
}

TEST_F(Autoscaler, AMissingInstanceThatFindsNoCoreIsSaidOnceAndStartedLater) {
  EXPECT_THAT(at(milliseconds{0}, {}, 0), ElementsAre(blocked(Reason::kBelowMin)));
  EXPECT_THAT(at(milliseconds{10}, {}, 0), IsEmpty());
  EXPECT_THAT(at(milliseconds{20}, {}, 1), ElementsAre(start(Reason::kBelowMin)));
}

TEST_F(Autoscaler, StartsNoMoreThanThereAreCores) {
  policy().instance_count_min = 4;
  EXPECT_THAT(at(milliseconds{0}, {}, 2),
              ElementsAre(start(Reason::kBelowMin), start(Reason::kBelowMin)));
}

TEST_F(Autoscaler, AServiceThatDoesNotScaleIsLeftAloneButNotLeftDead) {
  policy().enabled = false;
  InstanceSample dropping = running(0, 1'000'000);
  dropping.drop_count = 500;
  for (int s = 0; s < 5; ++s) EXPECT_THAT(at(seconds{s}, {dropping}), IsEmpty());
  for (int s = 5; s < 10; ++s) {
    EXPECT_THAT(at(seconds{s}, {running(0, 0, 0), running(1, 0, 0)}), IsEmpty());
  }
  EXPECT_THAT(at(seconds{10}, {running(0, 0), in_state(1, InstanceState::kDead)}),
              ElementsAre(start(Reason::kDied)));
  EXPECT_THAT(at(seconds{11}, {running(0, 0), in_state(2, InstanceState::kHung)}),
              ElementsAre(replace(2)));
}

TEST_F(Autoscaler, OtherServicesDoNotCount) {
  InstanceSample other = running(1, 1'000'000);
  other.service = kFirewall;
  other.drop_count = 1'000;
  EXPECT_THAT(at(seconds{0}, {running(0, 0), other}), IsEmpty());
  EXPECT_THAT(at(seconds{1}, {running(0, 0), other}), IsEmpty());
}

TEST_F(Autoscaler, AServiceWithoutAPolicyIsForgotten) {
  EXPECT_THAT(at(seconds{0}, {running(0, 0)}), IsEmpty());
  policies_.clear();
  EXPECT_THAT(at(seconds{1}, {}), IsEmpty());
  EXPECT_EQ(state_, (AutoscalerState{.when = Instant{seconds{1}}, .services = {}}));
}

TEST_F(Autoscaler, TimeThatGoesBackAborts) {
  at(seconds{1}, {running(0, 0)});
  EXPECT_DEATH(at(seconds{1} - nanoseconds{1}, {running(0, 0)}), "check failed");
}

TEST_F(Autoscaler, UnorderedPoliciesAbort) {
  policies_ = {{kIds, {}}, {kFirewall, {}}};
  EXPECT_DEATH(at(seconds{1}, {}), "check failed");
  policies_ = {{kIds, {}}, {kIds, {}}};
  EXPECT_DEATH(at(seconds{1}, {}), "check failed");
}

}  // namespace
}  // namespace sluice

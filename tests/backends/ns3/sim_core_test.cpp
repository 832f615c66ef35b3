#include "backends/ns3/sim_core.hpp"

#include <chrono>
#include <limits>

#include "tests/backends/ns3/fixture.hpp"

namespace sluice {
namespace {

using namespace std::chrono_literals;

class SimCoreTest : public test::SimTest {
 protected:
  static constexpr Instant at(Duration time) { return Instant{time}; }
  Instant ended_{Instant::max()};
  std::function<void()> note_ = [this] { ended_ = simulated_now(); };
};

TEST_F(SimCoreTest, WorkTakesItsCyclesAtTheClockAndOneEvent) {
  SimCore core{Frequency{2'000'000'000}};
  core.run(3000, note_);
  EXPECT_TRUE(core.busy());
  EXPECT_EQ(core.busy_until(), at(1500ns));
  ns3::Simulator::Run();
  EXPECT_EQ(ended_, at(1500ns));
  EXPECT_EQ(ns3::Simulator::GetEventCount(), 1u);
  EXPECT_FALSE(core.busy());
  EXPECT_EQ(core.busy_time(), 1500ns);
  EXPECT_EQ(core.work_count(), 1u);
}

TEST_F(SimCoreTest, IdleTimeIsNotBusyTime) {
  SimCore core{Frequency{1'000'000'000}};
  schedule(10us, [&] { core.run(1000, note_); });
  schedule(10us + 400ns, [&] { EXPECT_EQ(core.busy_time(), 400ns); });
  schedule(50us, [&] { EXPECT_EQ(core.busy_time(), 1us); });
  ns3::Simulator::Run();
}

TEST_F(SimCoreTest, FractionsOfANanosecondAreNotLost) {
  SimCore core{Frequency{3'000'000'000}};
  std::uint32_t left = 3'000'000;  // One cycle each: a third of a nanosecond.
  std::function<void()> again = [&] {
    if (--left > 0) core.run(1, again);
  };
  core.run(1, again);
  ns3::Simulator::Run();
  EXPECT_EQ(simulated_now(), at(1ms));
  EXPECT_EQ(core.busy_time(), 1ms);
}

TEST_F(SimCoreTest, SlowFactorHoldsFromTheNextWorkOn) {
  SimCore core{Frequency{1'000'000'000}};
  core.run(1000, [&] { core.run(1000, note_); });
  core.set_slow_factor(10);
  EXPECT_EQ(core.time_for(1000), 10us);
  ns3::Simulator::Run();
  EXPECT_EQ(ended_, at(11us));
}

TEST_F(SimCoreTest, PauseStopsTheWorkAndResumeGoesOn) {
  SimCore core{Frequency{1'000'000'000}};
  core.run(10'000, note_);
  schedule(4us, [&] { core.pause(); });
  schedule(7us, [&] {
    EXPECT_EQ(core.busy_time(), 4us);
    EXPECT_EQ(core.busy_until(), Instant::max());
    core.pause();
  });
  schedule(100us, [&] { core.resume(); });
  ns3::Simulator::Run();
  EXPECT_EQ(ended_, at(106us));
  EXPECT_EQ(core.busy_time(), 10us);
}

TEST_F(SimCoreTest, WorkGivenWhilePausedWaits) {
  SimCore core{Frequency{1'000'000'000}};
  core.pause();
  core.run(1000, note_);
  schedule(5us, [&] { core.resume(); });
  ns3::Simulator::Run();
  EXPECT_EQ(ended_, at(6us));
  EXPECT_EQ(core.busy_time(), 1us);
}

TEST_F(SimCoreTest, StoppedWorkNeverEndsAndTheCoreRunsAgain) {
  SimCore core{Frequency{1'000'000'000}};
  bool first = false;
  core.run(10'000, [&] { first = true; });
  schedule(4us, [&] {
    core.stop();
    core.run(1000, note_);
  });
  ns3::Simulator::Run();
  EXPECT_FALSE(first);
  EXPECT_EQ(ended_, at(5us));
  EXPECT_EQ(core.busy_time(), 5us);
}

TEST_F(SimCoreTest, EndlessWorkCostsNoEventAndIsBusyTime) {
  SimCore core{Frequency{1'000'000'000}};
  core.run(std::numeric_limits<std::uint64_t>::max(), note_);
  schedule(1ms, [&] { EXPECT_EQ(core.busy_time(), 1ms); });
  ns3::Simulator::Run();
  EXPECT_EQ(ended_, Instant::max());
  EXPECT_TRUE(core.busy());
  EXPECT_EQ(core.busy_until(), Instant::max());
}

}  // namespace
}  // namespace sluice

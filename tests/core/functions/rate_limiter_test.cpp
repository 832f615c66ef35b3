#include "core/functions/rate_limiter.hpp"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "core/prng.hpp"
#include "tests/core/functions/harness.hpp"
#include "tests/core/functions/seed.hpp"

namespace sluice::functions_test {
namespace {

using namespace std::chrono_literals;

// Whether some stretch of time let more pass than rate * t + burst; by trying all stretches.
bool conforms(const std::vector<std::pair<Instant, std::uint64_t>>& passed,
              const TokenBucket::Options& options) {
  for (std::size_t first = 0; first < passed.size(); ++first) {
    std::uint64_t bytes = 0;
    for (std::size_t last = first; last < passed.size(); ++last) {
      bytes += passed[last].second;
      const auto ns =
          static_cast<std::uint64_t>((passed[last].first - passed[first].first).count());
      const Uint128 units = Uint128{bytes} * 8'000'000'000u;
      const Uint128 allowed =
          Uint128{options.burst_bytes} * 8'000'000'000u + Uint128{ns} * options.rate.bps;
      if (units > allowed) return false;
    }
  }
  return true;
}

TEST(TokenBucket, NeverLetsMorePassThanRateTimesTimePlusBurst) {
  Prng prng(test_seed());
  for (int round = 0; round < 100; ++round) {
    const TokenBucket::Options options{.rate = {.bps = 1 + prng.below(1'000'000'000)},
                                       .burst_bytes = 1 + prng.below(5000)};
    TokenBucket bucket(options);
    Instant now{};
    std::vector<std::pair<Instant, std::uint64_t>> passed;
    for (int i = 0; i < 200; ++i) {
      now += Duration(static_cast<std::int64_t>(prng.below(100'000)));
      const std::uint64_t size = prng.below(2000);
      if (bucket.take(size, now)) passed.emplace_back(now, size);
    }
    ASSERT_TRUE(conforms(passed, options)) << "round " << round;
  }
}

TEST(TokenBucket, LosesNothingInManySmallSteps) {
  // A third of a bit each nanosecond, asked each nanosecond: rounding down would never fill it.
  TokenBucket bucket({.rate = {.bps = 333'333'333}, .burst_bytes = 100});
  ASSERT_TRUE(bucket.take(100, at(0ns)));
  Instant ready{};
  for (int ns = 1; ready == Instant{}; ++ns) {
    if (bucket.take(100, at(Duration(ns)))) ready = at(Duration(ns));
  }
  EXPECT_EQ(ready, at(2401ns));  // 800 bit at 0.333333333 bit/ns: 2400.0000024 ns.
}

TEST(TokenBucket, SaysExactlyWhenEnoughIsThere) {
  Prng prng(test_seed() + 1);
  for (int round = 0; round < 1000; ++round) {
    TokenBucket bucket({.rate = {.bps = 1 + prng.below(10'000'000'000)}, .burst_bytes = 3000});
    ASSERT_TRUE(bucket.take(3000, at(1s)));
    const std::uint64_t size = 1 + prng.below(3000);
    const Instant ready = bucket.ready_at(size, at(1s));
    TokenBucket early = bucket;
    EXPECT_FALSE(early.take(size, ready - 1ns));
    EXPECT_TRUE(bucket.take(size, ready));
  }
}

TEST(TokenBucket, DoesNotOverflowAfterALongRest) {
  TokenBucket bucket(
      {.rate = {.bps = 400'000'000'000}, .burst_bytes = TokenBucket::kBurstBytesMax});
  EXPECT_TRUE(bucket.take(TokenBucket::kBurstBytesMax, at(24h * 365)));
  EXPECT_FALSE(bucket.take(1, at(24h * 365)));
}

ConfigValue limits(const std::string& rate, const std::string& burst, const std::string& queue) {
  return map({{"rate", text(rate)}, {"burst", text(burst)}, {"queue", text(queue)}});
}
frames::Bytes frame_of(std::size_t size) {
  return frames::udp({.payload = frames::Bytes(size - 42)});
}

TEST(RateLimiter, PassesTheBurstHoldsTheQueueAndDropsTheRest) {
  Rig rig(**make_program("rate_limiter", limits("8 Mbps", "2000 B", "2")));
  const auto seen = rig.send(std::vector<frames::Bytes>(5, frame_of(1000)), at(1s));
  EXPECT_EQ(seen[1].verdict(), Verdict::kNext);
  EXPECT_EQ(seen[2].verdict(), Verdict::kHold);
  EXPECT_EQ(seen[3].verdict(), Verdict::kHold);
  EXPECT_EQ(seen[4].reason(), DropReason::kRateLimit);
  EXPECT_EQ(rig.function().wake_at(), at(1s + 1ms));  // 1000 bytes at 1 byte/us.
  rig.tick(at(1s + 1ms - 1ns));
  EXPECT_TRUE(rig.released().empty());
  rig.tick(at(1s + 1ms));
  EXPECT_EQ(rig.released().size(), 1u);
  EXPECT_EQ(rig.function().wake_at(), at(1s + 2ms));
}

TEST(RateLimiter, ASmallPacketDoesNotOvertakeAHeldOne) {
  Rig rig(**make_program("rate_limiter", limits("8 Mbps", "1000 B", "10")));
  rig.send(frame_of(900), at(1s));
  EXPECT_EQ(rig.send(frame_of(500), at(1s)).verdict(), Verdict::kHold);
  EXPECT_EQ(rig.send(frame_of(60), at(1s)).verdict(), Verdict::kHold);
  rig.tick(at(2s));
  const auto released = rig.released();
  ASSERT_EQ(released.size(), 2u);
  EXPECT_EQ(released[0].packet.length, 500);
  EXPECT_EQ(released[1].packet.length, 60);
}

TEST(RateLimiter, DropsAtOnceWhatWouldWaitTooLongOrForEver) {
  Rig rig(**make_program(
      "rate_limiter",
      map({{"rate", text("8 Mbps")}, {"burst", text("1000 B")}, {"delay_max", text("1 ms")}})));
  EXPECT_EQ(rig.send(frame_of(1001), at(1s)).reason(), DropReason::kRateLimit);
  const auto seen = rig.send(std::vector<frames::Bytes>(3, frame_of(1000)), at(1s));
  EXPECT_EQ(seen[0].verdict(), Verdict::kNext);
  EXPECT_EQ(seen[1].verdict(), Verdict::kHold);
  EXPECT_EQ(seen[2].reason(), DropReason::kRateLimit);
}

TEST(RateLimiter, WithoutQueueOnlyPolices) {
  Rig rig(**make_program("rate_limiter", limits("8 Mbps", "1000 B", "0")));
  EXPECT_EQ(rig.send(frame_of(1000), at(1s)).verdict(), Verdict::kNext);
  EXPECT_EQ(rig.send(frame_of(1000), at(1s)).reason(), DropReason::kRateLimit);
}

TEST(RateLimiter, KeepsItsRateAndOrderUnderRandomLoadAndLateTicks) {
  Prng prng(test_seed() + 2);
  const TokenBucket::Options options{.rate = {.bps = 80'000'000}, .burst_bytes = 3000};
  Rig rig(**make_program("rate_limiter", limits("80 Mbps", "3000 B", "100")));
  std::vector<std::pair<Instant, std::uint64_t>> passed;
  std::uint64_t sent = 0;
  std::uint64_t dropped = 0;
  std::uint64_t last_arrival = 0;
  const auto pass = [&](const Seen& seen, Instant now) {
    EXPECT_GE(seen.packet.arrival, last_arrival) << "overtaken";
    last_arrival = seen.packet.arrival;
    passed.emplace_back(now, seen.packet.length);
  };
  Instant now = at(1s);
  for (int i = 0; i < 1500; ++i) {
    now += Duration(static_cast<std::int64_t>(prng.below(300'000)));
    std::vector<Seen> decided;
    if (prng.below(3) == 0) {
      rig.tick(now);
    } else {
      decided =
          rig.send(std::vector<frames::Bytes>(prng.below(8), frame_of(60 + prng.below(1400))), now);
    }
    sent += decided.size();
    for (const Seen& seen : rig.released()) pass(seen, now);
    for (const Seen& seen : decided) {
      if (seen.verdict() == Verdict::kNext) pass(seen, now);
      if (seen.verdict() == Verdict::kDrop) ++dropped;
    }
    ASSERT_EQ(sent, passed.size() + dropped + rig.held_count());
  }
  EXPECT_TRUE(conforms(passed, options));
  EXPECT_GT(dropped, 100u);
  EXPECT_GT(passed.size(), 1000u);
}

TEST(RateLimiter, SaysWhatIsWrongWithItsSettings) {
  EXPECT_EQ(error_of("rate_limiter", map({{"rate", text("0 Mbps", 4)}})),
            "f.yaml:1:4: services.s.rate: out of range; got \"0 Mbps\"; expected a rate above 0");
  EXPECT_EQ(
      error_of("rate_limiter", map({{"queue", text("4097", 4)}})),
      "f.yaml:1:4: services.s.queue: out of range; got \"4097\"; expected a whole number from "
      "0 to 4096");
}

}  // namespace
}  // namespace sluice::functions_test

#include "sim/workload/synthetic_generator.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "sim/workload/random.hpp"
#include "tests/sim/frames.hpp"

namespace sluice::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Rate kGbps{1'000'000'000};

SizeSpec fixed(std::uint64_t size_bytes) {
  return {"", {{size_bytes, kPpmOne}}};
}

SyntheticGenerator::Options options(SyntheticTraffic::Arrivals arrivals, std::uint64_t seed = 1) {
  SyntheticGenerator::Options result;
  result.traffic.arrivals = arrivals;
  result.traffic.frame_sizes = fixed(500);
  result.traffic.addresses.source = *IpPrefix::parse("10.0.0.0/8");
  result.traffic.addresses.destination = *IpPrefix::parse("192.168.0.0/16");
  result.traffic.addresses.source_port = {1024, 65535};
  result.traffic.addresses.destination_port = {80, 80};
  result.rate = {{Duration::zero(), kGbps}};
  result.stop = Instant{milliseconds{200}};
  result.seed = seed;
  return result;
}

constexpr auto kConstant = SyntheticTraffic::Arrivals::kConstant;
constexpr auto kPoisson = SyntheticTraffic::Arrivals::kPoisson;
constexpr auto kOnOff = SyntheticTraffic::Arrivals::kOnOff;

/// Low, a flash crowd, and down again in a line: jump, plateau, ramp, rest.
std::vector<RatePoint> flash_crowd() {
  const Rate low{100'000'000}, high{2'000'000'000};
  return {{Duration::zero(), low},  {milliseconds{40}, low},  {milliseconds{40}, high},
          {milliseconds{80}, high}, {milliseconds{160}, low}, {milliseconds{180}, Rate{0}}};
}

std::uint64_t bits_between(const std::vector<SeenFrame>& frames, Duration from, Duration to) {
  std::uint64_t bits = 0;
  for (const SeenFrame& frame : frames) {
    if (frame.at >= from && frame.at < to) bits += 8u * frame.length;
  }
  return bits;
}

TEST(NaturalLog, AgreesWithTheLibrary) {
  Prng prng{3};
  for (int i = 0; i < 10'000; ++i) {
    const double x = uniform(prng) * std::pow(2.0, -static_cast<double>(prng.below(50)));
    EXPECT_NEAR(natural_log(x), std::log(x), 1e-14 * std::abs(std::log(x)) + 1e-16);
  }
  EXPECT_EQ(natural_log(1.0), 0.0);
}

TEST(RateCurve, TimeOfInvertsBitsAt) {
  RateCurve curve(flash_crowd());
  for (int us = 0; us < 180'000; us += 77) {
    const auto back = curve.time_of(curve.bits_at(microseconds{us}));
    ASSERT_TRUE(back);
    EXPECT_NEAR(static_cast<double>(back->count()), us * 1e3, 2.0);
  }
  EXPECT_EQ(curve.rate_at(milliseconds{120}).bps, 1'050'000'000u);
  EXPECT_EQ(curve.rate_at(milliseconds{39}).bps, 100'000'000u);
}

TEST(RateCurve, RateBeforeTheFirstPointStaysAndAfterZeroNothingIsDue) {
  const std::vector<RatePoint> points = {{milliseconds{10}, kGbps}, {milliseconds{20}, Rate{0}}};
  RateCurve curve(points);
  EXPECT_DOUBLE_EQ(curve.bits_at(milliseconds{10}), 1e7);
  EXPECT_DOUBLE_EQ(curve.bits_at(seconds{1}), 1.5e7);
  EXPECT_EQ(curve.time_of(1e6), microseconds{1000});
  EXPECT_EQ(curve.time_of(2e7), std::nullopt);
}

TEST(SyntheticGenerator, ConstantFollowsTheCurveToOneFrame) {
  auto with = options(kConstant);
  with.rate = flash_crowd();
  SyntheticGenerator generator(with);
  const auto frames = all_frames(generator, 1'000'000);
  RateCurve curve(with.rate);
  ASSERT_GT(frames.size(), 10'000u);
  for (int ms = 0; ms < 180; ms += 5) {
    const double expected = curve.bits_at(milliseconds{ms + 5}) - curve.bits_at(milliseconds{ms});
    const auto got = bits_between(frames, milliseconds{ms}, milliseconds{ms + 5});
    EXPECT_NEAR(static_cast<double>(got), expected, 4001.0) << ms;
  }
}

TEST(SyntheticGenerator, PoissonFollowsTheCurveWithinFiveSigma) {
  auto with = options(kPoisson);
  with.rate = flash_crowd();
  SyntheticGenerator generator(with);
  const auto frames = all_frames(generator, 1'000'000);
  RateCurve curve(with.rate);
  for (int ms = 0; ms < 180; ms += 5) {
    const double bits = curve.bits_at(milliseconds{ms + 5}) - curve.bits_at(milliseconds{ms});
    const double expected = bits / 4000;
    const auto got = bits_between(frames, milliseconds{ms}, milliseconds{ms + 5}) / 4000;
    // A count of a Poisson process varies by its mean; 1 more for what a window cuts.
    EXPECT_NEAR(static_cast<double>(got), expected, 5 * std::sqrt(expected) + 1) << ms;
  }
}

RC_GTEST_PROP(SyntheticGenerator, PoissonGapsHaveTheMeanAndVarianceOfTheory, (std::uint64_t seed)) {
  auto with = options(kPoisson, seed);
  with.stop = Instant{seconds{100}};
  SyntheticGenerator generator(with);
  std::array<std::byte, 2048> room;
  constexpr int kCount = 20'000;
  double sum = 0, squares = 0;
  Duration last{};
  for (int i = 0; i < kCount; ++i) {
    const auto at = generator.next(room)->at.time_since_epoch();
    const auto gap = static_cast<double>((at - last).count());
    sum += gap;
    squares += gap * gap;
    last = at;
  }
  const double mean = sum / kCount;
  const double variance = squares / kCount - mean * mean;
  const double expected = 4000;  // 500 B at 1 Gbps, in ns.
  // Six standard errors: of the mean sigma / sqrt(n), of the variance sigma^2 sqrt(8 / n).
  RC_ASSERT(std::abs(mean - expected) < 6 * expected / std::sqrt(kCount));
  RC_ASSERT(std::abs(variance - expected * expected) <
            6 * expected * expected * std::sqrt(8.0 / kCount));
}

TEST(SyntheticGenerator, OnOffSendsOnlyWhileOnAndForThePartOfTheTimeOfTheory) {
  auto with = options(kOnOff);
  with.traffic.on_mean = milliseconds{1};
  with.traffic.off_mean = milliseconds{3};
  with.stop = Instant{seconds{4}};
  with.traffic.frame_sizes = fixed(1500);
  SyntheticGenerator generator(with);
  const auto frames = all_frames(generator, 10'000'000);
  const auto bits = static_cast<double>(bits_between(frames, Duration::zero(), seconds{4}));
  // 1000 cycles of which a quarter is on; the on part of a cycle varies by about its mean.
  EXPECT_NEAR(bits, 1e9, 6 * 1e9 * std::sqrt(2.0 / 1000));
  int long_gaps = 0;
  for (std::size_t i = 1; i < frames.size(); ++i) {
    long_gaps += frames[i].at - frames[i - 1].at > microseconds{400} ? 1 : 0;
  }
  EXPECT_GT(long_gaps, 700);  // exp(-0.4 / 3) of some 1000 off phases are longer.
  EXPECT_LT(long_gaps, 1100);
}

TEST(SyntheticGenerator, BurstsLeaveBackToBackAtTheSameRate) {
  auto with = options(kConstant);
  with.traffic.burst = 8;
  SyntheticGenerator generator(with);
  const auto frames = all_frames(generator, 8000);
  for (std::size_t i = 0; i < frames.size(); i += 8) {
    EXPECT_EQ(frames[i].at, frames[i + 7].at);
    EXPECT_EQ(frames[i].at, microseconds{4 * static_cast<std::int64_t>(i)});
  }
}

TEST(SyntheticGenerator, SeedDecides) {
  const auto trace = [](std::uint64_t seed) {
    auto with = options(kPoisson, seed);
    with.traffic.flow_count = 10;
    SyntheticGenerator generator(with);
    std::vector<std::pair<std::int64_t, std::uint16_t>> result;
    for (const SeenFrame& frame : all_frames(generator, 500)) {
      result.emplace_back(frame.at.count(), frame.key.source_port);
    }
    return result;
  };
  EXPECT_EQ(trace(7), trace(7));
  EXPECT_NE(trace(7), trace(8));
}

TEST(SyntheticGenerator, EveryChecksumIsRight) {
  for (const char* prefix : {"10.0.0.0/8", "2001:db8::/64"}) {
    for (const int protocol : {6, 17}) {
      auto with = options(kPoisson);
      with.traffic.addresses.protocol = static_cast<std::uint8_t>(protocol);
      with.traffic.addresses.source = *IpPrefix::parse(prefix);
      with.traffic.addresses.destination = *IpPrefix::parse(prefix);
      with.traffic.frame_sizes = {"", {{60, Ppm{300'000}}, {61, Ppm{600'000}}, {1499, kPpmOne}}};
      with.traffic.flow_count = 50;
      with.traffic.flow_packets = 9;
      SyntheticGenerator generator(with);
      const auto frames = all_frames(generator, 3000);
      ASSERT_EQ(frames.size(), 3000u);
      for (const SeenFrame& frame : frames) {
        ASSERT_EQ(frame.checksum, ChecksumState::kRight);
        ASSERT_EQ(frame.key.protocol, protocol);
        ASSERT_GE(frame.length, generator.header_size());
      }
    }
  }
}

TEST(SyntheticGenerator, AddressesAndPortsLieInTheirRanges) {
  auto with = options(kConstant);
  with.traffic.flow_count = 2000;
  with.traffic.addresses.source_port = {5000, 5009};
  SyntheticGenerator generator(with);
  std::set<std::uint16_t> ports;
  for (const SeenFrame& frame : all_frames(generator, 2000)) {
    EXPECT_TRUE(with.traffic.addresses.source.contains(4, frame.key.source));
    EXPECT_TRUE(with.traffic.addresses.destination.contains(4, frame.key.destination));
    EXPECT_EQ(frame.key.destination_port, 80);
    ports.insert(frame.key.source_port);
  }
  EXPECT_EQ(ports.size(), 10u);
  EXPECT_EQ(*ports.begin(), 5000);
}

TEST(SyntheticGenerator, FlowsEndAfterTheirPacketsAndNewOnesBegin) {
  auto with = options(kConstant);
  with.traffic.flow_count = 20;
  with.traffic.flow_packets = 7;
  SyntheticGenerator generator(with);
  std::map<std::string, int> counts;
  for (const SeenFrame& frame : all_frames(generator, 20 * 7 * 5)) {
    ++counts[std::string(reinterpret_cast<const char*>(&frame.key), sizeof frame.key)];
  }
  EXPECT_EQ(counts.size(), 100u);
  for (const auto& [key, count] : counts) EXPECT_EQ(count, 7);
  EXPECT_EQ(generator.flow_count(), 120u);  // And 20 that live now.
}

TEST(SyntheticGenerator, FlowsEndAfterTheirBytes) {
  auto with = options(kConstant);
  with.traffic.flow_sizes = SizeSpec{"", {{400, Ppm{500'000}}, {2400, kPpmOne}}};
  SyntheticGenerator generator(with);
  std::map<std::string, int> counts;
  for (const SeenFrame& frame : all_frames(generator, 6000)) {
    ++counts[std::string(reinterpret_cast<const char*>(&frame.key), sizeof frame.key)];
  }
  int short_count = 0, long_count = 0;
  for (const auto& [key, count] : counts) (count == 1 ? short_count : long_count) += 1;
  // Half of 2000 flows have one frame, half five; a binomial with sigma 22.
  EXPECT_NEAR(short_count, 1000, 130);
  EXPECT_NEAR(long_count, 1000, 130);
}

TEST(SyntheticGenerator, TcpFlowsBeginWithSynEndWithFinAndCountTheirBytes) {
  auto with = options(kConstant);
  with.traffic.addresses.protocol = 6;
  with.traffic.flow_packets = 5;
  SyntheticGenerator generator(with);
  const auto frames = all_frames(generator, 50);
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const std::uint8_t flags = frames[i].headers.tcp_flags;
    EXPECT_EQ((flags & kTcpSyn) != 0, i % 5 == 0);
    EXPECT_EQ((flags & kTcpAck) != 0, i % 5 != 0);
    EXPECT_EQ((flags & kTcpFin) != 0, i % 5 == 4);
    if (i % 5 == 0) continue;
    const std::uint32_t step = frames[i - 1].headers.payload_length + (i % 5 == 1 ? 1u : 0u);
    EXPECT_EQ(frames[i].sequence, frames[i - 1].sequence + step);
  }
}

TEST(SyntheticGenerator, NothingComesBeforeStartOrFromStopOn) {
  for (const auto arrivals : {kConstant, kPoisson, kOnOff}) {
    auto with = options(arrivals);
    with.traffic.on_mean = with.traffic.off_mean = milliseconds{1};
    with.start = Instant{milliseconds{50}};
    with.stop = Instant{milliseconds{60}};
    SyntheticGenerator generator(with);
    const auto frames = all_frames(generator, 100'000);
    ASSERT_GT(frames.size(), 500u);
    EXPECT_GE(frames.front().at, milliseconds{50});
    EXPECT_LT(frames.back().at, milliseconds{60});
    EXPECT_TRUE(std::is_sorted(frames.begin(), frames.end(),
                               [](const auto& a, const auto& b) { return a.at < b.at; }));
  }
}

}  // namespace
}  // namespace sluice::sim

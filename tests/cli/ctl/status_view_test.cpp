#include "cli/ctl/status_view.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "cli/ctl/text_table.hpp"

namespace sluice::cli {
namespace {

using Json = nlohmann::ordered_json;
using testing::HasSubstr;
using testing::Not;

Json status_of(std::uint64_t counted_ns, std::uint64_t packets) {
  return {{"host", "h1"},
          {"deployment", "hello"},
          {"ready", true},
          {"counted_ns", counted_ns},
          {"uptime_s", static_cast<double>(counted_ns) * 1e-9},
          {"ports", {{{"name", "p0"}, {"received_packets", packets}, {"missed", 0}}}},
          {"instances",
           {{{"name", "a-service-with-a-name-that-is-much-too-long.12"},
             {"service", "a"},
             {"number", 12},
             {"state", "running"},
             {"pid", 4321},
             {"ring_size", 128},
             {"ring_capacity", 256},
             {"load_ppm", 870'000},
             {"flows", 7},
             {"delivered_packets", packets},
             {"ring_full_drops", 0}}}},
          {"chains", {{{"name", "out"}, {"latency_p50_ns", 1500}, {"latency_p99_ns", 2'500'000}}}},
          {"drops", {{"ring_full", packets / 10}}},
          {"buffers", {{"total", 4096}, {"free", 4000}}},
          {"cores", {{"total", 6}, {"used", 3}}}};
}

std::size_t longest_line(const std::string& text) {
  std::istringstream lines(text);
  std::size_t longest = 0;
  for (std::string line; std::getline(lines, line);) longest = std::max(longest, line.size());
  return longest;
}

TEST(ShortNumber, HasAtMostFiveCharacters) {
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(0.25), "0.2");
  EXPECT_EQ(short_number(7), "7");
  EXPECT_EQ(short_number(9999), "9999");
  EXPECT_EQ(short_number(9999.7), "10.0k");
  EXPECT_EQ(short_number(12'345), "12.3k");
  EXPECT_EQ(short_number(999'499), "999k");
  EXPECT_EQ(short_number(999'500), "1.00M");
  EXPECT_EQ(short_number(2.345e9), "2.35G");
  for (double value = 1; value < 1e20; value *= 1.7) EXPECT_LE(short_number(value).size(), 5u);
}

TEST(StatusView, ShowsTotalsWithoutAStatusBefore) {
  const std::string view = view_of(status_of(1'000'000'000, 50'000), nullptr, {.width = 100});
  EXPECT_THAT(view, HasSubstr("h1  hello  up 1 s  ready"));
  EXPECT_THAT(view, HasSubstr("buffers 4000 of 4096 free  cores 3 of 6"));
  EXPECT_THAT(view, HasSubstr("in packets"));
  EXPECT_THAT(view, HasSubstr("50.0k"));
  EXPECT_THAT(view, HasSubstr("[#####.....]  87 %"));
  EXPECT_THAT(view, HasSubstr("1.5 us"));
  EXPECT_THAT(view, HasSubstr("2.5 ms"));
  EXPECT_THAT(view, Not(HasSubstr("packets/s")));
}

TEST(StatusView, ShowsRatesSinceAStatusBefore) {
  const Json before = status_of(1'000'000'000, 50'000);
  const std::string view = view_of(status_of(3'000'000'000, 90'000), &before, {.width = 100});
  EXPECT_THAT(view, HasSubstr("in packets/s"));
  EXPECT_THAT(view, HasSubstr("20.0k"));                               // 40,000 in 2 s.
  EXPECT_THAT(view, testing::ContainsRegex("ring_full +2000 +9000"));  // 4,000 in 2 s; in all.
}

TEST(StatusView, TakesARestartedHostForAnother) {
  const Json before = status_of(9'000'000'000, 50'000);
  Json now = status_of(10'000'000'000, 10);
  now["uptime_s"] = 0.5;
  EXPECT_THAT(view_of(now, &before, {.width = 100}), Not(HasSubstr("packets/s")));
}

TEST(StatusView, StaysWithinTheTerminal) {
  const Json before = status_of(1'000'000'000, 50'000);
  const Json now = status_of(2'000'000'000, 90'000);
  for (const std::size_t width : {40u, 60u, 80u, 100u, 200u}) {
    const std::string view = view_of(now, &before, {.width = width});
    EXPECT_LE(longest_line(view), width);
    EXPECT_THAT(view, HasSubstr(".12 "));  // The number tells one instance from another.
  }
  EXPECT_THAT(view_of(now, &before, {.width = 80}), HasSubstr("drops/s"));
}

TEST(StatusView, HasNoColourUnlessAsked) {
  const Json status = status_of(1'000'000'000, 50'000);
  EXPECT_THAT(view_of(status, nullptr, {.width = 80}), Not(HasSubstr("\x1b")));
  EXPECT_THAT(view_of(status, nullptr, {.width = 80, .colour = true}), HasSubstr("\x1b[32m"));
}

TEST(StatusView, EndsNothingOverAnAnswerOfAnotherVersion) {
  EXPECT_THAT(view_of(Json{{"ok", true}, {"host", "h1"}}, nullptr, {.width = 80}), HasSubstr("h1"));
}

}  // namespace
}  // namespace sluice::cli

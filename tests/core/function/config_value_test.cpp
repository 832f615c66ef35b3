#include "core/function/config_value.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace sluice {
namespace {

using namespace std::chrono_literals;

ConfigValue map_of(std::vector<std::pair<std::string, std::string>> pairs) {
  std::vector<ConfigValue::Entry> entries;
  std::uint32_t line = 1;
  for (auto& [key, text] : pairs) {
    entries.push_back({key, {"f", line, 1}, ConfigValue::scalar(text, {"f", line, 9})});
    ++line;
  }
  return ConfigValue::map(std::move(entries), {"f", 1, 1});
}

std::string first_error(MapReader& reader) {
  const auto error = reader.finish();
  return error ? error->to_string() : "none";
}

TEST(MapReader, ReadsEachKind) {
  const ConfigValue map = map_of({{"n", "7"},
                                  {"t", "5 ms"},
                                  {"r", "1.5 Gbps"},
                                  {"s", "2 KiB"},
                                  {"f", "2.6 GHz"},
                                  {"p", "70 %"},
                                  {"b", "true"},
                                  {"w", "word"}});
  MapReader reader(map, "m");
  EXPECT_EQ(reader.integer("n", 0, {}), 7u);
  EXPECT_EQ(reader.duration("t", 0s, {}), 5ms);
  EXPECT_EQ(reader.rate("r", {}).bps, 1'500'000'000u);
  EXPECT_EQ(reader.size_bytes("s", 0, {}), 2048u);
  EXPECT_EQ(reader.frequency("f", {}).hz, 2'600'000'000u);
  EXPECT_EQ(reader.ratio("p", {}).value, 700'000u);
  EXPECT_TRUE(reader.boolean("b", false));
  EXPECT_EQ(reader.string("w"), "word");
  EXPECT_EQ(reader.integer("absent", 3, {}), 3u);
  EXPECT_EQ(first_error(reader), "none");
}

TEST(MapReader, KeepsTheFirstErrorAndGivesDefaults) {
  const ConfigValue map = map_of({{"a", "x"}, {"b", "y"}});
  MapReader reader(map, "m");
  EXPECT_EQ(reader.integer("a", 4, {1, 9}), 4u);
  EXPECT_EQ(reader.duration("b", 3s, {}), 3s);
  EXPECT_TRUE(reader.failed());
  EXPECT_EQ(first_error(reader),
            "f:1:9: m.a: not a number; got \"x\"; expected a whole number from 1 to 9");
}

TEST(MapReader, UnknownKeyComesBeforeTheMissingOneThatItMayBe) {
  const ConfigValue map = map_of({{"coers", "1"}});
  MapReader reader(map, "hosts.h1");
  reader.require("cores");
  (void)reader.integer("cores", 1, {});
  EXPECT_EQ(first_error(reader),
            "f:1:1: hosts.h1.coers: unknown key; got \"coers\"; expected cores; did you mean "
            "cores?");
}

TEST(MapReader, MissingKeyStandsAtTheMap) {
  const ConfigValue map = map_of({});
  MapReader reader(map, "m");
  reader.require("k");
  EXPECT_TRUE(reader.failed());
  EXPECT_EQ(first_error(reader), "f:1:1: m.k: missing");
}

TEST(MapReader, AnythingButAMapIsAnError) {
  const ConfigValue scalar = ConfigValue::scalar("x", {"f", 2, 3});
  MapReader reader(scalar, "m");
  EXPECT_EQ(reader.integer("k", 5, {}), 5u);
  EXPECT_EQ(first_error(reader), "f:2:3: m: not a map; got \"x\"; expected a map");
}

TEST(MapReader, LimitsAreInclusive) {
  const ConfigValue map = map_of({{"a", "1"}, {"b", "9"}, {"c", "10"}});
  MapReader reader(map, "m");
  EXPECT_EQ(reader.integer("a", 0, {1, 9}), 1u);
  EXPECT_EQ(reader.integer("b", 0, {1, 9}), 9u);
  EXPECT_FALSE(reader.failed());
  (void)reader.integer("c", 0, {1, 9});
  EXPECT_TRUE(reader.failed());
}

TEST(MapReader, StringsTakesOneOrSeveral) {
  const ConfigValue map = map_of({{"a", "x"}});
  MapReader reader(map, "m");
  EXPECT_EQ(reader.strings("a"), std::vector<std::string>{"x"});
  EXPECT_TRUE(reader.strings("absent").empty());
}

TEST(Quantities, TakeDecimalFractionsExactly) {
  EXPECT_EQ(*parse_duration("0.5 us"), 500ns);
  EXPECT_EQ(*parse_duration("1.5min"), 90s);
  EXPECT_EQ(parse_rate("0.1 Gbps")->bps, 100'000'000u);
  EXPECT_EQ(*parse_size_bytes("1.5 kB"), 1500u);
  EXPECT_EQ(parse_ratio("0.000001")->value, 1u);
  EXPECT_EQ(parse_ratio("0.1 %")->value, 1000u);
  EXPECT_EQ(parse_ratio("1")->value, 1'000'000u);
}

TEST(Quantities, RefuseWhatTheyWouldHaveToGuess) {
  for (const char* text : {"", " ", "5", "ms", "5 sec", "10sec", "-5 ms", "0x10 ms", "1e3 ms",
                           "NaN ms", "inf", "5 ms ms", "5. ms", ".5 ms", "1.2.3 ms", "5,5 ms",
                           "0.0000000001 s", "99999999999 h", "9999999999999999999999 ns"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
  for (const char* text :
       {"-1", "1.5", "0x10", "1e309", "NaN", "18446744073709551616", "", "+1", "1 000", "1_000"}) {
    EXPECT_FALSE(parse_integer(text)) << text;
  }
  for (const char* text : {"1.1", "101 %", "-0.1", "0.0000001", "70 percent"}) {
    EXPECT_FALSE(parse_ratio(text)) << text;
  }
  EXPECT_FALSE(parse_rate("20000000 Tbps")) << "beyond 64 bits";
}

TEST(Quantities, ReasonNamesTheUnits) {
  EXPECT_EQ(parse_duration("10sec").error(),
            "unknown unit; expected a number and one of ns, us, ms, s, min, h");
}

RC_GTEST_PROP(Quantities, WholeNumbersOfNanosecondsComeBack, (std::uint32_t ns)) {
  const std::string text = std::to_string(ns) + " ns";
  RC_ASSERT(parse_duration(text).value() == std::chrono::nanoseconds{ns});
  const std::string in_us =
      std::to_string(ns / 1000) + "." + std::to_string(1000 + ns % 1000).substr(1) + " us";
  RC_ASSERT(parse_duration(in_us).value() == std::chrono::nanoseconds{ns});
}

RC_GTEST_PROP(Quantities, AnyTextGivesAValueOrAReason, (const std::string& text)) {
  for (const auto& result : {parse_integer(text), parse_size_bytes(text)}) {
    RC_ASSERT(result.has_value() || !result.error().empty());
  }
}

TEST(Nearest, FindsSlipsAndOnlySlips) {
  constexpr std::string_view kNames[] = {"cores", "clock", "ports"};
  EXPECT_EQ(nearest("coers", kNames), "cores");
  EXPECT_EQ(nearest("Clock", kNames), "clock");
  EXPECT_EQ(nearest("port", kNames), "ports");
  EXPECT_EQ(nearest("bandwidth", kNames), "");
  EXPECT_EQ(nearest("", kNames), "");
  EXPECT_EQ(nearest(std::string(1'000'000, 'x'), kNames), "");
}

TEST(ConfigValue, DescribesWithoutFlooding) {
  EXPECT_EQ(ConfigValue::scalar(std::string(100, 'x'), {}).describe(),
            "\"" + std::string(40, 'x') + "...\"");
  EXPECT_EQ(ConfigValue::scalar("a\nb\x01", {}).describe(), "\"a\\nb\\x01\"");
  // 39 letters and an umlaut of two bytes: it is not cut in its middle.
  EXPECT_EQ(ConfigValue::scalar(std::string(39, 'x') + "\xc3\xa4y", {}).describe(),
            "\"" + std::string(39, 'x') + "...\"");
}

}  // namespace
}  // namespace sluice

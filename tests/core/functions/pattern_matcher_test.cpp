#include "core/functions/pattern_matcher.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <iostream>
#include <string>
#include <vector>

#include "core/prng.hpp"
#include "tests/core/functions/seed.hpp"

namespace sluice {
namespace {

using Pattern = PatternMatcher::Pattern;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

// The oracle: every pattern at every place, by the standard library.
std::uint32_t naive(const std::vector<Pattern>& patterns, const std::string& text, bool nocase) {
  std::uint32_t found = 0;
  for (const Pattern& pattern : patterns) {
    const bool occurs = nocase ? lower(text).find(lower(pattern.bytes)) != std::string::npos
                               : text.find(pattern.bytes) != std::string::npos;
    if (occurs) found |= 1u << pattern.label;
  }
  return found;
}

// All three searches; they must agree.
std::uint32_t scan(const std::vector<Pattern>& patterns, const std::string& text,
                   bool nocase = false) {
  const PatternMatcher fast(patterns, {.nocase = nocase, .use_simd = true});
  const PatternMatcher portable(patterns, {.nocase = nocase, .use_simd = false});
  const std::uint32_t found = fast.scan(bytes_of(text));
  EXPECT_EQ(found, portable.scan(bytes_of(text)));
  EXPECT_EQ(found, fast.scan_linear(bytes_of(text)));
  return found;
}

TEST(PatternMatcher, FindsAPatternAtBothEndsAndNotAcrossThem) {
  const std::vector<Pattern> patterns{{"attack", 0}};
  EXPECT_EQ(scan(patterns, "attack at dawn, we said, and so on and so on and so on"), 1u);
  EXPECT_EQ(scan(patterns, "we said, and so on and so on and so on, at dawn attack"), 1u);
  EXPECT_EQ(scan(patterns, "attac"), 0u);
  EXPECT_EQ(scan(patterns, "ttack at dawn and so on and so on and so on, atta"), 0u);
  EXPECT_EQ(scan(patterns, ""), 0u);
}

TEST(PatternMatcher, FindsPatternsOfOneTwoAndThreeBytes) {
  EXPECT_EQ(scan({{"x", 0}, {"yz", 1}, {"abc", 2}}, "..x"), 1u);
  EXPECT_EQ(scan({{"x", 0}, {"yz", 1}, {"abc", 2}}, "yzabc"), 6u);
  EXPECT_EQ(scan({{"x", 0}, {"yz", 1}, {"abc", 2}}, "y.z.ab"), 0u);
  EXPECT_EQ(scan({{std::string("a\0", 2), 0}}, "a"), 0u);  // No byte behind the end counts as 0.
}

TEST(PatternMatcher, GivesEveryLabelOfPatternsWithinAndEqualToEachOther) {
  const std::vector<Pattern> patterns{{"she", 0}, {"he", 1}, {"hers", 2}, {"hers", 3}, {"his", 4}};
  EXPECT_EQ(scan(patterns, "ushers"), 0b01111u);
}

TEST(PatternMatcher, IgnoresCaseOfLettersOnlyWhenAsked) {
  EXPECT_EQ(scan({{"Select", 0}}, "union SELECT 1"), 0u);
  EXPECT_EQ(scan({{"Select", 0}}, "union SELECT 1", true), 1u);
  // '@' and '`', '[' and '{' differ by the same bit as letters do.
  EXPECT_EQ(scan({{"a@b[c]", 0}}, "A`B{C}", true), 0u);
}

TEST(PatternMatcher, FindsNothingWithoutPatterns) {
  EXPECT_EQ(scan({}, "anything"), 0u);
}

TEST(PatternMatcher, EqualsNaiveSearchOnRandomTexts) {
  Prng prng(test_seed());
  std::uint32_t with_match = 0;
  for (int round = 0; round < 1500; ++round) {
    const std::uint64_t alphabet = 2 + prng.below(6);
    const bool nocase = prng.below(2) == 0;
    const auto random_text = [&](std::size_t length) {
      std::string text;
      while (text.size() < length) {
        const char c = static_cast<char>('a' + prng.below(alphabet));
        text += prng.below(3) == 0 ? static_cast<char>(std::toupper(c)) : c;
      }
      return text;
    };
    std::vector<Pattern> patterns;
    const std::uint64_t count = 1 + prng.below(60);
    const std::uint64_t length_min = 1 + prng.below(9);
    while (patterns.size() < count) {
      patterns.push_back({random_text(length_min + prng.below(12)),
                          static_cast<std::uint32_t>(prng.below(PatternMatcher::kLabelMax))});
    }
    const std::string text = random_text(prng.below(300));
    const std::uint32_t found = scan(patterns, text, nocase);
    ASSERT_EQ(found, naive(patterns, text, nocase)) << "round " << round << " text " << text;
    if (found != 0) ++with_match;
  }
  EXPECT_GT(with_match, 300u);  // Else the texts prove little.
  EXPECT_LT(with_match, 1500u);
}

TEST(PatternMatcher, EqualsNaiveSearchOnRandomBytesWithPlantedPatterns) {
  Prng prng(test_seed() + 1);
  for (int round = 0; round < 300; ++round) {
    const auto random_bytes = [&](std::size_t length) {
      std::string text;
      while (text.size() < length) text += static_cast<char>(prng.below(256));
      return text;
    };
    std::vector<Pattern> patterns;
    while (patterns.size() < 40) {
      patterns.push_back({random_bytes(1 + prng.below(100)),
                          static_cast<std::uint32_t>(prng.below(PatternMatcher::kLabelMax))});
    }
    std::string text = random_bytes(200 + prng.below(1300));
    const std::string& planted = patterns[prng.below(40)].bytes;
    text.replace(prng.below(text.size() - planted.size()), planted.size(), planted);
    ASSERT_EQ(scan(patterns, text), naive(patterns, text, false)) << "round " << round;
  }
}

TEST(PatternMatcher, StaysRightWhenATextIsMadeAgainstItsFilter) {
  // Every fourth position may begin any of 1024 patterns, whose rarest window all share: the budget
  // of comparisons ends, and the linear search goes on.
  std::vector<Pattern> patterns;
  for (std::uint32_t i = 0; i < 1024; ++i) {
    std::string text = "~QXZ";
    for (std::uint32_t bit = 0; bit < 10; ++bit) text += (i >> bit & 1u) != 0 ? 't' : 'e';
    patterns.push_back({text, i % 4});
  }
  std::string text;
  for (int i = 0; i < 25'000; ++i) text += "~QXZ";
  EXPECT_EQ(scan(patterns, text), 0u);
  EXPECT_EQ(scan(patterns, text + "teeeeeeeee"), 2u);
  EXPECT_EQ(scan(patterns, text + "xteeeeeeee"), 0u);
}

TEST(PatternMatcher, TakesAHundredThousandPatterns) {
  Prng prng(3);
  std::vector<Pattern> patterns;
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    patterns.push_back({"p" + std::to_string(i) + "q" + std::to_string(prng.below(1000)), i % 2});
  }
  const PatternMatcher matcher(patterns, {});
  EXPECT_EQ(matcher.pattern_count(), 100'000u);
  EXPECT_EQ(matcher.scan(bytes_of("..." + patterns[77'778].bytes + "...")) & 1u, 1u);
  EXPECT_EQ(matcher.scan(bytes_of("no such thing in here at all")), 0u);
}

}  // namespace
}  // namespace sluice

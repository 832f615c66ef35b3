#include "core/functions/ids.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/functions/pattern_list.hpp"
#include "tests/core/functions/harness.hpp"

namespace sluice::functions_test {
namespace {

using namespace std::chrono_literals;

ConfigValue with_file() {
  return map({{"patterns", text("patterns.txt", 3)}});
}
frames::Bytes carrying(const std::string& payload) {
  return frames::tcp({.payload = frames::text(payload)});
}

TEST(Ids, LabelsPacketsWithAPatternAndNoOthers) {
  const auto program = make_program("ids", with_file(), "attack\n@2 virus\n");
  ASSERT_TRUE(program) << program.error().to_string();
  EXPECT_THAT((*program)->traits().labels,
              testing::ElementsAre("suspicious", "label_1", "label_2"));
  Rig rig(**program);
  const auto seen = rig.send({carrying("we attack"), carrying("peace"), carrying("virus attack"),
                              carrying(""), frames::arp(), frames::hex("00 01")},
                             at(1s));
  for (const Seen& one : seen) EXPECT_EQ(one.verdict(), Verdict::kNext);
  EXPECT_EQ(seen[0].packet.tag, 1u);
  EXPECT_EQ(seen[1].packet.tag, 0u);
  EXPECT_EQ(seen[2].packet.tag, 5u);
  for (int i = 3; i < 6; ++i) EXPECT_EQ(seen[static_cast<std::size_t>(i)].packet.tag, 0u);
  EXPECT_EQ(rig.as<Ids>().totals().match_count, 2u);
}

TEST(Ids, SearchesThePayloadOnlyAndAllOfIt) {
  Rig rig(**make_program("ids", with_file(), "|00 00 00 00|\n"));
  // Ethernet padding and headers hold zeros, the payload does not.
  EXPECT_EQ(rig.send(frames::udp({.payload = frames::text("x")}, {}, {.size_min = 60}), at(1s))
                .packet.tag,
            0u);
  EXPECT_EQ(rig.send(carrying(std::string("x\0\0\0\0", 5)), at(1s)).packet.tag, 1u);
}

TEST(Ids, DoesNotFindAPatternAcrossTwoPackets) {
  Rig rig(**make_program("ids", with_file(), "attack\n"));
  const auto seen = rig.send({carrying("att"), carrying("ack")}, at(1s));
  EXPECT_EQ(seen[0].packet.tag | seen[1].packet.tag, 0u);
}

TEST(Ids, DropsWhenAskedTo) {
  Rig rig(**make_program("ids", map({{"pattern", list({text("Attack")})},
                                     {"nocase", text("true")},
                                     {"action", text("drop")}})));
  EXPECT_EQ(rig.send(carrying("ATTACK"), at(1s)).reason(), DropReason::kRule);
  EXPECT_EQ(rig.send(carrying("peace"), at(1s)).verdict(), Verdict::kNext);
}

TEST(Ids, NamesOfLabelsChooseThem) {
  Rig rig(**make_program(
      "ids",
      map({{"patterns", text("patterns.txt")}, {"labels", list({text("odd"), text("evil")})}}),
      "@evil virus\nattack\n"));
  EXPECT_EQ(rig.send(carrying("virus"), at(1s)).packet.tag, 2u);
}

TEST(Ids, SaysWhatIsWrongWithItsFile) {
  const auto error = [](const std::string& file) { return error_of("ids", with_file(), file); };
  EXPECT_EQ(error("good\n  |4x|\n"),
            "patterns.txt:2:4: bad hexadecimal byte; got \"4x\"; expected two digits 0-9, a-f for "
            "each byte");
  EXPECT_EQ(error("ab|41"),
            "patterns.txt:1:3: hexadecimal part not closed; expected a second \"|\"");
  EXPECT_EQ(error("ab||"),
            "patterns.txt:1:3: empty hexadecimal part; expected bytes as in |41 42|");
  EXPECT_EQ(error("a\\q"),
            "patterns.txt:1:2: unknown escape; got \"\\q\"; expected one of \\\\, \\|, \\#, \\@");
  EXPECT_EQ(error("a\x01"),
            "patterns.txt:1:2: control character; got \"\\x01\"; expected its hexadecimal form, as "
            "|00|");
  EXPECT_EQ(error("@32 x"),
            "patterns.txt:1:2: unknown label; got \"32\"; expected its number, 0 to 31");
  EXPECT_EQ(error("\n@1 "), "patterns.txt:2:3: empty pattern; expected at least one byte");
  EXPECT_EQ(error("# only\n\n"), "patterns.txt: no pattern in it; expected at least one line");
  EXPECT_EQ(error(std::string(1025, 'x')),
            "patterns.txt:1:1: pattern too long; got 1025 bytes; expected at most 1024");
  std::string many;
  for (std::size_t i = 0; i <= kPatternCountMax; ++i) many += "pattern\n";
  EXPECT_EQ(error(many), "patterns.txt:100001:1: too many patterns; expected at most 100000");
  many.resize(many.size() - 8);
  EXPECT_EQ(error(many), "no error");
}

TEST(Ids, SaysWhatIsWrongWithItsSettings) {
  EXPECT_EQ(error_of("ids", map({})), "f.yaml:1:1: services.s.patterns: missing");
  EXPECT_EQ(
      error_of("ids", map({{"patterns", text("none.txt", 3)}})),
      "f.yaml:1:3: services.s.patterns: cannot read the file; got \"none.txt\": no such file; "
      "expected a pattern file");
  EXPECT_EQ(
      error_of("ids", map({{"pattern", list({text("ok"), text("|4|", 9)})}})),
      "f.yaml:1:10: services.s.pattern: bad hexadecimal byte; got \"4|\"; expected two digits "
      "0-9, a-f for each byte");
}

TEST(PatternList, ReadsHexEscapesBlanksCommentsAndLineEnds) {
  const auto patterns =
      parse_pattern_file("\xef\xbb\xbf# comment\r\n a|20 0D|b \r\n\\#c\\|\\\\\n\n@1 \\@d", {}, "f");
  ASSERT_TRUE(patterns) << patterns.error().to_string();
  ASSERT_EQ(patterns->size(), 3u);
  EXPECT_EQ((*patterns)[0].bytes, "a \rb");
  EXPECT_EQ((*patterns)[1].bytes, "#c|\\");
  EXPECT_EQ((*patterns)[2].bytes, "@d");
  EXPECT_EQ((*patterns)[2].label, 1u);
}

}  // namespace
}  // namespace sluice::functions_test

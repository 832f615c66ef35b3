#include <gtest/gtest.h>

#include "tests/core/deployment/support.hpp"

namespace sluice {
namespace {

std::string error_of(std::string_view text) {
  const auto tree = parse_yaml(text, "t.yaml");
  return tree ? "good" : tree.error().to_string();
}

std::string value_at(const ConfigValue& tree, const std::string& key) {
  const ConfigValue* value = tree.find(key);
  return value == nullptr ? "absent" : value->describe();
}

TEST(ParseYaml, KeepsOrderKindsAndPlaces) {
  const auto tree = parse_yaml("b: 1\na: [x, {c: }]\n", "t.yaml");
  ASSERT_TRUE(tree);
  ASSERT_EQ(tree->entries().size(), 2u);
  EXPECT_EQ(tree->entries()[0].key, "b");
  EXPECT_EQ(tree->entries()[0].value.place(), (Place{"t.yaml", 1, 4}));
  const ConfigValue& list = tree->entries()[1].value;
  ASSERT_TRUE(list.is_list());
  EXPECT_EQ(list.place(), (Place{"t.yaml", 2, 4}));
  EXPECT_TRUE(list.items()[1].find("c")->is_null());
}

TEST(ParseYaml, ColumnsCountCharactersNotBytes) {
  const auto tree = parse_yaml("{ä: 1, ö: x}\n", "t.yaml");
  ASSERT_TRUE(tree);
  EXPECT_EQ(tree->entries()[1].place, (Place{"t.yaml", 1, 8}));
}

TEST(ParseYaml, AcceptsByteOrderMarkAndCarriageReturns) {
  const auto tree = parse_yaml(
      "\xef\xbb\xbf"
      "a: 1\r\nb: 2\r\n",
      "t.yaml");
  ASSERT_TRUE(tree);
  EXPECT_EQ(value_at(*tree, "a"), "\"1\"");
  EXPECT_EQ(value_at(*tree, "b"), "\"2\"");
  EXPECT_EQ(tree->entries()[0].place, (Place{"t.yaml", 1, 1}));
}

TEST(ParseYaml, RefusesAFileBeyondTheLimitAndTakesOneAtIt) {
  std::string text = "a: 1\n#";
  text.append(DeploymentLimits::kFileBytesMax - text.size(), 'x');
  EXPECT_EQ(error_of(text), "good");
  text += "x";
  EXPECT_EQ(error_of(text),
            "t.yaml: file too large; got 1048577 bytes; expected at most 1048576 bytes");
}

TEST(ParseYaml, TakesTheDepthLimitAndNoMore) {
  const auto nested = [](std::uint32_t depth) {
    return "a: " + std::string(depth - 1, '[') + std::string(depth - 1, ']');
  };
  EXPECT_EQ(error_of(nested(DeploymentLimits::kDepthMax)), "good");
  EXPECT_NE(error_of(nested(DeploymentLimits::kDepthMax + 1)), "good");
}

TEST(ParseYaml, BoundsBlockNesting) {
  std::string text;
  for (int i = 0; i < 5'000; ++i) text += "- ";
  EXPECT_NE(error_of(text + "x\n").find("nested too deeply"), std::string::npos);
}

TEST(ParseYaml, TakesQuotesThatAreClosed) {
  EXPECT_EQ(error_of(R"(a: "x\"y")"), "good");
  EXPECT_EQ(error_of("a: 'it''s'"), "good");
  EXPECT_NE(error_of("a: 'it''s"), "good");
  EXPECT_NE(error_of(R"(a: "x\")"), "good");
}

TEST(ApplyOverride, ChangesAddsAndIndexes) {
  auto tree = *parse_yaml("a: {b: 1}\nl: [x, {k: 2}]\n", "t.yaml");
  ASSERT_TRUE(apply_override(tree, "a.b", "5"));
  ASSERT_TRUE(apply_override(tree, "new.deep.key", "[1, 2]"));
  ASSERT_TRUE(apply_override(tree, "l.1.k", "7"));
  ASSERT_TRUE(apply_override(tree, "l[0]", "y"));
  EXPECT_EQ(tree.find("a")->find("b")->text(), "5");
  EXPECT_EQ(tree.find("new")->find("deep")->find("key")->items().size(), 2u);
  EXPECT_EQ(tree.find("l")->items()[1].find("k")->text(), "7");
  EXPECT_EQ(tree.find("l")->items()[0].text(), "y");
  EXPECT_EQ(tree.find("a")->find("b")->place().to_string(), "--set a.b=5");
}

TEST(ApplyOverride, RefusesAndLeavesTheTree) {
  auto tree = *parse_yaml("a: {b: 1}\nl: [x]\n", "t.yaml");
  EXPECT_EQ(apply_override(tree, "l.1", "y").error().to_string(),
            "--set l.1=y: l.1: no such item; got \"1\"; expected an index below 1");
  EXPECT_EQ(apply_override(tree, "a.b.c", "y").error().to_string(),
            "--set a.b.c=y: a.b: has no keys; got \"1\"; expected a map or a list");
  EXPECT_FALSE(apply_override(tree, "", "y"));
  EXPECT_FALSE(apply_override(tree, "a..b", "y"));
  EXPECT_FALSE(apply_override(tree, "a", "[unclosed"));
  EXPECT_EQ(tree.find("a")->find("b")->text(), "1");
  EXPECT_EQ(tree.entries().size(), 2u);
}

TEST(ApplyOverride, MessagesOfTheCheckNameTheOption) {
  auto tree = *parse_yaml(read_all(golden("good/everything.yaml")), "everything.yaml");
  ASSERT_TRUE(apply_override(tree, "scaling.up.occupancy", "2"));
  const auto result = check_deployment(tree, built_in_functions(), reader_in(golden("good")));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().to_string(),
            "--set scaling.up.occupancy=2: scaling.up.occupancy: out of range; got \"2\"; "
            "expected a fraction from 0 to 1, as 0.7 or 70 %");
}

}  // namespace
}  // namespace sluice

#include "core/functions/external.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/functions/functions.hpp"
#include "tests/core/functions/harness.hpp"

namespace sluice::functions_test {
namespace {

TEST(External, TakesItsTraitsFromTheFile) {
  const auto plain = make_program("external", map({{"program", text("./nf")}}));
  ASSERT_TRUE(plain) << plain.error().to_string();
  const Traits& traits = (*plain)->traits();
  EXPECT_EQ(traits.name, "external");
  EXPECT_EQ(traits.external_program, "./nf");
  EXPECT_EQ(traits.affinity, Affinity::kFlow);
  EXPECT_FALSE(traits.keeps_flow_state || traits.generates || traits.bidirectional);
  const auto rich = make_program("external", map({{"program", text("/usr/bin/nf")},
                                                  {"keeps_flow_state", text("true")},
                                                  {"generates", text("true")},
                                                  {"bidirectional", text("true")},
                                                  {"settings", map({{"any", text("thing")}})}}));
  ASSERT_TRUE(rich) << rich.error().to_string();
  EXPECT_EQ((*rich)->traits().affinity, Affinity::kSession);
  EXPECT_TRUE((*rich)->traits().keeps_flow_state);
  EXPECT_TRUE((*rich)->traits().generates);
  EXPECT_TRUE((*rich)->traits().bidirectional);
}

TEST(External, ReadsTheFilesThatItIsToSendAlong) {
  std::vector<std::string> asked;
  const FileReader reader = [&](const std::string& path) -> Result<std::string, std::string> {
    asked.push_back(path);
    if (path == "absent") return unexpected(std::string("no such file"));
    return "bytes of " + path;
  };
  const auto with_files = [&](std::vector<ConfigValue> files) {
    return make_external_program(
        map({{"program", text("./nf")}, {"files", list(std::move(files))}}), "services.it", reader);
  };
  ASSERT_TRUE(with_files({text("a"), text("b")}));
  EXPECT_EQ(asked, (std::vector<std::string>{"a", "b"}));
  const auto wrong = with_files({text("absent")});
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().to_string(), testing::HasSubstr("services.it.files: cannot read"));
  EXPECT_THAT(wrong.error().to_string(), testing::HasSubstr("\"absent\": no such file"));
}

TEST(External, BuiltInFunctionsAreInThisProcess) {
  EXPECT_EQ((*make_program("forward", map({})))->traits().external_program, "");
}

TEST(ExternalDeathTest, MakesNoInstance) {
  const auto program = make_program("external", map({{"program", text("./nf")}}));
  EXPECT_DEATH((void)(*program)->make_instance({.number = 1}), "runs_in_this_process");
}

}  // namespace
}  // namespace sluice::functions_test

#include "core/functions/external.hpp"

#include <gtest/gtest.h>

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

TEST(External, BuiltInFunctionsAreInThisProcess) {
  EXPECT_EQ((*make_program("forward", map({})))->traits().external_program, "");
}

TEST(ExternalDeathTest, MakesNoInstance) {
  const auto program = make_program("external", map({{"program", text("./nf")}}));
  EXPECT_DEATH((void)(*program)->make_instance({.number = 1}), "runs_in_this_process");
}

}  // namespace
}  // namespace sluice::functions_test

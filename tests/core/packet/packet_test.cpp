#include "core/packet/packet.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <string>

namespace sluice {
namespace {

TEST(Packet, EveryDropReasonHasANameOfItsOwnInSnakeCase) {
  std::set<std::string> names;
  for (std::uint16_t i = 0; i < kDropReasonCount; ++i) {
    const std::string name = to_string(DropReason{i});
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_NE(name, "unknown");
    EXPECT_TRUE(std::all_of(name.begin(), name.end(), [](unsigned char c) {
      return std::islower(c) != 0 || c == '_';
    })) << name;
  }
  EXPECT_STREQ(to_string(DropReason::kRingFull), "ring_full");
  EXPECT_STREQ(to_string(DropReason{static_cast<std::uint16_t>(kDropReasonCount)}), "unknown");
}

TEST(Packet, VerdictsHaveNames) {
  EXPECT_STREQ(to_string(Verdict::kUndecided), "undecided");
  EXPECT_STREQ(to_string(Verdict::kToService), "to_service");
  EXPECT_STREQ(to_string(Verdict::kHold), "hold");
  EXPECT_STREQ(to_string(Verdict{99}), "unknown");
}

}  // namespace
}  // namespace sluice

#include "backends/process/wire.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace sluice::wire {
namespace {

using testing::HasSubstr;

TEST(Wire, OwnGreetingIsAccepted) {
  EXPECT_EQ(problem_of(Hello{}), "");
}

TEST(Wire, ForeignMagicIsRefusedBeforeAnythingElse) {
  Hello hello;
  hello.magic = 0x20544547;  // "GET "
  hello.version = kVersion + 1;
  EXPECT_EQ(problem_of(hello), "not a Sluice network function; its greeting is unknown");
}

TEST(Wire, OtherVersionsAreRefusedWithBoth) {
  for (const std::uint32_t version : {kVersion - 1, kVersion + 1, 0xffff'ffffu}) {
    Hello hello;
    hello.version = version;
    EXPECT_EQ(problem_of(hello), "wrong version of the interface; got " + std::to_string(version) +
                                     "; expected " + std::to_string(kVersion) +
                                     " (rebuild it against this host's sluice::nf)");
  }
}

TEST(Wire, OtherLayoutIsRefused) {
  // One struct larger by a byte, each in its place of the word.
  for (const int shift : {0, 16, 32, 48}) {
    Hello hello;
    hello.layout += std::uint64_t{1} << shift;
    EXPECT_THAT(problem_of(hello), HasSubstr("other layout of shared memory")) << shift;
  }
}

TEST(Wire, TextIsCutToItsFieldAndEnded) {
  Name name;
  name.fill('x');
  put(name, "ids.1");
  EXPECT_EQ(get(name), "ids.1");
  put(name, std::string(kNameBytes * 2, 'a'));
  EXPECT_EQ(get(name), std::string(kNameBytes - 1, 'a'));
  EXPECT_EQ(name.back(), '\0');
  put(name, "");
  EXPECT_EQ(get(name), "");
}

TEST(Wire, TextOfAPeerThatDoesNotEndItIsReadToItsFieldsEnd) {
  Name name;
  name.fill('z');
  EXPECT_EQ(get(name), std::string(kNameBytes, 'z'));
}

}  // namespace
}  // namespace sluice::wire

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include "tests/core/deployment/support.hpp"

namespace sluice {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> bad_files() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(golden("bad"))) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

class BadFile : public testing::TestWithParam<fs::path> {};

// With SLUICE_REGEN=1 in the environment it writes the messages; the diff is reviewed like code.
TEST_P(BadFile, GivesExactlyItsMessage) {
  const fs::path& path = GetParam();
  fs::path expected_path = path;
  expected_path.replace_extension(".expected");
  const auto result = parse_deployment(read_all(path), path.filename(), built_in_functions(),
                                       reader_in(golden("bad")));
  ASSERT_FALSE(result) << "the file is good";
  const std::string message = result.error().to_string() + "\n";
  if (std::getenv("SLUICE_REGEN") != nullptr) std::ofstream(expected_path) << message;
  EXPECT_EQ(message, read_all(expected_path));
}

INSTANTIATE_TEST_SUITE_P(Golden, BadFile, testing::ValuesIn(bad_files()),
                         [](const auto& test) { return test.param.stem().string(); });

TEST(BadFiles, AreAtLeastSixty) {
  EXPECT_GE(bad_files().size(), 60u);
}

TEST(BadFiles, EachMessageHasItsBadFile) {
  for (const auto& entry : fs::directory_iterator(golden("bad"))) {
    if (entry.path().extension() != ".expected") continue;
    fs::path yaml = entry.path();
    EXPECT_TRUE(fs::exists(yaml.replace_extension(".yaml"))) << entry.path();
  }
}

}  // namespace
}  // namespace sluice

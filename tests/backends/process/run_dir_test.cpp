#include "backends/process/run_dir.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace sluice {
namespace {

class RunDir : public testing::Test {
 protected:
  RunDir() {
    std::string name = testing::TempDir() + "sluice-XXXXXX";
    folder_ = ::mkdtemp(name.data());
  }
  ~RunDir() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
};

TEST_F(RunDir, IsMadeForUsAlone) {
  const std::string path = folder_ + "/a/b";
  ASSERT_TRUE(make_run_dir(path));
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0700u);
  EXPECT_TRUE(make_run_dir(path));  // Of an earlier host.
}

TEST_F(RunDir, FileInItsPlaceIsSaid) {
  const std::string path = folder_ + "/file";
  std::ofstream(path) << "x";
  const auto refused = make_run_dir(path + "/run");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error(), testing::StartsWith(path + "/run: "));
}

TEST_F(RunDir, VariableChoosesIt) {
  ASSERT_EQ(::setenv("SLUICE_RUN_DIR", "/elsewhere", 1), 0);
  EXPECT_EQ(default_run_dir(), "/elsewhere");
  ASSERT_EQ(::unsetenv("SLUICE_RUN_DIR"), 0);
  EXPECT_NE(default_run_dir(), "/elsewhere");
}

}  // namespace
}  // namespace sluice

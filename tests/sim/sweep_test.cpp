#include "sim/sweep/sweep.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "cli/results/run_writer.hpp"

namespace sluice::sim {
namespace {

namespace fs = std::filesystem;

template <class T>
std::string error_of(const Result<T>& result) {
  return result ? "accepted" : result.error().to_string();
}

TEST(Sweep, SetSplitsAtCommasOutsideBracketsAndQuotes) {
  EXPECT_EQ(*parse_set("a.b=1,2"), (SweepKey{"a.b", {"1", "2"}}));
  EXPECT_EQ(*parse_set("rate=[[0 s, 1 Gbps], [1 s, 2 Gbps]],[[0 s, 3 Gbps]]"),
            (SweepKey{"rate", {"[[0 s, 1 Gbps], [1 s, 2 Gbps]]", "[[0 s, 3 Gbps]]"}}));
  EXPECT_EQ(*parse_set("x={a: 1, b: 2},'y,z'"), (SweepKey{"x", {"{a: 1, b: 2}", "'y,z'"}}));
  EXPECT_EQ(*parse_set("a=b=c"), (SweepKey{"a", {"b=c"}}));
}

TEST(Sweep, BadSetsAndSeedsAreOneClearError) {
  EXPECT_EQ(error_of(parse_set("occupancy")),
            "--set: no key and value; got 'occupancy'; expected KEY=VALUE or KEY=VALUE,VALUE,...");
  EXPECT_EQ(error_of(parse_set("a=1,,2")),
            "--set: an empty value; got 'a=1,,2'; expected KEY=VALUE,VALUE,...");
  EXPECT_EQ(error_of(parse_set("a=1,1")),
            "--set: the same value twice; got '1'; expected each value once");
  for (const char* bad :
       {"", "x", "1..", "..2", "1...3", "-1", "1,", "0x10", "99999999999999999999"}) {
    EXPECT_EQ(error_of(parse_seeds(bad)), "--seeds: not a list of seeds; got '" + std::string(bad) +
                                              "'; expected 1..20 or 1,5,9");
  }
  EXPECT_EQ(error_of(parse_seeds("5..1")),
            "--seeds: a range that goes down; got '5..1'; expected 1..20 or 1,5,9");
  EXPECT_EQ(error_of(parse_seeds("1..3,2")),
            "--seeds: the same seed twice; got '1..3,2'; expected each seed once");
  EXPECT_EQ(error_of(parse_seeds("0..18446744073709551615")),
            "--seeds: too many seeds; got '0..18446744073709551615'; expected at most 100000");
  const SweepKey key{"a", {"1"}};
  const SweepKey twice[] = {key, key};
  EXPECT_EQ(error_of(expand_sweep(twice, {})),
            "--set: the same key twice; got 'a'; expected each key once");
}

TEST(Sweep, SeedsMixRangesAndNumbers) {
  EXPECT_EQ(*parse_seeds("1..3,7,18446744073709551615"),
            (std::vector<std::uint64_t>{1, 2, 3, 7, 18446744073709551615u}));
}

TEST(Sweep, ExpandsToAllCombinationsInOrderWithNamesOfTheirOwn) {
  const SweepKey keys[] = {{"up", {"0.5", "0.7"}}, {"for", {"100 ms", "100_ms"}}};
  const std::uint64_t seeds[] = {1, 2};
  const auto runs = expand_sweep(keys, seeds);
  ASSERT_TRUE(runs);
  ASSERT_EQ(runs->size(), 8u);
  EXPECT_EQ((*runs)[2].folder, "up=0.5,for=100_ms,seed=1");
  EXPECT_EQ((*runs)[0].sets[1].second, "100 ms");
  EXPECT_EQ((*runs)[1].seed, 2u);
  std::set<std::string> names;
  for (const SweepRun& run : *runs) names.insert(run.folder);
  EXPECT_EQ(names.size(), 8u);  // "100 ms" and "100_ms" too.
  EXPECT_EQ(*expand_sweep(keys, seeds), *runs);
}

class SweepFolderTest : public ::testing::Test {
 protected:
  SweepFolderTest() {
    std::string name = (fs::temp_directory_path() / "sluice-sweep-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
  }
  ~SweepFolderTest() override { fs::remove_all(root_); }

  void write_run(const SweepRun& run, bool complete, int drops) const {
    auto writer = cli::RunWriter::create((root_ / run.folder).string());
    ASSERT_TRUE(writer);
    cli::RunManifest manifest;
    manifest.complete = complete;
    manifest.resolved_hash = "abc";
    manifest.seed = run.seed.value_or(0);
    manifest.commit = "c0ffee";
    manifest.trace_hash = "0123";
    ASSERT_TRUE((*writer)->finish(
        manifest, {{"drops", {{"ring_full", drops}}}, {"note", "a,b"}, {"core_seconds", 1.5}}, {}));
  }

  fs::path root_;
};

TEST_F(SweepFolderTest, ResumesWhatIsMissingInterruptedOrOfAnotherFile) {
  const SweepRun run{"seed=1", {}, 1};
  const std::string folder = (root_ / run.folder).string();
  EXPECT_FALSE(is_complete(folder, "abc"));
  write_run(run, false, 0);
  EXPECT_FALSE(is_complete(folder, "abc"));
  write_run(run, true, 0);
  EXPECT_TRUE(is_complete(folder, "abc"));
  EXPECT_FALSE(is_complete(folder, "abd"));
  std::ofstream(fs::path(folder) / "manifest.json") << "{ not json";
  EXPECT_FALSE(is_complete(folder, "abc"));
}

TEST_F(SweepFolderTest, AggregatesOneRowARun) {
  const SweepKey keys[] = {{"up", {"0.5", "0.7"}}};
  const std::uint64_t seeds[] = {1, 2};
  const auto runs = *expand_sweep(keys, seeds);
  write_run(runs[0], true, 10);
  write_run(runs[1], false, 99);
  write_run(runs[3], true, 30);
  const auto rows = write_sweep_csv(root_.string(), runs);
  ASSERT_TRUE(rows) << rows.error().to_string();
  EXPECT_EQ(*rows, 2u);
  std::ostringstream text;
  text << std::ifstream(root_ / "sweep.csv").rdbuf();
  EXPECT_EQ(text.str(),
            "run,up,seed,commit,trace_hash,core_seconds,drops.ring_full,note\n"
            "\"up=0.5,seed=1\",0.5,1,c0ffee,0123,1.5,10,\"a,b\"\n"
            "\"up=0.7,seed=2\",0.7,2,c0ffee,0123,1.5,30,\"a,b\"\n");
}

}  // namespace
}  // namespace sluice::sim

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "cli/results/progress.hpp"
#include "cli/results/run_writer.hpp"

namespace sluice::cli {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Json = nlohmann::ordered_json;

/// A folder of the test's own, gone at its end.
class RunWriterTest : public ::testing::Test {
 protected:
  RunWriterTest() {
    std::string name = (fs::temp_directory_path() / "sluice-results-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
  }
  ~RunWriterTest() override { fs::remove_all(root_); }

  [[nodiscard]] std::string run() const { return (root_ / "run").string(); }
  [[nodiscard]] std::size_t entry_count() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(root_), fs::directory_iterator{}));
  }
  static std::string read(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  void write_run(bool complete) const {
    auto writer = RunWriter::create(run());
    ASSERT_TRUE(writer) << writer.error().to_string();
    (*writer)->add(Instant{milliseconds{10}}, "service:ids", "instances", std::uint64_t{2},
                   "instances");
    (*writer)->add(Instant{seconds{1}}, "host:h1", "cores_used", 2.5, "cores");
    (*writer)->add(Instant{}, "service:a,\"b\"", "load_ppm", 0.1, "ppm");
    (*writer)->event(Instant{milliseconds{20}}, "scale_up",
                     {{"service", "ids"}, {"instance", "ids.2"}});
    (*writer)->event(Instant{milliseconds{30}}, "fault", {{"what", "not \xff UTF-8"}});
    (*writer)->capture("h1.p1").add(Instant{seconds{2}}, std::vector<std::byte>(60, std::byte{7}));
    RunManifest manifest;
    manifest.name = "autoscale";
    manifest.versions = {{"ns3", "3.37"}, {"fmt", "9.1"}};
    manifest.seed = 7;
    manifest.resolved_file = "name: autoscale\n";
    manifest.complete = complete;
    const auto finished = (*writer)->finish(manifest, {{"drops", {{"rule", 3}}}, {"loss", 0.25}},
                                            {{"wall_seconds", 1.5}});
    ASSERT_TRUE(finished) << finished.error().to_string();
  }

  fs::path root_;
};

TEST_F(RunWriterTest, WritesTheWholeFolder) {
  write_run(true);
  EXPECT_EQ(entry_count(), 1u);  // Nothing temporary is left.
  EXPECT_EQ(read(fs::path(run()) / "series.csv"),
            "time,entity,metric,value,unit\n"
            "0.01,service:ids,instances,2,instances\n"
            "1,host:h1,cores_used,2.5,cores\n"
            "0,\"service:a,\"\"b\"\"\",load_ppm,0.1,ppm\n");
  EXPECT_EQ(
      read(fs::path(run()) / "events.jsonl"),
      "{\"at_ns\":20000000,\"kind\":\"scale_up\",\"service\":\"ids\",\"instance\":\"ids.2\"}\n"
      "{\"at_ns\":30000000,\"kind\":\"fault\",\"what\":\"not \xef\xbf\xbd UTF-8\"}\n");
  EXPECT_EQ(read(fs::path(run()) / "summary.json"),
            "{\n  \"drops\": {\n    \"rule\": 3\n  },\n  \"loss\": 0.25\n}\n");
  const auto manifest = Json::parse(read(fs::path(run()) / "manifest.json"));
  EXPECT_EQ(manifest["complete"], true);
  EXPECT_EQ(manifest["seed"], 7);
  EXPECT_EQ(manifest["versions"]["ns3"], "3.37");
  EXPECT_EQ(manifest["resolved_file"], "name: autoscale\n");
  EXPECT_EQ(read(fs::path(run()) / "timing.json"), "{\n  \"wall_seconds\": 1.5\n}\n");
  EXPECT_EQ(read(fs::path(run()) / "captures/h1.p1.pcap").size(), 24u + 16u + 60u);
}

TEST_F(RunWriterTest, TheSameRunGivesTheSameBytes) {
  write_run(true);
  std::vector<std::string> first;
  const char* const files[] = {"manifest.json", "summary.json", "series.csv", "events.jsonl",
                               "captures/h1.p1.pcap"};
  for (const char* file : files) first.push_back(read(fs::path(run()) / file));
  write_run(true);  // Replaces the folder.
  for (std::size_t i = 0; i < first.size(); ++i) {
    EXPECT_FALSE(first[i].empty());
    EXPECT_EQ(read(fs::path(run()) / files[i]), first[i]) << files[i];
  }
}

TEST_F(RunWriterTest, NothingAppearsBeforeTheEndOrWithoutOne) {
  {
    auto writer = RunWriter::create(run());
    ASSERT_TRUE(writer);
    EXPECT_FALSE(fs::exists(run()));
    EXPECT_EQ(entry_count(), 1u);
  }
  EXPECT_EQ(entry_count(), 0u);
}

TEST_F(RunWriterTest, AnInterruptedRunSaysSo) {
  write_run(false);
  EXPECT_EQ(Json::parse(read(fs::path(run()) / "manifest.json"))["complete"], false);
}

TEST_F(RunWriterTest, DoesNotReplaceWhatIsNoRun) {
  fs::create_directories(run());
  std::ofstream(fs::path(run()) / "thesis.tex") << "work of years";
  const auto writer = RunWriter::create(run());
  ASSERT_FALSE(writer);
  EXPECT_EQ(writer.error().to_string(),
            run() +
                ": exists and holds no results of a run; got something else; expected a new "
                "name, or the folder of an earlier run");
  EXPECT_TRUE(fs::exists(fs::path(run()) / "thesis.tex"));
}

TEST_F(RunWriterTest, RefusesAFolderThatCannotBeMade) {
  std::ofstream(root_ / "file") << "x";
  const auto writer = RunWriter::create((root_ / "file" / "run").string());
  ASSERT_FALSE(writer);
  EXPECT_EQ(writer.error().problem, "cannot be made");
}

struct ProgressRig {
  Duration now{};
  std::string text;
  Progress::Options options(bool terminal) {
    return {.total = seconds{10},
            .terminal = terminal,
            .label = "",
            .clock = [this] { return now; },
            .write = [this](std::string_view more) { text += more; }};
  }
};

TEST(Progress, SaysPercentRatioRateAndTimeLeft) {
  ProgressRig rig;
  Progress progress(rig.options(false));
  rig.now = seconds{10};
  progress.update(Instant{milliseconds{2500}}, 25'000'000);
  EXPECT_EQ(rig.text, " 25 %  2.50 s simulated, 0.25 of real time, 2.50 Mpackets/s, 30 s left\n");
}

TEST(Progress, ALogGetsALineEachTenSeconds) {
  ProgressRig rig;
  Progress progress(rig.options(false));
  for (int i = 0; i < 250; ++i) {
    rig.now += milliseconds{100};
    progress.update(Instant{rig.now / 10}, 1);
  }
  EXPECT_EQ(std::count(rig.text.begin(), rig.text.end(), '\n'), 2);
}

TEST(Progress, ATerminalRewritesOneLine) {
  ProgressRig rig;
  Progress progress(rig.options(true));
  for (int i = 0; i < 50; ++i) {
    rig.now += milliseconds{20};
    progress.update(Instant{rig.now * 5}, 100);
  }
  EXPECT_EQ(std::count(rig.text.begin(), rig.text.end(), '\r'), 5);
  EXPECT_EQ(std::count(rig.text.begin(), rig.text.end(), '\n'), 0);
  progress.finish(Instant{seconds{10}}, 100);
  EXPECT_EQ(rig.text.back(), '\n');
  EXPECT_NE(rig.text.find("100 %"), std::string::npos);
}

}  // namespace
}  // namespace sluice::cli

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "cli/results/run_writer.hpp"
#include "core/deployment/parser.hpp"
#include "core/function/registry.hpp"
#include "core/packet/checksum.hpp"
#include "core/packet/headers.hpp"
#include "sim/simulation.hpp"
#include "sim/workload/capture.hpp"

/// Golden folders tests/golden/NAME: in.pcap and deployment.yaml give out.PORT.pcap and
/// counters.json, byte for byte. A folder with a deployment.yaml is a test.
///
/// `golden_tests --regen`, or SLUICE_REGEN=1, writes what comes out now: review the difference as
/// code, with tshark. in.pcap comes from make_inputs.cpp.
namespace sluice {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

bool regenerate = false;

std::string read_all(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

void write_all(const fs::path& path, std::string_view bytes) {
  std::ofstream stream(path, std::ios::binary);
  stream << bytes;
  stream.close();
  ASSERT_TRUE(stream) << path;
}

fs::path root() {
  return fs::path(SLUICE_SOURCE_DIR) / "tests" / "golden";
}

std::vector<std::string> folders() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(root())) {
    if (fs::exists(entry.path() / "deployment.yaml")) {
      names.push_back(entry.path().filename().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// A folder of a test's own, gone at its end.
class Scratch {
 public:
  Scratch() {
    std::string name = (fs::temp_directory_path() / "sluice-golden-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Scratch() { fs::remove_all(path_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

Result<Deployment> deployment_in(const fs::path& folder, const std::string& text) {
  return parse_deployment(text, (folder / "deployment.yaml").string(), built_in_functions(),
                          [&](const std::string& name) -> Result<std::string, std::string> {
                            if (!fs::exists(folder / name))
                              return unexpected(std::string("no such file"));
                            return read_all(folder / name);
                          });
}

/// Of the summary, what was counted; times and rates are another test's.
Json counters_of(const sim::SimulationResult& result) {
  Json counters;
  for (const char* key : {"received_packets", "flows_started", "dropped_packets", "drops"}) {
    counters[key] = result.summary[key];
  }
  for (const auto& [name, service] : result.summary["services"].items()) {
    counters["instances"][name] = service["instances_end"];
  }
  for (const auto& [name, chain] : result.summary["chains"].items()) {
    counters["chains"][name] = chain["packets"];
  }
  counters["events"] = result.summary["events"];
  counters["faults"] = result.summary["faults"];
  return counters;
}

struct Output {
  Json counters;
  std::vector<std::pair<std::string, std::string>> captures;  ///< "out.p1.pcap" and its bytes.
};

/// Simulates `text` as the deployment file of `folder`.
Output simulate_in(const fs::path& folder, const std::string& text) {
  Output output;
  const auto deployment = deployment_in(folder, text);
  if (!deployment) {
    ADD_FAILURE() << deployment.error().to_string();
    return output;
  }
  const Scratch scratch;
  auto writer = cli::RunWriter::create((scratch.path() / "run").string());
  if (!writer) {
    ADD_FAILURE() << writer.error().to_string();
    return output;
  }
  sim::SimulationOptions options;
  options.folder = folder.string();
  options.writer = writer->get();
  const auto result = sim::simulate(*deployment, options);
  if (!result) {
    ADD_FAILURE() << result.error().to_string();
    return output;
  }
  EXPECT_TRUE(result->complete);
  EXPECT_EQ(result->violation_count, 0u);
  for (const sim::Violation& violation : result->violations) ADD_FAILURE() << violation.text;
  output.counters = counters_of(*result);
  std::vector<std::string> ports;
  for (const PortRef& port : deployment->run.captures) {
    ports.push_back(deployment->hosts[0].ports[index_of(port.port)].name);
    (void)(*writer)->capture("h1." + ports.back());  // One without a frame, too.
  }
  const auto finished = (*writer)->finish({}, result->summary, Json::object());
  EXPECT_TRUE(finished.has_value());
  for (const std::string& port : ports) {
    const std::string bytes = read_all(scratch.path() / "run/captures" / ("h1." + port + ".pcap"));
    output.captures.emplace_back("out." + port + ".pcap", bytes);
    const auto frames = sim::Capture::parse(bytes, port, {});
    output.counters["sent"][port] = frames ? frames->frames().size() : 0;
  }
  return output;
}

class Golden : public ::testing::TestWithParam<std::string> {};

TEST_P(Golden, GivesTheBytesAndCountersOnRecord) {
  const fs::path folder = root() / GetParam();
  const Output output = simulate_in(folder, read_all(folder / "deployment.yaml"));
  if (HasFailure()) return;
  const std::string counters = output.counters.dump(2) + "\n";
  ASSERT_FALSE(output.captures.empty()) << "a golden run captures its ports";
  if (regenerate) {
    for (const auto& [name, bytes] : output.captures) write_all(folder / name, bytes);
    write_all(folder / "counters.json", counters);
    return;
  }
  EXPECT_EQ(counters, read_all(folder / "counters.json"));
  for (const auto& [name, bytes] : output.captures) {
    EXPECT_TRUE(bytes == read_all(folder / name))
        << (folder / name) << " differs; look at it with --regen, git diff --stat and tshark";
  }
}

INSTANTIATE_TEST_SUITE_P(Folders, Golden, ::testing::ValuesIn(folders()),
                         [](const auto& each) { return each.param; });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Golden);

TEST(GoldenFolders, AreAllThere) {
  // An empty list would make the suite above pass by looking at nothing.
  EXPECT_GE(folders().size(), 20u);
}

// --- Real captures -------------------------------------------------------------------------------

/// Captures that must not be committed, beside the checkout; SLUICE_CAPTURES names another folder.
fs::path real_captures() {
  const char* folder = std::getenv("SLUICE_CAPTURES");
  return folder != nullptr ? fs::path(folder)
                           : fs::path(SLUICE_SOURCE_DIR) / ".." / "shared" / "data" / "pcap";
}

std::string replay_of(const std::string& file, const std::string& service) {
  return "name: real\n"
         "hosts: {h1: {cores: 4, clock: 2 GHz, ports: {p0: {rate: 10 Gbps}, p1: {rate: 10 "
         "Gbps}}}}\n"
         "services: {service: " +
         service +
         "}\n"
         "chains: {all: {from: h1.p0, to: h1.p1, steps: [service]}}\n"
         "traffic: [{into: h1.p0, replay: " +
         file +
         ", rewrite: false, passes: 1, rate: 10 Mbps}]\n"
         "run: {duration: 1 s, seed: 1, captures: [h1.p1]}\n";
}

std::vector<std::string> frames_of(const sim::Capture& capture) {
  std::vector<std::string> frames;
  for (const sim::Capture::Frame& frame : capture.frames()) {
    const auto bytes = capture.bytes(frame);
    frames.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  return frames;
}

/// How many frames have a good, a bad and no L4 checksum, and how many are malformed, without those
/// whose TTL a router may not lower.
std::map<std::string, int> checksums_of(const sim::Capture& capture, std::uint8_t ttl_min) {
  std::map<std::string, int> counts;
  for (const sim::Capture::Frame& frame : capture.frames()) {
    const auto bytes = capture.bytes(frame);
    const auto headers = parse(bytes);
    const bool ip = headers && (headers->l3 == L3::kIpv4 || headers->l3 == L3::kIpv6);
    if (ip && headers->ttl < ttl_min) continue;
    const std::string state =
        headers ? std::to_string(static_cast<int>(verify_l4_checksum(bytes, *headers))) : "bad";
    ++counts[state];
  }
  return counts;
}

class RealCaptures : public ::testing::Test {
 protected:
  void SetUp() override {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(real_captures(), error)) {
      if (entry.path().extension() == ".pcap") files_.push_back(entry.path().filename().string());
    }
    if (files_.empty()) GTEST_SKIP() << "no captures in " << real_captures();
    std::sort(files_.begin(), files_.end());
  }
  std::vector<std::string> files_;
};

TEST_F(RealCaptures, LeaveAForwarderByteForByteAndInOrder) {
  for (const std::string& file : files_) {
    SCOPED_TRACE(file);
    const auto before = sim::Capture::load((real_captures() / file).string(), {});
    ASSERT_TRUE(before.has_value()) << before.error().to_string();
    const Output output = simulate_in(real_captures(), replay_of(file, "{function: forward}"));
    ASSERT_EQ(output.captures.size(), 1u);
    const auto after = sim::Capture::parse(output.captures[0].second, file, {});
    ASSERT_TRUE(after.has_value()) << after.error().to_string();
    EXPECT_TRUE(frames_of(*after) == frames_of(*before)) << output.counters.dump();
  }
}

TEST_F(RealCaptures, KeepTheirChecksumsGoodBehindARouter) {
  const std::string router = "{function: router, routes: [{prefix: 0.0.0.0/0}, {prefix: '::/0'}]}";
  for (const std::string& file : files_) {
    SCOPED_TRACE(file);
    const auto before = sim::Capture::load((real_captures() / file).string(), {});
    ASSERT_TRUE(before.has_value()) << before.error().to_string();
    const Output output = simulate_in(real_captures(), replay_of(file, router));
    ASSERT_EQ(output.captures.size(), 1u);
    const auto after = sim::Capture::parse(output.captures[0].second, file, {});
    ASSERT_TRUE(after.has_value()) << after.error().to_string();
    EXPECT_FALSE(frames_of(*after) == frames_of(*before)) << "the TTL should be lower";
    EXPECT_EQ(checksums_of(*after, 1), checksums_of(*before, 2)) << output.counters.dump();
  }
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  const char* wanted = std::getenv("SLUICE_REGEN");
  sluice::regenerate = wanted != nullptr && std::string_view(wanted) == "1";
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--regen") sluice::regenerate = true;
  }
  return RUN_ALL_TESTS();
}

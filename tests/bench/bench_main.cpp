// sluice-bench: runs the benchmark programs of the groups, one after the other, and puts their rows
// together. The groups are programs of their own because their libraries have licences that must
// not meet in one binary (DESIGN 2).
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <nlohmann/json.hpp>

namespace sluice::bench {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int kExitDone = 0, kExitMissed = 1, kExitUsage = 2, kExitEnvironment = 3;

struct GroupProgram {
  std::string_view name;
  std::string_view summary;
  std::string_view remedy;
};
constexpr std::array<GroupProgram, 3> kGroups{{
    {"core", "flow table, ring, Maglev, fused chains, ids", "Build the target sluice-bench-core."},
    {"sim", "the simulator beside stock ns-3",
     "Install libns3-dev, configure with -DSLUICE_SIM=ON, build the target sluice-bench-sim."},
    {"dpdk", "the host on DPDK, ring and flow table, beside DPDK's own and Open vSwitch",
     "Install libdpdk-dev and build the target sluice-bench-dpdk; ./sluice bench does both."},
}};

/// No group: it compares nothing, and has arguments of its own.
constexpr std::string_view kCalibrate = "calibrate";

constexpr std::string_view kHelp =
    "sluice bench [GROUP...] [--quick] [--json FILE]\n\n"
    "Measures, each value beside a peer in the same run. All groups, or those named:\n"
    "  core         flow table, ring, Maglev, fused chains, ids\n"
    "  sim          the simulator beside stock ns-3\n"
    "  dpdk         the host on DPDK, ring and flow table, beside DPDK's own and Open vSwitch\n"
    "  calibrate    what packets cost on this machine, for sluice sim --costs; has a --help\n\n"
    "  --json FILE  also write the rows: {id, value, unit, peer, peer_value, ratio, required, "
    "aim}\n"
    "  --quick      less work: under 60 s a group\n"
    "  --smoke      once through everything; the figures mean nothing\n\n"
    "Exit: 0 done, 1 a required ratio was missed, 2 usage, 3 a group's program is not built, or\n"
    "FILE cannot be written\n\n"
    "Examples: sluice bench sim --quick --json bench.json\n"
    "          sluice bench calibrate --out this-machine.yaml\n";

struct Arguments {
  std::vector<const GroupProgram*> groups;
  std::vector<std::string> passed_on;
  std::string json_path;
  bool help = false;
  std::string error;
};

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  const std::vector<std::string> words(argv + 1, argv + argc);
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const auto group = std::ranges::find(kGroups, word, &GroupProgram::name);
    if (word == "--help" || word == "-h") {
      arguments.help = true;
    } else if (word == "--quick" || word == "--smoke") {
      arguments.passed_on.push_back(word);
    } else if (word == "--json" && i + 1 < words.size()) {
      arguments.json_path = words[++i];
    } else if (word == "--json") {
      arguments.error = "--json: no file named; expected --json FILE";
    } else if (group != kGroups.end()) {
      arguments.groups.push_back(&*group);
    } else {
      arguments.error =
          word + ": unknown; expected core, sim, dpdk, --quick, --json FILE or --help";
    }
  }
  if (arguments.groups.empty()) {
    for (const GroupProgram& group : kGroups) arguments.groups.push_back(&group);
  }
  return arguments;
}

/// The folder of this program, where the groups' programs are too.
fs::path own_folder() {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error).parent_path();
}

/// Runs a program to its end. @return Its exit code; kExitEnvironment when it did not come to one.
int run_program(const fs::path& program, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), program.string());
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_t child = 0;
  if (const int failed =
          posix_spawn(&child, program.c_str(), nullptr, nullptr, argv.data(), environ)) {
    std::fprintf(stderr, "sluice bench: cannot start %s: %s\n", program.c_str(),
                 std::strerror(failed));
    return kExitEnvironment;
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return kExitEnvironment;
  }
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  std::fprintf(stderr, "sluice bench: %s ended by signal %d\n", program.c_str(), WTERMSIG(status));
  return kExitEnvironment;
}

/// A file of the group's rows, gone when this goes.
class RowFile {
 public:
  RowFile() {
    std::string path = (fs::temp_directory_path() / "sluice-bench-XXXXXX").string();
    if (const int file = mkstemp(path.data()); file >= 0) {
      close(file);
      path_ = path;
    }
  }
  ~RowFile() {
    if (!path_.empty()) unlink(path_.c_str());
  }
  RowFile(const RowFile&) = delete;
  RowFile& operator=(const RowFile&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

  /// Adds its rows to `rows`, but for those whose id is there already: each group measures the
  /// machine. @return False when it holds no rows.
  bool add_to(Json& rows) const {
    std::ifstream file{path_};
    const Json own = Json::parse(file, nullptr, false);
    if (!own.is_array()) return false;
    for (const Json& row : own) {
      const bool known =
          std::ranges::any_of(rows, [&](const Json& other) { return other["id"] == row["id"]; });
      if (!known) rows.push_back(row);
    }
    return true;
  }

 private:
  std::string path_;
};

int run(int argc, char** argv) {
  if (argc > 1 && std::string_view{argv[1]} == kCalibrate) {
    return run_program(own_folder() / ("sluice-bench-" + std::string{kCalibrate}),
                       {argv + 2, argv + argc});
  }
  const Arguments arguments = parse(argc, argv);
  if (arguments.help) {
    std::fwrite(kHelp.data(), 1, kHelp.size(), stdout);
    return kExitDone;
  }
  if (!arguments.error.empty()) {
    std::fprintf(stderr, "%s\n", arguments.error.c_str());
    return kExitUsage;
  }
  Json rows = Json::array();
  int worst = kExitDone;
  for (const GroupProgram* group : arguments.groups) {
    const fs::path program = own_folder() / ("sluice-bench-" + std::string{group->name});
    if (access(program.c_str(), X_OK) != 0) {
      std::fprintf(stderr, "sluice bench: this build has no %s. %.*s\n", program.c_str(),
                   static_cast<int>(group->remedy.size()), group->remedy.data());
      worst = std::max(worst, kExitEnvironment);
      continue;
    }
    const RowFile row_file;
    std::vector<std::string> words = arguments.passed_on;
    words.insert(words.end(), {"--json", row_file.path()});
    const int code = run_program(program, words);
    worst = std::max(worst, code);
    if (!row_file.add_to(rows)) worst = std::max(worst, kExitEnvironment);
  }
  if (arguments.json_path.empty()) return worst;
  std::ofstream file{arguments.json_path};
  file << rows.dump(2) << "\n";
  if (file.flush()) return worst;
  std::fprintf(stderr, "%s: cannot be written\n", arguments.json_path.c_str());
  return std::max(worst, kExitEnvironment);
}

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
  return sluice::bench::run(argc, argv);
}

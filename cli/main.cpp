// The front: finds sluice-VERB and becomes it. The verbs are separate programs because their
// libraries have licences that must not meet in one binary (DESIGN 2).
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "cli/exit_codes.hpp"
#include "cli/verbs.hpp"

namespace sluice::cli {
namespace {

namespace fs = std::filesystem;

bool is_program(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) && ::access(path.c_str(), X_OK) == 0;
}

// Beside this program, in ../libexec/sluice, then in PATH.
std::optional<fs::path> find_program(const std::string& name) {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  std::vector<fs::path> folders;
  if (!error) {
    folders.push_back(self.parent_path());
    folders.push_back(self.parent_path().parent_path() / "libexec" / "sluice");
  }
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const std::size_t colon = rest.find(':');
    if (colon != 0) folders.emplace_back(rest.substr(0, colon));
    rest.remove_prefix(colon == std::string_view::npos ? rest.size() : colon + 1);
  }
  for (const fs::path& folder : folders) {
    if (is_program(folder / name)) return folder / name;
  }
  return std::nullopt;
}

int complain(const std::string& text, int code) {
  std::fprintf(stderr, "%s\n", text.c_str());
  return code;
}

int run(int argc, char** argv) {
  if (argc < 2) {
    std::fputs(help_text().c_str(), stderr);
    return kExitUsage;
  }
  const std::string_view word = argv[1];
  if (word == "--help" || word == "-h" || word == "help") {
    std::fputs(help_text().c_str(), stdout);
    return kExitDone;
  }
  if (word == "--version") {
    std::puts("sluice " SLUICE_VERSION);
    return kExitDone;
  }
  const Verb* verb = find_verb(word);
  if (verb == nullptr) return complain(unknown_verb_text(word), kExitUsage);
  std::string name = "sluice-" + std::string(word);
  const auto program = find_program(name);
  if (!program) {
    return complain("sluice: this build has no " + name + ". " + std::string(verb->remedy),
                    kExitEnvironment);
  }
  argv[1] = name.data();  // Its argv[0].
  ::execv(program->c_str(), argv + 1);
  return complain("sluice: cannot start " + program->string() + ": " + std::strerror(errno),
                  kExitEnvironment);
}

}  // namespace
}  // namespace sluice::cli

int main(int argc, char** argv) {
  return sluice::cli::run(argc, argv);
}

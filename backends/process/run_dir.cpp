#include "backends/process/run_dir.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace sluice {

std::string default_run_dir() {
  if (const char* chosen = std::getenv("SLUICE_RUN_DIR"); chosen != nullptr) return chosen;
  if (::geteuid() == 0) return "/run/sluice";
  if (const char* runtime = std::getenv("XDG_RUNTIME_DIR"); runtime != nullptr) {
    return std::string(runtime) + "/sluice";
  }
  return "/tmp/sluice-" + std::to_string(::geteuid());
}

Result<void, std::string> make_run_dir(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return unexpected(path + ": " + error.message());
  fs::permissions(path, fs::perms::owner_all, error);
  if (error || ::access(path.c_str(), W_OK | X_OK) != 0) {
    return unexpected(path + ": not ours to write to");
  }
  return {};
}

}  // namespace sluice

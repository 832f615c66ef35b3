#include "backends/process/container.hpp"

#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include <nlohmann/json.hpp>

namespace sluice::container {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::array kRuntimes = {"/usr/bin/crun", "/usr/local/bin/crun"};
constexpr std::array kLibraries = {"/usr", "/lib", "/lib64"};
/// Debian's user and group without any rights of their own.
constexpr uid_t kNobody = 65534;
constexpr long kCgroup2Magic = 0x63677270;
/// crun takes one unified hierarchy of control groups or none. On a machine with others it gets the
/// unified one in a mount namespace of its own, which goes with it; it makes no group in either.
constexpr const char* kWithUnifiedGroups =
    "mount -t cgroup2 none /sys/fs/cgroup && exec setpriv --pdeathsig KILL -- \"$@\"";

/// In its user namespace crun is nobody, and still has to get from the bundle to the root.
constexpr mode_t kFolderMode = S_IRWXU | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH;

std::string runtime_path() {
  for (const char* path : kRuntimes) {
    if (::access(path, X_OK) == 0) return path;
  }
  return {};
}

bool has_unified_groups() {
  struct statfs status {};
  return ::statfs("/sys/fs/cgroup", &status) == 0 && status.f_type == kCgroup2Magic;
}

Json bind_mount(const std::string& source, const std::string& destination) {
  return {{"destination", destination},
          {"type", "bind"},
          {"source", source},
          {"options", {"rbind", "ro", "nosuid", "nodev"}}};
}

Json mapping(std::uint32_t outside) {
  return Json::array({{{"containerID", 0}, {"hostID", outside}, {"size", 1}}});
}

/// The folders on which something is mounted, below the root.
std::vector<std::string> mount_points() {
  std::vector<std::string> names = {"/dev", kProgramFolder};
  for (const char* library : kLibraries) {
    if (::access(library, X_OK) == 0) names.emplace_back(library);
  }
  return names;
}

Result<void, std::string> make_folder(const std::string& path) {
  // Twice, for the mode of the first is under the umask.
  const bool made = ::mkdir(path.c_str(), kFolderMode) == 0 || errno == EEXIST;
  if (made && ::chmod(path.c_str(), kFolderMode) == 0) return {};
  return unexpected(path + ": " + std::strerror(errno));
}

/// Folder by folder and only when empty: were anything still mounted there, it must not be touched.
void remove_root(const std::string& root) {
  for (const char* library : kLibraries) ::rmdir((root + library).c_str());
  ::rmdir((root + "/dev").c_str());
  ::rmdir((root + kProgramFolder).c_str());
  ::rmdir(root.c_str());
}

void remove_folder(const std::string& path) {
  std::error_code ignored;  // Bundles and crun's state hold no mounts.
  for (const fs::directory_entry& bundle : fs::directory_iterator(path + "/bundles", ignored)) {
    fs::remove(bundle.path() / "config.json", ignored);
    fs::remove(bundle.path(), ignored);
  }
  fs::remove(path + "/bundles", ignored);
  fs::remove_all(path + "/state", ignored);
  remove_root(path + "/root");
  fs::remove(path, ignored);
}

std::vector<pid_t> children_of(pid_t pid) {
  const std::string number = std::to_string(pid);
  std::ifstream file("/proc/" + number + "/task/" + number + "/children");
  std::vector<pid_t> children;
  for (pid_t child = 0; file >> child;) children.push_back(child);
  return children;
}

/// Why nobody (the user) could not start `program` in a container; or an empty text.
std::string closed_to_others(const fs::path& program) {
  const auto lacks = [](const fs::path& path, mode_t needed) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 && (status.st_mode & needed) != needed;
  };
  constexpr const char* kExpected = ", for in a container the program is nobody outside of it";
  if (lacks(program.parent_path(), S_IXOTH)) {
    return program.parent_path().string() + ": closed to other users; expected mode o+x" +
           kExpected;
  }
  if (lacks(program, S_IROTH | S_IXOTH)) {
    return program.string() + ": closed to other users; expected mode o+rx" + kExpected;
  }
  return {};
}

}  // namespace

std::string config_json(const Spec& spec) {
  const fs::path program{spec.program};
  Json mounts = Json::array();
  mounts.push_back({{"destination", "/dev"},
                    {"type", "tmpfs"},
                    {"source", "tmpfs"},
                    {"options", {"nosuid", "noexec", "mode=755", "size=64k"}}});
  for (const std::string& library : spec.libraries) mounts.push_back(bind_mount(library, library));
  mounts.push_back(bind_mount(program.parent_path().string(), kProgramFolder));
  Json namespaces = Json::array();
  for (const char* type : {"user", "pid", "network", "ipc", "uts", "mount"}) {
    namespaces.push_back({{"type", type}});
  }
  const Json config = {
      {"ociVersion", "1.0.0"},
      {"process",
       {{"terminal", false},
        {"user", {{"uid", 0}, {"gid", 0}}},
        {"args", {std::string(kProgramFolder) + "/" + program.filename().string()}},
        {"env", Json::array()},
        {"cwd", "/"},
        {"capabilities", Json::object()},
        {"noNewPrivileges", true}}},
      {"root", {{"path", spec.root}, {"readonly", true}}},
      {"hostname", "sluice"},
      {"mounts", std::move(mounts)},
      {"linux",
       {{"uidMappings", mapping(spec.outside_uid)},
        {"gidMappings", mapping(spec.outside_gid)},
        {"namespaces", std::move(namespaces)}}}};
  return config.dump(2);
}

Result<Folder, std::string> Folder::create(const std::string& path) {
  std::error_code error;
  const std::string absolute = fs::absolute(path, error).string();
  if (runtime_path().empty()) {
    return unexpected(
        std::string("containers need crun; got none in /usr/bin; expected the package crun"));
  }
  remove_folder(absolute);
  const std::string root = absolute + "/root";
  Folder folder{absolute};
  for (const std::string& each :
       {absolute, absolute + "/bundles", absolute + "/state", absolute + "/root"}) {
    if (auto made = make_folder(each); !made) return unexpected(made.error());
  }
  for (const std::string& name : mount_points()) {
    if (auto made = make_folder(root + name); !made) return unexpected(made.error());
  }
  return folder;
}

Folder::~Folder() {
  if (!path_.empty()) remove_folder(path_);
}

Result<SpawnedProcess, std::string> Folder::start(const std::string& name,
                                                  const std::string& program, int socket) const {
  std::error_code error;
  Spec spec;
  spec.program = fs::absolute(program, error).lexically_normal().string();
  if (::access(spec.program.c_str(), X_OK) != 0) {
    return unexpected(spec.program + ": " + std::strerror(errno));
  }
  spec.root = "../../root";
  if (::geteuid() == 0) {
    if (auto problem = closed_to_others(spec.program); !problem.empty()) return unexpected(problem);
  }
  spec.outside_uid = ::geteuid() == 0 ? kNobody : ::geteuid();
  spec.outside_gid = ::geteuid() == 0 ? kNobody : ::getegid();
  for (const char* library : kLibraries) {
    if (::access(library, X_OK) == 0) spec.libraries.emplace_back(library);
  }
  const std::string bundle = path_ + "/bundles/" + name;
  if (auto made = make_folder(bundle); !made) return unexpected(made.error());
  std::ofstream file(bundle + "/config.json");
  file << config_json(spec);
  file.close();
  if (!file) return unexpected(bundle + "/config.json: cannot be written");
  std::vector<std::string> command = {"/usr/bin/setpriv", "--pdeathsig", "KILL", "--"};
  if (!has_unified_groups()) {
    command = {"/usr/bin/unshare", "--mount", "/bin/sh", "-c", kWithUnifiedGroups, "sh"};
  }
  const std::string state = path_ + "/state";
  for (const std::string& word :
       {runtime_path(), std::string("--root"), state, std::string("--cgroup-manager=disabled"),
        std::string("run"), std::string("--preserve-fds=1"), std::string("--bundle"), bundle,
        name}) {
    command.push_back(word);
  }
  auto process = spawn(command, socket);
  if (!process) remove(name);
  return process;
}

void Folder::remove(const std::string& name) const {
  std::error_code ignored;
  fs::remove(path_ + "/bundles/" + name + "/config.json", ignored);
  fs::remove(path_ + "/bundles/" + name, ignored);
  fs::remove_all(path_ + "/state/" + name, ignored);
}

std::optional<SpawnedProcess> first_process(pid_t runtime) {
  const std::vector<pid_t> children = children_of(runtime);
  if (children.empty()) return std::nullopt;
  SpawnedProcess process{children.front(), open_pidfd(children.front())};
  if (!process.pidfd) return std::nullopt;
  // Still its child: so the descriptor is not of another process that got the number meanwhile.
  const std::vector<pid_t> now = children_of(runtime);
  if (std::find(now.begin(), now.end(), process.pid) == now.end()) return std::nullopt;
  return process;
}

}  // namespace sluice::container

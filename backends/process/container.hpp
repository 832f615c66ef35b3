#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backends/process/spawn.hpp"
#include "core/result.hpp"

/// How an NF runs in a container: an OCI bundle (runtime specification 1.0) started by crun.
///
/// The container has a user namespace in which it is nobody outside, no network, a read-only root
/// with the program's own folder and the machine's libraries, no capabilities, and no way to get
/// any. Packets reach it as they reach every NF process: by the inherited socket.
namespace sluice::container {

/// Where the program's folder is in a container.
inline constexpr const char* kProgramFolder = "/program";

struct Spec {
  std::string program;  ///< Path of the executable; its folder is in the container, too.
  std::string
      root;  ///< The prepared root folder, from the bundle: the way to that need not be open.
  uid_t outside_uid = 0;  ///< Who the container's only user is outside of it.
  gid_t outside_gid = 0;
  std::vector<std::string> libraries;  ///< Folders of the machine, at the same place inside.
};
/// The bundle's config.json.
[[nodiscard]] std::string config_json(const Spec& spec);

/// The folder of a host's containers: their common root, a bundle each, and crun's own state.
/// Who makes one holds the lock of the host's name.
class Folder {
 public:
  /// Makes it anew; what a killed host left there goes. The error says what is missing: crun, or
  /// rights.
  [[nodiscard]] static Result<Folder, std::string> create(const std::string& path);
  ~Folder();
  Folder(Folder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  Folder& operator=(Folder&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  /// Writes the bundle of container `name` and starts it with `socket` for the NF. The process is
  /// crun's, which stays as the parent of the container's first process and ends after it.
  [[nodiscard]] Result<SpawnedProcess, std::string> start(const std::string& name,
                                                          const std::string& program,
                                                          int socket) const;
  /// Removes the bundle and what crun may have left. Only when all its processes are gone.
  void remove(const std::string& name) const;

 private:
  explicit Folder(std::string path) : path_(std::move(path)) {}

  std::string path_;
};

/// The first process of the container of `runtime` (crun's pid), on whose end the kernel ends all
/// others in it; nothing before it exists or when it is gone.
[[nodiscard]] std::optional<SpawnedProcess> first_process(pid_t runtime);

}  // namespace sluice::container

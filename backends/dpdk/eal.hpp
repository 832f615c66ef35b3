#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/result.hpp"

namespace sluice::dpdk {

/// DPDK's environment (EAL): one a process, started once.
class Eal {
 public:
  struct Options {
    std::string program = "sluice";
    bool huge_pages = false;  ///< Memory for descriptors in huge pages; not needed to run.
    bool pci = false;         ///< Look for NICs.
    std::uint32_t memory_mb = 128;
    /// Where DPDK puts its telemetry socket: FOLDER/dpdk/NAME/dpdk_telemetry.v2. A folder and name
    /// that no other process has, for DPDK waits for whoever listens there. Empty: no telemetry.
    std::string folder;
    std::string name;
    std::vector<std::string> extra;  ///< The user's own EAL arguments, last.
  };
  /// The calling thread becomes EAL's main thread; its cores stay as they are.
  [[nodiscard]] static Result<std::unique_ptr<Eal>, std::string> start(const Options& options);
  ~Eal();
  Eal(const Eal&) = delete;
  Eal& operator=(const Eal&) = delete;

 private:
  Eal() = default;
};

/// The telemetry socket of Eal::Options.
[[nodiscard]] std::string telemetry_path(const std::string& folder, const std::string& name);

/// What DPDK calls the last error.
[[nodiscard]] std::string dpdk_error();

}  // namespace sluice::dpdk

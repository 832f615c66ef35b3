#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "backends/dpdk/dpdk_memory.hpp"
#include "core/deployment/deployment.hpp"
#include "core/deployment/site.hpp"

namespace sluice::dpdk {

/// A DPDK port with one queue in each direction, from a NIC, a virtual device or a kernel
/// interface.
class DpdkPort {
 public:
  /// Opens and starts the device. The error names the device and what DPDK refused.
  [[nodiscard]] static Result<std::unique_ptr<DpdkPort>, std::string> open(const PortSpec& spec,
                                                                           const SitePort& site,
                                                                           DpdkMemory& memory);
  /// Stops and closes it: the buffers that it holds come home.
  ~DpdkPort();
  DpdkPort(const DpdkPort&) = delete;
  DpdkPort& operator=(const DpdkPort&) = delete;

  [[nodiscard]] std::uint16_t number() const { return number_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] Rate pace() const { return pace_; }  ///< As SitePort has it.
  /// Frames that the device lost before the host could take them, as far as it counts them.
  [[nodiscard]] std::uint64_t missed() const;

 private:
  DpdkPort() = default;

  std::string name_;
  std::string device_;
  std::uint16_t number_ = 0;
  Rate pace_;
};

}  // namespace sluice::dpdk

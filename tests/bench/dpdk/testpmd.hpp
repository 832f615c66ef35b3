#pragma once

#include <string>
#include <vector>

#include "tests/bench/dpdk/child_process.hpp"
#include "tests/bench/dpdk/forwarder.hpp"

namespace sluice::bench {

/// dpdk-testpmd, which forwards on one core in one of its modes and is asked through its command
/// line.
class Testpmd final : public Forwarder {
 public:
  static constexpr const char* kProgram = "dpdk-testpmd";

  /// Starts it and waits for the first packets.
  [[nodiscard]] static Result<Testpmd, std::string> start(const ForwarderSetup& setup,
                                                          const std::string& mode);
  [[nodiscard]] Result<SentCount, std::string> count() override;
  [[nodiscard]] std::vector<pid_t> processes() override { return {child_.pid()}; }

 private:
  explicit Testpmd(ChildProcess child) : child_(std::move(child)) {}
  ChildProcess child_;
};

}  // namespace sluice::bench

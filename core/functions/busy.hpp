#pragma once

#include <cstdint>

#include "core/function/network_function.hpp"

namespace sluice {

/// `busy`: burns a given cost per packet on a real core, then sends the packet to the next step.
///
/// Settings: `cycles` (turns of an arithmetic loop per packet, about one core cycle each; default
/// 1000), `burn` (default true). With `burn: false` it only forwards: in a simulation the cost of a
/// packet comes from the deployment's `cost:`, and burning would slow the simulator instead.
class Busy final : public NetworkFunction {
 public:
  struct Options {
    std::uint64_t cycle_count = 1000;  ///< Per packet; at most 1e9, so that a batch ends.
    bool burn = true;
  };
  Busy(const Options& options, const InstanceConfig&) : options_(options) {}

  void process(PacketBatch& batch, Context&) noexcept override;

  /// Turns `count` times through a loop that the compiler must keep: a chain of dependent
  /// additions.
  /// @return Their sum, `count * (count + 1) / 2` modulo 2^64.
  static std::uint64_t spin(std::uint64_t count) noexcept;

 private:
  Options options_;
};

}  // namespace sluice

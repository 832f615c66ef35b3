#pragma once

#include <cstdint>
#include <vector>

#include "core/function/network_function.hpp"

namespace sluice {

/// `stuck`: forwards some packets, then never answers: what a hung function looks like from
/// outside.
///
/// Settings: `after` (how many packets an instance forwards first, default 0), `only` (the numbers
/// of the instances that get stuck, default all, so that a replacement can work). On a real core it
/// spins in process() for ever. A simulator must not call process() of the packet at which that
/// begins: it reads Traits::stuck_after and Traits::stuck_instances and gives that packet an
/// infinite service time.
class Stuck final : public NetworkFunction {
 public:
  struct Options {
    std::uint64_t after = 0;
    std::vector<std::uint32_t> only;  ///< Empty: every instance.
  };
  Stuck(const Options& options, const InstanceConfig& config);

  void process(PacketBatch& batch, Context& context) noexcept override;

 private:
  std::uint64_t left_ = 0;  // Packets that it still forwards.
  bool never_ = false;      // It is none of those that get stuck.
};

}  // namespace sluice

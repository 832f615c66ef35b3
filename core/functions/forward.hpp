#pragma once

#include "core/function/network_function.hpp"

namespace sluice {

/// `forward`: sends every packet to the next step and changes nothing. It knows no settings. The
/// smallest function, the base line of every measurement.
class Forward final : public NetworkFunction {
 public:
  struct Options {};
  Forward(const Options&, const InstanceConfig&) {}

  void process(PacketBatch& batch, Context&) noexcept override {
    for (Packet& packet : batch) packet.next();
  }
};

}  // namespace sluice

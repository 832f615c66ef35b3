#pragma once

#include <array>
#include <cstddef>

#include "backends/ns3/burst_link.hpp"
#include "backends/ns3/ns3.hpp"

namespace sluice {

class BurstNetDevice;

/// A full-duplex cable between two BurstNetDevices: one BurstLink a direction.
///
/// Attributes: Delay, until the first frame is sent.
class BurstChannel final : public ns3::Channel {
 public:
  static ns3::TypeId GetTypeId();

  /// Plugs in a device; done by BurstNetDevice::attach. Two at most (checked).
  void attach(ns3::Ptr<BurstNetDevice> device);

  /// The direction from `sender`, which must be attached, to the other device.
  [[nodiscard]] BurstLink& link_from(const BurstNetDevice& sender);
  /// The other end; null while it is open.
  [[nodiscard]] ns3::Ptr<BurstNetDevice> peer_of(const BurstNetDevice& device) const;
  [[nodiscard]] ns3::Time delay() const { return delay_; }

  std::size_t GetNDevices() const override;
  ns3::Ptr<ns3::NetDevice> GetDevice(std::size_t i) const override;

 private:
  void DoDispose() override;

  ns3::Time delay_;
  std::size_t device_count_ = 0;
  std::array<ns3::Ptr<BurstNetDevice>, 2> devices_;
  std::array<BurstLink, 2> links_;  ///< links_[i] starts at devices_[i].
};

}  // namespace sluice

#include "backends/ns3/burst_channel.hpp"

#include "backends/ns3/burst_net_device.hpp"
#include "core/check.hpp"

namespace sluice {

NS_OBJECT_ENSURE_REGISTERED(BurstChannel);

ns3::TypeId BurstChannel::GetTypeId() {
  static const ns3::TypeId tid =
      ns3::TypeId("sluice::BurstChannel")
          .SetParent<ns3::Channel>()
          .SetGroupName("Sluice")
          .AddConstructor<BurstChannel>()
          .AddAttribute("Delay", "From a frame's last bit sent to its last bit received.",
                        ns3::TimeValue(ns3::MicroSeconds(1)),
                        ns3::MakeTimeAccessor(&BurstChannel::delay_), ns3::MakeTimeChecker());
  return tid;
}

void BurstChannel::attach(ns3::Ptr<BurstNetDevice> device) {
  SLUICE_CHECK(device_count_ < devices_.size());
  devices_[device_count_++] = device;
}

BurstLink& BurstChannel::link_from(const BurstNetDevice& sender) {
  const std::size_t end = ns3::PeekPointer(devices_[0]) == &sender ? 0 : 1;
  SLUICE_CHECK(ns3::PeekPointer(devices_[end]) == &sender);
  return links_[end];
}

ns3::Ptr<BurstNetDevice> BurstChannel::peer_of(const BurstNetDevice& device) const {
  return ns3::PeekPointer(devices_[0]) == &device ? devices_[1] : devices_[0];
}

std::size_t BurstChannel::GetNDevices() const {
  return device_count_;
}

ns3::Ptr<ns3::NetDevice> BurstChannel::GetDevice(std::size_t i) const {
  return i < device_count_ ? devices_[i] : nullptr;
}

void BurstChannel::DoDispose() {
  devices_ = {};
  device_count_ = 0;
  ns3::Channel::DoDispose();
}

}  // namespace sluice

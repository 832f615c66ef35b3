#pragma once

#include <string>

#include "backends/ns3/burst_channel.hpp"
#include "backends/ns3/burst_net_device.hpp"
#include "backends/ns3/ns3.hpp"

namespace sluice {

/// Connects nodes by burst links, as ns3::PointToPointHelper does by its own: to be put in its
/// place where a simulation is too slow.
///
/// EnablePcap and EnablePcapAll write Ethernet captures. A frame is written when it enters the
/// transmit queue, and when the burst that it came in is handed over: up to BurstWindow after its
/// arrival; with BurstMax 1 that is the same.
class BurstHelper final : public ns3::PcapHelperForDevice {
 public:
  BurstHelper();

  void SetDeviceAttribute(const std::string& name, const ns3::AttributeValue& value);
  void SetChannelAttribute(const std::string& name, const ns3::AttributeValue& value);

  /// A link between two nodes. @return The device of `a`, then that of `b`.
  ns3::NetDeviceContainer Install(ns3::Ptr<ns3::Node> a, ns3::Ptr<ns3::Node> b) const;
  /// The same for a container of two nodes (checked).
  ns3::NetDeviceContainer Install(const ns3::NodeContainer& nodes) const;

 private:
  void EnablePcapInternal(std::string prefix, ns3::Ptr<ns3::NetDevice> device, bool promiscuous,
                          bool explicit_filename) override;

  ns3::ObjectFactory devices_;
  ns3::ObjectFactory channels_;
};

}  // namespace sluice

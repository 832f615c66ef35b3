#include "backends/ns3/burst_helper.hpp"

#include "core/check.hpp"

namespace sluice {

BurstHelper::BurstHelper() {
  devices_.SetTypeId(BurstNetDevice::GetTypeId());
  channels_.SetTypeId(BurstChannel::GetTypeId());
}

void BurstHelper::SetDeviceAttribute(const std::string& name, const ns3::AttributeValue& value) {
  devices_.Set(name, value);
}

void BurstHelper::SetChannelAttribute(const std::string& name, const ns3::AttributeValue& value) {
  channels_.Set(name, value);
}

ns3::NetDeviceContainer BurstHelper::Install(ns3::Ptr<ns3::Node> a, ns3::Ptr<ns3::Node> b) const {
  const auto channel = channels_.Create<BurstChannel>();
  ns3::NetDeviceContainer both;
  for (const ns3::Ptr<ns3::Node>& node : {a, b}) {
    const auto device = devices_.Create<BurstNetDevice>();
    device->SetAddress(ns3::Mac48Address::Allocate());
    node->AddDevice(device);
    device->attach(channel);
    both.Add(device);
  }
  return both;
}

ns3::NetDeviceContainer BurstHelper::Install(const ns3::NodeContainer& nodes) const {
  SLUICE_CHECK(nodes.GetN() == 2);
  return Install(nodes.Get(0), nodes.Get(1));
}

void BurstHelper::EnablePcapInternal(std::string prefix, ns3::Ptr<ns3::NetDevice> device,
                                     bool /*promiscuous*/, bool explicit_filename) {
  const auto burst = ns3::DynamicCast<BurstNetDevice>(device);
  if (!burst) return;  // EnablePcapAll() asks every device, of whatever kind.
  ns3::PcapHelper pcap;
  const std::string name = explicit_filename ? prefix : pcap.GetFilenameFromDevice(prefix, device);
  const auto file = pcap.CreateFile(name, std::ios::out, ns3::PcapHelper::DLT_EN10MB);
  pcap.HookDefaultSink<BurstNetDevice>(burst, "PromiscSniffer", file);
}

}  // namespace sluice

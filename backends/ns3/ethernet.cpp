#include "backends/ns3/ethernet.hpp"

namespace sluice {

bool send_frame(const ns3::Ptr<ns3::NetDevice>& device, std::span<const std::byte> frame) {
  constexpr std::uint16_t kIpv4 = 0x0800, kIpv6 = 0x86dd;
  if (frame.size() < kEthernetHeaderSize) return false;
  if (frame.size() - kEthernetHeaderSize > device->GetMtu()) return false;
  const EthernetHeader header = read_ethernet(frame);
  // ns-3's PPP header has numbers for these two only, and sends others as protocol 0.
  const bool is_ip = header.ether_type == kIpv4 || header.ether_type == kIpv6;
  if (!is_ip && ns3::DynamicCast<ns3::PointToPointNetDevice>(device)) return false;
  const auto packet = to_ns3_packet(frame.subspan(kEthernetHeaderSize));
  if (device->SupportsSendFrom()) {
    return device->SendFrom(packet, header.source, header.destination, header.ether_type);
  }
  return device->Send(packet, header.destination, header.ether_type);
}

}  // namespace sluice

#include "backends/ns3/ethernet.hpp"

#include <algorithm>
#include <memory>

namespace sluice {

namespace {

/// An empty tag of the type of `item`; null if its TypeId has no constructor.
template <class Item>
std::unique_ptr<ns3::Tag> read_tag(const Item& item) {
  const ns3::TypeId type = item.GetTypeId();
  if (!type.HasConstructor()) return nullptr;
  std::unique_ptr<ns3::ObjectBase> object{type.GetConstructor()()};
  std::unique_ptr<ns3::Tag> tag{dynamic_cast<ns3::Tag*>(object.get())};
  if (tag == nullptr) return nullptr;
  (void)object.release();
  item.GetTag(*tag);
  return tag;
}

}  // namespace

ns3::Ptr<const ns3::Packet> tagged_copy(const ns3::Packet& packet) {
  const bool tagged =
      packet.GetByteTagIterator().HasNext() || packet.GetPacketTagIterator().HasNext();
  return tagged ? packet.Copy() : nullptr;
}

void copy_tags(const ns3::Packet& from, ns3::Packet& to) {
  for (auto each = from.GetByteTagIterator(); each.HasNext();) {
    const auto item = each.Next();
    const std::uint32_t end = std::min(item.GetEnd(), to.GetSize());
    if (item.GetStart() >= end) continue;
    if (const auto tag = read_tag(item)) to.AddByteTag(*tag, item.GetStart(), end);
  }
  for (auto each = from.GetPacketTagIterator(); each.HasNext();) {
    if (const auto tag = read_tag(each.Next())) to.AddPacketTag(*tag);
  }
}

bool send_frame(const ns3::Ptr<ns3::NetDevice>& device, std::span<const std::byte> frame,
                const ns3::Packet* origin) {
  constexpr std::uint16_t kIpv4 = 0x0800, kIpv6 = 0x86dd;
  if (frame.size() < kEthernetHeaderSize) return false;
  if (frame.size() - kEthernetHeaderSize > device->GetMtu()) return false;
  const EthernetHeader header = read_ethernet(frame);
  // ns-3's PPP header has numbers for these two only, and sends others as protocol 0.
  const bool is_ip = header.ether_type == kIpv4 || header.ether_type == kIpv6;
  if (!is_ip && ns3::DynamicCast<ns3::PointToPointNetDevice>(device)) return false;
  const auto packet = to_ns3_packet(frame.subspan(kEthernetHeaderSize));
  if (origin != nullptr) copy_tags(*origin, *packet);
  if (device->SupportsSendFrom()) {
    return device->SendFrom(packet, header.source, header.destination, header.ether_type);
  }
  return device->Send(packet, header.destination, header.ether_type);
}

}  // namespace sluice

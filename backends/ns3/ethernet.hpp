#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "backends/ns3/ns3.hpp"

/// Ethernet II frames as bytes and ns3::Packet as their payload: the border between the two worlds.
namespace sluice {

inline constexpr std::size_t kEthernetHeaderSize = 14;

struct EthernetHeader {
  ns3::Mac48Address destination, source;
  std::uint16_t ether_type = 0;
};

/// The header of a frame of at least kEthernetHeaderSize bytes.
[[nodiscard]] inline EthernetHeader read_ethernet(std::span<const std::byte> frame) {
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(frame.data());
  EthernetHeader header;
  header.destination.CopyFrom(bytes);
  header.source.CopyFrom(bytes + 6);
  header.ether_type = static_cast<std::uint16_t>(bytes[12] << 8 | bytes[13]);
  return header;
}

[[nodiscard]] inline ns3::Ptr<ns3::Packet> to_ns3_packet(std::span<const std::byte> bytes) {
  return ns3::Create<ns3::Packet>(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                  static_cast<std::uint32_t>(bytes.size()));
}

/// A copy of `packet` to keep for its tags (it shares the bytes); null when it has none.
[[nodiscard]] ns3::Ptr<const ns3::Packet> tagged_copy(const ns3::Packet& packet);
/// Gives `to` the byte tags and packet tags of `from`, except for those whose type cannot be made
/// by its TypeId. Byte tags stay at their bytes, as far as `to` has them.
void copy_tags(const ns3::Packet& from, ns3::Packet& to);

/// Sends an Ethernet frame over a device of any kind, which puts its own link header before the
/// payload, with the tags of `origin` unless it is null.
/// @return Whether the device took it: not if it is too long, cut short, neither IPv4 nor IPv6 for
/// a point-to-point (PPP) device, or finds no room.
bool send_frame(const ns3::Ptr<ns3::NetDevice>& device, std::span<const std::byte> frame,
                const ns3::Packet* origin = nullptr);

/// Makes `frame` a header and the bytes of `payload`. Addresses that are no MACs become zero.
inline void write_ethernet_frame(const ns3::Packet& payload, const ns3::Address& source,
                                 const ns3::Address& destination, std::uint16_t ether_type,
                                 std::vector<std::byte>& frame) {
  frame.resize(kEthernetHeaderSize + payload.GetSize());
  auto* const bytes = reinterpret_cast<std::uint8_t*>(frame.data());
  const auto mac = [](const ns3::Address& address) {
    return ns3::Mac48Address::IsMatchingType(address) ? ns3::Mac48Address::ConvertFrom(address)
                                                      : ns3::Mac48Address("00:00:00:00:00:00");
  };
  mac(destination).CopyTo(bytes);
  mac(source).CopyTo(bytes + 6);
  bytes[12] = static_cast<std::uint8_t>(ether_type >> 8);
  bytes[13] = static_cast<std::uint8_t>(ether_type & 0xff);
  payload.CopyData(bytes + kEthernetHeaderSize, payload.GetSize());
}

}  // namespace sluice

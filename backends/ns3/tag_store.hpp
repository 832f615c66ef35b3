#pragma once

#include <cstdint>
#include <vector>

#include "backends/ns3/ns3.hpp"
#include "core/packet/packet.hpp"

namespace sluice {

/// The tags of frames while they are in a simulated host, by buffer.
///
/// Packet memory holds bytes alone, but FlowMonitor and others of ns-3 follow a packet by the tags
/// on it: what a port receives leaves its origin here, and the port that sends it finds it again.
/// Costs one branch a frame until the first tag comes. Not for packets that a function made, nor
/// copies.
class TagStore {
 public:
  /// `origin` holds the tags of `packet`, which was just received; null: it has none.
  void set(const Packet& packet, const ns3::Packet* origin) {
    if (origin == nullptr && entries_.empty()) return;
    if (packet.buffer >= entries_.size()) entries_.resize(std::size_t{packet.buffer} + 1);
    entries_[packet.buffer] = {packet.arrival, packet.ingress, origin};
  }
  /// The origin of `packet`, valid until its buffer is received into again; null without tags.
  [[nodiscard]] const ns3::Packet* find(const Packet& packet) const noexcept {
    if (packet.buffer >= entries_.size()) return nullptr;
    const Entry& entry = entries_[packet.buffer];
    const bool same = entry.arrival == packet.arrival && entry.ingress == packet.ingress;
    return same ? ns3::PeekPointer(entry.origin) : nullptr;
  }

 private:
  struct Entry {
    std::uint64_t arrival = 0;
    std::uint16_t ingress = 0xffff;
    ns3::Ptr<const ns3::Packet> origin;
  };
  std::vector<Entry> entries_;  ///< By buffer.
};

}  // namespace sluice

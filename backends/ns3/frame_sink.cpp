#include "backends/ns3/frame_sink.hpp"

#include "backends/ns3/ethernet.hpp"
#include "backends/ns3/sim_time.hpp"

namespace sluice {

FrameSink::FrameSink(ns3::Ptr<ns3::NetDevice> device)
    : device_(device), burst_device_(ns3::DynamicCast<BurstNetDevice>(device)) {
  if (burst_device_) {
    burst_device_->set_receiver(this);
  } else {
    device_->SetPromiscReceiveCallback(ns3::MakeCallback(&FrameSink::receive_packet, this));
  }
}

FrameSink::~FrameSink() {
  if (burst_device_) {
    burst_device_->set_receiver(nullptr);
  } else {
    device_->SetPromiscReceiveCallback(ns3::NetDevice::PromiscReceiveCallback());
  }
}

void FrameSink::receive_burst(BurstPtr burst) noexcept {
  views_.clear();
  for (const BurstFrame& frame : burst->frames()) {
    counters_.bytes += frame.length;
    if (watcher_) views_.push_back({.bytes = burst->bytes(frame), .when = frame.arrival});
  }
  counters_.frames += burst->size();
  if (watcher_) watcher_(views_);
}

bool FrameSink::receive_packet(ns3::Ptr<ns3::NetDevice> /*device*/,
                               ns3::Ptr<const ns3::Packet> packet, std::uint16_t protocol,
                               const ns3::Address& source, const ns3::Address& destination,
                               ns3::NetDevice::PacketType /*type*/) {
  ++counters_.frames;
  counters_.bytes += kEthernetHeaderSize + packet->GetSize();
  if (watcher_) {
    write_ethernet_frame(*packet, source, destination, protocol, scratch_);
    const FrameView view{.bytes = scratch_, .when = simulated_now()};
    watcher_({&view, 1});
  }
  return true;
}

}  // namespace sluice

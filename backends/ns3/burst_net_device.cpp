#include "backends/ns3/burst_net_device.hpp"

#include <algorithm>
#include <utility>

#include "backends/ns3/ethernet.hpp"
#include "backends/ns3/sim_time.hpp"
#include "core/check.hpp"

namespace sluice {

NS_OBJECT_ENSURE_REGISTERED(BurstNetDevice);

ns3::TypeId BurstNetDevice::GetTypeId() {
  static const ns3::TypeId tid =
      ns3::TypeId("sluice::BurstNetDevice")
          .SetParent<ns3::NetDevice>()
          .SetGroupName("Sluice")
          .AddConstructor<BurstNetDevice>()
          .AddAttribute(
              "DataRate", "Frame bits per second, without FCS, preamble and gap.",
              ns3::DataRateValue(ns3::DataRate("10Gbps")),
              ns3::MakeDataRateAccessor(&BurstNetDevice::set_data_rate, &BurstNetDevice::data_rate),
              ns3::MakeDataRateChecker())
          .AddAttribute("BurstMax", "Frames that cross the link in one event, at most.",
                        ns3::UintegerValue(32),
                        ns3::MakeUintegerAccessor(&BurstNetDevice::burst_max_),
                        ns3::MakeUintegerChecker<std::uint32_t>(1, 1024))
          .AddAttribute("BurstWindow", "From the first arrival of a burst to its last, at most.",
                        ns3::TimeValue(ns3::MicroSeconds(20)),
                        ns3::MakeTimeAccessor(&BurstNetDevice::burst_window_),
                        ns3::MakeTimeChecker(ns3::Time(0)))
          .AddAttribute("QueueFrames", "Frames that wait to be sent, at most.",
                        ns3::UintegerValue(1024),
                        ns3::MakeUintegerAccessor(&BurstNetDevice::queue_frames_),
                        ns3::MakeUintegerChecker<std::uint32_t>(1))
          .AddAttribute("Mtu", "The largest payload of a frame, in bytes.",
                        ns3::UintegerValue(1500),
                        ns3::MakeUintegerAccessor(&BurstNetDevice::SetMtu, &BurstNetDevice::GetMtu),
                        ns3::MakeUintegerChecker<std::uint16_t>(68, 65'000))
          .AddAttribute("Address", "The MAC address.",
                        ns3::Mac48AddressValue(ns3::Mac48Address("00:00:00:00:00:00")),
                        ns3::MakeMac48AddressAccessor(&BurstNetDevice::address_),
                        ns3::MakeMac48AddressChecker())
          .AddTraceSource("MacTx", "A frame entered the transmit queue.",
                          ns3::MakeTraceSourceAccessor(&BurstNetDevice::trace_tx_),
                          "ns3::Packet::TracedCallback")
          .AddTraceSource("MacRx", "A frame arrived.",
                          ns3::MakeTraceSourceAccessor(&BurstNetDevice::trace_rx_),
                          "ns3::Packet::TracedCallback")
          .AddTraceSource("MacTxDrop", "A frame was not taken: no room, too long, or no link.",
                          ns3::MakeTraceSourceAccessor(&BurstNetDevice::trace_tx_drop_),
                          "ns3::Packet::TracedCallback")
          .AddTraceSource("PromiscSniffer", "Every frame sent and received, for captures.",
                          ns3::MakeTraceSourceAccessor(&BurstNetDevice::trace_sniffer_),
                          "ns3::Packet::TracedCallback");
  return tid;
}

BurstNetDevice::BurstNetDevice() = default;

void BurstNetDevice::attach(ns3::Ptr<BurstChannel> channel) {
  SLUICE_CHECK(!channel_);
  channel_ = channel;
  channel_->attach(this);
  link_change_();
  // The link of the device that was there first comes up now, too.
  if (const ns3::Ptr<BurstNetDevice> peer = channel_->peer_of(*this)) peer->link_change_();
}

void BurstNetDevice::DoDispose() {
  receiver_ = nullptr;
  link_ = nullptr;
  channel_ = nullptr;
  node_ = nullptr;
  receive_callback_.Nullify();
  promiscuous_callback_.Nullify();
  ns3::NetDevice::DoDispose();
}

bool BurstNetDevice::connect() {
  if (!IsLinkUp()) return false;
  const ns3::Ptr<BurstNetDevice> peer = channel_->peer_of(*this);
  SLUICE_CHECK(rate_.bps > 0);
  const ns3::Ptr<ns3::Node> node = peer->GetNode();
  BurstLink& link = channel_->link_from(*this);
  link.attach({.delay = to_duration(channel_->delay()),
               .burst_max = burst_max_,
               .burst_window = burst_window(),
               .node = node ? node->GetId() : 0xffffffffu},
              std::make_shared<BurstPool>(BurstPool::Options{.frame_count_max = burst_max_,
                                                             .frame_size_max = frame_size_max()}),
              ns3::PeekPointer(peer));
  queue_.assign(queue_frames_, Instant{});
  link_ = &link;
  return true;
}

Duration BurstNetDevice::burst_window() const {
  return to_duration(burst_window_);
}

std::uint32_t BurstNetDevice::send_burst(std::span<const OutFrame> frames) {
  if (link_ == nullptr && !connect()) {
    counters_.tx_drop_unlinked += frames.size();
    for (const OutFrame& frame : frames) trace(trace_tx_drop_, frame.bytes);
    return 0;
  }
  std::uint32_t count = 0;
  for (const OutFrame& frame : frames) count += transmit(*link_, frame) ? 1u : 0u;
  link_->flush();
  return count;
}

bool BurstNetDevice::transmit(BurstLink& link, const OutFrame& frame) {
  const std::size_t size = frame.bytes.size();
  if (size > frame_size_max() || size < kEthernetHeaderSize) [[unlikely]] {
    ++counters_.tx_drop_mtu;
    trace(trace_tx_drop_, frame.bytes);
    return false;
  }
  if (!queue_takes(frame.ready)) [[unlikely]] {
    ++counters_.tx_drop_full;
    trace(trace_tx_drop_, frame.bytes);
    return false;
  }
  link.carry(frame.bytes, serialise(size, frame.ready), frame.origin);
  ++counters_.tx_frames;
  counters_.tx_bytes += size;
  trace(trace_tx_, frame.bytes);
  trace(trace_sniffer_, frame.bytes);
  return true;
}

bool BurstNetDevice::queue_takes(Instant ready) noexcept {
  while (queue_size_ > 0 && queue_[queue_head_] <= ready) {
    queue_head_ = queue_head_ + 1 == queue_frames_ ? 0 : queue_head_ + 1;
    --queue_size_;
  }
  return queue_size_ < queue_frames_;
}

std::uint32_t BurstNetDevice::queue_room() noexcept {
  if (link_ == nullptr && !connect()) return 0;
  const Instant now = simulated_now();
  (void)queue_takes(now);
  return queue_frames_ - queue_size_ + (line_free_ <= now ? 1 : 0);
}

// The line keeps the fraction of a nanosecond, so that rounding costs no capacity.
Instant BurstNetDevice::serialise(std::size_t size_bytes, Instant ready) noexcept {
  if (ready > line_free_) {
    line_free_ = ready;
    line_rest_ = 0;
  } else if (line_free_ > ready) {
    const std::uint32_t tail = (queue_head_ + queue_size_) % queue_frames_;
    queue_[tail] = line_free_;
    ++queue_size_;
  }
  const std::uint64_t work = line_rest_ + std::uint64_t{size_bytes} * 8u * 1'000'000'000u;
  line_free_ += Duration{static_cast<std::int64_t>(work / rate_.bps)};
  line_rest_ = work % rate_.bps;
  return line_rest_ == 0 ? line_free_ : line_free_ + Duration{1};
}

void BurstNetDevice::receive_burst(BurstPtr burst) noexcept {
  counters_.rx_frames += burst->size();
  for (const BurstFrame& frame : burst->frames()) counters_.rx_bytes += frame.length;
  if (!trace_rx_.IsEmpty() || !trace_sniffer_.IsEmpty()) {
    for (const BurstFrame& frame : burst->frames()) {
      trace(trace_rx_, burst->bytes(frame));
      trace(trace_sniffer_, burst->bytes(frame));
    }
  }
  if (receiver_ != nullptr) {
    receiver_->receive_burst(std::move(burst));
    return;
  }
  for (const BurstFrame& frame : burst->frames()) {
    to_stack(burst->bytes(frame), burst->origin(frame));
  }
}

void BurstNetDevice::to_stack(std::span<const std::byte> frame, const ns3::Packet* origin) {
  const auto [destination, source, protocol] = read_ethernet(frame);
  PacketType type = PACKET_OTHERHOST;
  if (destination.IsBroadcast()) {
    type = PACKET_BROADCAST;
  } else if (destination.IsGroup()) {
    type = PACKET_MULTICAST;
  } else if (destination == address_) {
    type = PACKET_HOST;
  }
  const ns3::Ptr<ns3::Packet> packet = to_ns3_packet(frame.subspan(kEthernetHeaderSize));
  if (origin != nullptr) copy_tags(*origin, *packet);
  if (!promiscuous_callback_.IsNull()) {
    promiscuous_callback_(this, packet, protocol, source, destination, type);
  }
  if (type != PACKET_OTHERHOST && !receive_callback_.IsNull()) {
    receive_callback_(this, packet, protocol, source);
  }
}

void BurstNetDevice::trace(FrameTrace& source, std::span<const std::byte> frame) {
  if (!source.IsEmpty()) source(to_ns3_packet(frame));
}

void BurstNetDevice::SetAddress(ns3::Address address) {
  address_ = ns3::Mac48Address::ConvertFrom(address);
}

bool BurstNetDevice::SetMtu(uint16_t mtu) {
  if (link_ != nullptr && mtu > mtu_) return false;  // The bursts have their size by now.
  mtu_ = mtu;
  return true;
}

bool BurstNetDevice::IsLinkUp() const {
  return channel_ && channel_->peer_of(*this);
}

void BurstNetDevice::AddLinkChangeCallback(ns3::Callback<void> callback) {
  link_change_.ConnectWithoutContext(callback);
}

ns3::Address BurstNetDevice::GetMulticast(ns3::Ipv4Address group) const {
  return ns3::Mac48Address::GetMulticast(group);
}

ns3::Address BurstNetDevice::GetMulticast(ns3::Ipv6Address group) const {
  return ns3::Mac48Address::GetMulticast(group);
}

bool BurstNetDevice::Send(ns3::Ptr<ns3::Packet> packet, const ns3::Address& destination,
                          uint16_t protocol) {
  return SendFrom(packet, address_, destination, protocol);
}

bool BurstNetDevice::SendFrom(ns3::Ptr<ns3::Packet> packet, const ns3::Address& source,
                              const ns3::Address& destination, uint16_t protocol) {
  write_ethernet_frame(*packet, source, destination, protocol, scratch_);
  const ns3::Ptr<const ns3::Packet> tagged = tagged_copy(*packet);
  const OutFrame frame{
      .bytes = scratch_, .ready = simulated_now(), .origin = ns3::PeekPointer(tagged)};
  return send_burst({&frame, 1}) == 1;
}

}  // namespace sluice

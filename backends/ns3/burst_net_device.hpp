#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "backends/ns3/burst_channel.hpp"
#include "backends/ns3/burst_link.hpp"
#include "backends/ns3/ns3.hpp"
#include "core/units.hpp"

namespace sluice {

/// A frame to be sent, and since when it waits at the port (not in the future).
struct OutFrame {
  std::span<const std::byte> bytes;
  Instant ready{};
  const ns3::Packet* origin = nullptr;  ///< Whose tags cross with it; null: none.
};

/// What a BurstNetDevice did. Offered to send: tx_frames + tx_drop_full + tx_drop_mtu +
/// tx_drop_unlinked.
struct BurstDeviceCounters {
  std::uint64_t tx_frames = 0;
  std::uint64_t tx_bytes = 0;
  std::uint64_t tx_drop_full = 0;      ///< The queue had no room; DropReason::kPortFull.
  std::uint64_t tx_drop_mtu = 0;       ///< Too long, or shorter than an Ethernet header.
  std::uint64_t tx_drop_unlinked = 0;  ///< No channel or no peer.
  std::uint64_t rx_frames = 0;
  std::uint64_t rx_bytes = 0;
  bool operator==(const BurstDeviceCounters&) const = default;
};

/// An Ethernet device whose frames cross the link in bursts, one simulator event a burst.
///
/// ns-3 gives one event and several allocations to every packet; most of a simulated host's time
/// would go there. This device moves bytes: a frame is serialised into its place in time at
/// DataRate, copied once into the burst that crosses the channel, and waits for no event of its
/// own. With BurstMax 1 it behaves frame by frame like ns3::PointToPointNetDevice. Rates count
/// frame bytes without FCS, preamble and gap.
///
/// ns-3's Internet stack sits on it as on any Ethernet device (Send, receive callbacks, ARP,
/// broadcast), and tags cross as on a stock link, so that FlowMonitor works. Attributes: DataRate,
/// BurstMax, BurstWindow, QueueFrames, Mtu, Address; to be set before the first frame. Trace
/// sources, each with the whole frame: MacTx, MacRx, MacTxDrop, PromiscSniffer.
class BurstNetDevice final : public ns3::NetDevice, public BurstReceiver {
 public:
  static ns3::TypeId GetTypeId();
  BurstNetDevice();

  /// Plugs the device into `channel`. Once.
  void attach(ns3::Ptr<BurstChannel> channel);

  /// Offers whole Ethernet frames to the transmit queue, in order of `ready`.
  /// @return How many were taken (all but the counted drops); their bytes were copied.
  std::uint32_t send_burst(std::span<const OutFrame> frames);
  /// How many frames send_burst() takes now: what the queue has room for, and one if the line is
  /// idle.
  [[nodiscard]] std::uint32_t queue_room() noexcept;

  /// From now on whole bursts go to `receiver` instead of ns-3's callbacks; null turns back.
  /// `receiver` must outlive the simulation or take itself out.
  void set_receiver(BurstReceiver* receiver) noexcept { receiver_ = receiver; }

  [[nodiscard]] const BurstDeviceCounters& counters() const noexcept { return counters_; }
  [[nodiscard]] Rate rate() const noexcept { return rate_; }
  [[nodiscard]] std::uint32_t burst_max() const noexcept { return burst_max_; }
  [[nodiscard]] Duration burst_window() const;
  /// The longest frame: Mtu, the Ethernet header and two VLAN tags, in bytes.
  [[nodiscard]] std::uint32_t frame_size_max() const noexcept { return std::uint32_t{mtu_} + 22u; }
  [[nodiscard]] ns3::Ptr<BurstChannel> channel() const { return channel_; }

  void receive_burst(BurstPtr burst) noexcept override;

  // ns3::NetDevice.
  void SetIfIndex(uint32_t index) override { interface_index_ = index; }
  uint32_t GetIfIndex() const override { return interface_index_; }
  ns3::Ptr<ns3::Channel> GetChannel() const override { return channel_; }
  void SetAddress(ns3::Address address) override;
  ns3::Address GetAddress() const override { return address_; }
  bool SetMtu(uint16_t mtu) override;
  uint16_t GetMtu() const override { return mtu_; }
  bool IsLinkUp() const override;
  void AddLinkChangeCallback(ns3::Callback<void> callback) override;
  bool IsBroadcast() const override { return true; }
  ns3::Address GetBroadcast() const override { return ns3::Mac48Address::GetBroadcast(); }
  bool IsMulticast() const override { return true; }
  ns3::Address GetMulticast(ns3::Ipv4Address group) const override;
  ns3::Address GetMulticast(ns3::Ipv6Address group) const override;
  bool IsBridge() const override { return false; }
  bool IsPointToPoint() const override { return false; }
  bool Send(ns3::Ptr<ns3::Packet> packet, const ns3::Address& destination,
            uint16_t protocol) override;
  bool SendFrom(ns3::Ptr<ns3::Packet> packet, const ns3::Address& source,
                const ns3::Address& destination, uint16_t protocol) override;
  ns3::Ptr<ns3::Node> GetNode() const override { return node_; }
  void SetNode(ns3::Ptr<ns3::Node> node) override { node_ = node; }
  bool NeedsArp() const override { return true; }
  void SetReceiveCallback(ReceiveCallback callback) override { receive_callback_ = callback; }
  void SetPromiscReceiveCallback(PromiscReceiveCallback callback) override {
    promiscuous_callback_ = callback;
  }
  bool SupportsSendFrom() const override { return true; }

 private:
  using FrameTrace = ns3::TracedCallback<ns3::Ptr<const ns3::Packet>>;

  void DoDispose() override;
  void set_data_rate(ns3::DataRate rate) { rate_ = Rate{rate.GetBitRate()}; }
  [[nodiscard]] ns3::DataRate data_rate() const { return ns3::DataRate(rate_.bps); }
  bool connect();
  bool transmit(BurstLink& link, const OutFrame& frame);
  [[nodiscard]] Instant serialise(std::size_t size_bytes, Instant ready) noexcept;
  [[nodiscard]] bool queue_takes(Instant ready) noexcept;
  void to_stack(std::span<const std::byte> frame, const ns3::Packet* origin);
  void trace(FrameTrace& source, std::span<const std::byte> frame);

  // Attributes.
  Rate rate_;
  ns3::Time burst_window_;
  std::uint32_t burst_max_ = 0;
  std::uint32_t queue_frames_ = 0;
  std::uint16_t mtu_ = 0;
  ns3::Mac48Address address_;

  ns3::Ptr<ns3::Node> node_;
  ns3::Ptr<BurstChannel> channel_;
  std::uint32_t interface_index_ = 0;
  BurstReceiver* receiver_ = nullptr;
  BurstLink* link_ = nullptr;  ///< Set by the first frame, which fixes the attributes.

  // The line: busy until line_free_ plus line_rest_ / bps nanoseconds.
  Instant line_free_{};
  std::uint64_t line_rest_ = 0;
  // When each waiting frame starts to be sent: a ring of queue_frames_ entries.
  std::vector<Instant> queue_;
  std::uint32_t queue_head_ = 0;
  std::uint32_t queue_size_ = 0;

  std::vector<std::byte> scratch_;  ///< A frame of Send() as bytes.
  BurstDeviceCounters counters_;
  ReceiveCallback receive_callback_;
  PromiscReceiveCallback promiscuous_callback_;
  ns3::TracedCallback<> link_change_;
  FrameTrace trace_tx_, trace_rx_, trace_tx_drop_, trace_sniffer_;
};

}  // namespace sluice

#include "backends/ns3/tcp_transfers.hpp"

#include <algorithm>

#include "backends/ns3/sim_time.hpp"
#include "core/check.hpp"

namespace sluice {

namespace {

/// The transfer of a connection whose port is none of ours: something on the way rewrote it.
constexpr std::size_t kUnknown = ~std::size_t{0};

}  // namespace

void enable_checksums() {
  ns3::GlobalValue::Bind("ChecksumEnabled", ns3::BooleanValue(true));
}

void assign_address(ns3::Ptr<ns3::NetDevice> device, const std::string& address,
                    const std::string& mask) {
  const ns3::Ptr<ns3::Node> node = device->GetNode();
  if (!node->GetObject<ns3::Ipv4>()) {
    ns3::InternetStackHelper stack;
    stack.SetIpv6StackInstall(false);
    stack.Install(node);
    // ns-3 numbers random streams by a counter that outlives Simulator::Destroy(); a second run in
    // the same process must draw the same.
    constexpr std::int64_t kStreamsPerNode = 256;
    stack.AssignStreams(ns3::NodeContainer(node), std::int64_t{node->GetId()} * kStreamsPerNode);
  }
  const auto ip = node->GetObject<ns3::Ipv4>();
  std::int32_t interface = ip->GetInterfaceForDevice(device);
  if (interface < 0) interface = static_cast<std::int32_t>(ip->AddInterface(device));
  const auto index = static_cast<std::uint32_t>(interface);
  ip->AddAddress(index, {ns3::Ipv4Address(address.c_str()), ns3::Ipv4Mask(mask.c_str())});
  ip->SetMetric(index, 1);
  ip->SetUp(index);
  // The default is 3: of several connections that start together, most would lose their SYN while
  // the address is asked for, and wait seconds.
  constexpr std::uint32_t kArpPendingMax = 10'000;
  if (const auto l3 = ns3::DynamicCast<ns3::Ipv4L3Protocol>(ip)) {
    if (const auto arp_cache = l3->GetInterface(index)->GetArpCache()) {
      arp_cache->SetAttribute("PendingQueueSize", ns3::UintegerValue(kArpPendingMax));
    }
  }
}

TcpTransfers::TcpTransfers(const Options& options) : options_(options) {
  SLUICE_CHECK(!options.payload.empty());
  constexpr std::size_t kPayloadPiece = 65'536;
  std::string piece;
  while (piece.size() < kPayloadPiece) piece += options.payload;
  payload_ = ns3::Create<ns3::Packet>(reinterpret_cast<const std::uint8_t*>(piece.data()),
                                      static_cast<std::uint32_t>(piece.size()));
  assign_address(options_.client, options_.client_address, options_.mask);
  assign_address(options_.server, options_.server_address, options_.mask);
  listen();
}

namespace {

ns3::Ptr<ns3::Socket> make_socket(ns3::Ptr<ns3::Node> node, const TcpTransfers::Options& options) {
  const auto congestion_type = ns3::TypeId::LookupByName(options.congestion_control);
  node->GetObject<ns3::TcpL4Protocol>()->SetAttribute("SocketType",
                                                      ns3::TypeIdValue(congestion_type));
  const auto socket = ns3::Socket::CreateSocket(node, ns3::TcpSocketFactory::GetTypeId());
  socket->SetAttribute("SegmentSize", ns3::UintegerValue(options.segment_size));
  socket->SetAttribute("SndBufSize", ns3::UintegerValue(options.buffer_size));
  socket->SetAttribute("RcvBufSize", ns3::UintegerValue(options.buffer_size));
  return socket;
}

}  // namespace

void TcpTransfers::listen() {
  listener_ = make_socket(options_.server->GetNode(), options_);
  SLUICE_CHECK(listener_->Bind(ns3::InetSocketAddress(
                   ns3::Ipv4Address(options_.server_address.c_str()), options_.port)) == 0);
  SLUICE_CHECK(listener_->Listen() == 0);
  listener_->SetAcceptCallback(
      ns3::MakeNullCallback<bool, ns3::Ptr<ns3::Socket>, const ns3::Address&>(),
      ns3::MakeCallback(&TcpTransfers::accepted, this));
}

void TcpTransfers::add(Instant start, std::uint64_t size_bytes) {
  SLUICE_CHECK(start >= simulated_now());
  const std::size_t index = transfers_.size();
  transfers_.emplace_back();
  transfers_.back().start = start;
  transfers_.back().size_bytes = size_bytes;
  clients_.emplace_back();
  ns3::Simulator::ScheduleWithContext(options_.client->GetNode()->GetId(), time_until(start),
                                      [this, index] { begin(index); });
}

void TcpTransfers::begin(std::size_t index) {
  const auto socket = make_socket(options_.client->GetNode(), options_);
  clients_[index].socket = socket;
  using SocketCallback = ns3::Callback<void, ns3::Ptr<ns3::Socket>>;
  const SocketCallback connected([this, index](ns3::Ptr<ns3::Socket>) {
    transfers_[index].connected = simulated_now();
    write(index);
  });
  const SocketCallback failed([this, index](ns3::Ptr<ns3::Socket>) {
    transfers_[index].failed = true;
    clients_[index].socket = nullptr;
  });
  socket->SetConnectCallback(connected, failed);
  socket->SetCloseCallbacks(SocketCallback([](ns3::Ptr<ns3::Socket>) {}), failed);
  socket->SetSendCallback(ns3::Callback<void, ns3::Ptr<ns3::Socket>, std::uint32_t>(
      [this, index](ns3::Ptr<ns3::Socket>, std::uint32_t) { write(index); }));
  socket->TraceConnectWithoutContext(
      "Tx", ns3::Callback<void, ns3::Ptr<const ns3::Packet>, const ns3::TcpHeader&,
                          ns3::Ptr<const ns3::TcpSocketBase>>(
                [this, index](ns3::Ptr<const ns3::Packet> segment, const ns3::TcpHeader& header,
                              ns3::Ptr<const ns3::TcpSocketBase>) {
                  segment_sent(index, *segment, header);
                }));
  SLUICE_CHECK(socket->Bind() == 0);
  const ns3::InetSocketAddress server(ns3::Ipv4Address(options_.server_address.c_str()),
                                      options_.port);
  if (socket->Connect(server) != 0) {
    transfers_[index].failed = true;
    return;
  }
  ns3::Address own;
  socket->GetSockName(own);
  by_port_[ns3::InetSocketAddress::ConvertFrom(own).GetPort()] = index;
}

void TcpTransfers::write(std::size_t index) {
  Client& client = clients_[index];
  const std::uint64_t size_bytes = transfers_[index].size_bytes;
  if (!client.socket || transfers_[index].connected == Instant::max()) return;
  while (client.sent_bytes < size_bytes && client.socket->GetTxAvailable() > 0) {
    const auto start = static_cast<std::uint32_t>(client.sent_bytes % payload_->GetSize());
    const std::uint64_t length =
        std::min({std::uint64_t{client.socket->GetTxAvailable()}, size_bytes - client.sent_bytes,
                  std::uint64_t{payload_->GetSize() - start}});
    const int sent =
        client.socket->Send(payload_->CreateFragment(start, static_cast<std::uint32_t>(length)));
    if (sent <= 0) return;  // The send callback calls again.
    client.sent_bytes += static_cast<std::uint64_t>(sent);
  }
  if (client.sent_bytes < size_bytes) return;
  const auto socket = std::exchange(client.socket, nullptr);
  socket->Close();  // What is buffered is still sent; ns-3 keeps the socket until then.
}

void TcpTransfers::segment_sent(std::size_t index, const ns3::Packet& segment,
                                const ns3::TcpHeader& header) {
  if (segment.GetSize() == 0) return;
  Client& client = clients_[index];
  const ns3::SequenceNumber32 end =
      header.GetSequenceNumber() + static_cast<std::int32_t>(segment.GetSize());
  if (client.any_sent && header.GetSequenceNumber() < client.sent_end) {
    ++transfers_[index].retransmissions;
    ++retransmissions_;
  }
  if (!client.any_sent || end > client.sent_end) client.sent_end = end;
  client.any_sent = true;
}

void TcpTransfers::accepted(ns3::Ptr<ns3::Socket> socket, const ns3::Address& from) {
  const auto found = by_port_.find(ns3::InetSocketAddress::ConvertFrom(from).GetPort());
  const std::size_t index = found == by_port_.end() ? kUnknown : found->second;
  using SocketCallback = ns3::Callback<void, ns3::Ptr<ns3::Socket>>;
  socket->SetRecvCallback(
      SocketCallback([this, index](ns3::Ptr<ns3::Socket> ready) { read(index, ready); }));
  socket->SetCloseCallbacks(
      SocketCallback([this, index](ns3::Ptr<ns3::Socket> closing) { finish(index, closing); }),
      SocketCallback([this, index](ns3::Ptr<ns3::Socket>) {
        if (index != kUnknown) transfers_[index].failed = true;
      }));
}

void TcpTransfers::read(std::size_t index, ns3::Ptr<ns3::Socket> socket) {
  std::uint64_t size_bytes = 0;
  while (const ns3::Ptr<ns3::Packet> packet = socket->Recv()) {
    if (packet->GetSize() == 0) break;  // The end.
    size_bytes += packet->GetSize();
  }
  if (size_bytes == 0) return;
  if (index != kUnknown) transfers_[index].received_bytes += size_bytes;
  received_bytes_ += size_bytes;
  const auto bin =
      static_cast<std::size_t>(simulated_now().time_since_epoch() / options_.goodput_interval);
  if (bin >= goodput_bytes_.size()) goodput_bytes_.resize(bin + 1);
  goodput_bytes_[bin] += size_bytes;
}

void TcpTransfers::finish(std::size_t index, ns3::Ptr<ns3::Socket> socket) {
  read(index, socket);
  socket->Close();
  if (index == kUnknown || transfers_[index].finished != Instant::max()) return;
  transfers_[index].finished = simulated_now();
  ++finished_count_;
}

}  // namespace sluice

#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "backends/ns3/ns3.hpp"
#include "core/units.hpp"

namespace sluice {

/// Finite TCP transfers of ns-3's own stack: closed-loop load, which reacts to loss and delay.
///
/// All clients are sockets of one node, all servers of another; the host under test stands between
/// their devices. A client connects at its time, sends its bytes and closes; the server reads to
/// the end. The nodes are of one subnet, so that their ARP goes through the host. A
/// transfer is known at the server by the client's port: where the host rewrites it (NAT), only the
/// totals count. Lives as long as
/// the simulation's events. Set ns-3's ChecksumEnabled before the nodes are made, else all
/// checksums are 0 (enable_checksums()).
class TcpTransfers {
 public:
  struct Options {
    ns3::Ptr<ns3::NetDevice> client;  ///< Each on a node of its own, with or without a stack.
    ns3::Ptr<ns3::NetDevice> server;
    std::string client_address = "10.0.0.1";
    std::string server_address = "10.0.0.2";
    std::string mask = "255.255.255.0";
    std::uint16_t port = 80;
    std::uint32_t segment_size = 1448;     ///< Bytes.
    std::uint32_t buffer_size = 1u << 20;  ///< Of each socket, each way, in bytes.
    std::string congestion_control = "ns3::TcpCubic";
    std::string payload = "0123456789abcdef";  ///< What is sent, over and over. Not empty.
    Duration goodput_interval = std::chrono::milliseconds{100};
  };

  /// How a transfer went. Instant::max() where it did not come to that.
  struct Transfer {
    Instant start{};
    std::uint64_t size_bytes = 0;
    Instant connected = Instant::max();
    Instant finished = Instant::max();  ///< The server had read all of it and the client's FIN.
    std::uint64_t received_bytes = 0;   ///< In order, by the server.
    std::uint64_t retransmissions = 0;  ///< Segments that the client sent again.
    bool failed = false;                ///< Not connected, or reset.
  };

  explicit TcpTransfers(const Options& options);
  TcpTransfers(const TcpTransfers&) = delete;
  TcpTransfers& operator=(const TcpTransfers&) = delete;

  /// Plans a transfer, not in the past.
  void add(Instant start, std::uint64_t size_bytes);

  [[nodiscard]] const std::deque<Transfer>& transfers() const noexcept { return transfers_; }
  [[nodiscard]] std::uint64_t received_bytes() const noexcept { return received_bytes_; }
  [[nodiscard]] std::uint64_t finished_count() const noexcept { return finished_count_; }
  [[nodiscard]] std::uint64_t retransmissions() const noexcept { return retransmissions_; }
  /// Bytes that the servers read in each goodput_interval since time 0; ends with the last that was
  /// not 0.
  [[nodiscard]] const std::vector<std::uint64_t>& goodput_bytes() const noexcept {
    return goodput_bytes_;
  }

 private:
  /// A client's socket and how far it is.
  struct Client {
    ns3::Ptr<ns3::Socket> socket;
    std::uint64_t sent_bytes = 0;
    ns3::SequenceNumber32 sent_end{0};  ///< After the last byte ever sent.
    bool any_sent = false;
  };

  void listen();
  void begin(std::size_t index);
  void write(std::size_t index);
  void segment_sent(std::size_t index, const ns3::Packet& segment, const ns3::TcpHeader& header);
  void accepted(ns3::Ptr<ns3::Socket> socket, const ns3::Address& from);
  void read(std::size_t index, ns3::Ptr<ns3::Socket> socket);
  void finish(std::size_t index, ns3::Ptr<ns3::Socket> socket);

  Options options_;
  ns3::Ptr<ns3::Packet>
      payload_;  ///< Options::payload repeated to some size; pieces of it are sent.
  ns3::Ptr<ns3::Socket> listener_;
  std::deque<Transfer> transfers_;
  std::deque<Client> clients_;                    ///< clients_[i] serves transfers_[i].
  std::map<std::uint16_t, std::size_t> by_port_;  ///< A living client's port: its transfer.
  std::vector<std::uint64_t> goodput_bytes_;
  std::uint64_t received_bytes_ = 0;
  std::uint64_t finished_count_ = 0;
  std::uint64_t retransmissions_ = 0;
};

/// Makes ns-3 compute and verify checksums, in all nodes made after this.
void enable_checksums();

/// Gives a device's node an IPv4 stack, if it has none, and the device an address. No queue disc:
/// what the device has no room for is lost at once.
void assign_address(ns3::Ptr<ns3::NetDevice> device, const std::string& address,
                    const std::string& mask);

}  // namespace sluice

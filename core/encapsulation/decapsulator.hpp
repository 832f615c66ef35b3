#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/encapsulation/transit.hpp"
#include "core/packet/flow_key.hpp"
#include "core/packet/packet.hpp"
#include "core/packet/packet_memory.hpp"

namespace sluice {

/// Takes frames out of the tunnels from all peers.
///
/// Everything in a frame is untrusted until its sender's cookie is found right, and its lengths and
/// numbers are checked also then. Not thread-safe: each worker has one.
class Decapsulator {
 public:
  /// As many peers as FlowId has numbers for. Refuses everything until use() is called.
  static constexpr std::uint32_t kPeerCountMax = 1023;
  Decapsulator();

  struct Options {
    TunnelEndpoint local;
    std::uint32_t network = 0;
    HashKey secret{};
  };
  /// The members of the cluster from now on, this host not among them; at most kPeerCountMax
  /// (checked). Those that speak another IP version than this host never reach it. Allocates
  /// nothing.
  void use(const Options& options, std::span<const TunnelEndpoint> peers) noexcept;

  /// What came with a packet, but for what is in its descriptor.
  struct Arrival {
    HostId sender{};
    StoredTransit* transit = nullptr;  ///< Filled in when the packet is taken.
  };

  /// Takes each frame out of its tunnel: the descriptor is then of the inner frame, with the
  /// sender's flow, tag, target and step; chain and ingress are for the caller to set. A refused
  /// one stays as it is, and is counted.
  /// `errors`, `arrivals`: one each.
  void operator()(const PacketMemory& memory, std::span<Packet> packets,
                  std::span<TunnelError> errors, std::span<Arrival> arrivals) noexcept;

  /// By TunnelError; kNone counts those taken.
  [[nodiscard]] const std::array<std::uint64_t, kTunnelErrorCount>& counts() const {
    return counts_;
  }

 private:
  struct Peer {
    IpBytes address{};
    HostId host{};
    std::uint32_t epoch = 0;
    std::uint32_t cookie = 0;
    bool used = false;
  };
  /// Where the layers of a frame lie.
  struct Layers {
    std::uint32_t udp = 0;
    std::uint32_t udp_end = 0;
    IpBytes source{};
  };

  TunnelError take(const PacketMemory& memory, Packet& packet, Arrival& arrival) const noexcept;
  TunnelError read_ip(std::span<const std::byte> frame, Layers& layers) const noexcept;
  TunnelError read_ipv4(std::span<const std::byte> frame, Layers& layers) const noexcept;
  TunnelError read_ipv6(std::span<const std::byte> frame, Layers& layers) const noexcept;
  [[nodiscard]] const Peer* find(const IpBytes& address) const noexcept;
  [[nodiscard]] bool is_nested(std::span<const std::byte> inner) const noexcept;

  TunnelEndpoint local_;
  std::uint32_t network_ = 0;
  std::vector<Peer> peers_;  ///< A hash table with open addressing, at most half full.
  std::array<std::uint64_t, kTunnelErrorCount> counts_{};
};

}  // namespace sluice

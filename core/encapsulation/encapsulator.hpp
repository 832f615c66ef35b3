#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/encapsulation/transit.hpp"
#include "core/packet/flow_key.hpp"
#include "core/packet/packet.hpp"
#include "core/packet/packet_memory.hpp"

namespace sluice {

/// Puts frames into the tunnel to one peer.
///
/// All that is the same in each frame is laid out once, so that a packet costs a copy of it, a few
/// stores, and its pins. Both ends have to speak the same IP version (checked).
class Encapsulator {
 public:
  struct Options {
    TunnelEndpoint local;
    TunnelEndpoint remote;
    std::uint32_t network = 0;  ///< The cluster's VNI, 24 bits.
    HashKey secret{};
  };
  explicit Encapsulator(const Options& options);

  /// Puts each packet behind its headers, in its headroom; `transits` are theirs, one each. The
  /// descriptor's flow, tag, target and step go along. IPv4 does without a UDP checksum; over IPv6
  /// it covers the frame, so that costs a read of all its bytes.
  /// @return How many, from the front: the next one has not the headroom (kTransitPinCountMax pins
  /// fit kHeadroom), and stays as it is.
  [[nodiscard]] std::size_t operator()(const PacketMemory& memory, std::span<Packet> packets,
                                       std::span<const Transit> transits) const noexcept;

  /// Bytes that a frame grows by.
  [[nodiscard]] std::uint32_t overhead(std::uint32_t pin_count) const noexcept;
  [[nodiscard]] const TunnelEndpoint& remote() const { return remote_; }

 private:
  static constexpr std::size_t kTemplateMax = 112;  ///< Up to the pins: 90 or 110 bytes.

  void write_headers(std::byte* outer, const Packet& packet, const Transit& transit,
                     std::uint32_t nsh_bytes) const noexcept;
  void write_lengths(std::byte* outer, std::uint32_t udp_bytes) const noexcept;

  TunnelEndpoint remote_;
  std::uint32_t ip_bytes_;
  std::uint32_t checksum_sum_;  ///< IPv4: of the header without its length. IPv6: of the addresses.
  std::array<std::byte, kTemplateMax> template_{};
};

}  // namespace sluice

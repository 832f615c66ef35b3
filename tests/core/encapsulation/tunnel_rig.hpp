#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "core/encapsulation/decapsulator.hpp"
#include "core/encapsulation/encapsulator.hpp"
#include "tests/support/frames.hpp"

/// Two hosts with a tunnel between them, and one buffer for a frame that goes through it.
namespace sluice::test {

inline constexpr HashKey kSecret{0x1122334455667788u, 0x99aabbccddeeff00u};
inline constexpr std::uint32_t kNetwork = 0x123456;

inline TunnelEndpoint endpoint(std::uint16_t host, std::uint8_t ip_version = 4,
                               std::uint32_t epoch = 7) {
  TunnelEndpoint end;
  end.host = HostId{host};
  end.epoch = epoch;
  end.mac = {0x02, 0, 0, 0, 1, static_cast<std::uint8_t>(host)};
  end.ip_version = ip_version;
  const frames::Bytes address =
      frames::address((ip_version == 4 ? "192.168.7." : "fd00::7:") + std::to_string(host));
  std::transform(address.begin(), address.end(), end.address.begin(),
                 [](std::byte byte) { return std::to_integer<std::uint8_t>(byte); });
  return end;
}

inline std::vector<Pin> pins(std::size_t count) {
  std::vector<Pin> all;
  for (std::size_t i = 0; i < count; ++i) {
    all.push_back({static_cast<std::uint16_t>(i % 5), static_cast<std::uint16_t>(100 + i)});
  }
  return all;
}

class TunnelRig {
 public:
  explicit TunnelRig(std::uint8_t ip_version = 4)
      : encapsulator({.local = endpoint(1, ip_version),
                      .remote = endpoint(2, ip_version),
                      .network = kNetwork,
                      .secret = kSecret}) {
    const TunnelEndpoint peers[] = {endpoint(1, ip_version), endpoint(3, ip_version)};
    use(peers);
  }

  /// These are the members that host 2 knows.
  void use(std::span<const TunnelEndpoint> peers) {
    const TunnelEndpoint local = endpoint(2, encapsulator.remote().ip_version);
    decapsulator.use({.local = local, .network = kNetwork, .secret = kSecret}, peers);
  }

  /// Puts a frame into the buffer, behind the headroom.
  Packet packet(const frames::Bytes& frame, std::uint16_t offset = kHeadroom) {
    std::copy(frame.begin(), frame.end(), bytes.begin() + offset);
    Packet made{};
    made.offset = offset;
    made.length = static_cast<std::uint16_t>(frame.size());
    made.flow = 0x01020304;
    made.tag = 0x80000001;
    made.step = 2;
    made.target = 0x0506;
    return made;
  }
  std::size_t encapsulate(Packet& packet, const Transit& with) const {
    return encapsulator(memory, {&packet, 1}, {&with, 1});
  }
  TunnelError decapsulate(Packet& packet) {
    TunnelError error{};
    arrival.transit = &transit;
    decapsulator(memory, {&packet, 1}, {&error, 1}, {&arrival, 1});
    return error;
  }
  [[nodiscard]] frames::Bytes frame(const Packet& packet) const {
    const auto found = memory.bytes(packet);
    return {found.begin(), found.end()};
  }

  std::vector<std::byte> bytes = std::vector<std::byte>(4096);
  PacketMemory memory{bytes, 4096};
  Encapsulator encapsulator;
  Decapsulator decapsulator;
  Decapsulator::Arrival arrival;
  StoredTransit transit;
};

}  // namespace sluice::test

// Writes tunnelled frames of all shapes to a pcap file, for other people's dissectors.
#include <cstdio>
#include <string>

#include "tests/core/encapsulation/tunnel_rig.hpp"

namespace sluice {
namespace {

void put32(std::string& to, std::uint32_t value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

struct Captures {
  std::string outer;
  std::string inner;
};

void put_frame(std::string& to, std::uint32_t number, const frames::Bytes& frame) {
  put32(to, 0);
  put32(to, number);
  put32(to, static_cast<std::uint32_t>(frame.size()));
  put32(to, static_cast<std::uint32_t>(frame.size()));
  to.append(reinterpret_cast<const char*>(frame.data()), frame.size());
}

Captures capture() {
  Captures captures;
  for (const std::uint32_t word : {0xa1b2c3d4u, 0x00040002u, 0u, 0u, 65535u, 1u}) {
    put32(captures.outer, word);
    put32(captures.inner, word);
  }
  const frames::Udp small{.destination_port = 40001, .payload = frames::text("inside")};
  const frames::Udp large{.destination_port = 40001, .payload = frames::Bytes(1400)};
  const frames::Bytes inners[] = {
      frames::tcp({.flags = 0x02}), frames::udp(small),
      frames::udp(large, {.source = "fd00::1", .destination = "fd00::2"}),
      frames::tcp({.destination_port = 40001, .payload = frames::Bytes(31)}, {},
                  {.vlans = {{.id = 5}}})};
  std::uint32_t number = 0;
  for (const std::uint8_t version : {std::uint8_t{4}, std::uint8_t{6}}) {
    for (const frames::Bytes& inner : inners) {
      for (const std::size_t count : {0u, 1u, 25u, 26u, 32u}) {
        test::TunnelRig rig{version};
        const auto pins = test::pins(count);
        Packet packet = rig.packet(inner);
        const Transit transit{.path = 1000 + number,
                              .chain_version = 1,
                              .entropy = static_cast<std::uint16_t>(number * 997),
                              .pins = pins};
        if (rig.encapsulate(packet, transit) != 1) return {};
        put_frame(captures.outer, number, rig.frame(packet));
        put_frame(captures.inner, number++, inner);
      }
    }
  }
  return captures;
}

bool write(const char* path, const std::string& bytes) {
  std::FILE* file = std::fopen(path, "wb");
  if (file == nullptr || bytes.empty()) return false;
  const bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  return std::fclose(file) == 0 && written;
}

}  // namespace
}  // namespace sluice

// OUTER.pcap INNER.pcap: the frames in their tunnels, and what is in them.
int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const sluice::Captures captures = sluice::capture();
  const bool written =
      sluice::write(argv[1], captures.outer) && sluice::write(argv[2], captures.inner);
  return written ? 0 : 1;
}

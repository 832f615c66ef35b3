// Writes tunnelled frames of all shapes to a pcap file, for other people's dissectors.
#include <cstdio>
#include <string>

#include "tests/core/encapsulation/tunnel_rig.hpp"

namespace sluice {
namespace {

void put32(std::string& to, std::uint32_t value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

std::string capture() {
  std::string file;
  for (const std::uint32_t word : {0xa1b2c3d4u, 0x00040002u, 0u, 0u, 65535u, 1u}) {
    put32(file, word);
  }
  const frames::Bytes inners[] = {
      frames::tcp({.flags = 0x02}),
      frames::udp({.destination_port = 40001, .payload = frames::text("inside")}),
      frames::udp({.destination_port = 40001, .payload = frames::Bytes(1400)},
                  {.source = "fd00::1", .destination = "fd00::2"}),
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
        const frames::Bytes frame = rig.frame(packet);
        put32(file, 0);
        put32(file, number++);
        put32(file, packet.length);
        put32(file, packet.length);
        file.append(reinterpret_cast<const char*>(frame.data()), frame.size());
      }
    }
  }
  return file;
}

int run(const char* path) {
  const std::string bytes = capture();
  std::FILE* file = std::fopen(path, "wb");
  if (file == nullptr || bytes.empty()) return 1;
  const bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  return std::fclose(file) == 0 && written ? 0 : 1;
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
  return argc == 2 ? sluice::run(argv[1]) : 2;
}

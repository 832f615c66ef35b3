#pragma once

#include <cstdint>
#include <cstring>
#include <string>

namespace sluice::sim {

/// Builds pcap files byte by byte: the tests' own writer, so that reader and writer cannot agree on
/// a mistake.
class PcapBytes {
 public:
  explicit PcapBytes(std::uint32_t link_type = 1, std::uint32_t magic = 0xa1b2c3d4u) {
    add32(magic);
    add16(2);
    add16(4);
    add32(0);
    add32(0);
    add32(65535);
    add32(link_type);
  }
  void add(std::uint32_t seconds, std::uint32_t fraction, const std::string& frame,
           std::uint32_t length_more = 0) {
    add32(seconds);
    add32(fraction);
    add32(static_cast<std::uint32_t>(frame.size()));
    add32(static_cast<std::uint32_t>(frame.size()) + length_more);
    text += frame;
  }
  void add32(std::uint32_t value) { text.append(reinterpret_cast<const char*>(&value), 4); }
  void add16(std::uint16_t value) { text.append(reinterpret_cast<const char*>(&value), 2); }

  std::string text;
};

}  // namespace sluice::sim

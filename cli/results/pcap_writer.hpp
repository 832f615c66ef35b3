#pragma once

#include <cstddef>
#include <fstream>
#include <span>
#include <string>

#include "core/units.hpp"

namespace sluice::cli {

/// Writes frames as a pcap file with nanoseconds, little endian, Ethernet: what Wireshark and our
/// own reader take. Times count from whatever the caller's Instants do: the start of the run, or
/// 1970.
class PcapWriter {
 public:
  /// Begins the file at `path`.
  explicit PcapWriter(const std::string& path);
  /// Whether all went well so far.
  [[nodiscard]] bool good() const { return stream_.good(); }
  void add(Instant at, std::span<const std::byte> frame);
  /// @return Whether all was written.
  [[nodiscard]] bool close();

 private:
  std::ofstream stream_;
};

}  // namespace sluice::cli

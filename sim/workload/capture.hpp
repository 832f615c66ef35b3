#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "core/units.hpp"

namespace sluice::sim {

/// The frames of a capture file, in memory: pcap (micro- and nanoseconds, both byte orders) or
/// pcapng, as libpcap reads them; Ethernet only.
class Capture {
 public:
  struct Options {
    std::uint32_t frame_count_max = 1u << 22;
    std::uint64_t size_bytes_max = std::uint64_t{1} << 30;  ///< Of the file.
    Duration duration_max = std::chrono::hours{24 * 365};
    std::uint16_t frame_size_min = 14;  ///< An Ethernet header.
    std::uint16_t frame_size_max = 1522;
  };
  struct Frame {
    Duration at{};  ///< Since the first frame; never goes back, also where the file does.
    std::uint32_t offset = 0;
    std::uint16_t length = 0;
  };

  /// Reads the whole of a file in memory. `name` is how messages call it. All frames must be
  /// complete: one cut by a snapshot length is an error, for its bytes cannot be sent.
  [[nodiscard]] static Result<Capture> parse(std::string_view file, const std::string& name,
                                             const Options& options);
  /// Reads the file at `path`.
  [[nodiscard]] static Result<Capture> load(const std::string& path, const Options& options);

  [[nodiscard]] std::span<const Frame> frames() const { return frames_; }
  [[nodiscard]] std::span<const std::byte> bytes(const Frame& frame) const {
    return std::span{bytes_}.subspan(frame.offset, frame.length);
  }
  /// From the first frame to the last.
  [[nodiscard]] Duration duration() const {
    return frames_.empty() ? Duration::zero() : frames_.back().at;
  }
  /// The sum of all frame lengths.
  [[nodiscard]] std::uint64_t size_bytes() const { return bytes_.size(); }

 private:
  std::vector<Frame> frames_;
  std::vector<std::byte> bytes_;
};

}  // namespace sluice::sim

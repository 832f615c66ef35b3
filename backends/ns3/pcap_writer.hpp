#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "backends/ns3/frame_view.hpp"
#include "core/result.hpp"

namespace sluice {

/// Writes Ethernet frames to a pcap file with time stamps in nanoseconds.
class PcapWriter {
 public:
  /// Creates or replaces the file. Fails with the system's reason.
  [[nodiscard]] static Result<PcapWriter> open(const std::string& path);
  PcapWriter(PcapWriter&&) noexcept;
  PcapWriter& operator=(PcapWriter&&) noexcept;
  ~PcapWriter();

  void write(std::span<const FrameView> frames);
  /// Writes out what is buffered. Fails when the disk does (full, removed).
  [[nodiscard]] Result<void> flush();
  [[nodiscard]] std::uint64_t frame_count() const noexcept { return frame_count_; }

 private:
  struct File;
  explicit PcapWriter(std::unique_ptr<File> file);

  std::unique_ptr<File> file_;
  std::uint64_t frame_count_ = 0;
};

}  // namespace sluice

#include "sim/workload/capture.hpp"

#include <pcap/pcap.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <system_error>
#include <utility>

namespace sluice::sim {
namespace {

using PcapHandle = std::unique_ptr<pcap_t, decltype(&pcap_close)>;

tl::unexpected<ConfigError> refuse(const std::string& name, std::string problem,
                                   std::string got = {}, std::string expected = {}) {
  return tl::unexpected(
      ConfigError{Place{name, 0, 0}, std::move(problem), std::move(got), std::move(expected)});
}

/// One line without what would break the form of a message.
std::string one_line(std::string text) {
  for (char& each : text) {
    if (static_cast<unsigned char>(each) < 0x20 || each == 0x7f) each = ' ';
  }
  return text;
}

Result<PcapHandle> open_in_memory(std::string_view file, const std::string& name) {
  if (file.empty()) return refuse(name, "capture is empty", "0 bytes", "a pcap or pcapng file");
  // fmemopen wants a pointer to what could be written, and writes nothing with "rb".
  std::FILE* stream = ::fmemopen(const_cast<char*>(file.data()), file.size(), "rb");
  if (stream == nullptr) return refuse(name, "cannot be read", std::strerror(errno));
  char message[PCAP_ERRBUF_SIZE] = {};
  pcap_t* opened =
      pcap_fopen_offline_with_tstamp_precision(stream, PCAP_TSTAMP_PRECISION_NANO, message);
  if (opened == nullptr) {
    std::fclose(stream);
    return refuse(name, "not a capture", one_line(message), "a pcap or pcapng file");
  }
  PcapHandle handle(opened, &pcap_close);  // Closes the stream too.
  if (pcap_datalink(opened) != DLT_EN10MB) {
    const char* link = pcap_datalink_val_to_name(pcap_datalink(opened));
    return refuse(name, "capture is of another link type",
                  link == nullptr ? std::to_string(pcap_datalink(opened)) : link,
                  "Ethernet (EN10MB)");
  }
  return handle;
}

}  // namespace

Result<Capture> Capture::parse(std::string_view file, const std::string& name,
                               const Options& options) {
  if (file.size() > options.size_bytes_max) {
    return refuse(name, "capture is too large", std::to_string(file.size()) + " bytes",
                  "at most " + std::to_string(options.size_bytes_max));
  }
  auto opened = open_in_memory(file, name);
  if (!opened) return tl::unexpected(std::move(opened).error());
  pcap_t* handle = opened->get();
  Capture capture;
  std::int64_t first_ns = 0;
  for (;;) {
    pcap_pkthdr* header = nullptr;
    const unsigned char* data = nullptr;
    const int status = pcap_next_ex(handle, &header, &data);
    const std::string number = "frame " + std::to_string(capture.frames_.size() + 1);
    if (status == PCAP_ERROR_BREAK) break;
    if (status != 1) {
      return refuse(name, number + " cannot be read", one_line(pcap_geterr(handle)),
                    "a whole frame");
    }
    if (capture.frames_.size() == options.frame_count_max) {
      return refuse(name, "capture has too many frames", "more",
                    "at most " + std::to_string(options.frame_count_max));
    }
    if (header->caplen < header->len) {
      return refuse(
          name, number + " is cut short",
          std::to_string(header->caplen) + " of " + std::to_string(header->len) + " bytes",
          "whole frames (capture with -s 0)");
    }
    if (header->caplen < options.frame_size_min || header->caplen > options.frame_size_max) {
      return refuse(
          name, number + " has a bad size", std::to_string(header->caplen) + " bytes",
          std::to_string(options.frame_size_min) + ".." + std::to_string(options.frame_size_max));
    }
    // Nanoseconds, by the precision asked for. Times before 1970 or beyond 2262 are nonsense.
    const auto seconds = static_cast<std::int64_t>(header->ts.tv_sec);
    const auto fraction = static_cast<std::int64_t>(header->ts.tv_usec);
    constexpr std::int64_t kSecondsMax = 9'000'000'000;
    if (seconds < 0 || seconds > kSecondsMax || fraction < 0 || fraction >= 1'000'000'000) {
      return refuse(name, number + " has a bad time",
                    std::to_string(seconds) + " s + " + std::to_string(fraction) + " ns",
                    "seconds since 1970 and a fraction below 1 s");
    }
    const std::int64_t at_ns = seconds * 1'000'000'000 + fraction;
    if (capture.frames_.empty()) first_ns = at_ns;
    if (at_ns - first_ns > options.duration_max.count()) {
      return refuse(
          name, "capture lasts too long",
          std::to_string((at_ns - first_ns) / 1'000'000'000) + " s up to " + number,
          "at most " + std::to_string(options.duration_max.count() / 1'000'000'000) + " s");
    }
    Frame frame;
    frame.at = std::max(capture.duration(), Duration{at_ns - first_ns});
    frame.offset = static_cast<std::uint32_t>(capture.bytes_.size());
    frame.length = static_cast<std::uint16_t>(header->caplen);
    const auto* bytes = reinterpret_cast<const std::byte*>(data);
    capture.bytes_.insert(capture.bytes_.end(), bytes, bytes + header->caplen);
    capture.frames_.push_back(frame);
  }
  if (capture.frames_.empty()) {
    return refuse(name, "capture has no frames", "0", "at least 1");
  }
  return capture;
}

Result<Capture> Capture::load(const std::string& path, const Options& options) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (error || !std::filesystem::exists(status)) {
    return refuse(path, "cannot be read", "no such file", "a pcap or pcapng file");
  }
  if (!std::filesystem::is_regular_file(status)) {
    return refuse(path, "cannot be read", "not a regular file", "a pcap or pcapng file");
  }
  const auto size = std::filesystem::file_size(path, error);
  if (!error && size > options.size_bytes_max) {
    return refuse(path, "capture is too large", std::to_string(size) + " bytes",
                  "at most " + std::to_string(options.size_bytes_max));
  }
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  if (size != 0 && (!stream || !text)) {
    return refuse(path, "cannot be read", std::strerror(errno), "a pcap or pcapng file");
  }
  return parse(text.str(), path, options);
}

}  // namespace sluice::sim

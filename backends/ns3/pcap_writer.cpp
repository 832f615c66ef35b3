#include "backends/ns3/pcap_writer.hpp"

#include <pcap/pcap.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace sluice {

namespace {

ConfigError cannot_write(const std::string& path, const std::string& reason) {
  ConfigError error;
  error.place.file = path;
  error.problem = "cannot write the capture";
  error.got = reason;
  return error;
}

}  // namespace

struct PcapWriter::File {
  std::string path;
  pcap_t* handle = nullptr;
  pcap_dumper_t* dumper = nullptr;

  File() = default;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (dumper != nullptr) pcap_dump_close(dumper);
    if (handle != nullptr) pcap_close(handle);
  }
};

PcapWriter::PcapWriter(std::unique_ptr<File> file) : file_(std::move(file)) {}
PcapWriter::PcapWriter(PcapWriter&&) noexcept = default;
PcapWriter& PcapWriter::operator=(PcapWriter&&) noexcept = default;
PcapWriter::~PcapWriter() = default;

Result<PcapWriter> PcapWriter::open(const std::string& path) {
  constexpr int kSnapLength = 65535;
  auto file = std::make_unique<File>();
  file->path = path;
  file->handle =
      pcap_open_dead_with_tstamp_precision(DLT_EN10MB, kSnapLength, PCAP_TSTAMP_PRECISION_NANO);
  if (file->handle != nullptr) file->dumper = pcap_dump_open(file->handle, path.c_str());
  if (file->dumper == nullptr) {
    const char* reason = file->handle == nullptr ? "out of memory" : pcap_geterr(file->handle);
    return unexpected(cannot_write(path, reason));
  }
  return PcapWriter{std::move(file)};
}

void PcapWriter::write(std::span<const FrameView> frames) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  for (const FrameView& frame : frames) {
    const std::int64_t ns = frame.when.time_since_epoch().count();
    pcap_pkthdr header{};
    header.ts.tv_sec = ns / kSecond;
    header.ts.tv_usec = ns % kSecond;  // Nanoseconds, at this handle's precision.
    header.caplen = header.len = static_cast<bpf_u_int32>(frame.bytes.size());
    pcap_dump(reinterpret_cast<u_char*>(file_->dumper), &header,
              reinterpret_cast<const u_char*>(frame.bytes.data()));
    ++frame_count_;
  }
}

Result<void> PcapWriter::flush() {
  if (pcap_dump_flush(file_->dumper) == 0) return {};
  return unexpected(cannot_write(file_->path, std::strerror(errno)));
}

}  // namespace sluice

#include "tests/bench/dpdk/pcap_file.hpp"

#include <pcap/pcap.h>

#include <memory>

#include "tests/support/frames.hpp"

namespace sluice::bench {
namespace {

constexpr int kSnapLength = 65'535;
constexpr std::uint32_t kPortsPerAddress = 16'384;
constexpr std::size_t kPayloadBytes = 64 - 14 - 20 - 8;

frames::Bytes frame_of_flow(std::uint32_t flow) {
  const auto source = "10.0." + std::to_string(flow / kPortsPerAddress) + ".1";
  return frames::udp({.source_port = static_cast<std::uint16_t>(1024 + flow % kPortsPerAddress),
                      .destination_port = 80,
                      .payload = frames::Bytes(kPayloadBytes)},
                     {.source = source, .destination = "10.128.0.1"});
}

}  // namespace

bool write_capture(const std::string& path, std::uint32_t flow_count) {
  const std::unique_ptr<pcap_t, decltype(&pcap_close)> format{
      pcap_open_dead(DLT_EN10MB, kSnapLength), pcap_close};
  if (format == nullptr) return false;
  pcap_dumper_t* file = pcap_dump_open(format.get(), path.c_str());
  if (file == nullptr) return false;
  for (std::uint32_t flow = 0; flow < flow_count; ++flow) {
    const frames::Bytes frame = frame_of_flow(flow);
    pcap_pkthdr header{};
    header.caplen = header.len = static_cast<bpf_u_int32>(frame.size());
    pcap_dump(reinterpret_cast<u_char*>(file), &header,
              reinterpret_cast<const u_char*>(frame.data()));
  }
  const bool written = pcap_dump_flush(file) == 0;
  pcap_dump_close(file);
  return written;
}

}  // namespace sluice::bench

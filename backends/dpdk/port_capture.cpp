#include "backends/dpdk/port_capture.hpp"

#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "backends/dpdk/dpdk_memory.hpp"
#include "backends/process/idle.hpp"
#include "core/function/config_value.hpp"

namespace sluice::dpdk {

Result<std::vector<PortCapture::Point>, std::string> PortCapture::parse(
    const std::vector<std::string>& texts, const HostSpec& host) {
  std::vector<Point> points;
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    const std::string name = text.substr(0, equals);
    const auto port = std::find_if(host.ports.begin(), host.ports.end(),
                                   [&](const PortSpec& each) { return each.name == name; });
    if (port == host.ports.end()) {
      std::vector<std::string_view> names;
      for (const PortSpec& each : host.ports) names.push_back(each.name);
      return unexpected("--capture: unknown port of host " + host.name + "; got " + name +
                        "; expected " + one_of_with_hint(name, names));
    }
    const bool twice = std::any_of(points.begin(), points.end(),
                                   [&](const Point& each) { return each.port == port->id; });
    if (twice) return unexpected("--capture: port " + name + " is captured twice");
    const std::string path = equals == std::string::npos ? name + ".pcap" : text.substr(equals + 1);
    if (path.empty()) return unexpected("--capture: no file; got " + text + "; expected PORT=FILE");
    points.push_back({port->id, path});
  }
  if (!points.empty() && host.worker_count > 1) {
    return unexpected("--capture: host " + host.name + " has too many workers; got " +
                      std::to_string(host.worker_count) +
                      "; expected 1, for a file has one writer");
  }
  return points;
}

Result<std::unique_ptr<PortCapture>, std::string> PortCapture::open(
    const std::vector<Point>& points, const HostSpec& host) {
  std::unique_ptr<PortCapture> capture{new PortCapture};
  capture->files_.resize(host.ports.size());
  for (const Point& point : points) {
    errno = 0;
    auto writer = std::make_unique<cli::PcapWriter>(point.path);
    if (!writer->good()) {
      return unexpected("--capture: " + point.path +
                        ": cannot be written: " + std::strerror(errno));
    }
    capture->files_[index_of(point.port)] = {point.path, std::move(writer)};
  }
  timespec day{};
  ::clock_gettime(CLOCK_REALTIME, &day);
  capture->day_offset_ =
      std::chrono::seconds{day.tv_sec} + Duration{day.tv_nsec} - monotonic_now().time_since_epoch();
  return capture;
}

void PortCapture::received(Instant now, PortId port, std::span<const Packet> packets) {
  cli::PcapWriter* writer = files_[index_of(port)].writer.get();
  if (writer == nullptr) return;
  for (const Packet& packet : packets) writer->add(now + day_offset_, memory_.bytes(packet));
}

/// Their buffers are free already, but nobody has taken one again: only this thread does.
void PortCapture::sent(Instant now, PortId port, std::span<const Packet> packets) {
  cli::PcapWriter* writer = files_[index_of(port)].writer.get();
  if (writer == nullptr) return;
  for (Packet packet : packets) {
    packet.offset = std::max(packet.offset, DpdkMemory::kPinOffset);  // Where it was moved to.
    writer->add(now + day_offset_, memory_.bytes(packet));
  }
}

std::vector<std::string> PortCapture::close() {
  std::vector<std::string> problems;
  for (File& file : files_) {
    if (file.writer && !file.writer->close()) {
      problems.push_back("--capture: " + file.path + ": not all was written; disk full?");
    }
    file.writer.reset();
  }
  return problems;
}

}  // namespace sluice::dpdk

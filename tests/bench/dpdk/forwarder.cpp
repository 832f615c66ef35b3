#include "tests/bench/dpdk/forwarder.hpp"

#include <csignal>
#include <ranges>
#include <thread>

#include "tests/bench/dpdk/child_process.hpp"

namespace sluice::bench {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kStartTime{20'000};

}  // namespace

void Forwarder::pause() {
  const std::vector<pid_t> pids = processes();
  for (auto pid = pids.rbegin(); pid != pids.rend(); ++pid) kill(*pid, SIGSTOP);
}

void Forwarder::resume() {
  for (const pid_t pid : processes()) kill(pid, SIGCONT);
}

Result<double, std::string> packet_ns(Forwarder& forwarder, milliseconds window) {
  forwarder.resume();
  std::this_thread::sleep_for(window / 4);
  const auto first = forwarder.count();
  std::this_thread::sleep_for(window);
  const auto second = forwarder.count();
  forwarder.pause();
  if (!first) return unexpected(first.error());
  if (!second) return unexpected(second.error());
  const std::uint64_t packets = second->packet_count - first->packet_count;
  if (packets == 0) return unexpected<std::string>("no packet went out");
  return static_cast<double>(second->when_ns - first->when_ns) / static_cast<double>(packets);
}

Result<void, std::string> wait_for_packets(Forwarder& forwarder, std::uint64_t packet_count) {
  const Deadline deadline = deadline_in(kStartTime);
  for (;;) {
    const auto sent = forwarder.count();
    if (!sent) return unexpected(sent.error());
    if (sent->packet_count >= packet_count) return {};
    if (std::chrono::steady_clock::now() > deadline) {
      return unexpected("only " + std::to_string(sent->packet_count) + " packets went out in 20 s");
    }
    std::this_thread::sleep_for(milliseconds{5});
  }
}

std::vector<std::string> memory_arguments(const ForwarderSetup& setup) {
  if (setup.huge_pages) return {"--in-memory", "--no-pci"};
  return {"--no-huge", "--no-shconf", "-m", "1024", "--no-pci"};
}

std::string source_device(const ForwarderSetup& setup) {
  return "net_pcap0,rx_pcap=" + setup.capture + ",infinite_rx=1";
}

std::string sink_device() {
  return "net_null0,no-rx=1";  // It would make packets of its own.
}

}  // namespace sluice::bench

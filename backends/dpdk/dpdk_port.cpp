#include "backends/dpdk/dpdk_port.hpp"

#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include <cstring>
#include <utility>

#include "backends/dpdk/eal.hpp"

namespace sluice::dpdk {
namespace {

constexpr std::uint16_t kDescriptorCount = 1024;

/// DPDK's name of the device ("net_pcap0") and its arguments.
struct Device {
  std::string bus, name, arguments;
};

/// The arguments of a packet socket's rings. A slot takes the port's largest frame behind what the
/// kernel puts in front of it, and no more: DPDK refuses slots that outgrow a buffer. It also finds
/// them as if they lay side by side, so a block must be whole slots; the kernel wants whole pages.
std::string packet_rings(const PortSpec& spec) {
  constexpr std::uint32_t kKernelHeader = 80;  // What packet(7) says of TPACKET_V2, aligned.
  constexpr std::uint32_t kAlign = 16;
  constexpr std::uint32_t kSlotsPerBlock = 4096 / kAlign;  // Whole pages of 4 KiB.
  static_assert(kDescriptorCount % kSlotsPerBlock == 0);
  const std::uint32_t slot = (kKernelHeader + spec.frame_size_max + kAlign - 1) / kAlign * kAlign;
  return ",framesz=" + std::to_string(slot) + ",blocksz=" + std::to_string(slot * kSlotsPerBlock) +
         ",framecnt=" + std::to_string(kDescriptorCount) + ",qdisc_bypass=0";
}

Device device_of(const PortSpec& spec, const SitePort& site) {
  switch (site.kind) {
    case SitePort::Kind::kInterface:
      return {"vdev", "net_af_packet" + std::to_string(index_of(spec.id)),
              "iface=" + site.device + packet_rings(spec)};
    case SitePort::Kind::kVdev: {
      const std::size_t comma = site.device.find(',');
      return {"vdev", site.device.substr(0, comma),
              comma == std::string::npos ? std::string{} : site.device.substr(comma + 1)};
    }
    case SitePort::Kind::kPci:
      return {"pci", site.device, {}};
  }
  return {};
}

std::string failed(const std::string& what, int error) {
  return what + ": " + std::strerror(error < 0 ? -error : error);
}

/// Empty when all went well.
std::string configure(std::uint16_t number, const PortSpec& spec, DpdkMemory& memory) {
  rte_eth_dev_info info{};
  if (const int error = rte_eth_dev_info_get(number, &info); error != 0) {
    return failed("no information", error);
  }
  rte_eth_conf config{};
  config.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
  if (const int error = rte_eth_dev_configure(number, 1, 1, &config); error != 0) {
    return failed("cannot be configured", error);
  }
  std::uint16_t receive_count = kDescriptorCount;
  std::uint16_t transmit_count = kDescriptorCount;
  if (const int error = rte_eth_dev_adjust_nb_rx_tx_desc(number, &receive_count, &transmit_count);
      error != 0) {
    return failed("descriptors", error);
  }
  if (const int error = rte_eth_rx_queue_setup(
          number, 0, receive_count, static_cast<unsigned>(SOCKET_ID_ANY), nullptr, memory.pool());
      error != 0) {
    return failed("no receive queue (too few buffers?)", error);
  }
  if (const int error = rte_eth_tx_queue_setup(number, 0, transmit_count,
                                               static_cast<unsigned>(SOCKET_ID_ANY), nullptr);
      error != 0) {
    return failed("no transmit queue", error);
  }
  // Virtual devices may know no MTU: then they pass what fits into a buffer.
  const auto mtu = static_cast<std::uint16_t>(spec.frame_size_max - RTE_ETHER_HDR_LEN);
  if (mtu > RTE_ETHER_MTU) (void)rte_eth_dev_set_mtu(number, mtu);
  if (const int error = rte_eth_dev_start(number); error != 0) {
    return failed("cannot be started", error);
  }
  (void)rte_eth_promiscuous_enable(number);  // A chain sees all frames; where it fails, it is so.
  return {};
}

}  // namespace

Result<std::unique_ptr<DpdkPort>, std::string> DpdkPort::open(const PortSpec& spec,
                                                              const SitePort& site,
                                                              DpdkMemory& memory) {
  const Device device = device_of(spec, site);
  const std::string place = "port " + spec.name + " (" + site.device + "): ";
  std::uint16_t number = 0;
  if (device.bus == "vdev" && rte_eth_dev_get_port_by_name(device.name.c_str(), &number) == 0) {
    return unexpected(place + "device " + device.name + " is in use already");
  }
  if (rte_eal_hotplug_add(device.bus.c_str(), device.name.c_str(), device.arguments.c_str()) != 0 &&
      device.bus == "vdev") {
    return unexpected(place + "no such device, or it cannot be used: " + dpdk_error());
  }
  if (rte_eth_dev_get_port_by_name(device.name.c_str(), &number) != 0) {
    return unexpected(place + "DPDK has no driver for it, or the kernel holds it");
  }
  std::unique_ptr<DpdkPort> port{new DpdkPort};
  port->name_ = spec.name;
  port->device_ = device.name;
  port->number_ = number;
  port->pace_ = site.pace;
  if (const std::string problem = configure(number, spec, memory); !problem.empty()) {
    return unexpected(place + problem);
  }
  return port;
}

DpdkPort::~DpdkPort() {
  rte_eth_dev_stop(number_);
  rte_eth_dev_close(number_);
}

std::uint64_t DpdkPort::missed() const {
  rte_eth_stats stats{};
  if (rte_eth_stats_get(number_, &stats) != 0) return 0;
  return stats.imissed + stats.rx_nombuf;
}

}  // namespace sluice::dpdk

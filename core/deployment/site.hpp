#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/deployment/deployment.hpp"
#include "core/result.hpp"
#include "core/units.hpp"

/// The site file: what belongs to a place and not to the experiment (DESIGN 11), so that one
/// deployment file runs on any testbed. Checked against the deployment that it is for.
namespace sluice {

/// What a port of a host really is.
struct SitePort {
  enum class Kind : std::uint8_t { kInterface, kVdev, kPci };

  Kind kind = Kind::kInterface;
  /// kInterface: a kernel interface, "veth0". kVdev: a DPDK virtual device with its arguments,
  /// "net_pcap0,rx_pcap=in.pcap". kPci: an address with its domain, "0000:00:04.0".
  std::string device;
  std::string mac;  ///< "02:00:00:00:00:01"; empty: the device's own.
  std::string ip;   ///< "10.0.0.1" or "2001:db8::1"; empty: none.
  Rate pace;        ///< Frames are taken from it no faster, if it never runs out; 0: as they come.
  Place place;
};

/// Whether packet memory lies in huge pages. kAuto: if there are any.
enum class HugePages : std::uint8_t { kAuto, kYes, kNo };

struct SiteHost {
  static constexpr std::string_view kMetricsDefault = "127.0.0.1:9100";

  std::vector<std::optional<SitePort>> ports;  ///< By PortId; nothing: the file is silent on it.
  /// Real cores, by their numbers in the system. Empty: not pinned.
  std::vector<std::uint32_t> worker_cores;    ///< By worker: as many as the deployment has.
  std::vector<std::uint32_t> instance_cores;  ///< Shared out among the instances in turn.
  std::optional<std::uint32_t> control_core;
  HugePages huge_pages = HugePages::kAuto;
  Duration sleep_max = std::chrono::milliseconds{1};  ///< Of an idle loop; 0: it only polls.
  /// Where Prometheus text is served, as ADDRESS:PORT; empty: nowhere.
  std::string metrics{kMetricsDefault};
};

struct Site {
  std::vector<SiteHost> hosts;  ///< By HostId of the deployment.
};

/// Reads a site file for `deployment`. Hosts and ports that it does not name stay as Site has them
/// by default; names that the deployment does not have are errors.
[[nodiscard]] Result<Site> parse_site(std::string_view text, const std::string& file_name,
                                      const Deployment& deployment);

/// What a site file without a word says.
[[nodiscard]] Site default_site(const Deployment& deployment);

/// Every key that the parser knows, as deployment_keys() gives them.
[[nodiscard]] std::vector<std::string> site_keys();

/// The JSON Schema of the file (core/deployment/schema/site.schema.json), byte for byte.
[[nodiscard]] std::string_view site_schema();

}  // namespace sluice

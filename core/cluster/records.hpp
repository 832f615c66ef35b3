#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/flow/flow_match.hpp"
#include "core/packet/headers.hpp"
#include "core/result.hpp"
#include "core/units.hpp"

/// What hosts say of themselves in the datastore (DESIGN 7), as text that an operator can read:
///
///     host 1
///     name h1
///     epoch 3
///     address 192.168.7.1
///     ...
///
/// The first line says what it is, and in which version. Whoever reads one trusts nothing: what is
/// garbage, of a newer version or out of range gives an error with the path of its node, and the
/// reader goes on with what he had.
namespace sluice {

inline constexpr std::size_t kRecordBytesMax = 4096;

/// Node hosts/ID.
struct HostRecord {
  std::string name;         ///< As in the deployment file.
  std::uint32_t epoch = 0;  ///< Higher in each life of the host.
  IpAddress address;        ///< On the underlay.
  MacAddress mac{};
  std::uint32_t cores_total = 0;
  std::uint32_t cores_free = 0;  ///< At most cores_total.
  Frequency clock;
  bool operator==(const HostRecord&) const = default;
};

/// Node services/NAME/HOST.
struct ServiceRecord {
  std::uint32_t instance_count = 0;
  Ppm load;      ///< Sum over the instances: 1,000,000 a busy core.
  Ppm capacity;  ///< What of it they can take before they should be more.
  bool operator==(const ServiceRecord&) const = default;
};

/// Node instances/ID.
struct InstanceRecord {
  std::string service;
  HostId host{};
  InstanceId number = kNoInstance;  ///< On its host; what pins name.
  bool accepts = true;              ///< Takes new flows; else it drains.
  bool operator==(const InstanceRecord&) const = default;
};

[[nodiscard]] std::string to_text(const HostRecord& record);
[[nodiscard]] std::string to_text(const ServiceRecord& record);
[[nodiscard]] std::string to_text(const InstanceRecord& record);

/// `path`: of the node, for the message.
[[nodiscard]] Result<HostRecord> parse_host_record(std::string_view text, const std::string& path);
[[nodiscard]] Result<ServiceRecord> parse_service_record(std::string_view text,
                                                         const std::string& path);
[[nodiscard]] Result<InstanceRecord> parse_instance_record(std::string_view text,
                                                           const std::string& path);

}  // namespace sluice

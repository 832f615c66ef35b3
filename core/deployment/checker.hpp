#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/check.hpp"
#include "core/deployment/costs.hpp"
#include "core/deployment/deployment.hpp"
#include "core/deployment/keys.hpp"
#include "core/deployment/parser.hpp"

/// The parts of check_deployment, one file a section of the deployment file. Private to this
/// folder.
namespace sluice::deployment {

using Failure = std::optional<ConfigError>;

/// What one check of a tree has read so far. Sections are read in the order in which they need each
/// other: hosts, services, chains, changes, budget of cores, run, traffic, faults.
struct Draft {
  const FunctionRegistry& functions;
  const FileReader& read_file;
  const Costs* costs = nullptr;  ///< Null: the file's own.
  Deployment result;
  std::uint32_t label_count = 0;            ///< Bits of Packet::tag given out.
  std::uint16_t version_count = 0;          ///< ChainVersion::index given out.
  std::vector<PortRef> neighbours_given{};  ///< Ports whose `neighbours` the file says.
};

/// A MapReader that knows the keys of its kind of map, so that none is read or listed by accident.
class Section : public MapReader {
 public:
  Section(const ConfigValue& value, std::string path, MapKind kind)
      : MapReader(value, std::move(path)), kind_(kind) {
    know(keys_of(kind));
  }
  /// MapReader::finish, after checking that we read no key that the list of keys lacks.
  [[nodiscard]] Failure close();

 private:
  MapKind kind_;
};

[[nodiscard]] Failure check_hosts(Draft& draft, const ConfigValue& hosts);
[[nodiscard]] Failure check_link(Section& section, LinkSpec& link);
[[nodiscard]] Failure check_scaling(Draft& draft, const ConfigValue* scaling);
[[nodiscard]] Failure check_services(Draft& draft, const ConfigValue* services);
[[nodiscard]] Failure check_chains(Draft& draft, const ConfigValue& chains);
[[nodiscard]] Failure check_changes(Draft& draft, const ConfigValue* changes);
[[nodiscard]] Failure check_budget(Draft& draft);
[[nodiscard]] Failure check_run(Draft& draft, const ConfigValue* run);
[[nodiscard]] Failure check_captures(Draft& draft, const ConfigValue* run);
[[nodiscard]] Failure check_traffic(Draft& draft, const ConfigValue* traffic);
[[nodiscard]] Failure check_faults(Draft& draft, const ConfigValue* faults);

/// Adds the service that a step names although nobody declared it: the function of that name with
/// its defaults. Nothing if there is no such function.
[[nodiscard]] Result<std::optional<ServiceId>> add_implicit_service(Draft& draft,
                                                                    const std::string& name,
                                                                    const Place& place,
                                                                    const std::string& path);
[[nodiscard]] std::optional<ServiceId> find_service(const Draft& draft, std::string_view name);
/// The names that a step may use: services, then functions.
[[nodiscard]] std::vector<std::string_view> service_names(const Draft& draft);

/// Reads "h1.p0"; fails in `reader` under `key`.
[[nodiscard]] std::optional<PortRef> read_port_ref(Draft& draft, MapReader& reader,
                                                   std::string_view key);
/// Reads the scaling keys that all services share into `policy`, which holds the defaults.
void read_scale_policy(Section& section, ScalePolicy& policy);
/// Reads proto, src, dst, src_port, dst_port, vlan, ip_version, as far as the map has them.
void read_match(MapReader& reader, FlowMatch& match);
/// Reads "300 cycles + 36 cycles/B + 500 cycles/batch".
[[nodiscard]] Result<Cost, std::string> parse_cost(std::string_view text);
void read_cost(MapReader& reader, std::string_view key, Cost& cost);
/// Fails when `name` is no name: letters, digits, - and _, at most kNameBytesMax of them.
[[nodiscard]] Failure check_name(const std::string& name, const Place& place,
                                 const std::string& path);

/// `error` with its place, for functions that return Failure.
[[nodiscard]] inline ConfigError error_at(const Place& place, const std::string& path,
                                          std::string_view problem, std::string got,
                                          std::string expected) {
  return ConfigError{place, path + ": " + std::string(problem), std::move(got),
                     std::move(expected)};
}
[[nodiscard]] std::string quoted(std::string_view text);

/// How resolved_json writes what the parser reads.
[[nodiscard]] std::string cost_text(const Cost& cost);

}  // namespace sluice::deployment

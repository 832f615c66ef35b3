#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/deployment/deployment.hpp"
#include "core/function/config_value.hpp"
#include "core/function/registry.hpp"
#include "core/result.hpp"

/// The deployment file: text in, checked immutable Deployment out, or one error that names its
/// place. In two halves, so that a sweep can change values between them.
namespace sluice {

struct Costs;

/// Bounds of a deployment file. What lies beyond is refused with a message, not tried.
struct DeploymentLimits {
  static constexpr std::size_t kFileBytesMax = 1u << 20;
  static constexpr std::uint32_t kDepthMax = 32;
  static constexpr std::uint32_t kHostCountMax = 1023;  ///< A FlowId has 10 bits for it.
  static constexpr std::uint32_t kPortCountMax = 16;    ///< Per host.
  static constexpr std::uint32_t kServiceCountMax = 256;
  static constexpr std::uint32_t kChainCountMax = 256;
  static constexpr std::uint32_t kVersionCountMax = 1024;  ///< Chains and their changes together.
  static constexpr std::uint32_t kTrafficCountMax = 256;
  static constexpr std::uint32_t kFaultCountMax = 10'000;
  static constexpr std::uint32_t kInstanceCountMax = 256;  ///< Per host, all services at their max.
  static constexpr std::size_t kNameBytesMax = 64;
};

/// The YAML `text` as a tree with places. Accepts a byte order mark and CRLF. Refuses anchors,
/// tags, duplicate keys, several documents, and text that is not UTF-8. Throws nothing.
[[nodiscard]] Result<ConfigValue> parse_yaml(std::string_view text, const std::string& file_name);

/// Sets one value of a tree, as `--set KEY=VALUE` says it: "scaling.up.occupancy",
/// "traffic.0.rate". `value` is YAML, so "[firewall, ids]" is a list. A missing key is added, a
/// missing map made; a list has to have the item. On an error the tree is as before.
[[nodiscard]] Result<void> apply_override(ConfigValue& tree, std::string_view key,
                                          std::string_view value);

/// Checks everything and resolves names and defaults. `read_file` is asked for the files that the
/// deployment names (patterns, captures, size distributions). With `costs`, they count instead of
/// the file's own.
[[nodiscard]] Result<Deployment> check_deployment(const ConfigValue& tree,
                                                  const FunctionRegistry& functions,
                                                  const FileReader& read_file,
                                                  const Costs* costs = nullptr);

/// parse_yaml and check_deployment in one.
[[nodiscard]] Result<Deployment> parse_deployment(std::string_view text,
                                                  const std::string& file_name,
                                                  const FunctionRegistry& functions,
                                                  const FileReader& read_file);

/// The deployment as JSON with every default written out. It is a deployment file itself, and means
/// the same: parsed again it gives the same text.
[[nodiscard]] std::string resolved_json(const Deployment& deployment);

/// Every key that the parser knows, as "hosts.*.cores" (`*`: any name, `[]`: any item), sorted.
[[nodiscard]] std::vector<std::string> deployment_keys();

/// The JSON Schema of the file (core/deployment/schema/deployment.schema.json), byte for byte.
[[nodiscard]] std::string_view deployment_schema();

}  // namespace sluice

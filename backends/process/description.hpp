#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/function/config_value.hpp"
#include "core/result.hpp"

namespace sluice {

/// All that a process must know to make an instance: the service's function and settings, and the
/// bytes of the files that these name, so that it needs no file system (a container has none).
struct InstanceDescription {
  std::string service;
  std::string function;
  std::uint32_t number = 1;  ///< InstanceConfig::number.
  std::uint64_t seed = 1;
  std::vector<std::uint32_t> label_bits;
  ConfigValue settings;                      ///< The function's own keys, with their places.
  std::map<std::string, std::string> files;  ///< By the path that the settings name.
};

/// As CBOR (RFC 8949).
[[nodiscard]] std::vector<std::uint8_t> encode(const InstanceDescription& description);
/// The error says in words what is wrong with `bytes`.
[[nodiscard]] Result<InstanceDescription, std::string> decode(std::span<const std::byte> bytes);

}  // namespace sluice

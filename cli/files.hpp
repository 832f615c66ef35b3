#pragma once

#include <cstddef>
#include <string>

#include "core/function/registry.hpp"
#include "core/result.hpp"

namespace sluice::cli {

/// The bytes of a file, at most `bytes_max` (one more is read to know), or why not: "No such file
/// or directory", "is a directory", ...
[[nodiscard]] Result<std::string, std::string> read_file(const std::string& path,
                                                         std::size_t bytes_max);

/// The text of a deployment file. What cannot be read is an error in the form of a bad file.
[[nodiscard]] Result<std::string> read_deployment_file(const std::string& path);

/// The text of a site file, in the same way.
[[nodiscard]] Result<std::string> read_site_file(const std::string& path);

/// The text of a file of measured costs, in the same way.
[[nodiscard]] Result<std::string> read_costs_file(const std::string& path);

/// Reads what the deployment file `deployment_path` names: paths are relative to its folder.
[[nodiscard]] FileReader reader_beside(const std::string& deployment_path);

}  // namespace sluice::cli

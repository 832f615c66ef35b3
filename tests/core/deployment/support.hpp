#pragma once

#include <fstream>
#include <iterator>
#include <string>

#include "core/deployment/parser.hpp"
#include "core/function/registry.hpp"

namespace sluice {

inline std::string golden(const std::string& path) {
  return std::string(SLUICE_SOURCE_DIR) + "/tests/golden/" + path;
}

inline std::string read_all(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// Reads the files beside `folder`, as the command line does.
inline FileReader reader_in(const std::string& folder) {
  return [folder](const std::string& path) -> Result<std::string, std::string> {
    std::ifstream file(folder + "/" + path, std::ios::binary);
    if (!file) return unexpected(std::string("No such file or directory"));
    return std::string{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  };
}

inline Result<Deployment> parse(std::string_view text, const std::string& file = "test.yaml") {
  return parse_deployment(text, file, built_in_functions(), reader_in(golden("good")));
}

/// The message of a bad file; "good" if it is not.
inline std::string message_of(std::string_view text) {
  const auto result = parse(text);
  return result ? "good" : result.error().to_string();
}

}  // namespace sluice

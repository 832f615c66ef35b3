#pragma once

#include <cstdint>
#include <string>

#include <tl/expected.hpp>

namespace sluice {

/// Where in a user's text something stands. Lines and columns count from 1; line 0: the whole file.
struct Place {
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;

  /// "file:line:column", or "file" alone when there is no line.
  [[nodiscard]] std::string to_string() const {
    if (line == 0) return file;
    return file + ":" + std::to_string(line) + ":" + std::to_string(column);
  }
  bool operator==(const Place&) const = default;
};

/// What a user's input got wrong, in the one form in which every Sluice program says it:
/// `place: problem; got X; expected Y`. `problem` starts with the key where there is one
/// ("hosts.h1.cores: too many"). Empty `got` and `expected` are left out.
struct ConfigError {
  Place place;
  std::string problem;
  std::string got;
  std::string expected;

  [[nodiscard]] std::string to_string() const {
    std::string text = place.to_string();
    if (!text.empty()) text += ": ";
    text += problem;
    if (!got.empty()) text += "; got " + got;
    if (!expected.empty()) text += "; expected " + expected;
    return text;
  }
  bool operator==(const ConfigError&) const = default;
};

/// GCC 12 has no std::expected. Call only what both have: value, error, value_or, and_then,
/// or_else, transform.
template <class T, class E = ConfigError>
using Result = tl::expected<T, E>;
using tl::unexpected;

}  // namespace sluice

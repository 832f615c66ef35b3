#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/function/config_value.hpp"

namespace sluice {

/// Reads the setting `key` by `parse`, which takes a text and gives a Result whose error says in
/// words what is wrong with it. Absent or wrong: nothing; wrong: the reader has the error.
template <class Parse>
auto read_text(MapReader& reader, std::string_view key, Parse parse)
    -> std::optional<typename std::invoke_result_t<Parse, std::string_view>::value_type> {
  const ConfigValue* value = reader.value(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_scalar()) {
    reader.fail(value->place(), key, "not a text", value->describe(), "a text");
    return std::nullopt;
  }
  auto parsed = parse(std::string_view(value->text()));
  if (!parsed) {
    reader.fail(value->place(), key, parsed.error(), value->describe(), "");
    return std::nullopt;
  }
  return *parsed;
}

}  // namespace sluice

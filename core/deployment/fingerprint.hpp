#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/function/config_value.hpp"

namespace sluice::deployment {

/// Stands for settings and the bytes of files, so that a change of any of them shows. 64 bits: a
/// change that is missed by chance is rarer than any fault of the machine.
class Fingerprint {
 public:
  /// Each text with its length, so that no two lists of texts run together.
  void add(std::string_view text);
  /// What the value says, whatever the order of its keys and wherever it stands.
  void add(const ConfigValue& value);
  /// 16 hex digits.
  [[nodiscard]] std::string text() const;

 private:
  void add_bytes(std::string_view bytes);

  std::uint64_t hash_ = 0xcbf29ce484222325u;  // FNV-1a.
};

}  // namespace sluice::deployment

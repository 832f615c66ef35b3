#pragma once

#include <span>
#include <string>
#include <string_view>

namespace sluice::cli {

/// A verb of `sluice`: the program sluice-NAME does it.
struct Verb {
  std::string_view name;
  std::string_view summary;  ///< One line for --help.
  std::string_view remedy;   ///< How to get it when this build lacks it.
};

/// In the order of --help.
[[nodiscard]] std::span<const Verb> verbs();
[[nodiscard]] const Verb* find_verb(std::string_view name);

/// What `sluice --help` prints.
[[nodiscard]] std::string help_text();
/// What `sluice WORD` prints when WORD is no verb; names the nearest one.
[[nodiscard]] std::string unknown_verb_text(std::string_view word);

}  // namespace sluice::cli

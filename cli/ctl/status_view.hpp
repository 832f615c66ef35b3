#pragma once

#include <cstddef>
#include <string>

#include <nlohmann/json.hpp>

namespace sluice::cli {

/// "987", "12.3k", "4.57M": a count or a rate in at most five characters.
[[nodiscard]] std::string short_number(double value);

struct ViewOptions {
  std::size_t width = 80;  ///< Columns of the terminal.
  bool colour = false;
};

/// What a host says of itself ({"do": "status"}) as tables: ports, instances, chains, drops. With a
/// status `before` of the same host, packets and bits are shown per second between the two; without
/// (null), as totals since the host's start.
[[nodiscard]] std::string view_of(const nlohmann::ordered_json& status,
                                  const nlohmann::ordered_json* before, const ViewOptions& options);

}  // namespace sluice::cli

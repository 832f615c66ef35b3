#pragma once

#include <string>
#include <string_view>

#include "core/packet/headers.hpp"
#include "core/result.hpp"

namespace sluice {

/// Reads "02:00:00:00:00:01". Only what a frame can be sent to by: multicast and all zero are
/// refused. The error says in words what is wrong with `text`.
[[nodiscard]] Result<MacAddress, std::string> parse_mac(std::string_view text);
/// As parse_mac() reads it.
[[nodiscard]] std::string to_text(const MacAddress& mac);

}  // namespace sluice

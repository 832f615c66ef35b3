#pragma once

#include <string>

#include "core/units.hpp"

/// Quantities as a deployment file writes them: what parse_duration and its like read back
/// unchanged.
namespace sluice {

[[nodiscard]] std::string text_of(Duration duration);
/// Since the start of time.
[[nodiscard]] std::string text_of(Instant instant);
[[nodiscard]] std::string text_of(Rate rate);
[[nodiscard]] std::string text_of(Frequency frequency);
/// As a decimal fraction.
[[nodiscard]] std::string text_of(Ppm ratio);
[[nodiscard]] std::string bytes_text(std::uint64_t size_bytes);

}  // namespace sluice

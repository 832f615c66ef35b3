#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/functions/pattern_matcher.hpp"
#include "core/result.hpp"

namespace sluice {

inline constexpr std::size_t kPatternCountMax = 100'000;
inline constexpr std::size_t kPatternLengthMax = 1024;
/// Of all patterns together, which bounds the memory that they take (17 bytes each byte at most).
inline constexpr std::size_t kPatternBytesMax = 4u << 20;

/// Reads one pattern: `[@LABEL ]CONTENT`. In CONTENT `|41 0d|` are bytes in hexadecimal, a
/// backslash makes one of `\`, `|`, `#` and `@` ordinary, and all else stands for itself; blanks at
/// either end are dropped (write `|20|`). LABEL is one of `labels` or its number, none is number 0;
/// when `labels` is empty, the names are not known and any number below PatternMatcher::kLabelMax
/// will do.
/// @param place Of the first character of `text`; a label or byte that is wrong is shown at its
/// own.
[[nodiscard]] Result<PatternMatcher::Pattern> parse_pattern(std::string_view text,
                                                            std::span<const std::string> labels,
                                                            const Place& place);

/// Reads a pattern file: one pattern a line, empty lines and lines that begin with `#` ignored,
/// lines ended by LF or CRLF, an UTF-8 byte order mark accepted. Fails at the first bad line, and
/// when it holds no pattern or exceeds a limit above.
[[nodiscard]] Result<std::vector<PatternMatcher::Pattern>> parse_pattern_file(
    std::string_view text, std::span<const std::string> labels, const std::string& file);

}  // namespace sluice

#include "core/functions/pattern_list.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/function/config_value.hpp"

namespace sluice {
namespace {

constexpr std::string_view kEscaped = "\\|#@";

std::optional<std::uint8_t> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<std::uint8_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<std::uint8_t>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<std::uint8_t>(c - 'A' + 10);
  return std::nullopt;
}

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

ConfigError error_at(const Place& place, const char* problem, std::string expected) {
  ConfigError error;
  error.place = place;
  error.problem = problem;
  error.expected = std::move(expected);
  return error;
}

// Reads one pattern from left to right; `at_` is where it stands.
class PatternReader {
 public:
  PatternReader(std::string_view text, std::span<const std::string> labels, const Place& place)
      : text_(text), labels_(labels), place_(place) {
    while (!text_.empty() && is_blank(text_.back())) text_.remove_suffix(1);
    while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
  }

  Result<PatternMatcher::Pattern> read() {
    if (at_ < text_.size() && text_[at_] == '@' && !read_label()) return unexpected(error_);
    while (at_ < text_.size()) {
      const bool read = text_[at_] == '|' ? read_hex() : read_character();
      if (!read) return unexpected(error_);
    }
    if (pattern_.bytes.empty()) {
      fail(at_, "empty pattern", "", "at least one byte");
      return unexpected(error_);
    }
    if (pattern_.bytes.size() > kPatternLengthMax) {
      fail(0, "pattern too long", std::to_string(pattern_.bytes.size()) + " bytes",
           "at most " + std::to_string(kPatternLengthMax));
      return unexpected(error_);
    }
    return std::move(pattern_);
  }

 private:
  bool fail(std::size_t at, std::string problem, std::string got, std::string expected) {
    Place place = place_;
    if (place.line != 0) place.column += static_cast<std::uint32_t>(at);
    error_ = {std::move(place), std::move(problem), std::move(got), std::move(expected)};
    return false;
  }
  static std::string quote(std::string_view text) {
    return ConfigValue::scalar(std::string(text), {}).describe();
  }

  bool read_label() {
    const std::size_t start = at_ + 1;
    while (at_ < text_.size() && !is_blank(text_[at_])) ++at_;
    const std::string_view name = text_.substr(start, at_ - start);
    while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
    const auto found = std::find(labels_.begin(), labels_.end(), name);
    const auto number = parse_integer(name);
    if (found != labels_.end()) {
      pattern_.label = static_cast<std::uint32_t>(found - labels_.begin());
    } else if (number && *number < (labels_.empty() ? PatternMatcher::kLabelMax : labels_.size())) {
      pattern_.label = static_cast<std::uint32_t>(*number);
    } else if (labels_.empty()) {
      return fail(start, "unknown label", quote(name),
                  "its number, 0 to " + std::to_string(PatternMatcher::kLabelMax - 1));
    } else {
      std::vector<std::string_view> names(labels_.begin(), labels_.end());
      return fail(start, "unknown label", quote(name), "one of " + one_of(names));
    }
    return true;
  }

  bool read_hex() {
    const std::size_t open = at_++;
    bool any = false;
    while (at_ < text_.size() && text_[at_] != '|') {
      if (is_blank(text_[at_])) {
        ++at_;
        continue;
      }
      const auto high = hex_digit(text_[at_]);
      const auto low = at_ + 1 < text_.size() ? hex_digit(text_[at_ + 1]) : std::nullopt;
      if (!high || !low) {
        return fail(at_, "bad hexadecimal byte", quote(text_.substr(at_, 2)),
                    "two digits 0-9, a-f for each byte");
      }
      pattern_.bytes += static_cast<char>(*high << 4 | *low);
      at_ += 2;
      any = true;
    }
    if (at_ == text_.size()) return fail(open, "hexadecimal part not closed", "", "a second \"|\"");
    if (!any) return fail(open, "empty hexadecimal part", "", "bytes as in |41 42|");
    ++at_;
    return true;
  }

  bool read_character() {
    const auto byte = static_cast<std::uint8_t>(text_[at_]);
    if ((byte < 0x20 && byte != '\t') || byte == 0x7f) {
      return fail(at_, "control character", quote(text_.substr(at_, 1)),
                  "its hexadecimal form, as |00|");
    }
    if (byte == '\\') {
      const std::string_view next = text_.substr(at_ + 1, 1);
      if (next.empty() || kEscaped.find(next) == std::string_view::npos) {
        return fail(at_, "unknown escape", quote(text_.substr(at_, 2)),
                    "one of \\\\, \\|, \\#, \\@");
      }
      ++at_;
    }
    pattern_.bytes += text_[at_++];
    return true;
  }

  std::string_view text_;
  std::span<const std::string> labels_;
  Place place_;
  std::size_t at_ = 0;
  PatternMatcher::Pattern pattern_;
  ConfigError error_;
};

}  // namespace

Result<PatternMatcher::Pattern> parse_pattern(std::string_view text,
                                              std::span<const std::string> labels,
                                              const Place& place) {
  return PatternReader(text, labels, place).read();
}

Result<std::vector<PatternMatcher::Pattern>> parse_pattern_file(std::string_view text,
                                                                std::span<const std::string> labels,
                                                                const std::string& file) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.substr(0, kByteOrderMark.size()) == kByteOrderMark) {
    text.remove_prefix(kByteOrderMark.size());
  }
  std::vector<PatternMatcher::Pattern> patterns;
  std::size_t byte_count = 0;
  for (Place place{file, 1, 1}; !text.empty(); ++place.line) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    const std::size_t first = line.find_first_not_of(" \t");
    if (first == std::string_view::npos || line[first] == '#') continue;
    auto pattern = parse_pattern(line, labels, place);
    if (!pattern) return unexpected(pattern.error());
    byte_count += pattern->bytes.size();
    if (patterns.size() == kPatternCountMax) {
      return unexpected(
          error_at(place, "too many patterns", "at most " + std::to_string(kPatternCountMax)));
    }
    if (byte_count > kPatternBytesMax) {
      return unexpected(error_at(place, "patterns too long together",
                                 "at most " + std::to_string(kPatternBytesMax) + " bytes"));
    }
    patterns.push_back(std::move(*pattern));
  }
  if (patterns.empty()) {
    return unexpected(error_at(Place{file, 0, 0}, "no pattern in it", "at least one line"));
  }
  return patterns;
}

}  // namespace sluice

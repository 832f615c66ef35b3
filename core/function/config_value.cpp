#include "core/function/config_value.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace sluice {
namespace {

// What is wrong with a quantity, kept in two parts so that a MapReader can put `got` between them.
struct QuantityError {
  std::string problem;
  std::string expected;
};

// A decimal number, value = digits / 10^decimals, and the text after it.
struct Decimal {
  Uint128 digits = 0;
  std::uint32_t decimals = 0;
  std::string_view unit;
};

struct Unit {
  std::string_view name;
  std::uint64_t factor;  // In the quantity's base unit.
};

constexpr std::uint64_t kKilo = 1'000;
constexpr std::uint64_t kMega = 1'000'000;
constexpr std::uint64_t kGiga = 1'000'000'000;
constexpr std::array kDurationUnits{Unit{"ns", 1},           Unit{"us", kKilo},
                                    Unit{"ms", kMega},       Unit{"s", kGiga},
                                    Unit{"min", 60 * kGiga}, Unit{"h", 3600 * kGiga}};
constexpr std::array kRateUnits{Unit{"bps", 1}, Unit{"kbps", kKilo}, Unit{"Mbps", kMega},
                                Unit{"Gbps", kGiga}, Unit{"Tbps", 1000 * kGiga}};
constexpr std::array kFrequencyUnits{Unit{"Hz", 1}, Unit{"kHz", kKilo}, Unit{"MHz", kMega},
                                     Unit{"GHz", kGiga}};
constexpr std::array kSizeUnits{Unit{"B", 1},         Unit{"kB", kKilo},     Unit{"MB", kMega},
                                Unit{"GB", kGiga},    Unit{"KiB", 1u << 10}, Unit{"MiB", 1u << 20},
                                Unit{"GiB", 1u << 30}};

constexpr const char* kRatioExpected = "a fraction from 0 to 1, as 0.7 or 70 %";

// More digits than any quantity needs; also what keeps the arithmetic below inside 128 bits.
constexpr std::size_t kDigitCountMax = 18;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

Result<Decimal, std::string> parse_decimal(std::string_view text) {
  text = trimmed(text);
  if (text.empty()) return unexpected(std::string("empty"));
  if (text.front() == '-') {
    const bool number = text.size() > 1 && is_digit(text[1]);
    return unexpected(std::string(number ? "negative" : "not a number"));
  }
  Decimal result;
  std::size_t at = 0;
  std::size_t digit_count = 0;
  bool fraction = false;
  for (; at < text.size(); ++at) {
    if (text[at] == '.' && !fraction && digit_count > 0) {
      fraction = true;
      continue;
    }
    if (!is_digit(text[at])) break;
    if (++digit_count > kDigitCountMax) return unexpected(std::string("too many digits"));
    result.digits = result.digits * 10 + static_cast<unsigned>(text[at] - '0');
    if (fraction) ++result.decimals;
  }
  if (digit_count == 0 || text[at - 1] == '.') return unexpected(std::string("not a number"));
  result.unit = trimmed(text.substr(at));
  return result;
}

// The number times `factor`, if that is whole and fits in 64 bits.
Result<std::uint64_t, std::string> scaled(const Decimal& decimal, std::uint64_t factor,
                                          std::string_view base) {
  Uint128 value = decimal.digits * factor;
  for (std::uint32_t i = 0; i < decimal.decimals; ++i) {
    if (value % 10 != 0) {
      return unexpected("finer than a whole " + std::string(base));
    }
    value /= 10;
  }
  if (value > std::numeric_limits<std::uint64_t>::max()) {
    return unexpected(std::string("too large"));
  }
  return static_cast<std::uint64_t>(value);
}

std::string unit_list(std::span<const Unit> units) {
  std::string list;
  for (const Unit& unit : units) {
    if (!list.empty()) list += ", ";
    list += unit.name;
  }
  return list;
}

Result<std::uint64_t, QuantityError> parse_with_unit(std::string_view text,
                                                     std::span<const Unit> units) {
  const auto failure = [&](std::string problem) {
    return unexpected(QuantityError{std::move(problem), "a number and one of " + unit_list(units)});
  };
  const auto decimal = parse_decimal(text);
  if (!decimal) return failure(decimal.error());
  if (decimal->unit.empty()) return failure("no unit");
  for (const Unit& unit : units) {
    if (unit.name != decimal->unit) continue;
    auto value = scaled(*decimal, unit.factor, units.front().name);
    if (!value) return failure(value.error());
    return *value;
  }
  return failure("unknown unit");
}

Result<std::uint64_t, QuantityError> integer_of(std::string_view text) {
  const auto failure = [](std::string problem) {
    return unexpected(QuantityError{std::move(problem), "a whole number"});
  };
  const auto decimal = parse_decimal(text);
  if (!decimal && decimal.error() == "too many digits") return failure("too large");
  if (!decimal) return failure(decimal.error());
  if (!decimal->unit.empty()) return failure("not a whole number");
  const auto value = scaled(*decimal, 1, "one");
  if (!value) return failure("not a whole number");
  return *value;
}

Result<std::uint64_t, QuantityError> quantity_of(const ConfigValue& value, std::string_view what,
                                                 std::span<const Unit> units) {
  if (value.is_scalar()) return parse_with_unit(value.text(), units);
  return unexpected(
      QuantityError{"not a " + std::string(what), "a number and one of " + unit_list(units)});
}

Result<Duration, QuantityError> duration_from(std::uint64_t ns) {
  if (ns > static_cast<std::uint64_t>(Duration::max().count())) {
    return unexpected(QuantityError{"too large", "at most 292 years"});
  }
  return Duration{static_cast<std::int64_t>(ns)};
}

Result<Ppm, QuantityError> ratio_of(std::string_view text) {
  const auto failure = [](std::string problem) {
    return unexpected(QuantityError{std::move(problem), kRatioExpected});
  };
  const auto decimal = parse_decimal(text);
  if (!decimal) return failure(decimal.error());
  if (!decimal->unit.empty() && decimal->unit != "%") return failure("unknown unit");
  const std::uint64_t factor = decimal->unit.empty() ? 1'000'000 : 10'000;
  const auto ppm = scaled(*decimal, factor, "millionth");
  if (!ppm) return failure(ppm.error());
  if (*ppm > kPpmOne.value) return failure("out of range");
  return Ppm{static_cast<std::uint32_t>(*ppm)};
}

std::string joined(const QuantityError& error) {
  return error.problem + "; expected " + error.expected;
}

template <class T>
Result<T, std::string> as_public(const Result<T, QuantityError>& result) {
  if (!result) return unexpected(joined(result.error()));
  return *result;
}

std::string quoted(std::string_view text) {
  constexpr std::size_t kLengthMax = 40;
  constexpr std::string_view kHex = "0123456789abcdef";
  std::size_t length = std::min(text.size(), kLengthMax);
  // Never cut inside a UTF-8 sequence.
  while (length > 0 && length < text.size() &&
         (static_cast<unsigned char>(text[length]) & 0xc0u) == 0x80u) {
    --length;
  }
  std::string result = "\"";
  for (const char c : text.substr(0, length)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      result += "\\n";
    } else if (c == '\t') {
      result += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      result += "\\x";
      result += kHex[byte >> 4];
      result += kHex[byte & 15u];
    } else {
      result += c;
    }
  }
  if (length < text.size()) result += "...";
  return result + "\"";
}

// Damerau-Levenshtein (adjacent swaps count one), by rows. Words are short: bounded by the caller.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replace = last[j - 1] + (a[i - 1] == b[j - 1] ? 0u : 1u);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

std::string range_text(const std::string& min, const std::string& max) {
  return min + " to " + max;
}

std::string duration_text(Duration duration) {
  const auto ns = static_cast<std::uint64_t>(duration.count());
  for (auto unit = kDurationUnits.rbegin(); unit != kDurationUnits.rend(); ++unit) {
    if (ns >= unit->factor && ns % unit->factor == 0) {
      return std::to_string(ns / unit->factor) + " " + std::string(unit->name);
    }
  }
  return "0 s";
}

}  // namespace

ConfigValue ConfigValue::null(Place place) {
  ConfigValue value;
  value.place_ = std::move(place);
  return value;
}

ConfigValue ConfigValue::scalar(std::string text, Place place) {
  ConfigValue value = null(std::move(place));
  value.kind_ = Kind::kScalar;
  value.text_ = std::move(text);
  return value;
}

ConfigValue ConfigValue::list(std::vector<ConfigValue> items, Place place) {
  ConfigValue value = null(std::move(place));
  value.kind_ = Kind::kList;
  value.items_ = std::move(items);
  return value;
}

ConfigValue ConfigValue::map(std::vector<Entry> entries, Place place) {
  ConfigValue value = null(std::move(place));
  value.kind_ = Kind::kMap;
  value.entries_ = std::move(entries);
  return value;
}

const ConfigValue* ConfigValue::find(std::string_view key) const {
  for (const Entry& entry : entries_) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

std::string ConfigValue::describe() const {
  switch (kind_) {
    case Kind::kNull:
      return "nothing";
    case Kind::kList:
      return "a list";
    case Kind::kMap:
      return "a map";
    case Kind::kScalar:
      break;
  }
  return quoted(text_);
}

MapReader::MapReader(const ConfigValue& value, std::string path)
    : value_(&value), path_(std::move(path)) {
  if (value.is_map()) return;
  error_ = ConfigError{value.place(), path_.empty() ? "not a map" : path_ + ": not a map",
                       value.describe(), "a map"};
}

bool MapReader::has(std::string_view key) const {
  return value_->find(key) != nullptr;
}

void MapReader::require(std::string_view key) {
  known_.emplace(key);
  if (has(key) || missing_) return;
  missing_ = ConfigError{value_->place(), path_of(key) + ": missing", "", ""};
}

const ConfigValue* MapReader::take(std::string_view key) {
  known_.emplace(key);
  return value_->find(key);
}

const ConfigValue* MapReader::value(std::string_view key) {
  return take(key);
}

void MapReader::know(std::span<const std::string_view> keys) {
  for (const std::string_view key : keys) known_.emplace(key);
}

std::string MapReader::path_of(std::string_view key) const {
  return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

void MapReader::fail(ConfigError error) {
  if (!error_) error_ = std::move(error);
}

void MapReader::fail(const Place& place, std::string_view key, std::string_view problem,
                     std::string got, std::string expected) {
  fail(ConfigError{place, path_of(key) + ": " + std::string(problem), std::move(got),
                   std::move(expected)});
}

std::string MapReader::string(std::string_view key, std::string_view fallback) {
  const ConfigValue* value = take(key);
  if (value == nullptr) return std::string(fallback);
  if (value->is_scalar()) return value->text();
  fail(value->place(), key, "not a text", value->describe(), "a text");
  return std::string(fallback);
}

bool MapReader::boolean(std::string_view key, bool fallback) {
  const ConfigValue* value = take(key);
  if (value == nullptr) return fallback;
  if (value->is_scalar() && value->text() == "true") return true;
  if (value->is_scalar() && value->text() == "false") return false;
  fail(value->place(), key, "not a truth value", value->describe(), "true or false");
  return fallback;
}

std::uint64_t MapReader::integer(std::string_view key, std::uint64_t fallback,
                                 IntegerLimits limits) {
  const ConfigValue* value = take(key);
  if (value == nullptr) return fallback;
  std::string expected = "a whole number";
  if (limits.max != std::numeric_limits<std::uint64_t>::max()) {
    expected += " from " + range_text(std::to_string(limits.min), std::to_string(limits.max));
  } else if (limits.min > 0) {
    expected += " of at least " + std::to_string(limits.min);
  }
  const auto parsed = value->is_scalar()
                          ? integer_of(value->text())
                          : unexpected(QuantityError{"not a whole number", std::string()});
  if (!parsed) {
    fail(value->place(), key, parsed.error().problem, value->describe(), expected);
    return fallback;
  }
  if (*parsed < limits.min || *parsed > limits.max) {
    fail(value->place(), key, "out of range", value->describe(), expected);
    return fallback;
  }
  return *parsed;
}

Duration MapReader::duration(std::string_view key, Duration fallback, DurationLimits limits) {
  const ConfigValue* value = take(key);
  if (value == nullptr) return fallback;
  const auto ns = quantity_of(*value, "duration", kDurationUnits);
  const auto parsed = ns ? duration_from(*ns) : unexpected(ns.error());
  if (!parsed) {
    fail(value->place(), key, parsed.error().problem, value->describe(), parsed.error().expected);
    return fallback;
  }
  if (*parsed < limits.min || *parsed > limits.max) {
    fail(value->place(), key, "out of range", value->describe(),
         range_text(duration_text(limits.min), duration_text(limits.max)));
    return fallback;
  }
  return *parsed;
}

Rate MapReader::rate(std::string_view key, Rate fallback) {
  const ConfigValue* value = take(key);
  if (value == nullptr) return fallback;
  const auto parsed = quantity_of(*value, "rate", kRateUnits);
  if (parsed) return Rate{*parsed};
  fail(value->place(), key, parsed.error().problem, value->describe(), parsed.error().expected);
  return fallback;
}

Frequency MapReader::frequency(std::string_view key, Frequency fallback) {
  const ConfigValue* value = take(key);
  if (value == nullptr) return fallback;
  const auto parsed = quantity_of(*value, "frequency", kFrequencyUnits);
  if (parsed) return Frequency{*parsed};
  fail(value->place(), key, parsed.error().problem, value->describe(), parsed.error().expected);
  return fallback;
}

std::uint64_t MapReader::size_bytes(std::string_view key, std::uint64_t fallback,
                                    IntegerLimits limits) {
  const ConfigValue* value = take(key);
  if (value == nullptr) return fallback;
  const auto parsed = quantity_of(*value, "size", kSizeUnits);
  if (!parsed) {
    fail(value->place(), key, parsed.error().problem, value->describe(), parsed.error().expected);
    return fallback;
  }
  if (*parsed < limits.min || *parsed > limits.max) {
    const bool open = limits.max == std::numeric_limits<std::uint64_t>::max();
    fail(value->place(), key, "out of range", value->describe(),
         open ? "at least " + std::to_string(limits.min) + " B"
              : range_text(std::to_string(limits.min) + " B", std::to_string(limits.max) + " B"));
    return fallback;
  }
  return *parsed;
}

Ppm MapReader::ratio(std::string_view key, Ppm fallback) {
  const ConfigValue* value = take(key);
  if (value == nullptr) return fallback;
  const auto parsed = value->is_scalar()
                          ? ratio_of(value->text())
                          : unexpected(QuantityError{"not a fraction", kRatioExpected});
  if (!parsed) {
    fail(value->place(), key, parsed.error().problem, value->describe(), parsed.error().expected);
    return fallback;
  }
  return *parsed;
}

std::size_t MapReader::choice(std::string_view key, std::span<const std::string_view> names,
                              std::size_t fallback) {
  const ConfigValue* value = take(key);
  if (value == nullptr) return fallback;
  if (value->is_scalar()) {
    const auto found = std::ranges::find(names, std::string_view(value->text()));
    if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  }
  fail(value->place(), key, "unknown choice", value->describe(),
       one_of_with_hint(value->text(), names));
  return fallback;
}

std::vector<std::string> MapReader::strings(std::string_view key) {
  const ConfigValue* value = take(key);
  std::vector<std::string> result;
  if (value == nullptr) return result;
  if (value->is_scalar()) return {value->text()};
  if (!value->is_list()) {
    fail(value->place(), key, "not a list of texts", value->describe(), "a list of texts");
    return result;
  }
  for (const ConfigValue& item : value->items()) {
    if (!item.is_scalar()) {
      fail(item.place(), std::string(key) + "[" + std::to_string(result.size()) + "]", "not a text",
           item.describe(), "a text");
      return {};
    }
    result.push_back(item.text());
  }
  return result;
}

std::optional<ConfigError> MapReader::finish() {
  if (error_) return error_;
  const std::vector<std::string_view> names(known_.begin(), known_.end());
  for (const ConfigValue::Entry& entry : value_->entries()) {
    if (known_.contains(entry.key)) continue;
    return ConfigError{entry.place, path_of(entry.key) + ": unknown key", quoted(entry.key),
                       one_of_with_hint(entry.key, names)};
  }
  return missing_;
}

std::string one_of(std::span<const std::string_view> names) {
  std::string list;
  for (const std::string_view name : names) {
    if (!list.empty()) list += ", ";
    list += name;
  }
  return list;
}

std::string one_of_with_hint(std::string_view word, std::span<const std::string_view> names) {
  if (names.empty()) return "nothing here";
  std::string text = names.size() == 1 ? std::string(names.front()) : "one of " + one_of(names);
  const std::string_view near = nearest(word, names);
  if (!near.empty()) text += "; did you mean " + std::string(near) + "?";
  return text;
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> names) {
  constexpr std::size_t kLengthMax = 64;  // Longer words are no slips, and cost the square.
  if (word.empty() || word.size() > kLengthMax) return {};
  const std::string folded = lower(word);
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string_view name : names) {
    if (name.size() > kLengthMax) continue;
    const std::size_t distance = edit_distance(folded, lower(name));
    if (distance >= best_distance) continue;
    best_distance = distance;
    best = name;
  }
  return best;
}

Result<Duration, std::string> parse_duration(std::string_view text) {
  const auto ns = parse_with_unit(text, kDurationUnits);
  if (!ns) return unexpected(joined(ns.error()));
  return as_public(duration_from(*ns));
}

Result<Rate, std::string> parse_rate(std::string_view text) {
  const auto bps = parse_with_unit(text, kRateUnits);
  if (!bps) return unexpected(joined(bps.error()));
  return Rate{*bps};
}

Result<Frequency, std::string> parse_frequency(std::string_view text) {
  const auto hz = parse_with_unit(text, kFrequencyUnits);
  if (!hz) return unexpected(joined(hz.error()));
  return Frequency{*hz};
}

Result<std::uint64_t, std::string> parse_size_bytes(std::string_view text) {
  return as_public(parse_with_unit(text, kSizeUnits));
}

Result<std::uint64_t, std::string> parse_integer(std::string_view text) {
  return as_public(integer_of(text));
}

Result<Ppm, std::string> parse_ratio(std::string_view text) {
  return as_public(ratio_of(text));
}

}  // namespace sluice

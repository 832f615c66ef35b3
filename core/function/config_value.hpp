#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "core/units.hpp"

namespace sluice {

/// A piece of a user's configuration with its place: scalar, list or map, in file order.
///
/// It stands between the file format and those who read settings, so that a network function
/// neither links a YAML library nor loses the line in which a value stands. Scalars stay text until
/// somebody says which unit he wants.
class ConfigValue {
 public:
  enum class Kind : std::uint8_t { kNull, kScalar, kList, kMap };
  struct Entry;  // A key with its place, and its value.

  ConfigValue() = default;
  static ConfigValue null(Place place);
  static ConfigValue scalar(std::string text, Place place);
  static ConfigValue list(std::vector<ConfigValue> items, Place place);
  static ConfigValue map(std::vector<Entry> entries, Place place);

  [[nodiscard]] Kind kind() const { return kind_; }
  [[nodiscard]] bool is_null() const { return kind_ == Kind::kNull; }
  [[nodiscard]] bool is_scalar() const { return kind_ == Kind::kScalar; }
  [[nodiscard]] bool is_list() const { return kind_ == Kind::kList; }
  [[nodiscard]] bool is_map() const { return kind_ == Kind::kMap; }
  [[nodiscard]] const Place& place() const { return place_; }
  /// The text of a scalar; empty for other kinds.
  [[nodiscard]] const std::string& text() const { return text_; }
  /// The items of a list; empty for other kinds.
  [[nodiscard]] const std::vector<ConfigValue>& items() const { return items_; }
  /// The entries of a map in file order; empty for other kinds.
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  /// The value of `key` in a map; null when absent.
  [[nodiscard]] const ConfigValue* find(std::string_view key) const;
  /// "a map", "a list", "nothing" or the quoted scalar, cut to 40 characters: for `got`.
  [[nodiscard]] std::string describe() const;

 private:
  Kind kind_ = Kind::kNull;
  Place place_;
  std::string text_;
  std::vector<ConfigValue> items_;
  std::vector<Entry> entries_;
};
struct ConfigValue::Entry {
  std::string key;
  Place place;
  ConfigValue value;
};

/// Reads the settings of one map and remembers the first thing that is wrong with it.
///
/// Each call names a key, its unit by its name, and its limits; it returns the value, or the
/// default when the key is absent or wrong. `finish` then gives the first error in file order of
/// checking, or an unknown key with the nearest known one. So a caller reads like a list of its
/// settings.
class MapReader {
 public:
  /// `path` is how messages call the map: "services.ids". A `value` that is no map is an error.
  MapReader(const ConfigValue& value, std::string path);

  struct IntegerLimits {
    std::uint64_t min = 0;
    std::uint64_t max = std::numeric_limits<std::uint64_t>::max();
  };
  struct DurationLimits {
    Duration min = Duration::zero();
    Duration max = std::chrono::hours{24 * 365};
  };

  [[nodiscard]] bool has(std::string_view key) const;
  /// A missing key is an error; no default.
  void require(std::string_view key);

  std::string string(std::string_view key, std::string_view fallback = {});
  bool boolean(std::string_view key, bool fallback);
  std::uint64_t integer(std::string_view key, std::uint64_t fallback, IntegerLimits limits);
  Duration duration(std::string_view key, Duration fallback, DurationLimits limits);
  Rate rate(std::string_view key, Rate fallback);
  Frequency frequency(std::string_view key, Frequency fallback);
  std::uint64_t size_bytes(std::string_view key, std::uint64_t fallback, IntegerLimits limits);
  /// A fraction between 0 and 1, written "0.7" or "70 %".
  Ppm ratio(std::string_view key, Ppm fallback);
  /// One of `names`; returns its index.
  std::size_t choice(std::string_view key, std::span<const std::string_view> names,
                     std::size_t fallback);
  std::vector<std::string> strings(std::string_view key);
  /// Counts `keys` as known although nobody read them yet, so that a message lists them.
  void know(std::span<const std::string_view> keys);
  [[nodiscard]] const std::set<std::string, std::less<>>& known() const { return known_; }
  /// The raw value, counted as known; null when absent.
  const ConfigValue* value(std::string_view key);

  /// Records an error at a place of the caller's; only the first one is kept.
  void fail(ConfigError error);
  void fail(const Place& place, std::string_view key, std::string_view problem, std::string got,
            std::string expected);

  [[nodiscard]] std::string path_of(std::string_view key) const;
  [[nodiscard]] bool failed() const { return error_.has_value() || missing_.has_value(); }
  /// The first error; else an unknown key; else a missing one (which the unknown one may be,
  /// misspelt); else nothing.
  [[nodiscard]] std::optional<ConfigError> finish();

 private:
  const ConfigValue* take(std::string_view key);
  const ConfigValue* value_;
  std::string path_;
  std::set<std::string, std::less<>> known_;
  std::optional<ConfigError> error_;
  std::optional<ConfigError> missing_;
};

/// `names` joined by ", ", for `expected`.
[[nodiscard]] std::string one_of(std::span<const std::string_view> names);
/// "one of a, b, c; did you mean b?" for a `word` that is none of `names`: for `expected`.
[[nodiscard]] std::string one_of_with_hint(std::string_view word,
                                           std::span<const std::string_view> names);
/// The name nearest to `word` by edit distance, when it is near enough to be a slip; else empty.
[[nodiscard]] std::string_view nearest(std::string_view word,
                                       std::span<const std::string_view> names);

// Quantities as text. Each takes "NUMBER UNIT" with optional space, decimal fractions allowed, and
// fails with the reason, never with a guess ("10sec" is an error that lists the units).
[[nodiscard]] Result<Duration, std::string> parse_duration(std::string_view text);
[[nodiscard]] Result<Rate, std::string> parse_rate(std::string_view text);
[[nodiscard]] Result<Frequency, std::string> parse_frequency(std::string_view text);
[[nodiscard]] Result<std::uint64_t, std::string> parse_size_bytes(std::string_view text);
[[nodiscard]] Result<std::uint64_t, std::string> parse_integer(std::string_view text);
[[nodiscard]] Result<Ppm, std::string> parse_ratio(std::string_view text);

}  // namespace sluice

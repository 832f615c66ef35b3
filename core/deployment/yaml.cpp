#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <exception>
#include <map>
#include <optional>
#include <sstream>
#include <utility>

#include "core/deployment/parser.hpp"

namespace sluice {
namespace {

using Limits = DeploymentLimits;

/// Turns the byte positions of yaml-cpp into lines and columns of characters, both from 1.
/// Positions come nearly in order, so it counts on from the last one: a long line costs its length,
/// not its square.
class PlaceFinder {
 public:
  PlaceFinder(std::string_view text, std::string file) : text_(text), file_(std::move(file)) {
    line_starts_.push_back(0);
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\n') line_starts_.push_back(i + 1);
    }
  }

  Place at(std::size_t line, std::size_t byte_column) {
    line = std::min(line, line_starts_.size() - 1);
    if (line != line_ || byte_column < byte_column_) {
      line_ = line;
      byte_column_ = 0;
      column_ = 1;
    }
    const std::size_t start = line_starts_[line];
    while (byte_column_ < byte_column && start + byte_column_ < text_.size()) {
      const auto byte = static_cast<unsigned char>(text_[start + byte_column_]);
      if ((byte & 0xc0u) != 0x80u) ++column_;
      ++byte_column_;
    }
    return Place{file_, static_cast<std::uint32_t>(line) + 1, column_};
  }

  Place at(std::size_t offset) {
    const auto after = std::ranges::upper_bound(line_starts_, offset);
    const auto line = static_cast<std::size_t>(after - line_starts_.begin()) - 1;
    return at(line, offset - line_starts_[line]);
  }

  /// The byte at which `mark` stands.
  [[nodiscard]] std::size_t offset_of(const YAML::Mark& mark) const {
    const auto line = std::min(static_cast<std::size_t>(mark.line), line_starts_.size() - 1);
    return std::min(line_starts_[line] + static_cast<std::size_t>(mark.column), text_.size());
  }

  [[nodiscard]] bool is_indented_by_tab(const YAML::Mark& mark) const {
    const auto line = std::min(static_cast<std::size_t>(mark.line), line_starts_.size() - 1);
    const std::size_t first = text_.find_first_not_of(' ', line_starts_[line]);
    return first != std::string_view::npos && text_[first] == '\t';
  }

  Place at(const YAML::Mark& mark) {
    if (mark.is_null()) return Place{file_, 0, 0};
    return at(static_cast<std::size_t>(mark.line), static_cast<std::size_t>(mark.column));
  }

 private:
  std::string_view text_;
  std::string file_;
  std::vector<std::size_t> line_starts_;
  std::size_t line_ = 0;
  std::size_t byte_column_ = 0;
  std::uint32_t column_ = 1;
};

ConfigError too_deep(Place place) {
  return ConfigError{std::move(place), "nested too deeply", "",
                     "at most " + std::to_string(Limits::kDepthMax) + " levels"};
}

constexpr std::size_t kKeyBytesMax = 256;

bool is_plain_key(std::string_view key) {
  return key.size() <= kKeyBytesMax && std::ranges::none_of(key, [](char c) {
           return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
         });
}

/// Builds a ConfigValue from yaml-cpp's events. After the first error it only waits for the end,
/// because the one way to stop yaml-cpp would be to throw.
class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(PlaceFinder& places) : places_(places) {}

  void OnDocumentStart(const YAML::Mark& mark) override { start_ = places_.at(mark); }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (refuse_anchor(mark, anchor)) return;
    add(ConfigValue::null(places_.at(mark)));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    fail(places_.at(mark), "aliases are not allowed", "the value itself");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (refuse_anchor(mark, anchor) || refuse_tag(mark, tag)) return;
    if (tag == "!") last_quote_ = places_.offset_of(mark);
    add(ConfigValue::scalar(value, places_.at(mark)));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    open(mark, tag, anchor, false);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    open(mark, tag, anchor, true);
  }
  void OnMapEnd() override { close(); }

  [[nodiscard]] const std::optional<ConfigError>& error() const { return error_; }
  [[nodiscard]] ConfigValue& root() { return root_; }
  [[nodiscard]] const Place& start() const { return start_; }
  /// Where the last quoted scalar begins.
  [[nodiscard]] std::optional<std::size_t> last_quote() const { return last_quote_; }

 private:
  struct Frame {
    bool is_map = false;
    Place place;
    std::vector<ConfigValue> items;
    std::vector<ConfigValue::Entry> entries;
    bool has_key = false;  // The last entry waits for its value.
  };

  void fail(Place place, std::string problem, std::string expected) {
    if (error_) return;
    error_ = ConfigError{std::move(place), path() + std::move(problem), "", std::move(expected)};
  }

  [[nodiscard]] std::string path() const {
    std::string text;
    for (const Frame& frame : stack_) {
      if (!frame.is_map) {
        text += "[" + std::to_string(frame.items.size()) + "]";
      } else if (frame.has_key) {
        text += (text.empty() ? "" : ".") + frame.entries.back().key;
      }
    }
    return text.empty() ? text : text + ": ";
  }

  bool refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != 0) fail(places_.at(mark), "anchors are not allowed", "the value itself");
    return error_.has_value();
  }

  bool refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!") {
      fail(places_.at(mark), "tags are not allowed", "the value alone");
    }
    return error_.has_value();
  }

  void add(ConfigValue value) {
    if (error_) return;
    if (stack_.empty()) {
      root_ = std::move(value);
      return;
    }
    Frame& frame = stack_.back();
    if (!frame.is_map) {
      frame.items.push_back(std::move(value));
    } else if (frame.has_key) {
      frame.entries.back().value = std::move(value);
      frame.has_key = false;
    } else if (!value.is_scalar()) {
      fail(value.place(), "a key has to be a text", "a text");
    } else if (!is_plain_key(value.text())) {
      // Keys stand in messages, and a message is one line.
      error_ = ConfigError{
          value.place(), "not a key", value.describe(),
          "at most " + std::to_string(kKeyBytesMax) + " bytes without control characters"};
    } else {
      frame.entries.push_back({value.text(), value.place(), ConfigValue::null(value.place())});
      frame.has_key = true;
    }
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, bool is_map) {
    if (refuse_anchor(mark, anchor) || refuse_tag(mark, tag)) return;
    if (!stack_.empty() && stack_.back().is_map && !stack_.back().has_key) {
      fail(places_.at(mark), "a key has to be a text", "a text");
      return;
    }
    if (stack_.size() >= Limits::kDepthMax) {
      error_ = too_deep(places_.at(mark));
      return;
    }
    stack_.push_back(Frame{is_map, places_.at(mark), {}, {}, false});
  }

  void close() {
    if (error_ || stack_.empty()) return;
    Frame frame = std::move(stack_.back());
    stack_.pop_back();
    add(frame.is_map ? ConfigValue::map(std::move(frame.entries), std::move(frame.place))
                     : ConfigValue::list(std::move(frame.items), std::move(frame.place)));
  }

  PlaceFinder& places_;
  std::vector<Frame> stack_;
  Place start_;
  ConfigValue root_;
  std::optional<std::size_t> last_quote_;
  std::optional<ConfigError> error_;
};

/// The length of the UTF-8 sequence at the start of `text`; 0 if it is none (RFC 3629).
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first < 0xc2   ? 0
                             : first < 0xe0 ? 2
                             : first < 0xf0 ? 3
                             : first < 0xf5 ? 4
                                            : 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0u) != 0x80u) return 0;
  }
  const unsigned second = byte(1);
  const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool surrogate = first == 0xed && second > 0x9f;
  const bool beyond = first == 0xf4 && second > 0x8f;
  return overlong || surrogate || beyond ? 0 : length;
}

std::string hex(unsigned char byte) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  return std::string("byte 0x") + kDigits[byte >> 4] + kDigits[byte & 15u];
}

/// What makes the text no text, before YAML is asked.
std::optional<ConfigError> check_text(std::string_view text, PlaceFinder& places) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool control = (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f;
    if (control) {
      return ConfigError{places.at(i), "not a text file", hex(byte), "UTF-8 text"};
    }
    const std::size_t length = utf8_length(text.substr(i));
    if (length == 0) return ConfigError{places.at(i), "not UTF-8", hex(byte), "UTF-8 text"};
    i += length;
  }
  return std::nullopt;
}

/// yaml-cpp takes what follows an open quote up to the end of the file for the value, in silence.
bool is_quote_closed(std::string_view text) {
  if (text.empty() || (text.front() != '"' && text.front() != '\'')) return true;
  const char quote = text.front();
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (quote == '"' && text[i] == '\\') {
      ++i;
    } else if (text[i] == quote) {
      if (quote == '"' || i + 1 == text.size() || text[i + 1] != quote) return true;
      ++i;
    }
  }
  return false;
}

/// Where brackets nest so deeply that yaml-cpp should not even see them. Counts those in quotes
/// too, so it allows more than the tree may have.
std::optional<std::size_t> find_deep_bracket(std::string_view text) {
  constexpr std::uint32_t kBracketDepthMax = 4 * Limits::kDepthMax;
  std::uint32_t depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '[' || text[i] == '{') {
      if (++depth > kBracketDepthMax) return i;
    } else if ((text[i] == ']' || text[i] == '}') && depth > 0) {
      --depth;
    }
  }
  return std::nullopt;
}

std::string without_carriage_returns(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    result += text[i];
  }
  return result;
}

std::optional<ConfigError> find_duplicate(const ConfigValue& value, const std::string& path) {
  std::map<std::string_view, const Place*> seen;
  for (const auto& entry : value.entries()) {
    const std::string inner = path.empty() ? entry.key : path + "." + entry.key;
    const auto [first, added] = seen.emplace(entry.key, &entry.place);
    if (!added) {
      const Place& place = *first->second;
      return ConfigError{
          entry.place, inner + ": duplicate key", "it twice",
          "it once, as at " + std::to_string(place.line) + ":" + std::to_string(place.column)};
    }
    if (auto error = find_duplicate(entry.value, inner)) return error;
  }
  for (std::size_t i = 0; i < value.items().size(); ++i) {
    if (auto error = find_duplicate(value.items()[i], path + "[" + std::to_string(i) + "]")) {
      return error;
    }
  }
  return std::nullopt;
}

std::optional<ConfigError> build(const std::string& text, TreeBuilder& builder,
                                 PlaceFinder& places) {
  // yaml-cpp throws on what it cannot read, and here only.
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) return std::nullopt;
    if (builder.error()) return builder.error();
    PlaceFinder end_places = places;
    TreeBuilder second(end_places);
    if (parser.HandleNextDocument(second)) {
      return ConfigError{second.start(), "a second document", "", "one document"};
    }
  } catch (const YAML::Exception& exception) {
    // What we refused ourselves is the better message, and the earlier one.
    if (builder.error()) return builder.error();
    return ConfigError{places.at(exception.mark), "not valid YAML: " + exception.msg, "",
                       !exception.mark.is_null() && places.is_indented_by_tab(exception.mark)
                           ? "spaces for indentation, not tabs"
                           : ""};
  } catch (const std::exception& exception) {
    return ConfigError{places.at(0), std::string("not valid YAML: ") + exception.what(), "", ""};
  }
  return builder.error();
}

ConfigValue relocated(const ConfigValue& value, const Place& place) {
  std::vector<ConfigValue> items;
  std::vector<ConfigValue::Entry> entries;
  switch (value.kind()) {
    case ConfigValue::Kind::kNull:
      return ConfigValue::null(place);
    case ConfigValue::Kind::kScalar:
      return ConfigValue::scalar(value.text(), place);
    case ConfigValue::Kind::kList:
      for (const ConfigValue& item : value.items()) items.push_back(relocated(item, place));
      return ConfigValue::list(std::move(items), place);
    case ConfigValue::Kind::kMap:
      break;
  }
  for (const auto& entry : value.entries()) {
    entries.push_back({entry.key, place, relocated(entry.value, place)});
  }
  return ConfigValue::map(std::move(entries), place);
}

/// "traffic[0].rate" and "traffic.0.rate" are the same.
std::vector<std::string> split_key(std::string_view key) {
  std::vector<std::string> parts(1);
  for (const char c : key) {
    if (c == '.' || c == '[') {
      parts.emplace_back();
    } else if (c != ']') {
      parts.back() += c;
    }
  }
  return parts;
}

Result<ConfigValue> with_value(const ConfigValue& node, std::span<const std::string> keys,
                               const ConfigValue& value, const std::string& path) {
  if (keys.empty()) return value;
  const std::string& key = keys.front();
  const std::string inner = path.empty() ? key : path + "." + key;
  const Place& place = value.place();
  if (key.empty()) return unexpected(ConfigError{place, "empty key", "", "KEY.KEY=VALUE"});
  if (node.is_list()) {
    std::vector<ConfigValue> items = node.items();
    const auto index = parse_integer(key);
    if (!index || *index >= items.size()) {
      return unexpected(ConfigError{place, inner + ": no such item", "\"" + key + "\"",
                                    "an index below " + std::to_string(items.size())});
    }
    auto item = with_value(items[*index], keys.subspan(1), value, inner);
    if (!item) return item;
    items[*index] = std::move(*item);
    return ConfigValue::list(std::move(items), node.place());
  }
  if (node.is_scalar()) {
    return unexpected(
        ConfigError{place, path + ": has no keys", node.describe(), "a map or a list"});
  }
  std::vector<ConfigValue::Entry> entries = node.entries();
  auto entry = std::ranges::find(entries, key, &ConfigValue::Entry::key);
  if (entry == entries.end()) {
    entries.push_back({key, place, ConfigValue::null(place)});
    entry = entries.end() - 1;
  }
  auto changed = with_value(entry->value, keys.subspan(1), value, inner);
  if (!changed) return changed;
  entry->value = std::move(*changed);
  return ConfigValue::map(std::move(entries), node.is_map() ? node.place() : place);
}

}  // namespace

Result<ConfigValue> parse_yaml(std::string_view text, const std::string& file_name) {
  const Place whole{file_name, 0, 0};
  if (text.size() > Limits::kFileBytesMax) {
    return unexpected(ConfigError{whole, "file too large", std::to_string(text.size()) + " bytes",
                                  "at most " + std::to_string(Limits::kFileBytesMax) + " bytes"});
  }
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) {
    return unexpected(ConfigError{whole, "not UTF-8", "UTF-16", "UTF-8 text"});
  }
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  const std::string clean = without_carriage_returns(text);
  PlaceFinder places(clean, file_name);
  if (auto error = check_text(clean, places)) return unexpected(std::move(*error));
  if (const auto deep = find_deep_bracket(clean)) return unexpected(too_deep(places.at(*deep)));
  TreeBuilder builder(places);
  if (auto error = build(clean, builder, places)) return unexpected(std::move(*error));
  if (const auto quote = builder.last_quote();
      quote && !is_quote_closed(std::string_view(clean).substr(*quote))) {
    return unexpected(ConfigError{places.at(*quote), "a quote that is never closed", "",
                                  std::string("a second ") + clean[*quote]});
  }
  if (builder.root().is_null()) {
    return unexpected(ConfigError{whole, "nothing in it", "", "a map with hosts, services, ..."});
  }
  if (auto error = find_duplicate(builder.root(), "")) return unexpected(std::move(*error));
  return std::move(builder.root());
}

Result<void> apply_override(ConfigValue& tree, std::string_view key, std::string_view value) {
  const Place place{"--set " + std::string(key) + "=" + std::string(value), 0, 0};
  ConfigValue parsed = ConfigValue::null(place);
  if (value.find_first_not_of(" \t") != std::string_view::npos) {
    auto tree_of_value = parse_yaml(value, place.file);
    if (!tree_of_value) {
      tree_of_value.error().place = place;
      return unexpected(std::move(tree_of_value.error()));
    }
    parsed = relocated(*tree_of_value, place);
  }
  const std::vector<std::string> keys = split_key(key);
  if (keys.size() > Limits::kDepthMax) {
    return unexpected(too_deep(place));
  }
  auto changed = with_value(tree, keys, parsed, "");
  if (!changed) return unexpected(std::move(changed.error()));
  tree = std::move(*changed);
  return {};
}

}  // namespace sluice

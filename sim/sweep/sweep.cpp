#include "sim/sweep/sweep.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <system_error>

#include <nlohmann/json.hpp>

#include "sim/trace_hash/trace_hash.hpp"

namespace sluice::sim {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

tl::unexpected<ConfigError> refuse(const char* option, std::string problem, std::string_view got,
                                   std::string expected) {
  return tl::unexpected(ConfigError{Place{option, 0, 0}, std::move(problem),
                                    "'" + std::string(got) + "'", std::move(expected)});
}

/// Splits at commas that stand in no bracket and no quotes.
std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts{""};
  int depth = 0;
  char quote = 0;
  for (const char each : text) {
    if (quote != 0) {
      if (each == quote) quote = 0;
    } else if (each == '"' || each == '\'') {
      quote = each;
    } else if (each == '[' || each == '{') {
      ++depth;
    } else if (each == ']' || each == '}') {
      --depth;
    } else if (each == ',' && depth == 0) {
      parts.emplace_back();
      continue;
    }
    parts.back() += each;
  }
  return parts;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// A name of letters that every file system takes. What had to be changed or cut leaves a hash, so
/// that two different runs never share a folder.
std::string folder_name(const SweepRun& run) {
  std::string exact;
  for (const auto& [key, value] : run.sets) exact += (exact.empty() ? "" : ",") + key + "=" + value;
  if (run.seed) exact += fmt::format("{}seed={}", exact.empty() ? "" : ",", *run.seed);
  if (exact.empty()) return "run";
  std::string name = exact;
  for (char& each : name) {
    if (std::isalnum(static_cast<unsigned char>(each)) == 0 &&
        std::string_view(".,_=+-").find(each) == std::string_view::npos) {
      each = '_';
    }
  }
  constexpr std::size_t kLengthMax = 180;
  if (name == exact && name.size() <= kLengthMax && name[0] != '.') return name;
  return "run-" + name.substr(0, kLengthMax) + "-" + content_hash(exact);
}

std::optional<Json> read_json(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return std::nullopt;
  Json json = Json::parse(stream, nullptr, false);
  if (json.is_discarded() || !json.is_object()) return std::nullopt;
  return json;
}

std::string text_at(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

bool says_complete(const Json& manifest) {
  const auto found = manifest.find("complete");
  return found != manifest.end() && found->is_boolean() && found->get<bool>();
}

void flatten(const Json& json, const std::string& path, std::map<std::string, std::string>& row) {
  for (const auto& [key, value] : json.items()) {
    const std::string name = path.empty() ? key : path + "." + key;
    if (value.is_structured()) {
      flatten(value, name, row);
    } else if (value.is_string()) {
      row[name] = value.get<std::string>();
    } else if (!value.is_null()) {
      row[name] = value.dump();
    }
  }
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char each : text) quoted += each == '"' ? std::string("\"\"") : std::string(1, each);
  return quoted + '"';
}

}  // namespace

Result<SweepKey> parse_set(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return refuse("--set", "no key and value", text, "KEY=VALUE or KEY=VALUE,VALUE,...");
  }
  SweepKey result{std::string(text.substr(0, equals)), split(text.substr(equals + 1))};
  std::set<std::string> seen;
  for (const std::string& value : result.values) {
    if (value.empty()) return refuse("--set", "an empty value", text, "KEY=VALUE,VALUE,...");
    if (!seen.insert(value).second) {
      return refuse("--set", "the same value twice", value, "each value once");
    }
  }
  return result;
}

Result<std::vector<std::uint64_t>> parse_seeds(std::string_view text) {
  constexpr const char* kForm = "1..20 or 1,5,9";
  std::vector<std::uint64_t> seeds;
  std::set<std::uint64_t> seen;
  for (const std::string& part : split(text)) {
    const auto dots = part.find("..");
    const auto first = number(std::string_view(part).substr(0, dots));
    const auto last =
        dots == std::string::npos ? first : number(std::string_view(part).substr(dots + 2));
    if (!first || !last) return refuse("--seeds", "not a list of seeds", text, kForm);
    if (*first > *last) return refuse("--seeds", "a range that goes down", part, kForm);
    if (*last - *first >= kSweepRunCountMax) {
      return refuse("--seeds", "too many seeds", part,
                    fmt::format("at most {}", kSweepRunCountMax));
    }
    for (std::uint64_t i = 0; i <= *last - *first; ++i) {
      if (!seen.insert(*first + i).second) {
        return refuse("--seeds", "the same seed twice", text, "each seed once");
      }
      seeds.push_back(*first + i);
    }
  }
  return seeds;
}

Result<std::vector<SweepRun>> expand_sweep(std::span<const SweepKey> keys,
                                           std::span<const std::uint64_t> seeds) {
  std::set<std::string> names;
  std::size_t count = std::max<std::size_t>(1, seeds.size());
  for (const SweepKey& key : keys) {
    if (!names.insert(key.key).second) {
      return refuse("--set", "the same key twice", key.key, "each key once");
    }
    count *= key.values.size();
    if (count > kSweepRunCountMax) {
      return refuse("--set", "too many runs", std::to_string(count),
                    fmt::format("at most {}", kSweepRunCountMax));
    }
  }
  std::vector<SweepRun> runs{SweepRun{}};
  for (const SweepKey& key : keys) {
    std::vector<SweepRun> longer;
    for (const SweepRun& run : runs) {
      for (const std::string& value : key.values) {
        longer.push_back(run);
        longer.back().sets.emplace_back(key.key, value);
      }
    }
    runs = std::move(longer);
  }
  if (!seeds.empty()) {
    std::vector<SweepRun> longer;
    for (const SweepRun& run : runs) {
      for (const std::uint64_t seed : seeds) {
        longer.push_back(run);
        longer.back().seed = seed;
      }
    }
    runs = std::move(longer);
  }
  for (SweepRun& run : runs) run.folder = folder_name(run);
  return runs;
}

bool is_complete(const std::string& run_folder, std::string_view resolved_hash) {
  const auto manifest = read_json(fs::path(run_folder) / "manifest.json");
  return manifest && says_complete(*manifest) &&
         text_at(*manifest, "resolved_hash") == resolved_hash;
}

Result<std::size_t> write_sweep_csv(const std::string& folder, std::span<const SweepRun> runs) {
  std::vector<std::string> columns{"run"};
  if (!runs.empty()) {
    for (const auto& [key, value] : runs.front().sets) columns.push_back(key);
  }
  for (const char* each : {"seed", "commit", "trace_hash"}) columns.emplace_back(each);
  const std::size_t fixed_count = columns.size();
  std::set<std::string> metrics;
  std::vector<std::map<std::string, std::string>> rows;
  for (const SweepRun& run : runs) {
    const fs::path path = fs::path(folder) / run.folder;
    const auto manifest = read_json(path / "manifest.json");
    const auto summary = read_json(path / "summary.json");
    if (!manifest || !summary || !says_complete(*manifest)) continue;
    std::map<std::string, std::string> row;
    flatten(*summary, "", row);
    for (const auto& [name, value] : row) metrics.insert(name);
    row["run"] = run.folder;
    for (const auto& [key, value] : run.sets) row[key] = value;
    const auto seed = manifest->find("seed");
    row["seed"] = seed != manifest->end() ? seed->dump() : "";
    row["commit"] = text_at(*manifest, "commit");
    row["trace_hash"] = text_at(*manifest, "trace_hash");
    rows.push_back(std::move(row));
  }
  for (const std::string& metric : metrics) {
    const auto end = columns.begin() + static_cast<std::ptrdiff_t>(fixed_count);
    if (std::find(columns.begin(), end, metric) == end) columns.push_back(metric);
  }
  std::string text;
  for (std::size_t i = 0; i < columns.size(); ++i) text += (i ? "," : "") + csv_field(columns[i]);
  text += '\n';
  for (auto& row : rows) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      text += (i ? "," : "") + csv_field(row[columns[i]]);
    }
    text += '\n';
  }
  const fs::path final_path = fs::path(folder) / "sweep.csv";
  const fs::path partial = fs::path(folder) / ".sweep.csv.partial";
  std::ofstream stream(partial, std::ios::binary);
  stream << text;
  stream.close();
  std::error_code error;
  if (stream) fs::rename(partial, final_path, error);
  if (!stream || error) {
    return tl::unexpected(ConfigError{Place{final_path.string(), 0, 0},
                                      "cannot be written",
                                      error ? error.message() : "an error",
                                      {}});
  }
  return rows.size();
}

}  // namespace sluice::sim

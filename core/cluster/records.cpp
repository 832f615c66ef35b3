#include "core/cluster/records.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <utility>

#include "core/packet/mac_text.hpp"

namespace sluice {
namespace {

constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kNameMax = 64;
constexpr std::uint32_t kCoreCountMax = 4096;

/// The fields of a record, each to be asked for once; the first mistake is kept.
class RecordReader {
 public:
  RecordReader(std::string_view text, std::string_view kind, const std::string& path)
      : path_(path) {
    if (text.size() > kRecordBytesMax) {
      fail("too large", std::to_string(text.size()) + " bytes",
           "at most " + std::to_string(kRecordBytesMax));
      return;
    }
    read_title(next_line(text), kind);
    while (!error_ && !text.empty()) read_field(next_line(text));
  }

  std::string_view text(std::string_view key) {
    if (error_) return {};
    const auto found = fields_.find(key);
    if (found == fields_.end()) {
      fail(std::string(key) + ": missing", {}, {});
      return {};
    }
    const std::string_view value = found->second;
    fields_.erase(found);
    return value;
  }
  std::uint64_t number(std::string_view key, std::uint64_t most) {
    const std::string_view value = text(key);
    if (error_) return 0;
    std::uint64_t number = 0;
    const auto [end, code] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (code != std::errc{} || end != value.data() + value.size() || number > most) {
      fail(std::string(key) + ": not a number in range", shown(value),
           "0 to " + std::to_string(most));
      return 0;
    }
    return number;
  }
  std::string name(std::string_view key) {
    const std::string_view value = text(key);
    const auto fits = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '_' || c == '-' || c == '.';
    };
    if (!error_ && (value.empty() || value.size() > kNameMax ||
                    !std::all_of(value.begin(), value.end(), fits))) {
      fail(std::string(key) + ": not a name", shown(value),
           "1 to " + std::to_string(kNameMax) + " of a-z, A-Z, 0-9, _, - and .");
    }
    return std::string(value);
  }
  bool flag(std::string_view key) {
    const std::string_view value = text(key);
    if (!error_ && value != "yes" && value != "no") {
      fail(std::string(key) + ": not a truth value", shown(value), "yes or no");
    }
    return value == "yes";
  }
  /// What parse_mac() and IpAddress::parse() read; their own messages repeat what a stranger wrote.
  template <class Value>
  Value parsed(std::string_view key, Result<Value, std::string> (*parse)(std::string_view),
               std::string example) {
    const std::string_view value = text(key);
    if (error_) return {};
    auto result = parse(value);
    if (!result) {
      fail(std::string(key) + ": not an address", shown(value), std::move(example));
      return {};
    }
    return *result;
  }
  void check(bool right, std::string_view key, std::string expected) {
    if (!error_ && !right) fail(std::string(key) + ": out of range", {}, std::move(expected));
  }

  template <class Record>
  Result<Record> finish(Record record) {
    if (!error_ && !fields_.empty()) {
      fail("unknown field", shown(fields_.begin()->first), {});
    }
    if (error_) return unexpected(std::move(*error_));
    return record;
  }

 private:
  static std::string_view next_line(std::string_view& text) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return line;
  }
  /// What a stranger wrote, fit for one line of a log.
  static std::string shown(std::string_view text) {
    constexpr std::size_t kShownMax = 40;
    std::string result = "\"";
    for (const char c : text.substr(0, kShownMax)) result += c >= 0x20 && c < 0x7f ? c : '?';
    return result + (text.size() > kShownMax ? "...\"" : "\"");
  }
  void read_title(std::string_view line, std::string_view kind) {
    const std::string expected = std::string(kind) + " " + std::to_string(kVersion);
    if (line == expected) return;
    const bool is_kind = line.starts_with(std::string(kind) + " ");
    fail(
        is_kind ? "written by another version of Sluice" : "not a record of a " + std::string(kind),
        shown(line), expected);
  }
  void read_field(std::string_view line) {
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos || space == 0) {
      fail("not a field and its value", shown(line), "FIELD VALUE");
      return;
    }
    const std::string_view key = line.substr(0, space);
    if (!fields_.emplace(key, line.substr(space + 1)).second) {
      fail("twice the same field", shown(key), {});
    }
  }
  void fail(std::string problem, std::string got, std::string expected) {
    if (error_) return;
    error_ =
        ConfigError{Place{path_, 0, 0}, std::move(problem), std::move(got), std::move(expected)};
  }

  const std::string& path_;
  std::map<std::string_view, std::string_view> fields_;
  std::optional<ConfigError> error_;
};

std::string title(std::string_view kind) {
  return std::string(kind) + " " + std::to_string(kVersion) + "\n";
}

void put(std::string& text, std::string_view key, std::string_view value) {
  text.append(key).append(" ").append(value).append("\n");
}
void put(std::string& text, std::string_view key, std::uint64_t value) {
  put(text, key, std::string_view{std::to_string(value)});
}

}  // namespace

std::string to_text(const HostRecord& record) {
  std::string text = title("host");
  put(text, "name", record.name);
  put(text, "epoch", record.epoch);
  put(text, "address", record.address.to_string());
  put(text, "mac", to_text(record.mac));
  put(text, "cores_total", record.cores_total);
  put(text, "cores_free", record.cores_free);
  put(text, "clock_hz", record.clock.hz);
  return text;
}

std::string to_text(const ServiceRecord& record) {
  std::string text = title("service");
  put(text, "instances", record.instance_count);
  put(text, "load_ppm", record.load.value);
  put(text, "capacity_ppm", record.capacity.value);
  return text;
}

std::string to_text(const InstanceRecord& record) {
  std::string text = title("instance");
  put(text, "service", record.service);
  put(text, "host", index_of(record.host));
  put(text, "number", index_of(record.number));
  put(text, "accepts", std::string_view{record.accepts ? "yes" : "no"});
  return text;
}

Result<HostRecord> parse_host_record(std::string_view text, const std::string& path) {
  RecordReader reader(text, "host", path);
  HostRecord record;
  record.name = reader.name("name");
  record.epoch = static_cast<std::uint32_t>(reader.number("epoch", 0xffffffff));
  record.address = reader.parsed<IpAddress>("address", &IpAddress::parse, "one as 10.0.0.1");
  record.mac = reader.parsed<MacAddress>("mac", &parse_mac, "one as 02:00:00:00:00:01");
  record.cores_total = static_cast<std::uint32_t>(reader.number("cores_total", kCoreCountMax));
  record.cores_free = static_cast<std::uint32_t>(reader.number("cores_free", kCoreCountMax));
  reader.check(record.cores_free <= record.cores_total, "cores_free", "at most cores_total");
  record.clock.hz = reader.number("clock_hz", 1'000'000'000'000);
  return reader.finish(std::move(record));
}

Result<ServiceRecord> parse_service_record(std::string_view text, const std::string& path) {
  RecordReader reader(text, "service", path);
  ServiceRecord record;
  record.instance_count = static_cast<std::uint32_t>(reader.number("instances", 0xffff));
  record.load.value = static_cast<std::uint32_t>(reader.number("load_ppm", 0xffffffff));
  record.capacity.value = static_cast<std::uint32_t>(reader.number("capacity_ppm", 0xffffffff));
  return reader.finish(record);
}

Result<InstanceRecord> parse_instance_record(std::string_view text, const std::string& path) {
  constexpr std::uint64_t kHostMax = 1022;  // FlowId has 10 bits for it, and kNoFlow takes one.
  RecordReader reader(text, "instance", path);
  InstanceRecord record;
  record.service = reader.name("service");
  record.host = HostId{static_cast<std::uint16_t>(reader.number("host", kHostMax))};
  record.number = InstanceId{static_cast<std::uint16_t>(reader.number("number", 0xfffe))};
  record.accepts = reader.flag("accepts");
  return reader.finish(std::move(record));
}

}  // namespace sluice

#include "cli/results/series_writer.hpp"

#include <fmt/format.h>

namespace sluice::cli {
namespace {

/// Seconds with all nanoseconds that are not zero: exact, and the same everywhere.
std::string seconds_text(Instant at) {
  const std::uint64_t ns = to_ns(at);
  std::string text = fmt::format("{}.{:09}", ns / 1'000'000'000, ns % 1'000'000'000);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

/// Names come from users: quoted as RFC 4180 wants where they would break a row.
std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\n\r") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char each : text) {
    if (each == '"') quoted += '"';
    quoted += each;
  }
  return quoted + '"';
}

}  // namespace

SeriesWriter::SeriesWriter(const std::string& path) : stream_(path, std::ios::binary) {
  stream_ << "time,entity,metric,value,unit\n";
}

void SeriesWriter::row(Instant at, std::string_view entity, std::string_view metric,
                       std::string_view value, std::string_view unit) {
  stream_ << seconds_text(at) << ',' << csv_field(entity) << ',' << csv_field(metric) << ','
          << value << ',' << csv_field(unit) << '\n';
}

void SeriesWriter::add(Instant at, std::string_view entity, std::string_view metric,
                       std::uint64_t value, std::string_view unit) {
  row(at, entity, metric, fmt::format("{}", value), unit);
}

void SeriesWriter::add(Instant at, std::string_view entity, std::string_view metric, double value,
                       std::string_view unit) {
  row(at, entity, metric, fmt::format("{}", value), unit);
}

bool SeriesWriter::close() {
  stream_.close();
  return !stream_.fail();
}

}  // namespace sluice::cli

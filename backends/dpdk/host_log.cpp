#include "backends/dpdk/host_log.hpp"

#include <fmt/format.h>
#include <rte_log.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <stdio.h>

#include <memory>
#include <utility>

namespace sluice::dpdk {
namespace {

using Json = nlohmann::ordered_json;

std::string dumped(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool needs_quotes(std::string_view text) {
  if (text.empty()) return true;
  for (const char each : text) {
    if (each <= ' ' || each == '"' || each == '=' || each == '\\' || each == 0x7f) return true;
  }
  return false;
}

std::string value_text(const Json& value) {
  if (!value.is_string()) return dumped(value);
  const auto& text = value.get_ref<const std::string&>();
  return needs_quotes(text) ? dumped(value) : text;
}

/// DPDK writes lines into a stream; what comes here are whole lines, for stdio keeps them until the
/// newline.
ssize_t take_line_of_dpdk(void* log, const char* bytes, std::size_t size) {
  std::string_view text{bytes, size};
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  if (!text.empty()) {
    static_cast<const HostLog*>(log)->warn("dpdk", {{"message", std::string(text)}});
  }
  return static_cast<ssize_t>(size);
}

}  // namespace

HostLog::HostLog(Format format, std::string host) : format_(format), host_(std::move(host)) {
  auto logger =
      std::make_shared<spdlog::logger>("sluice", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  // In JSON, line() gives the rest of the object.
  const char* pattern = format == Format::kText
                            ? "%Y-%m-%dT%H:%M:%S.%eZ %l %v"
                            : R"({"time":"%Y-%m-%dT%H:%M:%S.%fZ","level":"%l",%v)";
  logger->set_pattern(pattern, spdlog::pattern_time_type::utc);
  spdlog::set_default_logger(std::move(logger));
  ::cookie_io_functions_t functions{};
  functions.write = take_line_of_dpdk;
  if (FILE* stream = ::fopencookie(this, "w", functions); stream != nullptr) {
    ::setvbuf(stream, nullptr, _IOLBF, 4096);
    rte_openlog_stream(stream);
  }
}

HostLog::~HostLog() {
  FILE* stream = rte_log_get_stream();
  rte_openlog_stream(nullptr);
  if (stream != stderr && stream != nullptr) ::fclose(stream);
}

std::string HostLog::line(std::string_view event, const Fields& fields) const {
  if (format_ == Format::kText) {
    std::string text = fmt::format("{} host={}", event, value_text(host_));
    for (const auto& [key, value] : fields.items()) {
      text += fmt::format(" {}={}", key, value_text(value));
    }
    return text;
  }
  Json object = {{"event", event}, {"host", host_}};
  object.update(fields);
  return dumped(object).substr(1);
}

void HostLog::info(std::string_view event, const Fields& fields) const {
  spdlog::info("{}", line(event, fields));
}

void HostLog::warn(std::string_view event, const Fields& fields) const {
  spdlog::warn("{}", line(event, fields));
}

void HostLog::note(const Note& note, const std::string& service) const {
  Fields fields = Fields::object();
  if (!service.empty()) fields["service"] = service;
  if (!note.name.empty()) fields["instance"] = note.name;
  if (!note.text.empty()) fields["reason"] = note.text;
  info(to_string(note.kind), fields);
}

void HostLog::failure(std::string_view event, const std::string& message) const {
  if (format_ == Format::kText) {
    fmt::print(stderr, "{}\n", message);
  } else {
    spdlog::error("{}", line(event, {{"message", message}}));
  }
}

}  // namespace sluice::dpdk

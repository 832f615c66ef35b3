#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "core/host/agent.hpp"

namespace sluice::dpdk {

/// The log of a host on stderr: each line an event with fields, so that programs can read it.
///
/// Text: `2026-01-02T03:04:05.678Z info instance_started host=h1 service=ids instance=ids.1`, with
/// values in quotes where they need them. JSON: one object a line with time, level, event and the
/// fields. Times are UTC. Any thread.
class HostLog {
 public:
  using Fields = nlohmann::ordered_json;  ///< An object of numbers and texts.
  enum class Format : std::uint8_t { kText, kJson };

  /// One a process: what DPDK says is logged here as well, as event `dpdk`.
  HostLog(Format format, std::string host);
  ~HostLog();
  HostLog(const HostLog&) = delete;
  HostLog& operator=(const HostLog&) = delete;

  void info(std::string_view event, const Fields& fields = Fields::object()) const;
  void warn(std::string_view event, const Fields& fields = Fields::object()) const;
  /// Something that the agent noted, about the service of this name (may be empty).
  void note(const Note& note, const std::string& service) const;
  /// For a message that a person at the terminal waits for: as it is in text, an object with level
  /// error, event and `message` in JSON.
  void failure(std::string_view event, const std::string& message) const;

 private:
  [[nodiscard]] std::string line(std::string_view event, const Fields& fields) const;

  Format format_;
  std::string host_;
};

}  // namespace sluice::dpdk

#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/result.hpp"
#include "tests/bench/dpdk/child_process.hpp"

namespace sluice::bench {

/// A connection to the control socket of a program. Calls wait for 20 s at most.
class UnixClient {
 public:
  /// Connects as soon as there is someone to connect to. The error has the program's last words.
  [[nodiscard]] static Result<UnixClient, std::string> connect_when_ready(const std::string& path,
                                                                          ChildProcess& server);
  ~UnixClient();
  UnixClient(UnixClient&& other) noexcept;
  UnixClient& operator=(UnixClient&&) = delete;

  /// @return False when nobody listens any more.
  [[nodiscard]] bool say(std::string_view text);
  /// Some more bytes; nothing when none come any more.
  [[nodiscard]] std::optional<std::string> hear();

 private:
  explicit UnixClient(int file) : file_(file) {}
  int file_;
};

}  // namespace sluice::bench

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tests/bench/dpdk/child_process.hpp"
#include "tests/bench/dpdk/forwarder.hpp"
#include "tests/bench/dpdk/unix_client.hpp"

namespace sluice::bench {

/// A running `sluice host` with one chain from the source to the sink.
class SluiceHost final : public Forwarder {
 public:
  struct Options {
    ForwarderSetup setup{};
    std::uint32_t flow_count = 4096;
    std::string service = "function: forward";  ///< What each step is, as the file says it.
    std::string run = "inline";                 ///< inline, process or container.
    std::uint32_t step_count = 1;
    std::uint32_t core_count = 0;  ///< Of the host; 0: what the steps and a worker need.
    int instance_core = 1;
    std::string sleep_max = "0 ms";
    /// The port that packets come from, if it is not the endless capture.
    std::optional<std::string> source{};
    std::uint64_t pace_bps = 0;  ///< Of frame bytes from the source; 0: all it gives.
    bool json_log = false;       ///< The log, host.log in its folder, as an object a line.
  };

  /// Whether this build has one.
  [[nodiscard]] static bool available();
  /// Starts it and waits until it says that it is ready.
  [[nodiscard]] static Result<SluiceHost, std::string> start(const Options& options);

  [[nodiscard]] Result<SentCount, std::string> count() override;
  [[nodiscard]] std::vector<pid_t> processes() override;
  /// Everything that it says of itself.
  [[nodiscard]] Result<nlohmann::json, std::string> status();
  /// Ends it by SIGTERM. The error says what was wrong: it audits itself at its end.
  [[nodiscard]] Result<void, std::string> stop();
  /// The last lines of its log, for an error message.
  [[nodiscard]] std::string last_words() const { return child_.last_words(); }

 private:
  SluiceHost(ChildProcess child, UnixClient client)
      : child_(std::move(child)), client_(std::move(client)) {}

  ChildProcess child_;
  UnixClient client_;
  std::vector<pid_t> instances_;
};

}  // namespace sluice::bench

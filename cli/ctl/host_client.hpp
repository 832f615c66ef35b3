#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/result.hpp"

namespace sluice::cli {

/// The hosts that run with their sockets in `run_dir`, by name, in order. What a killed host left
/// there does not count.
[[nodiscard]] std::vector<std::string> running_hosts(const std::string& run_dir);

/// Sends one request to a host's control socket and waits for the answer, at most 15 s. The error
/// says in words why there is none; a refusal is an answer ("ok": false).
[[nodiscard]] Result<nlohmann::ordered_json, std::string> ask_host(
    const std::string& run_dir, const std::string& host, const nlohmann::ordered_json& request);

}  // namespace sluice::cli

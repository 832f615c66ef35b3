#pragma once

#include <cstdint>
#include <string>

namespace sluice::bench {

/// Writes a capture of `flow_count` UDP packets of 64 bytes to port 80, each of a flow of its own.
/// @return False when the file cannot be written.
[[nodiscard]] bool write_capture(const std::string& path, std::uint32_t flow_count);

}  // namespace sluice::bench

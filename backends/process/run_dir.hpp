#pragma once

#include <string>

#include "core/result.hpp"

namespace sluice {

/// Where the hosts of this machine have their sockets when nobody says otherwise: SLUICE_RUN_DIR,
/// else /run/sluice for root, else sluice under XDG_RUNTIME_DIR or /tmp/sluice-UID.
[[nodiscard]] std::string default_run_dir();

/// Makes the folder, for us alone. The error says what is in the way.
[[nodiscard]] Result<void, std::string> make_run_dir(const std::string& path);

}  // namespace sluice

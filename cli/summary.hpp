#pragma once

#include <string>

#include "core/deployment/deployment.hpp"

namespace sluice::cli {

/// What a deployment says, in a few lines for a person: hosts, services, chains with their steps.
[[nodiscard]] std::string summary(const Deployment& deployment);

}  // namespace sluice::cli

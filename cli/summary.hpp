#pragma once

#include <string>

#include "core/deployment/deployment.hpp"
#include "core/deployment/site.hpp"

namespace sluice::cli {

/// What a deployment says, in a few lines for a person: hosts, services, chains with their steps.
[[nodiscard]] std::string summary(const Deployment& deployment);

/// What a site file says of the hosts of `deployment`: a line each.
[[nodiscard]] std::string summary(const Site& site, const std::string& file,
                                  const Deployment& deployment);

}  // namespace sluice::cli

#pragma once

#include "core/deployment/deployment.hpp"
#include "core/result.hpp"

namespace sluice {

/// Whether a good deployment can be simulated: programs of third parties run on real hosts only.
/// The error is in the form of a bad file.
[[nodiscard]] Result<void> check_simulable(const Deployment& deployment);

}  // namespace sluice

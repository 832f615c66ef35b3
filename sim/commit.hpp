#pragma once

/// Which Sluice this is; sim/commit.cpp is written anew by each build.
namespace sluice::sim {

extern const char* const kCommit;  ///< The commit, with "-dirty" when the tree differs from it.
extern const char* const kNs3Version;

}  // namespace sluice::sim

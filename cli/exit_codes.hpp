#pragma once

/// How every Sluice program ends (DESIGN 12). Core knows no exit codes; the programs share these.
namespace sluice::cli {

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;  ///< Wrong command line or bad file; nothing was started.
inline constexpr int kExitEnvironment = 3;  ///< The machine or the build lacks something.
inline constexpr int kExitInvariant = 70;   ///< An invariant broke: the mistake is ours.

}  // namespace sluice::cli

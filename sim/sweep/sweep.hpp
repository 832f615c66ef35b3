#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.hpp"

namespace sluice::sim {

/// `--set KEY=a,b,c`: a key of the deployment file and the values that it takes in turn.
struct SweepKey {
  std::string key;
  std::vector<std::string> values;
  bool operator==(const SweepKey&) const = default;
};

/// One run of a sweep.
struct SweepRun {
  std::string folder;  ///< Its name below the sweep's folder: the same for the same sets and seed.
  std::vector<std::pair<std::string, std::string>> sets;
  std::optional<std::uint64_t> seed;  ///< Nothing: that of the file.
  bool operator==(const SweepRun&) const = default;
};

inline constexpr std::size_t kSweepRunCountMax = 100'000;

/// Reads "scaling.up.occupancy=0.5,0.7,0.9". A comma in brackets or quotes belongs to the value.
[[nodiscard]] Result<SweepKey> parse_set(std::string_view text);
/// Reads "1..20" or "1,5,9" or both mixed, without repetition.
[[nodiscard]] Result<std::vector<std::uint64_t>> parse_seeds(std::string_view text);

/// All combinations, the last key fastest and the seeds fastest of all.
[[nodiscard]] Result<std::vector<SweepRun>> expand_sweep(std::span<const SweepKey> keys,
                                                         std::span<const std::uint64_t> seeds);

/// Whether `run_folder` holds a whole run of the resolved file whose hash this is: then a sweep
/// that is resumed need not make it again. The commit is not compared, for a sweep may outlast one;
/// sweep.csv has it, so that a mixture is seen.
[[nodiscard]] bool is_complete(const std::string& run_folder, std::string_view resolved_hash);

/// Gathers the summaries of all runs that are complete below `folder` into its sweep.csv: a row a
/// run (run, the keys, seed, commit, trace_hash, then each scalar of summary.json, "a.b.c" for
/// nested ones).
/// @return How many rows.
[[nodiscard]] Result<std::size_t> write_sweep_csv(const std::string& folder,
                                                  std::span<const SweepRun> runs);

}  // namespace sluice::sim

#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/results/pcap_writer.hpp"
#include "cli/results/series_writer.hpp"
#include "core/result.hpp"
#include "core/units.hpp"

namespace sluice::cli {

/// What a run was, for who wants to repeat it. No time of day and no duration: the same file, seed
/// and commit give the same bytes, but for `machine` and `command`, which say where and how it was
/// called.
struct RunManifest {
  std::string name;                                           ///< Of the deployment.
  std::string question;                                       ///< The plot's title; may be empty.
  std::string commit;                                         ///< Of Sluice.
  std::vector<std::pair<std::string, std::string>> versions;  ///< Library and version.
  std::string resolved_file;  ///< The whole deployment file with all defaults.
  std::string resolved_hash;  ///< content_hash() of it: what a sweep resumes by.
  std::uint64_t seed = 0;
  std::string machine;
  std::vector<std::string> command;
  std::string trace_hash;  ///< 16 hex digits.
  bool complete = false;   ///< False when the run was interrupted.
};

/// Writes the result folder of one run (DESIGN 12): manifest.json, summary.json, series.csv,
/// events.jsonl, captures/NAME.pcap, and timing.json, the one file that no other run reproduces.
///
/// All goes into a hidden sibling folder, which finish() renames, so that a folder under the final
/// name is always whole. Without finish() nothing stays. A finished folder under that name is
/// replaced; one that holds something else is not touched.
class RunWriter {
 public:
  /// Makes the temporary folder, and its parents.
  [[nodiscard]] static Result<std::unique_ptr<RunWriter>> create(const std::string& folder);
  ~RunWriter();
  RunWriter(const RunWriter&) = delete;
  RunWriter& operator=(const RunWriter&) = delete;

  /// One row of series.csv, as SeriesWriter::add.
  template <class Value>
  void add(Instant at, std::string_view entity, std::string_view metric, Value value,
           std::string_view unit) {
    series_.add(at, entity, metric, value, unit);
  }
  /// One line of events.jsonl; `fields` follow at_ns and kind, in their order.
  void event(Instant at, std::string_view kind,
             const nlohmann::ordered_json& fields = nlohmann::ordered_json::object());
  /// A capture called `name` ("h1.p1"), made when first asked for. It lives as long as this writer.
  [[nodiscard]] PcapWriter& capture(const std::string& name);

  /// Writes the rest and gives the folder its name. To be called once; then only the path is of
  /// use.
  /// @param timing What the wall clock said: into timing.json.
  [[nodiscard]] Result<void> finish(const RunManifest& manifest,
                                    const nlohmann::ordered_json& summary,
                                    const nlohmann::ordered_json& timing);

 private:
  RunWriter(std::string folder, std::string temporary);
  [[nodiscard]] Result<void> write(const std::string& name, const std::string& text) const;
  [[nodiscard]] Result<void> close_files();

  std::string folder_;
  std::string temporary_;
  bool finished_ = false;
  SeriesWriter series_;
  std::ofstream events_;
  std::map<std::string, std::unique_ptr<PcapWriter>> captures_;
};

}  // namespace sluice::cli

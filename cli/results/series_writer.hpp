#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>

#include "core/units.hpp"

namespace sluice::cli {

/// Writes series.csv (DESIGN 12): a line each of time, entity, metric, value and unit.
class SeriesWriter {
 public:
  /// Begins the file at `path`.
  explicit SeriesWriter(const std::string& path);

  /// One row: `metric` of `entity` ("service:ids") at `at`, in `unit`.
  void add(Instant at, std::string_view entity, std::string_view metric, std::uint64_t value,
           std::string_view unit);
  /// A fraction is written with the fewest digits that give it back.
  void add(Instant at, std::string_view entity, std::string_view metric, double value,
           std::string_view unit);

  /// Lets others see the rows so far.
  void flush() { stream_.flush(); }
  /// @return Whether all so far could be written.
  [[nodiscard]] bool good() const { return stream_.good(); }
  /// @return Whether all was written.
  [[nodiscard]] bool close();

 private:
  void row(Instant at, std::string_view entity, std::string_view metric, std::string_view value,
           std::string_view unit);

  std::ofstream stream_;
};

}  // namespace sluice::cli

#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace sluice::cli {

/// How a piece of text stands out on a terminal with colours.
enum class TextStyle { kPlain, kBold, kDim, kGood, kWarning, kBad };

/// `text` with the terminal's codes around it; as it is without `colour`.
[[nodiscard]] std::string styled(const std::string& text, TextStyle style, bool colour);

/// A table for a terminal: columns as wide as their content, numbers to the right, nothing beyond
/// the terminal's edge. The first column gives way first, then the last ones are cut off.
class TextTable {
 public:
  struct Column {
    std::string title;
    bool is_number = true;
  };
  struct Cell {
    std::string text;
    TextStyle style = TextStyle::kPlain;
  };
  explicit TextTable(std::vector<Column> columns);

  /// One cell for each column.
  void add(std::vector<Cell> row);
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  /// Lines with their ends, at most `width_max` columns wide; the text must be ASCII.
  [[nodiscard]] std::string render(std::size_t width_max, bool colour) const;

 private:
  [[nodiscard]] std::vector<std::size_t> widths(std::size_t width_max) const;

  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace sluice::cli

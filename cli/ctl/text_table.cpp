#include "cli/ctl/text_table.hpp"

#include <algorithm>
#include <utility>

#include "core/check.hpp"

namespace sluice::cli {
namespace {

constexpr std::size_t kGap = 2;
constexpr std::size_t kFirstWidthMin = 16;
constexpr std::size_t kTailWidth = 4;  ///< The number of an instance ends its name.

const char* code_of(TextStyle style) {
  switch (style) {
    case TextStyle::kPlain:
      return "";
    case TextStyle::kBold:
      return "\x1b[1m";
    case TextStyle::kDim:
      return "\x1b[2m";
    case TextStyle::kGood:
      return "\x1b[32m";
    case TextStyle::kWarning:
      return "\x1b[33m";
    case TextStyle::kBad:
      return "\x1b[31m";
  }
  return "";
}

std::string fitted(const std::string& text, std::size_t width, bool to_the_right) {
  if (text.size() > width) {
    const std::size_t tail = std::min(kTailWidth, width - 1);
    return text.substr(0, width - 1 - tail) + "~" + text.substr(text.size() - tail);
  }
  const std::string spaces(width - text.size(), ' ');
  return to_the_right ? spaces + text : text + spaces;
}

}  // namespace

std::string styled(const std::string& text, TextStyle style, bool colour) {
  if (!colour || style == TextStyle::kPlain) return text;
  return code_of(style) + text + "\x1b[0m";
}

TextTable::TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {}

void TextTable::add(std::vector<Cell> row) {
  SLUICE_CHECK(row.size() == columns_.size());
  rows_.push_back(std::move(row));
}

std::vector<std::size_t> TextTable::widths(std::size_t width_max) const {
  std::vector<std::size_t> widths;
  std::size_t total = 0;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = columns_[i].title.size();
    for (const auto& row : rows_) width = std::max(width, row[i].text.size());
    widths.push_back(width);
    total += width + (i > 0 ? kGap : 0);
  }
  if (total > width_max) {
    const std::size_t spare = widths[0] - std::min(widths[0], kFirstWidthMin);
    const std::size_t given = std::min(spare, total - width_max);
    widths[0] -= given;
    total -= given;
  }
  while (total > width_max && widths.size() > 1) {
    total -= widths.back() + kGap;
    widths.pop_back();
  }
  return widths;
}

std::string TextTable::render(std::size_t width_max, bool colour) const {
  const std::vector<std::size_t> width = widths(width_max);
  const auto line_of = [&](const std::vector<Cell>& cells) {
    std::string line;
    for (std::size_t i = 0; i < width.size(); ++i) {
      if (i > 0) line.append(kGap, ' ');
      const std::string text = fitted(cells[i].text, width[i], columns_[i].is_number);
      line += styled(text, cells[i].style, colour);
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    return line + "\n";
  };
  std::vector<Cell> titles;
  for (const Column& column : columns_) titles.push_back({column.title, TextStyle::kDim});
  std::string text = line_of(titles);
  for (const auto& row : rows_) text += line_of(row);
  return text;
}

}  // namespace sluice::cli

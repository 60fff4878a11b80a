#include "tools/authctl/text_table.hpp"

#include <algorithm>

namespace authctl {
namespace {

// Code points, not bytes. Wide and combining characters are off by one column: names rarely hold them.
std::size_t width_of(const std::string& cell) {
  return static_cast<std::size_t>(std::ranges::count_if(cell, [](char c) { return (c & 0xc0) != 0x80; }));
}

void append_line(std::string& out, const std::vector<std::string>& cells,
                 const std::vector<std::size_t>& widths, const std::vector<TextTable::Column>& columns) {
  constexpr std::size_t kGap = 2;
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::string padding(widths[i] - width_of(cells[i]), ' ');
    if (i > 0) line.append(kGap, ' ');
    line += columns[i].align == Align::kRight ? padding + cells[i] : cells[i] + padding;
  }
  line.erase(line.find_last_not_of(' ') + 1);
  out += line + '\n';
}

}  // namespace

void TextTable::add_row(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  rows_.push_back(std::move(cells));
}

std::string TextTable::render() const {
  std::vector<std::string> headings;
  std::vector<std::size_t> widths;
  for (const Column& column : columns_) {
    headings.push_back(column.heading);
    widths.push_back(width_of(column.heading));
  }
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::string out;
  const bool has_headings = std::ranges::any_of(headings, [](const auto& text) { return !text.empty(); });
  if (has_headings) append_line(out, headings, widths, columns_);
  for (const auto& row : rows_) append_line(out, row, widths, columns_);
  return out;
}

}  // namespace authctl

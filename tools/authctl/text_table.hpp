// Rows under headings, for people: columns as wide as their widest cell, two spaces between, numbers to the
// right, nothing at a line's end. One thread.
#pragma once

#include <string>
#include <vector>

namespace authctl {

enum class Align : bool { kLeft, kRight };

class TextTable {
 public:
  struct Column {
    std::string heading;  // may be empty in all columns: then no heading line is printed
    Align align = Align::kLeft;
  };
  explicit TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // As many cells as there are columns; missing ones are empty. Cells are printed as they are: escape first.
  void add_row(std::vector<std::string> cells);
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  [[nodiscard]] std::string render() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace authctl

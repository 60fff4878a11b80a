#include "tools/authctl/text_table.hpp"

#include <gtest/gtest.h>

namespace authctl {
namespace {

TEST(TextTable, ColumnsAreAsWideAsTheirWidestCell) {
  TextTable table({{"NAME"}, {"COUNT", Align::kRight}, {"NOTE"}});
  table.add_row({"a", "1", "first"});
  table.add_row({"longer", "12345678", ""});
  EXPECT_EQ(table.render(),
            "NAME       COUNT  NOTE\n"
            "a              1  first\n"
            "longer  12345678\n");
}

TEST(TextTable, CharactersCountNotBytes) {
  TextTable table({{""}, {""}});
  table.add_row({"J\xc3\xbcrgen", "x"});
  table.add_row({"Jurgen", "y"});
  EXPECT_EQ(table.render(), "J\xc3\xbcrgen  x\nJurgen  y\n");
}

TEST(TextTable, WithoutHeadingsThereIsNoHeadingLine) {
  TextTable table({{""}, {""}});
  EXPECT_EQ(table.render(), "");
  EXPECT_TRUE(table.empty());
  table.add_row({"key"});
  EXPECT_EQ(table.render(), "key\n");
}

}  // namespace
}  // namespace authctl

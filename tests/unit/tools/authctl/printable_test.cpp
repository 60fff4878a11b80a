#include "tools/authctl/printable.hpp"

#include <gtest/gtest.h>

namespace authctl {
namespace {

TEST(Printable, TextStaysAsItIs) {
  EXPECT_EQ(printable("alice@example.org, J\xc3\xbcrgen \xf0\x9f\x99\x82"),
            "alice@example.org, J\xc3\xbcrgen \xf0\x9f\x99\x82");
}

TEST(Printable, ControlSequencesBecomeVisible) {
  EXPECT_EQ(printable("a\x1b[31mb"), "a\\u{1b}[31mb");
  EXPECT_EQ(printable("a\r\nb"), "a\\u{d}\\u{a}b");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\u{0}b");
  EXPECT_EQ(printable("\xc2\x9b"), "\\u{9b}");        // C1: one character that begins a sequence
  EXPECT_EQ(printable("\xe2\x80\xae"), "\\u{202e}");  // turns the line around
}

TEST(Printable, AnEscapeCannotBeForged) { EXPECT_EQ(printable("\\u{1b}"), "\\\\u{1b}"); }

TEST(Printable, BytesThatAreNoUtf8AreShownAsBytes) {
  EXPECT_EQ(printable("\xff"), "\\xff");
  EXPECT_EQ(printable("\xc3"), "\\xc3");                    // cut
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf");           // overlong
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // surrogate
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
  EXPECT_FALSE(is_utf8("ok\xff"));
  EXPECT_TRUE(is_utf8(""));
}

TEST(Printable, JsonStaysTheSameDocument) {
  EXPECT_EQ(printable_json("{\"a\":\"\xc2\x9b\x7f\xe2\x80\xae\"}\n"), "{\"a\":\"\\u009b\\u007f\\u202e\"}\n");
  EXPECT_EQ(printable_json("{\"a\":\"\xff\"}"), "{\"a\":\"\\ufffd\"}");
  EXPECT_EQ(printable_json("{\"a\":\"\\n \xc3\xbc\"}"), "{\"a\":\"\\n \xc3\xbc\"}");
}

}  // namespace
}  // namespace authctl

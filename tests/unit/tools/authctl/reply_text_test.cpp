#include "tools/authctl/reply_text.hpp"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace authctl {
namespace {

namespace json = boost::json;

std::string text_of(std::string_view member, const char* value) {
  return member_text(member, json::parse(value));
}

TEST(ReplyText, AMembersNameSaysItsUnit) {
  EXPECT_EQ(text_of("refused_after_ns", "41000"), "41us");
  EXPECT_EQ(text_of("expires_wall_ns", "1772366400000000000"), "2026-03-01T12:00:00Z");
  EXPECT_EQ(text_of("file_bytes", "1048576"), "1.0 MiB");
  EXPECT_EQ(text_of("generation", "41000"), "41000");
  EXPECT_EQ(member_label("heartbeat_age_ns"), "heartbeat age");
  EXPECT_EQ(member_label("created_wall_ns"), "created");
  EXPECT_EQ(member_label("text_used_bytes"), "text used");
}

TEST(ReplyText, WhatIsNotStatedIsADash) {
  EXPECT_EQ(text_of("revoked_wall_ns", "null"), "-");
  EXPECT_EQ(text_of("expires_wall_ns", "0"), "-");
  EXPECT_EQ(text_of("issued_wall_ns", "-9223372036854775808"), "-");
  EXPECT_EQ(text_of("scopes", "[]"), "-");
  EXPECT_EQ(text_of("scope", "\"\""), "-");
}

TEST(ReplyText, ListsAndObjectsStayOnTheirLine) {
  EXPECT_EQ(text_of("scopes", R"(["read","write"])"), "read write");
  EXPECT_EQ(text_of("state", R"({"open":true,"age_ns":2000000,"error":"no\nfile"})"),
            "open=yes age_ns=2ms error=no\\u{a}file");
}

TEST(ReplyText, HostileTextIsHarmlessInEveryPlace) {
  EXPECT_EQ(text_of("subject", R"("\u001b[2Jroot")"), "\\u{1b}[2Jroot");
  EXPECT_EQ(text_of("scopes", R"(["a\u0007"])"), "a\\u{7}");
  EXPECT_EQ(fields_text(json::parse(R"({"a\u001b":1})").as_object()), "a\\u{1b}  1\n");
}

TEST(ReplyText, FieldsAreAlignedAndOkIsLeftOut) {
  const auto reply =
      json::parse(R"({"ok":true,"change":12,"killed":3,"refused_after_ns":41000})").as_object();
  EXPECT_EQ(fields_text(reply), "change         12\nkilled         3\nrefused after  41us\n");
}

TEST(ReplyText, RowsAreATableOfTheNamedMembers) {
  const auto rows = json::parse(R"([
    {"sid":"a1","subject":"alice","count":5,"expires_wall_ns":1772366400000000000,"later":1},
    {"sid":"b22","count":12345,"expires_wall_ns":0}, "no object"])")
                        .as_array();
  EXPECT_EQ(rows_text(rows, {"sid", "subject", "expires_wall_ns"}),
            "SID  SUBJECT  EXPIRES\n"
            "a1   alice    2026-03-01T12:00:00Z\n"
            "b22  ?        -\n");
  EXPECT_EQ(rows_text(json::array{}, {"sid"}), "");
}

TEST(ReplyText, CountsStandToTheRight) {
  const auto rows = json::parse(R"([{"name":"a","count":5},{"name":"b","count":12345}])").as_array();
  EXPECT_EQ(rows_text(rows, {"count", "name"}), "COUNT  NAME\n    5  a\n12345  b\n");
}

TEST(ReplyText, MembersOfAnotherKindReadAsEmpty) {
  const auto reply = json::parse(R"({"table":[],"rules":{}})").as_object();
  EXPECT_TRUE(object_in(reply, "table").empty());
  EXPECT_TRUE(array_in(reply, "rules").empty());
  EXPECT_TRUE(array_in(reply, "none").empty());
  EXPECT_EQ(text_in(reply, "none"), "?");
}

}  // namespace
}  // namespace authctl

#include "shm/text.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/shm/records.hpp"

namespace {

using namespace authcache::shm;

TEST(Text, FieldsReadBackInOrder) {
  TextBuilder text;
  ASSERT_TRUE(text.add(TextField::kSubject, "alice"));
  ASSERT_TRUE(text.add(TextField::kScopes, ""));
  ASSERT_TRUE(text.add(TextField::kScopes, std::string("a\0b", 3)));
  TextCursor cursor(text.bytes());
  EXPECT_EQ(cursor.next()->value, "alice");
  const auto empty = cursor.next();
  EXPECT_EQ(empty->field, TextField::kScopes);
  EXPECT_EQ(empty->value, "");
  EXPECT_EQ(cursor.next()->value, std::string_view("a\0b", 3));
  EXPECT_FALSE(cursor.next());
  EXPECT_TRUE(cursor.whole());
}

TEST(Text, TheBoundIsExact) {
  TextBuilder text(10);
  EXPECT_FALSE(text.add(TextField::kSubject, "12345678"));
  EXPECT_EQ(text.bytes(), "");
  EXPECT_TRUE(text.add(TextField::kSubject, "1234567"));
  EXPECT_EQ(text.bytes().size(), 10U);
  EXPECT_FALSE(text.add(TextField::kSid, ""));
}

TEST(Text, AValueBeyondItsLengthFieldIsRefused) {
  TextBuilder text(std::size_t{1} << 20);
  EXPECT_TRUE(text.add(TextField::kClaims, std::string(0xffff, 'x')));
  EXPECT_FALSE(text.add(TextField::kClaims, std::string(0x10000, 'x')));
  TextCursor cursor(text.bytes());
  EXPECT_EQ(cursor.next()->value.size(), 0xffffU);
}

TEST(Text, HoldsComparesFieldAndWholeValue) {
  TextBuilder text;
  text.add(TextField::kScopes, "read");
  text.add(TextField::kAudience, "write");
  EXPECT_TRUE(text_holds(text.bytes(), TextField::kScopes, "read"));
  EXPECT_FALSE(text_holds(text.bytes(), TextField::kScopes, "rea"));
  EXPECT_FALSE(text_holds(text.bytes(), TextField::kScopes, "reads"));
  EXPECT_FALSE(text_holds(text.bytes(), TextField::kScopes, "write"));
  EXPECT_FALSE(text_holds(text.bytes(), TextField::kPermissions, "read"));
}

// The copy has exactly the bytes that it may read, so that a sanitizer sees one more.
std::size_t walk(std::string_view bytes) {
  const std::vector<char> exact(bytes.begin(), bytes.end());
  TextCursor cursor({exact.data(), exact.size()});
  std::size_t sum = 0;
  while (const auto item = cursor.next()) {
    for (const char byte : item->value) sum += static_cast<unsigned char>(byte);
    sum += 3;
  }
  return sum;
}

TEST(Text, B7_EveryTruncationEndsTheWalkAndIsNotWhole) {
  TextBuilder text;
  text.add(TextField::kSubject, "alice");
  text.add(TextField::kClaims, "{}");
  const std::string bytes(text.bytes());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    TextCursor cursor(std::string_view(bytes).substr(0, size));
    while (cursor.next()) {
    }
    EXPECT_EQ(cursor.whole(), size == 0 || size == 8) << size;
    walk(std::string_view(bytes).substr(0, size));
  }
}

TEST(Text, B7_HostileBytesNeverLeadOut) {
  walk(std::string("\x01\xff\xff", 3));
  walk(
      std::string("\x01\xff\xff"
                  "abc",
                  6));
  authcache::shm_test::Numbers numbers(2);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(numbers.below(64), '\0');
    for (char& byte : bytes) byte = static_cast<char>(numbers.below(i % 2 == 0 ? 256 : 8));
    walk(bytes);
  }
}

TEST(Text, AFieldNumberAboveTheKnownOnesIsWalkedOver) {
  TextBuilder text;
  text.add(static_cast<TextField>(200), "later");
  text.add(TextField::kSubject, "alice");
  TextCursor cursor(text.bytes());
  EXPECT_EQ(static_cast<int>(cursor.next()->field), 200);
  EXPECT_EQ(cursor.next()->value, "alice");
}

}  // namespace

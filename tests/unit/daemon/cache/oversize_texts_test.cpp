#include "daemon/cache/oversize_texts.hpp"

#include <gtest/gtest.h>

namespace {

using authcached::OversizeTexts;

TEST(OversizeTexts, GivesBackWhatWasPutUnderExactlyItsPlace) {
  OversizeTexts texts;
  texts.put({1, 2, 3}, "text");
  EXPECT_EQ(texts.get({1, 2, 3}), "text");
  EXPECT_EQ(texts.get({1, 2, 4}), "");
  EXPECT_EQ(texts.get({2, 2, 3}), "");
}

TEST(OversizeTexts, TheOldestGoFirstAndTheBoundHolds) {
  OversizeTexts texts;
  for (std::uint64_t i = 0; i < 1'100; ++i) texts.put({1, i, 1}, std::string(OversizeTexts::kTextMax, 'x'));
  EXPECT_LE(texts.bytes(), OversizeTexts::kBytesMax);
  EXPECT_EQ(texts.get({1, 0, 1}), "");
  EXPECT_NE(texts.get({1, 1'099, 1}), "");
}

TEST(OversizeTexts, SmallTextsAreBoundedTooByWhatKeepingThemCosts) {
  OversizeTexts texts;
  for (std::uint64_t i = 0; i < 500'000; ++i) texts.put({1, i, 1}, "x");
  EXPECT_LE(texts.bytes(), OversizeTexts::kBytesMax);
  EXPECT_EQ(texts.get({1, 0, 1}), "");
}

TEST(OversizeTexts, ShrinksByTheOldest) {
  OversizeTexts texts;
  for (std::uint64_t i = 0; i < 4; ++i) texts.put({1, i, 1}, std::string(1'000, 'x'));
  texts.shrink_to(texts.bytes() / 2);
  EXPECT_EQ(texts.get({1, 1, 1}), "");
  EXPECT_NE(texts.get({1, 2, 1}), "");
  texts.shrink_to(0);
  EXPECT_EQ(texts.bytes(), 0u);
  texts.shrink_to(0);
}

TEST(OversizeTexts, APlacePutTwiceKeepsItsFirstTextAndTheSumStaysRight) {
  OversizeTexts texts;
  texts.put({1, 1, 1}, "first");
  const std::size_t bytes = texts.bytes();
  texts.put({1, 1, 1}, "second");
  EXPECT_EQ(texts.get({1, 1, 1}), "first");
  EXPECT_EQ(texts.bytes(), bytes);
}

}  // namespace

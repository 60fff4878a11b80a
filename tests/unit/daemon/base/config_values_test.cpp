#include "daemon/base/config_values.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace authcached {
namespace {

using std::chrono::milliseconds;

TEST(Durations, EachUnitIsRead) {
  EXPECT_EQ(parse_duration("500ms"), milliseconds{500});
  EXPECT_EQ(parse_duration("2s"), milliseconds{2'000});
  EXPECT_EQ(parse_duration("5m"), milliseconds{300'000});
  EXPECT_EQ(parse_duration("24h"), milliseconds{86'400'000});
  EXPECT_EQ(parse_duration("7d"), milliseconds{7 * 86'400'000LL});
  EXPECT_EQ(parse_duration("0s"), milliseconds{0});
}

TEST(Durations, AnythingElseIsNone) {
  for (const char* text : {"", "5", "s", "-5s", "+5s", " 5s", "5s ", "5 s", "1.5s", "1h30m", "5S", "5sec",
                           "5us", "0x5s", "99999999999999999999s", "\0s"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(Durations, WhatDoesNotFitIsNoneInsteadOfWrapping) {
  EXPECT_TRUE(parse_duration("9223372036854775807ms"));
  EXPECT_FALSE(parse_duration("9223372036854775808ms"));
  EXPECT_TRUE(parse_duration("106751991167d"));
  EXPECT_FALSE(parse_duration("106751991168d"));
  EXPECT_FALSE(parse_duration("213503982335d"));  // wraps to a small number in 64 bits
}

TEST(Durations, AreWrittenInTheGreatestFittingUnit) {
  EXPECT_EQ(format_duration(milliseconds{0}), "0s");
  EXPECT_EQ(format_duration(milliseconds{1'500}), "1500ms");
  EXPECT_EQ(format_duration(milliseconds{60'000}), "1m");
  EXPECT_EQ(format_duration(milliseconds{90'000}), "90s");
  EXPECT_EQ(format_duration(milliseconds{366LL * 86'400'000}), "366d");
}

TEST(Sizes, EachUnitIsRead) {
  EXPECT_EQ(parse_size("7B"), 7u);
  EXPECT_EQ(parse_size("64KiB"), 65'536u);
  EXPECT_EQ(parse_size("3MiB"), 3u << 20);
  EXPECT_EQ(parse_size("2GiB"), std::uint64_t{2} << 30);
}

TEST(Sizes, AnythingElseIsNone) {
  for (const char* text :
       {"", "7", "KiB", "7KB", "7kib", "7K", "-7B", "7 B", "1.5KiB", "18446744073709551615KiB"}) {
    EXPECT_FALSE(parse_size(text)) << text;
  }
}

}  // namespace
}  // namespace authcached

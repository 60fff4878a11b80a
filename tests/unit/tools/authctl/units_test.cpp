#include "tools/authctl/units.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace authctl {
namespace {

using namespace std::chrono_literals;

TEST(Units, DurationsAreOneNumberAndOneUnit) {
  EXPECT_EQ(parse_duration("500ms"), 500ms);
  EXPECT_EQ(parse_duration("30s"), 30s);
  EXPECT_EQ(parse_duration("5m"), 5min);
  EXPECT_EQ(parse_duration("24h"), 24h);
  EXPECT_EQ(parse_duration("7d"), 168h);
}

TEST(Units, WhatIsNoDurationIsRefused) {
  for (const char* text :
       {"", "5", "s", "-5s", "+5s", "5 s", " 5s", "1.5s", "1h30m", "5S", "5sec", "5us", "0x5s"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(Units, ADurationThatDoesNotFitIsRefusedNotWrapped) {
  EXPECT_TRUE(parse_duration("106751d"));
  EXPECT_FALSE(parse_duration("106752d"));
  EXPECT_FALSE(parse_duration("18446744073709551616s"));
  EXPECT_FALSE(parse_duration("18446744073709551615d"));
}

TEST(Units, NumbersAreDigitsOnly) {
  EXPECT_EQ(parse_number("0"), 0u);
  EXPECT_EQ(parse_number("1000"), 1000u);
  for (const char* text : {"", "-1", "+1", "1 ", "1e3", "0x10", "18446744073709551616"})
    EXPECT_FALSE(parse_number(text)) << text;
}

TEST(Units, DurationsShowTheirTwoGreatestUnits) {
  EXPECT_EQ(duration_text(0), "0s");
  EXPECT_EQ(duration_text(999), "999ns");
  EXPECT_EQ(duration_text(350'000), "350us");
  EXPECT_EQ(duration_text(12'040'000'000), "12s 40ms");
  EXPECT_EQ(duration_text(273'600'000'000'000), "3d 4h");
  EXPECT_EQ(duration_text(3'600'000'000'001), "1h");
  EXPECT_EQ(duration_text(-2'000'000), "-2ms");
  EXPECT_EQ(duration_text(std::numeric_limits<std::int64_t>::min()).front(), '-');
}

TEST(Units, BytesAreShownInBinaryUnits) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(1023), "1023 B");
  EXPECT_EQ(bytes_text(1536), "1.5 KiB");
  EXPECT_EQ(bytes_text(std::uint64_t{64} << 20), "64.0 MiB");
}

TEST(Units, WallTimesAreUtcAndRoundDownBeforeTheEpochToo) {
  EXPECT_EQ(wall_time_text(1'772'366'400'000'000'000), "2026-03-01T12:00:00Z");
  EXPECT_EQ(wall_time_text(-1), "1969-12-31T23:59:59Z");
}

}  // namespace
}  // namespace authctl

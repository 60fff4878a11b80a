// For how long an answer over HTTP is used: A4_13.
#include "daemon/upstream/http_freshness.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace {

using namespace authcached;
using Headers = std::vector<HttpHeader>;

std::int64_t seconds(const Headers& headers) { return freshness_ns(headers) / 1'000'000'000; }
std::int64_t seconds_of(const std::string& cache_control) { return seconds({{"cache-control", cache_control}}); }

constexpr std::int64_t kMin = 60, kUnsaid = 600, kMax = 86'400;

TEST(HttpFreshness, MaxAgeIsTakenWithinAMinuteAndADay_A4_13) {
  EXPECT_EQ(seconds_of("max-age=1000"), 1'000);
  EXPECT_EQ(seconds_of("public, max-age=1000, immutable"), 1'000);
  EXPECT_EQ(seconds_of("MAX-AGE=1000"), 1'000);
  EXPECT_EQ(seconds_of("max-age=\"1000\""), 1'000);
  EXPECT_EQ(seconds_of("max-age=1"), kMin);
  EXPECT_EQ(seconds_of("max-age=0"), kMin);
  EXPECT_EQ(seconds_of("max-age=31536000"), kMax);
  EXPECT_EQ(seconds_of("max-age=99999999999999999999999999"), kMax);
  EXPECT_EQ(seconds_of("s-maxage=5000"), kUnsaid);  // is for shared caches
}

TEST(HttpFreshness, OfSeveralMaxAgesTheLeastCountsAndWhatCannotBeReadIsPast) {
  EXPECT_EQ(seconds_of("max-age=2000, max-age=1000"), 1'000);
  EXPECT_EQ(seconds({{"cache-control", "max-age=2000"}, {"cache-control", "max-age=1000"}}), 1'000);
  for (const char* value : {"max-age=", "max-age", "max-age=-5", "max-age=1e3", "max-age= 1000x", "max-age=\"1000"}) {
    EXPECT_EQ(seconds_of(value), kMin) << value;
  }
}

TEST(HttpFreshness, AgeIsTakenOff_A4_13) {
  EXPECT_EQ(seconds({{"cache-control", "max-age=1000"}, {"age", "300"}}), 700);
  EXPECT_EQ(seconds({{"cache-control", "max-age=1000"}, {"age", "99999999999999999999"}}), kMin);
  EXPECT_EQ(seconds({{"cache-control", "max-age=1000"}, {"age", "old"}}), kMin);
  EXPECT_EQ(seconds({{"age", "300"}}), kUnsaid);
}

TEST(HttpFreshness, NoStoreAndNoCacheAreTheLeast_A4_13) {
  EXPECT_EQ(seconds_of("no-store"), kMin);
  EXPECT_EQ(seconds_of("max-age=1000, no-cache"), kMin);
  EXPECT_EQ(seconds({{"cache-control", "no-store"}, {"expires", "Tue, 14 Nov 2026 22:13:20 GMT"}, {"date", "Tue, 14 Nov 2023 22:13:20 GMT"}}), kMin);
}

TEST(HttpFreshness, ExpiresCountsFromTheServersOwnDate_A4_13) {
  const HttpHeader date{"date", "Tue, 14 Nov 2023 22:13:20 GMT"};
  EXPECT_EQ(seconds({date, {"expires", "Tue, 14 Nov 2023 22:33:20 GMT"}}), 1'200);
  EXPECT_EQ(seconds({date, {"expires", "Tue, 14 Nov 2023 22:33:20 GMT"}, {"age", "200"}}), 1'000);
  EXPECT_EQ(seconds({date, {"expires", "Tue, 14 Nov 2033 22:33:20 GMT"}}), kMax);
  EXPECT_EQ(seconds({date, {"expires", "Tue, 14 Nov 2022 22:33:20 GMT"}}), kMin);
  for (const char* value : {"0", "-1", "tomorrow", "", "Tue, 14 Nov 2023 22:33:20 GMT and more"}) EXPECT_EQ(seconds({date, {"expires", value}}), kMin) << value;
  EXPECT_EQ(seconds({{"expires", "Tue, 14 Nov 2033 22:33:20 GMT"}}), kMin);  // without a date
  EXPECT_EQ(seconds({date, {"expires", "Tue, 14 Nov 2023 22:33:20 GMT"}, {"cache-control", "max-age=700"}}), 700);
}

TEST(HttpFreshness, NothingSaidIsTenMinutes_A4_13) {
  EXPECT_EQ(seconds({}), kUnsaid);
  EXPECT_EQ(seconds({{"cache-control", ""}}), kUnsaid);
  EXPECT_EQ(seconds({{"cache-control", "public"}}), kUnsaid);
}

TEST(HttpFreshness, ATagIsTakenAsItIsOrNotAtAll_A4_13) {
  const auto tag = [](const Headers& headers) { return std::string(entity_tag(headers).value_or("none")); };
  EXPECT_EQ(tag({{"etag", "\"v1\""}}), "\"v1\"");
  EXPECT_EQ(tag({{"etag", "W/\"v1\""}}), "W/\"v1\"");
  EXPECT_EQ(tag({{"etag", "\"\""}}), "\"\"");
  for (const std::string& value : {std::string("v1"), std::string("\"v1"), std::string(), std::string("\""), std::string("\"a\"b\""),
                                   std::string("\"a b\""), std::string("\"a\r\nX: y\""), "\"" + std::string(300, 'x') + "\""}) {
    EXPECT_EQ(tag({{"etag", value}}), "none") << value;
  }
  EXPECT_EQ(tag({}), "none");
  EXPECT_EQ(tag({{"etag", "\"a\""}, {"etag", "\"b\""}}), "none");
}

}  // namespace

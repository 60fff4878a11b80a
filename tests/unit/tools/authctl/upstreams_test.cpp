// `authctl upstreams` for people.
#include "tools/authctl/upstreams.hpp"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace {

std::string shown(const char* reply) { return authctl::upstreams_text(boost::json::parse(reply).as_object()); }

TEST(Upstreams, AFileOfKeysShowsWhatItHasAndNothingOfANetwork) {
  const std::string text = shown(R"({"upstreams":[{"profile":"api","kind":"jwks","state":{"file":"/k","keys":2,"error":""}}]})");
  EXPECT_EQ(text,
            "PROFILE  KIND  STATE  KEYS  LAST GOOD  REQUESTS  REUSED  HANDSHAKES  P50  P99  BREAKER\n"
            "api      jwks  -         2          -         -       -           -    -    -  -\n");
}

TEST(Upstreams, AnEndpointShowsReuseHandshakesLatencyBreakerAndItsLastError) {
  const std::string text = shown(R"({"upstreams":[{"profile":"mobile","kind":"introspection","state":{"state":"good",
    "last_answer_age_s":3,"error":"","last_error":"op.example closed the connection","last_error_age_s":65,
    "http":{"requests":1000,"exchanges":1000,"reused":998,"handshakes":2,"latency_us":{"p50":900,"p99":4100},"breaker":{"state":"closed"}}}}]})");
  for (const char* word : {"mobile", "introspection", "good", "3s", "1000", "99.8%", "900us", "4ms 100us", "closed",
                           "\nmobile introspection: op.example closed the connection (1m 5s ago, over)\n"}) {
    EXPECT_TRUE(text.contains(word)) << word << "\n" << text;
  }
}

TEST(Upstreams, AStoreOverANetworkShowsItsConnection) {
  const std::string text = shown(R"({"upstreams":[{"profile":"web","kind":"redis","state":{"state":"failed","last_answer_age_s":4,
    "error":"redis.test:6379: no connection came about","last_error":"redis.test:6379: no connection came about","last_error_age_s":2,
    "connection":{"state":"waiting to connect","questions":70,"connections":3,"latency_us":{"p50":120,"p99":800}}}}]})");
  for (const char* word : {"web", "redis", "failed", "4s", "70", "  3  ", "120us", "800us", "waiting to connect",
                           "\nweb redis: redis.test:6379: no connection came about (2s ago)\n"}) {
    EXPECT_TRUE(text.contains(word)) << word << "\n" << text;
  }
}

TEST(Upstreams, KeysThatCheckSignedAnswersHaveARowOfTheirOwn) {
  const std::string text = shown(R"({"upstreams":[{"profile":"p","kind":"introspection","state":{"state":"failed","error":"no answer",
    "last_error":"no answer","last_error_age_s":1,"key_set":{"state":"stale","keys":3,"age_s":700,"http":{"breaker":{"state":"open"}}}}}]})");
  for (const char* word : {"failed", "keys ", "stale", "11m 40s", "open", "p introspection: no answer (1s ago)"}) {
    EXPECT_TRUE(text.contains(word)) << word << "\n" << text;
  }
}

TEST(Upstreams, WhatADaemonOfAnotherVersionSaysDoesNotStopIt) {
  EXPECT_EQ(shown(R"({"upstreams":[]})"), "no upstreams\n");
  EXPECT_TRUE(shown(R"({"upstreams":[7,{"profile":"p"},{"profile":"q","state":{"http":{"exchanges":"x","latency_us":7}}}]})").contains("q"));
}

}  // namespace

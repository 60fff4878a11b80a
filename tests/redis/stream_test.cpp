// A stream of a real server, read while it is trimmed, restarted, replaced and out of reach.
#include <gtest/gtest.h>

#include "tests/process/support/programs.hpp"
#include "tests/redis/support/redis_case.hpp"
#include "tests/redis/support/stream_listener.hpp"

namespace authcache_test {
namespace {

using Words = std::vector<std::string>;

class RedisStreamCase : public RedisCase {
 protected:
  [[nodiscard]] authcached::RedisStreamOptions options() const {
    authcached::RedisStreamOptions options;
    options.server.socket = server_.socket();
    options.key = "changes";
    options.look_every = std::chrono::milliseconds(100);
    return options;
  }
  void add(int from, int to, const std::string& more = {}) const {
    RedisLink link(server_.socket());
    for (int i = from; i <= to; ++i) link({"XADD", "changes", "*", "n", std::to_string(i) + more});
  }
  // The place behind what is there now.
  [[nodiscard]] authcached::StreamCursor cursor_now() const {
    StreamListener listener(options(), std::nullopt);
    EXPECT_TRUE(listener.is_fresh());
    return *listener.cursor();
  }
  static Words numbers(int from, int to) {
    Words all;
    for (int i = from; i <= to; ++i) all.push_back("n=" + std::to_string(i));
    return all;
  }
  static bool hears(const StreamListener& listener, const Words& wanted) {
    return eventually([&] { return listener.heard() == wanted; });
  }

  RedisServer server_;
};

TEST_F(RedisStreamCase, WithoutACursorAGapIsToldAndItReadsWhatComesThen) {
  server_.start();
  add(1, 3);
  StreamListener listener(options(), std::nullopt);
  ASSERT_TRUE(listener.is_fresh());
  add(4, 200);
  Words wanted = numbers(4, 200);
  wanted.insert(wanted.begin(), "gap:no_cursor");
  EXPECT_TRUE(hears(listener, wanted));
  EXPECT_TRUE(listener.is_fresh());
  EXPECT_EQ(listener.cursor()->added, 200U);
}

TEST_F(RedisStreamCase, ACursorTakesUpWhereItWas) {
  server_.start();
  add(1, 3);
  const auto cursor = cursor_now();
  add(4, 150);
  StreamListener listener(options(), cursor);
  EXPECT_TRUE(listener.is_fresh());
  EXPECT_EQ(listener.heard(), numbers(4, 150));
}

TEST_F(RedisStreamCase, NothingIsConfirmedNorReadOnBeforeTheEntriesAreDoneWith) {
  server_.start();
  StreamListener listener(options(), std::nullopt);
  ASSERT_TRUE(listener.is_fresh());
  listener.hold(true);
  add(1, 1);
  ASSERT_TRUE(eventually([&] { return listener.heard().size() == 2; }));
  const auto before = listener.confirmed()->boot_ns;
  add(2, 2);
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_EQ(listener.confirmed()->boot_ns, before);
  EXPECT_EQ(listener.heard().size(), 2U);
  EXPECT_EQ(listener.cursor()->added, 0U);
}

TEST_F(RedisStreamCase, WhatWasTrimmedUnreadIsAGap) {
  server_.start();
  add(1, 3);
  const auto cursor = cursor_now();
  add(4, 20);
  server_({"XTRIM", "changes", "MAXLEN", "5"});
  StreamListener listener(options(), cursor);
  ASSERT_TRUE(listener.is_fresh());
  EXPECT_EQ(listener.heard(), Words{"gap:trimmed"});
  add(21, 21);
  EXPECT_TRUE(hears(listener, {"gap:trimmed", "n=21"}));
}

TEST_F(RedisStreamCase, WhatWasTrimmedAfterItWasReadIsNone) {
  server_.start();
  add(1, 30);
  const auto cursor = cursor_now();
  server_({"XTRIM", "changes", "MAXLEN", "0"});
  StreamListener listener(options(), cursor);
  ASSERT_TRUE(listener.is_fresh());
  add(31, 31);
  EXPECT_TRUE(hears(listener, {"n=31"}));
}

TEST_F(RedisStreamCase, OneEntryDeletedAmongOthersIsAGap) {
  server_.start();
  add(1, 3);
  const auto cursor = cursor_now();
  add(4, 5);
  const std::string id = server_({"XADD", "changes", "*", "n", "6"});
  add(7, 8);
  server_({"XDEL", "changes", id});
  StreamListener listener(options(), cursor);
  EXPECT_TRUE(hears(listener, {"n=4", "n=5", "n=7", "n=8", "gap:trimmed"}));
  EXPECT_TRUE(listener.is_fresh());
  EXPECT_EQ(listener.cursor()->added, 8U);
}

TEST_F(RedisStreamCase, TheLastEntryDeletedIsAGap) {
  server_.start();
  add(1, 3);
  const auto cursor = cursor_now();
  server_({"XDEL", "changes", server_({"XADD", "changes", "*", "n", "4"})});
  StreamListener listener(options(), cursor);
  ASSERT_TRUE(listener.is_fresh());
  EXPECT_EQ(listener.heard(), Words{"gap:trimmed"});
}

TEST_F(RedisStreamCase, AStreamThatWasDeletedAndBegunAnewIsAGap) {
  server_.start();
  add(1, 3);
  const auto cursor = cursor_now();
  server_({"DEL", "changes"});
  StreamListener listener(options(), cursor);
  ASSERT_TRUE(listener.is_fresh());
  EXPECT_EQ(listener.heard(), Words{"gap:regressed"});
  server_({"DEL", "changes"});
  add(4, 4);
  EXPECT_TRUE(hears(listener, {"gap:regressed", "n=4"}));
  // With as many entries as it had read, and more. In another millisecond: else the first would have the id
  // of the one that it stands for.
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  server_({"DEL", "changes"});
  add(5, 9);
  ASSERT_TRUE(listener.is_fresh());
  // Told before the entries if it looked meanwhile, else behind them.
  EXPECT_TRUE(eventually([&] {
    return std::ranges::count_if(listener.heard(),
                                 [](const auto& word) { return word.starts_with("gap:"); }) == 2;
  })) << ::testing::PrintToString(listener.heard());
}

TEST_F(RedisStreamCase, AServerThatLostEverythingIsAGap) {
  server_.start();
  add(1, 3);
  StreamListener listener(options(), cursor_now());
  ASSERT_TRUE(listener.is_fresh());
  server_.kill();
  server_.start();
  ASSERT_TRUE(listener.is_fresh());
  EXPECT_EQ(listener.heard(), Words{"gap:other_server"});
  add(4, 5);
  EXPECT_TRUE(hears(listener, {"gap:other_server", "n=4", "n=5"}));
}

TEST_F(RedisStreamCase, AnotherServerThatHasMoreEntriesThanWereReadIsAGapAllTheSame) {
  server_.start();
  add(1, 3);
  const auto cursor = cursor_now();
  server_.kill();
  server_.start();
  add(11, 20);
  StreamListener listener(options(), cursor);
  ASSERT_TRUE(listener.is_fresh());
  EXPECT_EQ(listener.heard(), Words{"gap:other_server"});
}

TEST_F(RedisStreamCase, AServerThatComesBackWithAllItHadIsReadOn) {
  RedisServer durable({"--appendonly", "yes", "--appendfsync", "always"});
  durable.start();
  RedisLink(durable.socket())({"XADD", "changes", "*", "n", "1"});
  auto with = options();
  with.server.socket = durable.socket();
  StreamListener listener(with, std::nullopt);
  ASSERT_TRUE(listener.is_fresh());
  durable.kill();
  durable.start();
  ASSERT_TRUE(eventually([&] { return durable({"XADD", "changes", "*", "n", "2"}).contains('-'); }));
  EXPECT_TRUE(hears(listener, {"gap:no_cursor", "moved", "n=2"}));
  EXPECT_TRUE(listener.is_fresh());
}

TEST_F(RedisStreamCase, AServerThatLostTheLastEntriesIsReadOnFromWhereItPartedFromTheOneBefore) {
  server_.start();
  StreamListener listener(options(), cursor_now());
  add(1, 5);
  ASSERT_TRUE(hears(listener, numbers(1, 5)));
  ASSERT_TRUE(listener.is_fresh());
  server_({"SAVE"});
  add(6, 7);
  ASSERT_TRUE(hears(listener, numbers(1, 7)));
  ASSERT_TRUE(listener.is_fresh());
  server_.kill();
  server_.start();
  add(8, 8);
  Words wanted = numbers(1, 7);
  wanted.insert(wanted.end(), {"moved", "n=8"});
  EXPECT_TRUE(hears(listener, wanted));
  EXPECT_TRUE(listener.is_fresh());
  EXPECT_EQ(listener.cursor()->added, 6U);
}

TEST_F(RedisStreamCase, ALostConnectionLosesNothing) {
  server_.start();
  StreamListener listener(options(), cursor_now());
  ASSERT_TRUE(listener.is_fresh());
  for (int i = 1; i <= 5; ++i) {
    add(3 * i - 2, 3 * i - 1);
    server_({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    add(3 * i, 3 * i);
  }
  EXPECT_TRUE(hears(listener, numbers(1, 15)));
  EXPECT_TRUE(listener.is_fresh());
}

TEST_F(RedisStreamCase, AServerThatStandsStillConfirmsNothing) {
  server_.start();
  StreamListener listener(options(), cursor_now());
  ASSERT_TRUE(listener.is_fresh());
  server_.suspend();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const auto before = listener.confirmed()->boot_ns;
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_EQ(listener.confirmed()->boot_ns, before);
  server_.resume();
  EXPECT_TRUE(listener.is_fresh());
  EXPECT_EQ(listener.heard(), Words{});
}

TEST_F(RedisStreamCase, EntriesThatDoNotFitIntoOneReplyComeFewerAtATime) {
  server_.start();
  const auto cursor = cursor_now();
  add(1, 40, std::string(60'000, ' '));
  StreamListener listener(options(), cursor);
  ASSERT_TRUE(listener.is_fresh());
  EXPECT_EQ(listener.heard().size(), 40U);
}

}  // namespace
}  // namespace authcache_test

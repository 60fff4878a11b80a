// One record is one line whatever its values hold (B18); floods are bounded and counted; audit is never left
// out.
#include "daemon/base/log.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "daemon/base/log_budget.hpp"

namespace authcached {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

class StepClock final : public Clock {
 public:
  std::int64_t monotonic_ns() const override { return now_ns; }
  std::int64_t boot_ns() const override { return now_ns; }
  std::int64_t wall_ns() const override { return 1'795'372'340'123'456'789; }
  std::int64_t now_ns = kSecond;
};

class Log : public testing::Test {
 protected:
  void SetUp() override { begin(false); }
  void TearDown() override {
    set_log_level(LogLevel::kInfo);
    start_log(log_options_from_environment());
  }
  void begin(bool journal) {
    start_log({journal, &clock_, [this](std::string_view line) { lines_.emplace_back(line); }});
  }
  std::string only_line() const {
    EXPECT_EQ(lines_.size(), 1u);
    return lines_.empty() ? "" : lines_.front();
  }
  bool logged(std::string_view part) const {
    return std::ranges::any_of(lines_,
                               [&](const auto& line) { return line.find(part) != std::string::npos; });
  }

  StepClock clock_;
  std::vector<std::string> lines_;
};

TEST_F(Log, ARecordIsOneJsonObject) {
  log_event(LogLevel::kInfo, "table_published",
            {{"generation", std::uint64_t{18'446'744'073'709'551'615U}},
             {"step", -3},
             {"ok", true},
             {"path", "/run/x"}});
  EXPECT_EQ(only_line(),
            "{\"time\":\"2026-11-22T18:32:20.123456Z\",\"level\":\"info\",\"event\":\"table_published\","
            "\"generation\":18446744073709551615,\"step\":-3,\"ok\":true,\"path\":\"/run/x\"}");
}

TEST_F(Log, UnderJournaldThePriorityStandsInPlaceOfTheTime) {
  begin(true);
  set_log_level(LogLevel::kDebug);
  log_event(LogLevel::kDebug, "a");
  log_event(LogLevel::kInfo, "b");
  log_event(LogLevel::kWarning, "c");
  log_event(LogLevel::kError, "d");
  audit({});
  ASSERT_EQ(lines_.size(), 5u);
  EXPECT_EQ(lines_[1], "<6>{\"level\":\"info\",\"event\":\"b\"}");
  std::string priorities;
  for (const std::string& line : lines_) priorities += line.substr(0, 3);
  EXPECT_EQ(priorities, "<7><6><4><3><5>");
}

TEST_F(Log, TheLevelFiltersAndChangesAtRunTime) {
  log_event(LogLevel::kDebug, "hidden");
  EXPECT_TRUE(lines_.empty());
  set_log_level(LogLevel::kDebug);
  log_event(LogLevel::kDebug, "shown");
  EXPECT_EQ(lines_.size(), 1u);
  set_log_level(LogLevel::kError);
  log_event(LogLevel::kWarning, "hidden");
  EXPECT_EQ(lines_.size(), 1u);
}

TEST_F(Log, LevelNamesReadBack) {
  for (const std::string_view name : {"debug", "info", "warning", "error"}) {
    const auto level = log_level_from_name(name);
    ASSERT_TRUE(level) << name;
    EXPECT_EQ(log_level_name(*level), name);
  }
  EXPECT_FALSE(log_level_from_name("off"));
}

TEST_F(Log, B18_HostileValuesStayOnOneLineOfPlainAscii) {
  const std::string hostile =
      std::string("a\r\nMar 1 root: \x1b[2J\x07\"},{\"event\":\"audit\\\"\0\x7f", 43) +
      "\xc2\x9b"                                       // CSI as one C1 character
      "\xe2\x80\xae"                                   // right-to-left override
      "\xe2\x80\xa8"                                   // line separator
      "\xff\xc0\xaf\xed\xa0\x80\xf0\x9f\x94\x91\xc3";  // not UTF-8 but for one key emoji
  log_event(LogLevel::kWarning, "bad_kid", {{"kid", hostile}});
  audit({.when_wall_ns = 0,
         .peer_uid = 0,
         .peer_gid = 0,
         .peer_pid = 1,
         .what = hostile,
         .target = hostile,
         .result = hostile});
  ASSERT_EQ(lines_.size(), 2u);
  for (const std::string& line : lines_) {
    EXPECT_TRUE(std::ranges::all_of(line, [](char byte) { return byte >= 0x20 && byte < 0x7f; })) << line;
    EXPECT_NE(
        line.find("a\\r\\nMar 1 root: \\u001b[2J\\u0007\\\"},{\\\"event\\\":\\\"audit\\\\\\\"\\u0000\\u007f"),
        std::string::npos)
        << line;
    EXPECT_NE(
        line.find("\\u009b\\u202e\\u2028\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ud83d\\udd11\\ufffd\""),
        std::string::npos)
        << line;
  }
}

TEST_F(Log, LongValuesAreCutAndCounted) {
  log_event(LogLevel::kInfo, "e", {{"v", std::string(kLogValueBytesMax, 'x')}});
  log_event(LogLevel::kInfo, "e", {{"v", std::string(kLogValueBytesMax + 9, 'x')}});
  ASSERT_EQ(lines_.size(), 2u);
  EXPECT_NE(lines_[0].find("\"v\":\"" + std::string(kLogValueBytesMax, 'x') + "\"}"), std::string::npos);
  EXPECT_NE(lines_[1].find("x... (9 bytes more)\"}"), std::string::npos);
}

TEST_F(Log, B18_AFieldNamedLikeASecretIsRedacted) {
  for (const char* key :
       {"token", "authorization", "client_secret", "cookie", "assertion", "dsn", "password"}) {
    log_event(LogLevel::kInfo, key, {{key, "canary"}});
  }
  EXPECT_EQ(lines_.size(), 7u);
  EXPECT_FALSE(logged("canary"));
  EXPECT_TRUE(logged("\"dsn\":\"[redacted]\""));
}

TEST_F(Log, AFloodOfOneEventIsBoundedCountedAndHidesNoOther) {
  for (std::uint32_t i = 0; i < kLogEventsPerSecond + 7; ++i) log_event(LogLevel::kError, "flood");
  EXPECT_EQ(lines_.size(), kLogEventsPerSecond);
  log_event(LogLevel::kInfo, "other");
  EXPECT_TRUE(logged("\"other\""));
  EXPECT_FALSE(logged("events_suppressed"));
  clock_.now_ns += kSecond;
  lines_.clear();
  log_event(LogLevel::kInfo, "other");  // any event of a later second reports it
  ASSERT_EQ(lines_.size(), 2u);
  EXPECT_NE(lines_[0].find("\"event\":\"events_suppressed\",\"suppressed_event\":\"flood\",\"count\":7}"),
            std::string::npos)
      << lines_[0];
  log_event(LogLevel::kError, "flood");
  EXPECT_EQ(lines_.size(), 3u);
}

TEST_F(Log, WhatWasSuppressedCanBeReportedAtTheEnd) {
  for (std::uint32_t i = 0; i < kLogEventsPerSecond + 1; ++i) log_event(LogLevel::kError, "flood");
  report_suppressed_events();
  EXPECT_TRUE(logged("\"count\":1}"));
  lines_.clear();
  report_suppressed_events();
  EXPECT_TRUE(lines_.empty());
  log_event(LogLevel::kError, "flood");  // the second is not over; what was reported counts no more
  report_suppressed_events();
  ASSERT_EQ(lines_.size(), 1u);
  EXPECT_TRUE(lines_[0].ends_with("\"count\":1}")) << lines_[0];
}

TEST(LogBudget, NamesBeyondTheLimitShareOneBudget) {
  LogBudget budget;
  for (std::size_t i = 0; i < kLogEventNamesMax; ++i)
    EXPECT_TRUE(budget.admit("e" + std::to_string(i), kSecond));
  std::size_t admitted = 0;
  for (int i = 0; i < 1'000; ++i) admitted += budget.admit("new" + std::to_string(i), kSecond) ? 1 : 0;
  EXPECT_EQ(admitted, kLogEventsPerSecond);
  const auto suppressed = budget.take_suppressed(2 * kSecond);
  ASSERT_EQ(suppressed.size(), 1u);
  EXPECT_EQ(suppressed[0].event, "other");
  EXPECT_EQ(suppressed[0].count, 1'000 - kLogEventsPerSecond);
}

TEST_F(Log, AuditIsWrittenWhateverTheLevelAndTheRate) {
  set_log_level(LogLevel::kError);
  for (std::uint32_t i = 0; i < 3 * kLogEventsPerSecond; ++i) {
    audit({.when_wall_ns = 1'500'000'000,
           .peer_uid = 1'000,
           .peer_gid = 100,
           .peer_pid = 42,
           .what = "revoke",
           .target = "subject alice",
           .result = "ok"});
  }
  ASSERT_EQ(lines_.size(), 3 * kLogEventsPerSecond);
  EXPECT_NE(
      lines_.back().find("\"level\":\"notice\",\"event\":\"audit\",\"when\":\"1970-01-01T00:00:01.500000Z\","
                         "\"peer_uid\":1000,\"peer_gid\":100,\"peer_pid\":42,\"what\":\"revoke\","
                         "\"target\":\"subject alice\",\"result\":\"ok\"}"),
      std::string::npos)
      << lines_.back();
}

TEST_F(Log, AWriterThatThrowsLosesTheRecordAndNothingElse) {
  start_log({false, &clock_, [](std::string_view) { throw std::runtime_error("disk full"); }});
  log_event(LogLevel::kError, "lost");
  audit({});
}

TEST_F(Log, ThreadsWriteWholeLines) {
  set_log_level(LogLevel::kInfo);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 200; ++i) audit({});
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(lines_.size(), 800u);
  EXPECT_TRUE(std::ranges::all_of(
      lines_, [](const auto& line) { return line.front() == '{' && line.back() == '}'; }));
}

TEST(LogTime, NegativeAndExtremeTimesAreStillOneText) {
  EXPECT_EQ(format_wall_time(-1), "1969-12-31T23:59:59.999999Z");
  EXPECT_EQ(format_wall_time(std::numeric_limits<std::int64_t>::min()), "1677-09-21T00:12:43.145224Z");
  EXPECT_EQ(format_wall_time(std::numeric_limits<std::int64_t>::max()), "2262-04-11T23:47:16.854775Z");
}

TEST(LogOptions, TheJournalIsUsedOnlyIfItIsThisStandardError) {
  struct stat found {};
  ASSERT_EQ(::fstat(STDERR_FILENO, &found), 0);
  const std::string stream = std::to_string(found.st_dev) + ":" + std::to_string(found.st_ino);
  ASSERT_EQ(::setenv("JOURNAL_STREAM", stream.c_str(), 1), 0);
  EXPECT_TRUE(log_options_from_environment().journal);
  ASSERT_EQ(::setenv("JOURNAL_STREAM", "1:2", 1), 0);
  EXPECT_FALSE(log_options_from_environment().journal);
  ::unsetenv("JOURNAL_STREAM");
  EXPECT_FALSE(log_options_from_environment().journal);
}

// What start_log's default writer sends to descriptor 2.
TEST(LogOutput, RecordsGoToStandardErrorOneLineEach) {
  testing::internal::CaptureStderr();
  start_log(log_options_from_environment());
  log_event(LogLevel::kInfo, "first", {{"v", "a\nb"}});
  log_event(LogLevel::kInfo, "second");
  const std::string written = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::ranges::count(written, '\n'), 2) << written;
  EXPECT_TRUE(written.ends_with("\"event\":\"second\"}\n")) << written;
}

}  // namespace
}  // namespace authcached

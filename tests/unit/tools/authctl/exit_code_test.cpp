#include "tools/authctl/exit_code.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "libclient/include/authcache/authcache.h"
#include "tools/authctl/control_reply.hpp"
#include "tools/authctl/sibling_program.hpp"
#include "tools/authctl/validate_exit.hpp"

namespace authctl {
namespace {

using authcache::shm::ErrorCode;

TEST(ExitCode, TheNumbersAreFixed) {
  EXPECT_EQ(static_cast<int>(Exit::kYes), 0);
  EXPECT_EQ(static_cast<int>(Exit::kNo), 1);
  EXPECT_EQ(static_cast<int>(Exit::kUsage), 2);
  EXPECT_EQ(static_cast<int>(Exit::kUnreachable), 3);
  EXPECT_EQ(static_cast<int>(Exit::kCannotTell), 4);
  EXPECT_EQ(static_cast<int>(Exit::kFailed), 5);
}

TEST(ExitCode, ReplyCodesMapAndUnknownOnesFail) {
  EXPECT_EQ(exit_of_reply_code("usage"), Exit::kUsage);
  EXPECT_EQ(exit_of_reply_code("not_found"), Exit::kNo);
  EXPECT_EQ(exit_of_reply_code("unavailable"), Exit::kCannotTell);
  EXPECT_EQ(exit_of_reply_code("failed"), Exit::kFailed);
  EXPECT_EQ(exit_of_reply_code("something newer"), Exit::kFailed);
}

TEST(ExitCode, EachFailureCodeNamesItsExit) {
  for (const Exit exit : {Exit::kNo, Exit::kUsage, Exit::kCannotTell, Exit::kFailed}) {
    EXPECT_EQ(exit_of_reply_code(code_of_exit(exit)), exit);
  }
  EXPECT_EQ(code_of_exit(Exit::kUnreachable), "unreachable");
}

TEST(ExitCode, AFileThatMustNotBeTrustedIsAFailureAndAMissingOneANo) {
  EXPECT_EQ(failure_of({ErrorCode::kRefused, ""}).exit, Exit::kFailed);
  EXPECT_EQ(failure_of({ErrorCode::kCorrupt, ""}).exit, Exit::kFailed);
  EXPECT_EQ(failure_of({ErrorCode::kSystem, ""}).exit, Exit::kFailed);
  EXPECT_EQ(failure_of({ErrorCode::kNotFound, ""}).exit, Exit::kNo);
}

TEST(ExitCode, OnlyValidIsAYes) {
  EXPECT_EQ(exit_of_verdict(AUTHCACHE_VALID, 0), Exit::kYes);
  EXPECT_EQ(exit_of_verdict(AUTHCACHE_INVALID, AUTHCACHE_REASON_REVOKED), Exit::kNo);
  EXPECT_EQ(exit_of_verdict(AUTHCACHE_FORBIDDEN, AUTHCACHE_REASON_SCOPE), Exit::kNo);
  EXPECT_EQ(exit_of_verdict(AUTHCACHE_MISS, 0), Exit::kCannotTell);
  EXPECT_EQ(exit_of_verdict(AUTHCACHE_UNAVAILABLE, AUTHCACHE_REASON_TIMEOUT), Exit::kCannotTell);
  EXPECT_EQ(exit_of_verdict(AUTHCACHE_UNAVAILABLE, AUTHCACHE_REASON_DAEMON_UNREACHABLE), Exit::kUnreachable);
  EXPECT_EQ(exit_of_verdict(AUTHCACHE_ERROR_USAGE, 0), Exit::kUsage);
  EXPECT_EQ(exit_of_verdict(AUTHCACHE_ERROR_MEMORY, 0), Exit::kFailed);
  EXPECT_EQ(exit_of_verdict(77, 0), Exit::kCannotTell);
}

TEST(ExitCode, OfManyTokensOneNoIsANoAndNoneIsNoYes) {
  using Exits = std::vector<Exit>;
  EXPECT_EQ(exit_of_all(Exits{Exit::kYes, Exit::kYes}), Exit::kYes);
  EXPECT_EQ(exit_of_all(Exits{Exit::kYes, Exit::kCannotTell}), Exit::kCannotTell);
  EXPECT_EQ(exit_of_all(Exits{Exit::kUnreachable, Exit::kNo, Exit::kYes}), Exit::kNo);
  EXPECT_EQ(exit_of_all(Exits{}), Exit::kCannotTell);
}

TEST(ExitCode, AReplyIsOkOnlyIfItSaysSo) {
  EXPECT_TRUE(parse_reply(R"({"ok":true,"voided":"all"})"));
  const auto refused = parse_reply(R"({"ok":false,"error":"no such session","code":"not_found"})");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().exit, Exit::kNo);
  EXPECT_EQ(refused.error().sentence, "no such session");
  for (const char* text :
       {"", "{", "[]", "{}", R"({"ok":1})", R"({"ok":"true"})", "null", "{\"ok\":true} x"}) {
    const auto reply = parse_reply(text);
    ASSERT_FALSE(reply) << text;
    EXPECT_EQ(reply.error().exit, Exit::kCannotTell) << text;
  }
}

TEST(ExitCode, AProgramThatJudgesMapsByItsStatus) {
  const auto status_of = [](const char* script) {
    const auto finished = run_program("sh", {"-c", script}, true);
    return finished ? exit_of_status(finished->status) : Exit::kYes;
  };
  EXPECT_EQ(status_of("exit 0"), Exit::kYes);
  EXPECT_EQ(status_of("exit 1"), Exit::kNo);
  EXPECT_EQ(status_of("exit 2"), Exit::kUsage);
  EXPECT_EQ(status_of("exit 9"), Exit::kFailed);
  EXPECT_EQ(status_of("kill -9 $$"), Exit::kFailed);
}

TEST(ExitCode, AProgramsOutputIsCapturedFromBothStreamsUpToTheLimit) {
  const auto finished = run_program("sh", {"-c", "echo out; echo err >&2"}, true);
  ASSERT_TRUE(finished);
  EXPECT_EQ(finished->output, "out\nerr\n");
  const auto flood = run_program("sh", {"-c", "head -c 3000000 /dev/zero"}, true);
  ASSERT_TRUE(flood);
  EXPECT_EQ(flood->output.size(), kCapturedMax);
}

TEST(ExitCode, AProgramThatIsNotThereIsAFailure) {
  const auto finished = run_program("authctl-no-such-program", {}, true);
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().exit, Exit::kFailed);
}

}  // namespace
}  // namespace authctl

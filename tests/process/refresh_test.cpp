// Tokens in use over many deadlines, and an upstream that fails meanwhile: what clients of the real daemon
// see.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <chrono>
#include <thread>

#include "tests/process/support/client.hpp"
#include "tests/process/support/scene.hpp"

namespace authcache_test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kTtl = 1s;
constexpr auto kTenDeadlines = 10 * kTtl + kTtl / 2;

std::int64_t refresh_stat(const Scene& scene, std::string_view name) {
  return scene.daemon.stat("refresh", name);
}

// Looked up again and again, never asked for at the daemon.
class HotToken {
 public:
  HotToken(Client& client, Question question) : client_(client), question_(std::move(question)) {
    EXPECT_EQ(client_.validate(question_), "valid");
    EXPECT_EQ(client_.lookup(question_), "valid");
    EXPECT_EQ(authcache_pin(client_.handle(), &client_.identity(), client_.requirement(question_), &pin_),
              AUTHCACHE_VALID);
  }
  ~HotToken() { authcache_unpin(&pin_); }
  HotToken(const HotToken&) = delete;
  HotToken& operator=(const HotToken&) = delete;
  void use() {
    ++lookups_;
    if (client_.lookup(question_) != "valid") ++misses_;
    int reason = 0;
    if (authcache_pin_check(&pin_, &reason) != AUTHCACHE_VALID) ++lost_;
  }
  [[nodiscard]] std::size_t lookups() const { return lookups_; }
  [[nodiscard]] std::size_t misses() const { return misses_; }
  [[nodiscard]] std::size_t pin_lost() const { return lost_; }

 private:
  Client& client_;
  Question question_;
  authcache_pinned pin_ = AUTHCACHE_PINNED_INIT;
  std::size_t lookups_ = 0, misses_ = 0, lost_ = 0;
};

// The table is the same one, but who reads what clients tell of their use is another.
TEST(Refresh, WhatIsInUseIsRefreshedAfterARestartToo) {
  Scene scene({.api = "ttl_max = \"1s\"\n"});
  scene.start();
  Client client(scene.daemon.runtime_dir());
  const Question token = api(scene.issuer.es256());
  ASSERT_EQ(client.validate(token), "valid");
  EXPECT_TRUE(eventually([&] {
    (void)client.lookup(token);
    return refresh_stat(scene, "extended") > 0;
  }));
  ASSERT_EQ(scene.daemon.stop(), 0);
  scene.start();
  // Whoever misses meets the new daemon.
  ASSERT_EQ(client.validate(api(scene.issuer.es256())), "valid");
  EXPECT_TRUE(eventually([&] {
    if (client.lookup(token) != "valid") (void)client.validate(token);
    return refresh_stat(scene, "extended") > 0;
  })) << "nobody learns any more what is in use";
}

TEST(Refresh, HotTokensOutliveTenDeadlinesWithoutAMissAndPinsStayGood) {
  Scene scene({.api = "ttl_max = \"1s\"\n", .sessions = "ttl_max = \"1s\"\nrefresh = \"on\"\n"});
  scene.start();
  const std::string own = scene.create_session();
  ASSERT_EQ(scene.daemon.authctl({"flush"}).exit, 0);  // so that the daemon is asked, and has the token
  Client client(scene.daemon.runtime_dir());
  HotToken jwt(client, api(scene.issuer.es256())), opaque(client, session(own));
  const Question cold = api(scene.issuer.es256());
  ASSERT_EQ(client.validate(cold), "valid");
  const auto misses_before = scene.daemon.stat("daemon", "misses");
  for (const auto end = Clock::now() + kTenDeadlines; Clock::now() < end; std::this_thread::sleep_for(5ms)) {
    jwt.use();
    opaque.use();
  }
  for (const HotToken* token : {&jwt, &opaque}) {
    EXPECT_GT(token->lookups(), 200u);
    EXPECT_EQ(token->misses(), 0u) << "of " << token->lookups();
    EXPECT_EQ(token->pin_lost(), 0u) << "of " << token->lookups();
  }
  EXPECT_EQ(client.lookup(cold), "miss") << "nobody used it";
  EXPECT_EQ(scene.daemon.stat("daemon", "misses"), misses_before);
  EXPECT_EQ(refresh_stat(scene, "requests_waiting_on_refresh"), 0);
  EXPECT_GE(refresh_stat(scene, "extended"), 18);
  EXPECT_EQ(refresh_stat(scene, "changed"), 0);
  EXPECT_EQ(refresh_stat(scene, "sealed_tokens"), 1);
}

TEST(Refresh, ARevokedHotTokenStaysRevoked) {
  Scene scene({.sessions = "ttl_max = \"1s\"\nrefresh = \"on\"\n"});
  scene.start();
  const std::string token = scene.create_session();
  ASSERT_EQ(scene.daemon.authctl({"flush"}).exit, 0);
  Client client(scene.daemon.runtime_dir());
  ASSERT_EQ(client.validate(session(token)), "valid");
  for (const auto end = Clock::now() + 2 * kTtl; Clock::now() < end; std::this_thread::sleep_for(5ms)) {
    ASSERT_EQ(client.lookup(session(token)), "valid");
  }
  ASSERT_EQ(scene.daemon.revoke(token).exit, 0);
  EXPECT_TRUE(throughout([&] { return client.lookup(session(token)) != "valid"; }, 2 * kTtl));
  EXPECT_EQ(refresh_stat(scene, "sealed_tokens"), 0);
}

// A database of another program, whose rows can be made unreadable.
class ForeignDatabase {
 public:
  explicit ForeignDatabase(const std::filesystem::path& file) {
    EXPECT_EQ(::sqlite3_open(file.c_str(), &handle_), SQLITE_OK);
    run("PRAGMA journal_mode=WAL");
    run("CREATE TABLE logins(id TEXT PRIMARY KEY, who TEXT, ends)");
    run("INSERT INTO logins VALUES('a-login-of-many-random-letters', 'alice', NULL)");
  }
  ~ForeignDatabase() { ::sqlite3_close(handle_); }
  ForeignDatabase(const ForeignDatabase&) = delete;
  ForeignDatabase& operator=(const ForeignDatabase&) = delete;
  void fail() { run("UPDATE logins SET ends = 'no time at all'"); }
  void recover() { run("UPDATE logins SET ends = NULL"); }
  void remove() { run("DELETE FROM logins"); }

 private:
  void run(const char* sql) {
    EXPECT_EQ(::sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sql;
  }
  sqlite3* handle_ = nullptr;
};

struct OutageScene {
  explicit OutageScene(const std::string& more)
      : database(scene.daemon.scratch("logins.db")), client((start(more), scene.daemon.runtime_dir())) {}

  void start(const std::string& more) {
    scene.settings.more = "\n[profile.logins]\nupstream = \"sqlite\"\ndatabase = \"" +
                          scene.daemon.scratch("logins.db").string() +
                          "\"\nquery = \"SELECT who AS subject, ends AS expires FROM logins WHERE id = "
                          "?1\"\nkey_encoding = \"raw\"\n"
                          "ttl_max = \"1s\"\nnegative_ttl = \"100ms\"\nrefresh = \"on\"\n" +
                          more;
    scene.configure();
    scene.start();
  }
  [[nodiscard]] std::string upstreams() const { return scene.daemon.authctl({"upstreams"}).out; }
  // How long the token goes on being answered "valid", used all the time.
  [[nodiscard]] Clock::duration stays_valid(Clock::duration at_most) {
    const auto from = Clock::now();
    while (Clock::now() - from < at_most && client.validate(login) == "valid")
      std::this_thread::sleep_for(5ms);
    return Clock::now() - from;
  }

  Question login{.profile = "logins", .token = "a-login-of-many-random-letters"};
  Scene scene;
  ForeignDatabase database;
  Client client;
};

TEST(Outage, B15_WithoutAWindowAnUpstreamThatFailsIsUnavailableOnceTheRecordEnded) {
  OutageScene outage("");
  ASSERT_EQ(outage.client.validate(outage.login), "valid");
  outage.database.fail();
  EXPECT_LT(outage.stays_valid(10s), kTtl + 500ms);
  EXPECT_EQ(outage.client.validate(outage.login), "unavailable/upstream");
  EXPECT_TRUE(outage.upstreams().contains("logins: no answer for")) << outage.upstreams();
  outage.database.recover();
  EXPECT_EQ(outage.client.validate(outage.login), "valid") << "nothing unavailable is remembered";
  EXPECT_FALSE(outage.upstreams().contains("no answer for")) << outage.upstreams();
}

TEST(Outage, AWindowServesWhatWasGoodAndEndsAndRecoveryNeedsNoRestart) {
  OutageScene outage("stale_if_error = \"4s\"\n");
  ASSERT_EQ(outage.client.validate(outage.login), "valid");
  outage.database.fail();
  ASSERT_GE(outage.stays_valid(kTtl + 1s), kTtl + 1s);
  EXPECT_TRUE(outage.upstreams().contains("logins: no answer for")) << outage.upstreams();
  EXPECT_TRUE(outage.upstreams().contains("served stale")) << outage.upstreams();
  EXPECT_EQ(outage.client.validate({.profile = "logins", .token = "somebody-else-who-never-logged-in"}),
            "invalid/unknown");
  EXPECT_LT(outage.stays_valid(10s), 4s);
  EXPECT_EQ(outage.client.validate(outage.login), "unavailable/upstream");
  EXPECT_GE(refresh_stat(outage.scene, "stale"), 1);
  outage.database.recover();
  EXPECT_EQ(outage.client.validate(outage.login), "valid");
}

TEST(Outage, ARevocationEndsWhatIsServedStale) {
  OutageScene outage("stale_if_error = \"60s\"\n");
  ASSERT_EQ(outage.client.validate(outage.login), "valid");
  outage.database.fail();
  ASSERT_GE(outage.stays_valid(2 * kTtl), 2 * kTtl);
  ASSERT_EQ(outage.scene.daemon.revoke(outage.login.token).exit, 0);
  EXPECT_NE(outage.client.validate(outage.login), "valid");
  EXPECT_TRUE(throughout([&] { return outage.client.validate(outage.login) != "valid"; }, 2s));
}

TEST(Outage, ARefusalAtRecoveryEndsWhatWasServedStale) {
  OutageScene outage("stale_if_error = \"60s\"\n");
  ASSERT_EQ(outage.client.validate(outage.login), "valid");
  outage.database.fail();
  ASSERT_GE(outage.stays_valid(2 * kTtl), 2 * kTtl);
  outage.database.remove();
  EXPECT_LT(outage.stays_valid(20s), 7s) << "asked again within a step";
  EXPECT_EQ(outage.client.validate(outage.login), "invalid/unknown");
}

}  // namespace
}  // namespace authcache_test

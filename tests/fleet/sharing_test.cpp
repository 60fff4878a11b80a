// What is revoked on one host is refused on the others, is told once, and is not forgotten by who was away.
#include <gtest/gtest.h>

#include "tests/fleet/support/fleet_case.hpp"

namespace authcache_test {
namespace {

class FleetSharing : public FleetCase {};

TEST_F(FleetSharing, ATokenRevokedOnOneHostIsRefusedOnTheOthersAndToldOnce) {
  server_.start();
  auto a = joined(), b = joined(), c = joined();
  const std::string token = issuer_.es256(), other = issuer_.es256();
  for (Host* each : {a.get(), b.get(), c.get()}) {
    ASSERT_EQ(each->validate(token), "valid");
    ASSERT_EQ(each->validate(other), "valid");
  }
  ASSERT_EQ(a->daemon().revoke(token).exit, 0);
  EXPECT_EQ(a->lookup(token), "miss");
  for (Host* each : {b.get(), c.get()}) {
    // Killed where it lay, not only refused at the next question.
    EXPECT_TRUE(eventually([&] { return each->lookup(token) != "valid"; }));
    EXPECT_EQ(each->validate(token), "invalid/revoked");
    EXPECT_EQ(each->lookup(other), "valid");
    EXPECT_EQ(each->count("adopted"), 2);
  }
  EXPECT_TRUE(eventually([&] { return a->count("outbox") == 0; }));
  EXPECT_EQ(a->count("published"), 2);  // of a JWT its bytes and its signing input
  EXPECT_EQ(entries(), 2) << "nobody tells it again";
  EXPECT_EQ(b->count("published"), 0);
}

TEST_F(FleetSharing, EveryKindOfRuleTravels) {
  server_.start();
  auto a = joined(), b = joined();
  const auto token_of = [&](const char* name, const char* value) {
    Claims claims = issuer_.claims();
    claims.text(name, value);
    return issuer_.es256(claims);
  };
  const std::string bob = token_of("sub", "bob"), app = token_of("client_id", "app"),
                    sid = token_of("sid", "s-1"), jti = token_of("jti", "j-1");
  for (const std::string& token : {bob, app, sid, jti}) ASSERT_EQ(b->validate(token), "valid");
  const auto revoke = [&](std::vector<std::string> what) {
    what.insert(what.begin(), "revoke");
    const Ran ran = a->daemon().authctl(what);
    EXPECT_EQ(ran.exit, 0) << ran.err;
  };
  revoke({"--subject", "bob"});
  EXPECT_TRUE(b->refuses(bob));
  revoke({"--client", "app"});
  EXPECT_TRUE(b->refuses(app));
  revoke({"--sid", "s-1"});
  EXPECT_TRUE(b->refuses(sid));
  revoke({"--jti", "j-1", "--issuer", kIssuer});
  EXPECT_TRUE(b->refuses(jti));
  const std::string last = issuer_.es256();
  ASSERT_EQ(b->validate(last), "valid");
  revoke({"--everything"});
  EXPECT_TRUE(b->refuses(last));
}

TEST_F(FleetSharing, TheAcknowledgementSaysForWhomItIsAndTheOthersAreMeasured) {
  server_.start();
  auto a = joined(), b = joined();
  EXPECT_TRUE(eventually([&] { return a->count("hosts") == 2; }));
  const Ran ran = a->daemon().authctl({"revoke", "--subject", "bob"});
  EXPECT_TRUE(ran.out.contains("this is for this host")) << ran.out;
  const auto told = a->daemon().authctl({"revoke", "--subject", "carol", "--json"}).json();
  EXPECT_EQ(told.at("fleet").at("acknowledged_for").as_string(), "this host");
  EXPECT_EQ(told.at("fleet").at("staleness_ms").to_number<std::int64_t>(), 5'000);
  EXPECT_EQ(a->count("hosts_stale"), 0);
  b->daemon().suspend();
  EXPECT_TRUE(eventually([&] { return a->count("worst_lag_ms") > 3'000; }, std::chrono::seconds(20)));
  EXPECT_TRUE(eventually([&] { return a->count("hosts_stale") == 1; }, std::chrono::seconds(20)));
  b->daemon().resume();
  EXPECT_TRUE(eventually([&] { return a->count("hosts_stale") == 0; }, std::chrono::seconds(20)));
}

TEST_F(FleetSharing, AHostThatWasDownHearsWhatItMissedBeforeItAnswers) {
  server_.start();
  auto a = joined(), b = joined();
  const std::string token = issuer_.es256(), other = issuer_.es256();
  ASSERT_EQ(b->validate(token), "valid");
  ASSERT_EQ(b->validate(other), "valid");
  b->daemon().kill();
  ASSERT_EQ(a->daemon().revoke(token).exit, 0);
  // Its table is adopted, with the record in it.
  b->start(DaemonProcess::First::kNo);
  for (int i = 0; i < 200; ++i) {
    const std::string now = i % 2 == 0 ? b->lookup(token) : b->validate(token);
    ASSERT_NE(now, "valid") << "question " << i;
  }
  EXPECT_TRUE(b->becomes_current());
  EXPECT_TRUE(b->refuses(token));
  EXPECT_EQ(b->lookup(other), "valid") << "the adopted record is as good as before";
  EXPECT_EQ(b->count("copies_read"), 0) << "the stream had it all";
}

TEST_F(FleetSharing, AHostThatWasAwayForLongerThanTheStreamReachesReadsTheCopy) {
  server_.start();
  auto a = joined(), b = joined();
  const std::string token = issuer_.es256();
  ASSERT_EQ(b->validate(token), "valid");
  ASSERT_EQ(b->daemon().stop(), 0);
  ASSERT_EQ(a->daemon().revoke(token).exit, 0);
  ASSERT_TRUE(eventually([&] { return a->count("outbox") == 0; }));
  server_({"XTRIM", "authcache:fleet:stream", "MAXLEN", "0"});
  b->start(DaemonProcess::First::kNo);
  EXPECT_TRUE(b->becomes_current());
  EXPECT_EQ(b->validate(token), "invalid/revoked");
  EXPECT_EQ(b->fleet().at("last_gap").as_string(), "trimmed");
}

TEST_F(FleetSharing, AHostThatJoinsKnowsWhatWasRevokedBefore) {
  server_.start();
  auto a = joined();
  std::vector<std::string> tokens;
  for (int i = 0; i < 150; ++i) {
    tokens.push_back(issuer_.es256());
    ASSERT_EQ(a->daemon().revoke(tokens.back()).exit, 0);
  }
  ASSERT_TRUE(eventually([&] { return a->count("outbox") == 0; }));
  auto b = joined();
  for (const std::string& token : tokens) ASSERT_EQ(b->validate(token), "invalid/revoked");
  EXPECT_EQ(b->count("adopted"), 300);
}

TEST_F(FleetSharing, NothingCanBeLiftedInAFleet) {
  server_.start();
  auto a = joined();
  ASSERT_EQ(a->daemon().authctl({"revoke", "--subject", "bob"}).exit, 0);
  const Ran ran = a->daemon().authctl({"revocations", "lift", "1"});
  EXPECT_NE(ran.exit, 0);
  EXPECT_TRUE(ran.err.contains("only ever add rules")) << ran.err;
}

}  // namespace
}  // namespace authcache_test

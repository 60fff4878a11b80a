// The server out of reach, killed, restarted with and without what it had; hosts killed in the middle.
#include <gtest/gtest.h>

#include "tests/fleet/support/fleet_case.hpp"

namespace authcache_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class FleetOutage : public FleetCase {
 protected:
  using FleetCase::FleetCase;
  void SetUp() override {
    FleetCase::SetUp();
    staleness_ = "2s";
  }
};

TEST_F(FleetOutage, WhoCannotHearAnswersUnavailableAfterTheStalenessAndRecovers) {
  server_.start();
  auto a = joined();
  const std::string token = issuer_.es256(), fresh = issuer_.es256();
  ASSERT_EQ(a->validate(token), "valid");
  ASSERT_EQ(a->lookup(token), "valid");
  server_.suspend();  // its connections stand, and nothing comes
  const auto from = std::chrono::steady_clock::now();
  EXPECT_TRUE(eventually([&] { return a->lookup(token) == "unavailable/catching_up"; }, seconds(20)));
  EXPECT_GT(std::chrono::steady_clock::now() - from, milliseconds(900)) << "it may go on for the staleness";
  EXPECT_EQ(a->validate(fresh), "unavailable/catching_up");
  EXPECT_TRUE(a->complaints().contains("does not know whether it has heard"));
  // What is revoked meanwhile is acknowledged for this host all the same.
  EXPECT_EQ(a->daemon().authctl({"revoke", "--subject", "bob"}).exit, 0);
  EXPECT_TRUE(a->daemon().logs("fleet_not_current"));
  server_.resume();
  EXPECT_TRUE(a->becomes_current());
  EXPECT_EQ(a->lookup(token), "valid") << "no record was lost";
  EXPECT_TRUE(eventually([&] { return a->count("outbox") == 0; }));
}

TEST_F(FleetOutage, WithServeItGoesOnAndSaysSo) {
  server_.start();
  auto a = joined("stale = \"serve\"\n");
  const std::string token = issuer_.es256();
  ASSERT_EQ(a->validate(token), "valid");
  server_.stop();
  EXPECT_TRUE(eventually([&] { return !a->is_current(); }, seconds(20)));
  EXPECT_EQ(a->lookup(token), "valid");
  EXPECT_EQ(a->validate(issuer_.es256()), "valid");
  EXPECT_TRUE(a->complaints().contains("tokens that other hosts revoked may be accepted"));
}

TEST_F(FleetOutage, AHostThatStartsWithoutAServerAnswersNobodyUntilItIsThere) {
  auto a = host();
  a->start();
  const std::string token = issuer_.es256();
  EXPECT_EQ(a->validate(token), "unavailable/catching_up");
  server_.start();
  EXPECT_TRUE(a->becomes_current());
  EXPECT_EQ(a->validate(token), "valid");
}

TEST_F(FleetOutage, ARevocationThatWasAcknowledgedIsToldAfterAKill) {
  server_.start();
  auto a = joined(), b = joined();
  const std::string token = issuer_.es256();
  ASSERT_EQ(b->validate(token), "valid");
  server_.suspend();
  ASSERT_EQ(a->daemon().revoke(token).exit, 0);
  a->daemon().kill();
  server_.resume();
  ASSERT_TRUE(b->becomes_current());
  a->start(DaemonProcess::First::kNo);
  EXPECT_TRUE(b->refuses(token));
  EXPECT_TRUE(eventually([&] { return a->count("outbox") == 0; }));
}

TEST_F(FleetOutage, AServerThatLostEverythingIsGivenItBack) {
  server_.start();
  auto a = joined(), b = joined();
  const std::string one = issuer_.es256(), two = issuer_.es256();
  ASSERT_EQ(a->daemon().revoke(one).exit, 0);
  ASSERT_EQ(b->daemon().revoke(two).exit, 0);
  EXPECT_TRUE(b->refuses(one));
  EXPECT_TRUE(a->refuses(two));
  ASSERT_TRUE(eventually([&] { return a->count("outbox") == 0 && b->count("outbox") == 0; }));
  server_.kill();
  server_.start();
  ASSERT_TRUE(eventually([&] { return a->fleet().at("last_gap").as_string() == "other_server"; }));
  ASSERT_TRUE(eventually([&] { return b->fleet().at("last_gap").as_string() == "other_server"; }));
  EXPECT_TRUE(a->becomes_current());
  EXPECT_TRUE(b->becomes_current());
  EXPECT_TRUE(eventually([&] { return entries() == 4; }));
  auto c = joined();
  EXPECT_EQ(c->validate(one), "invalid/revoked");
  EXPECT_EQ(c->validate(two), "invalid/revoked");
}

class FleetWithADisk : public FleetOutage {
 protected:
  FleetWithADisk() : FleetOutage({"--appendonly", "yes", "--appendfsync", "always"}) {}
};

TEST_F(FleetWithADisk, AServerThatComesBackWithAllItHadCostsNoCopy) {
  server_.start();
  auto a = joined(), b = joined();
  ASSERT_EQ(a->daemon().revoke(issuer_.es256()).exit, 0);
  ASSERT_TRUE(eventually([&] { return b->count("adopted") == 2; }));
  const auto copies = b->count("copies_read");
  server_.kill();
  server_.start();
  const std::string token = issuer_.es256();
  ASSERT_EQ(a->daemon().revoke(token).exit, 0);
  EXPECT_TRUE(b->refuses(token));
  EXPECT_TRUE(b->becomes_current());
  EXPECT_EQ(b->count("copies_read"), copies);
}

TEST_F(FleetOutage, AServerThatLostTheLastEntriesIsGivenThemBackWithoutACopy) {
  server_.start();
  auto a = joined(), b = joined();
  const std::string one = issuer_.es256(), two = issuer_.es256();
  ASSERT_EQ(a->daemon().revoke(one).exit, 0);
  EXPECT_TRUE(b->refuses(one));
  ASSERT_TRUE(eventually([&] { return a->count("outbox") == 0; }));
  std::this_thread::sleep_for(seconds(1));  // both have looked since
  server_({"SAVE"});
  ASSERT_EQ(a->daemon().revoke(two).exit, 0);
  EXPECT_TRUE(b->refuses(two));
  ASSERT_TRUE(eventually([&] { return a->count("outbox") == 0; }));
  const auto copies = b->count("copies_read");
  server_.kill();
  server_.start();
  ASSERT_TRUE(eventually([&] { return a->count("engine_changes") == 1 && b->count("engine_changes") == 1; }));
  EXPECT_TRUE(eventually([&] { return a->count("outbox") == 0 && entries() >= 4; }));
  EXPECT_EQ(b->count("copies_read"), copies);
  auto c = joined();
  EXPECT_EQ(c->validate(two), "invalid/revoked");
  EXPECT_TRUE(b->becomes_current());
}

TEST_F(FleetOutage, ConnectionsThatAreCutLoseNothing) {
  server_.start();
  auto a = joined(), b = joined();
  std::vector<std::string> tokens;
  for (int i = 0; i < 10; ++i) {
    tokens.push_back(issuer_.es256());
    ASSERT_EQ(a->daemon().revoke(tokens.back()).exit, 0);
    server_({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
  }
  for (const std::string& token : tokens) EXPECT_TRUE(b->refuses(token));
  EXPECT_TRUE(eventually([&] { return a->count("outbox") == 0; }));
  EXPECT_EQ(b->count("refused"), 0);
  EXPECT_EQ(b->count("missing"), 0);
}

}  // namespace
}  // namespace authcache_test

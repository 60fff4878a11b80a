// Somebody who can write to Redis and does not have the fleet's secret.
#include <gtest/gtest.h>

#include "daemon/cache/fleet_entry.hpp"
#include "tests/fleet/support/fleet_case.hpp"

namespace authcache_test {
namespace {

constexpr const char* kStream = "authcache:fleet:stream";
constexpr const char* kRules = "authcache:fleet:rules";

class FleetHostile : public FleetCase {
 protected:
  // A rule on everything, as somebody with another secret would sign it.
  [[nodiscard]] std::string forged() const {
    const authcached::testing::TemporaryDirectory directory;
    const auto file = directory.path() / "key";
    replace_file(file, "another secret of thirty-two bytes\n");
    std::filesystem::permissions(file, std::filesystem::perms::owner_read);
    authcached::FleetEntry entry;
    entry.change = 1;
    entry.rule.change = 1;
    entry.rule.kind = authcached::RuleKind::kEverything;
    entry.rule.not_before_ns = INT64_MAX;
    return authcached::FleetSeal::load(file, "authcache:fleet").value().seal(entry);
  }
};

TEST_F(FleetHostile, AForgedEntryVoidsNothingAndHidesNothing) {
  server_.start();
  auto a = joined(), b = joined();
  const std::string token = issuer_.es256(), revoked = issuer_.es256();
  ASSERT_EQ(b->validate(token), "valid");
  ASSERT_EQ(b->validate(revoked), "valid");
  server_({"XADD", kStream, "*", "e", forged()});
  server_({"XADD", kStream, "*", "e", "junk"});
  server_({"XADD", kStream, "*", "something", "else"});
  ASSERT_EQ(a->daemon().revoke(revoked).exit, 0);
  EXPECT_TRUE(b->refuses(revoked));
  EXPECT_EQ(b->lookup(token), "valid");
  EXPECT_EQ(b->count("refused"), 3);
  EXPECT_GT(b->count("copies_read"), 1) << "what was refused may have been a rule, so the copy is read";
  EXPECT_TRUE(b->becomes_current());
  EXPECT_TRUE(b->complaints().contains("somebody else writes"));
}

TEST_F(FleetHostile, AnEntryThatWasRemovedBeforeItWasReadIsFoundInTheCopy) {
  server_.start();
  auto a = joined(), b = joined();
  const std::string token = issuer_.es256(), other = issuer_.es256();
  ASSERT_EQ(b->validate(token), "valid");
  b->daemon().suspend();
  ASSERT_EQ(a->daemon().revoke(token).exit, 0);
  ASSERT_TRUE(eventually([&] { return a->count("outbox") == 0; }));
  server_({"DEL", kStream});
  b->daemon().resume();
  EXPECT_TRUE(b->refuses(token));
  ASSERT_EQ(a->daemon().revoke(other).exit, 0);
  EXPECT_TRUE(b->refuses(other));
}

TEST_F(FleetHostile, AForgedRuleInTheCopyClosesWhoReadsItAndIsNamed) {
  server_.start();
  auto a = joined();
  ASSERT_EQ(a->daemon().revoke(issuer_.es256()).exit, 0);
  server_({"HSET", kRules, "somewhere", forged()});
  auto b = host();
  b->start();
  EXPECT_TRUE(eventually([&] { return b->complaints().contains("not signed with this host's key_file"); }));
  EXPECT_EQ(b->validate(issuer_.es256()), "unavailable/catching_up");
  EXPECT_TRUE(a->is_current()) << "who needs no copy goes on";
  server_({"HDEL", kRules, "somewhere"});
  EXPECT_TRUE(b->becomes_current());
  EXPECT_EQ(b->validate(issuer_.es256()), "valid");
}

TEST_F(FleetHostile, ARuleInThePlaceOfAnotherDoesNotPassForIt) {
  server_.start();
  auto a = joined();
  ASSERT_EQ(a->daemon().authctl({"revoke", "--subject", "bob"}).exit, 0);
  ASSERT_EQ(a->daemon().authctl({"revoke", "--subject", "carol"}).exit, 0);
  ASSERT_TRUE(eventually([&] { return a->count("outbox") == 0; }));
  std::istringstream places(server_({"HKEYS", kRules}));
  std::string one, two;
  places >> one >> two;
  server_({"HSET", kRules, one, server_({"HGET", kRules, two})});
  auto b = host();
  b->start();
  EXPECT_TRUE(eventually([&] { return b->complaints().contains("stand in another's place"); }));
  EXPECT_EQ(b->validate(issuer_.es256()), "unavailable/catching_up");
}

TEST_F(FleetHostile, AHostWithAnotherSecretNeitherHearsNorIsHeard) {
  server_.start();
  auto a = joined();
  ASSERT_EQ(a->daemon().revoke(issuer_.es256()).exit, 0);
  ASSERT_TRUE(eventually([&] { return a->count("outbox") == 0; }));
  auto b = host({}, "fedcba9876543210fedcba9876543210");
  b->start();
  EXPECT_TRUE(eventually([&] { return b->count("refused") > 0; }));
  EXPECT_FALSE(b->is_current());
  const std::string token = issuer_.es256();
  EXPECT_EQ(b->validate(token), "unavailable/catching_up");
  ASSERT_EQ(a->validate(token), "valid");
  EXPECT_EQ(a->lookup(token), "valid");
}

TEST_F(FleetHostile, AnEntryOfAnotherFleetCountsForNothing) {
  server_.start();
  auto a = joined("key = \"other\"\n"), b = joined();
  ASSERT_EQ(a->daemon().authctl({"revoke", "--everything"}).exit, 0);
  ASSERT_TRUE(eventually([&] { return a->count("outbox") == 0; }));
  const std::string token = issuer_.es256();
  ASSERT_EQ(b->validate(token), "valid");
  // XRANGE prints the id, the field's name and its value.
  const std::string entry = server_({"XRANGE", "other:stream", "-", "+"});
  const std::string sealed = entry.substr(entry.find(" e ") + 3);
  ASSERT_EQ(sealed[0], 1) << "the version";
  server_({"XADD", kStream, "*", "e", sealed});
  EXPECT_TRUE(eventually([&] { return b->count("refused") == 1; }));
  EXPECT_EQ(b->lookup(token), "valid");
}

}  // namespace
}  // namespace authcache_test

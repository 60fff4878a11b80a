// The fleet's part of the state database.
#include "daemon/cache/fleet_store.hpp"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "daemon/cache/state_db.hpp"
#include "tests/support/temporary_directory.hpp"

namespace authcached {
namespace {

Rule rule_of(std::uint64_t change, std::string subject) {
  Rule rule;
  rule.change = change;
  rule.kind = RuleKind::kSubject;
  rule.value = std::move(subject);
  rule.not_before_ns = 10;
  rule.created_wall_ns = 1'000;
  rule.life_ns = 500;
  return rule;
}

void run_sql(const std::filesystem::path& file, const std::string& sql) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &db), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
  sqlite3_close(db);
}

std::string shown(StateDb& db) {
  std::string all;
  const std::vector<SharedRule> stored = db.fleet().load().value();
  for (const SharedRule& shared : stored)
    all += std::to_string(shared.rule.change) + shared.rule.value + (shared.published ? "+ " : " ");
  return all;
}

struct FleetStoreTest : ::testing::Test {
  StateDb open() const { return StateDb::open(file, "boot").value(); }
  testing::TemporaryDirectory directory;
  std::filesystem::path file = directory / "state.db";
};

TEST_F(FleetStoreTest, ARuleAndItsPlaceInTheOutboxAreOneCommit) {
  StateDb db = open();
  ASSERT_TRUE(db.commit(
      {{RuleChange::What::kPut, rule_of(1, "alice")}, {RuleChange::What::kShare, rule_of(1, "alice")}}));
  Rule bad = rule_of(2, "bob");
  bad.life_ns = -1;
  EXPECT_FALSE(db.commit({{RuleChange::What::kPut, rule_of(2, "bob")}, {RuleChange::What::kShare, bad}}));
  EXPECT_EQ(shown(db), "1alice ");
  EXPECT_EQ(db.load_rules(0)->size(), 1U);
  db = open();
  EXPECT_EQ(shown(db), "1alice ");
}

TEST_F(FleetStoreTest, OfOneIdentityTheLatestPublishedStays) {
  StateDb db = open();
  for (std::uint64_t change = 1; change <= 3; ++change)
    ASSERT_TRUE(db.commit({{RuleChange::What::kShare, rule_of(change, change == 2 ? "bob" : "alice")}}));
  const std::uint64_t first[] = {1}, third[] = {3};
  ASSERT_TRUE(db.fleet().mark_published(first));
  EXPECT_EQ(shown(db), "1alice+ 2bob 3alice ");
  ASSERT_TRUE(db.fleet().mark_published(third));
  EXPECT_EQ(shown(db), "2bob 3alice+ ");
  ASSERT_TRUE(db.fleet().mark_unpublished(third));
  EXPECT_EQ(shown(db), "2bob 3alice ");
  ASSERT_TRUE(db.fleet().remove(third));
  EXPECT_EQ(shown(db), "2bob ");
}

TEST_F(FleetStoreTest, TheCursorIsKeptAndOneThatWasChangedIsNone) {
  StateDb db = open();
  EXPECT_FALSE(*db.fleet().cursor());
  ASSERT_TRUE(db.fleet().put_cursor({"here", "1-2 3"}));
  ASSERT_TRUE(db.fleet().put_cursor({"here", "4-5 6"}));
  db = open();
  EXPECT_EQ(**db.fleet().cursor(), (FleetCursor{"here", "4-5 6"}));
  run_sql(file, "UPDATE fleet_cursor SET position = '9-9 9'");
  EXPECT_FALSE(*open().fleet().cursor());
}

TEST_F(FleetStoreTest, ASharedRuleThatIsNotAsItWasWrittenMakesTheDatabaseCorrupt) {
  {
    StateDb db = open();
    ASSERT_TRUE(db.commit({{RuleChange::What::kShare, rule_of(1, "alice")}}));
  }
  run_sql(file, "UPDATE fleet_rules SET value = x'626f62'");
  const auto opened = StateDb::open(file, "boot");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, authcache::shm::ErrorCode::kCorrupt);
}

TEST_F(FleetStoreTest, ADatabaseThatKnewNoFleetIsBroughtUpWithItsRules) {
  {
    StateDb db = open();
    ASSERT_TRUE(db.commit({{RuleChange::What::kPut, rule_of(1, "alice")}}));
  }
  run_sql(file, "DROP TABLE fleet_rules; DROP TABLE fleet_cursor; PRAGMA user_version = 2");
  StateDb db = open();
  EXPECT_EQ(db.load_rules(0)->size(), 1U);
  ASSERT_TRUE(db.commit({{RuleChange::What::kShare, rule_of(2, "bob")}}));
  EXPECT_EQ(shown(db), "2bob ");
}

}  // namespace
}  // namespace authcached

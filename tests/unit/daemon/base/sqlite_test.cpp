#include "daemon/base/sqlite.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "daemon/base/random.hpp"
#include "daemon/base/sha256.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using authcache::shm::ErrorCode;
using authcached::ColumnType;
using authcached::Database;
using authcached::Statement;
using authcached::Transaction;
using authcached::testing::TemporaryDirectory;

class Sqlite : public ::testing::Test {
 protected:
  TemporaryDirectory directory_;
  Database database_ = Database::open(directory_ / "a.db", Database::Access::kCreate).value();

  std::int64_t count() { return database_.integer("SELECT count(*) FROM t").value(); }
  void SetUp() override { ASSERT_TRUE(database_.execute("CREATE TABLE t(a, b UNIQUE)")); }
};

TEST_F(Sqlite, ValuesComeBackAsTheyWereBound) {
  Statement insert = database_.prepare("INSERT INTO t VALUES (?1, ?2)").value();
  const std::string text("a'\0\"b", 5);
  const std::uint8_t bytes[] = {0, 255, 39};
  insert.bind_text(1, text);
  insert.bind_blob(2, bytes);
  ASSERT_TRUE(insert.run());
  insert.bind_text(1, {});
  insert.bind_blob(2, {});
  ASSERT_TRUE(insert.run());
  insert.bind(1, INT64_MIN);
  ASSERT_TRUE(insert.run());  // nothing is left bound from the last time
  Statement select = database_.prepare("SELECT a, b FROM t ORDER BY rowid").value();
  ASSERT_TRUE(select.step().value());
  EXPECT_EQ(select.text(0), text);
  EXPECT_TRUE(std::ranges::equal(select.blob(1), bytes));
  ASSERT_TRUE(select.step().value());
  EXPECT_EQ(select.type(0), ColumnType::kText);
  EXPECT_EQ(select.type(1), ColumnType::kBlob);
  EXPECT_TRUE(select.text(0).empty());
  ASSERT_TRUE(select.step().value());
  EXPECT_EQ(select.integer(0), INT64_MIN);
  EXPECT_EQ(select.type(1), ColumnType::kNull);
  EXPECT_FALSE(select.step().value());
}

TEST_F(Sqlite, ErrorSentencesHoldNoBoundValue) {
  Statement insert = database_.prepare("INSERT INTO t VALUES (1, ?1)").value();
  insert.bind_text(1, "secret-token");
  ASSERT_TRUE(insert.run());
  insert.bind_text(1, "secret-token");
  const auto twice = insert.run();
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().message.find("secret"), std::string::npos);
  insert.bind(7, 1);
  EXPECT_FALSE(insert.run()) << "a parameter that is not there";
  insert.bind_text(1, "other");
  EXPECT_TRUE(insert.run()) << "a statement is fit for use after an error";
}

TEST_F(Sqlite, TransactionRollsBackUnlessCommitted) {
  {
    Transaction transaction = Transaction::begin(database_, Transaction::Kind::kWrite).value();
    ASSERT_TRUE(database_.execute("INSERT INTO t VALUES (1, 1)"));
    EXPECT_TRUE(database_.in_transaction());
  }
  EXPECT_FALSE(database_.in_transaction());
  EXPECT_EQ(count(), 0);
  Transaction transaction = Transaction::begin(database_, Transaction::Kind::kWrite).value();
  ASSERT_TRUE(database_.execute("INSERT INTO t VALUES (1, 1)"));
  ASSERT_TRUE(transaction.commit());
  EXPECT_EQ(count(), 1);
}

TEST_F(Sqlite, PrepareTakesExactlyOneStatement) {
  EXPECT_TRUE(database_.prepare("SELECT 1;  -- done"));
  EXPECT_EQ(database_.prepare("SELECT 1; SELECT 2").error().code, ErrorCode::kUsage);
  EXPECT_EQ(database_.prepare("SELECT 1; nonsense").error().code, ErrorCode::kUsage);
  EXPECT_EQ(database_.prepare("").error().code, ErrorCode::kUsage);
  EXPECT_EQ(database_.prepare("-- nothing").error().code, ErrorCode::kUsage);
}

TEST_F(Sqlite, ConnectionForReadingDoesNothingElse) {
  Database reader = Database::open(directory_ / "a.db", Database::Access::kReadOnly).value();
  reader.permit_reads_only();
  EXPECT_TRUE(reader.prepare("SELECT max(a) FROM t"));
  for (const char* sql :
       {"DELETE FROM t", "ATTACH ':memory:' AS x", "PRAGMA journal_mode", "CREATE TEMP TABLE x(a)"}) {
    EXPECT_FALSE(reader.prepare(sql)) << sql;
  }
  EXPECT_FALSE(Database::open(directory_ / "none.db", Database::Access::kReadOnly));
}

TEST_F(Sqlite, DeadlineEndsAStatementThatWouldNotEnd) {
  Statement endless = database_
                          .prepare(
                              "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                              "SELECT count(*) FROM n")
                          .value();
  database_.set_deadline(std::chrono::steady_clock::now());
  const auto row = endless.step();
  ASSERT_FALSE(row);
  EXPECT_EQ(row.error().code, ErrorCode::kUnavailable);
  endless.reset();
  database_.set_deadline(std::nullopt);
  EXPECT_EQ(count(), 0);
}

TEST_F(Sqlite, MovedOrReplacedFileIsSeen) {
  EXPECT_FALSE(database_.moved());
  std::filesystem::rename(directory_ / "a.db", directory_ / "b.db");
  EXPECT_TRUE(database_.moved());
  const Database other = Database::open(directory_ / "a.db", Database::Access::kCreate).value();
  EXPECT_TRUE(database_.moved());
  EXPECT_FALSE(other.moved());
}

TEST(Sha256, AgreesWithTheStandardsExamples) {
  const authcached::Sha256 abc = authcached::sha256(std::string_view("abc"));
  EXPECT_EQ(abc[0], 0xba);
  EXPECT_EQ(abc[31], 0xad);
  const authcached::Sha256 empty = authcached::sha256(std::string_view());
  EXPECT_EQ(empty[0], 0xe3);
  EXPECT_EQ(empty[31], 0x55);
}

TEST(Random, FillsEveryByteOfALongSpan) {
  std::vector<std::uint8_t> bytes(1'000);
  std::vector<bool> touched(bytes.size());
  for (int round = 0; round < 20; ++round) {
    ASSERT_TRUE(authcached::fill_random(bytes));
    for (std::size_t i = 0; i < bytes.size(); ++i) touched[i] = touched[i] || bytes[i] != 0;
  }
  EXPECT_TRUE(std::ranges::all_of(touched, [](bool seen) { return seen; }));
}

}  // namespace

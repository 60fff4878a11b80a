#include "daemon/cache/state_db.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <limits>
#include <string>

#include "tests/support/temporary_directory.hpp"

namespace {

using authcache::shm::ErrorCode;
using authcache::shm::Result;
using authcached::KnownGeneration;
using authcached::Rule;
using authcached::RuleChange;
using authcached::RuleKind;
using authcached::StateDb;
using authcached::testing::TemporaryDirectory;

constexpr const char* kBoot = "boot-one";
constexpr std::int64_t kBootNow = 5'000;

Rule subject_rule(std::uint64_t change, std::string subject, std::int64_t not_before_ns = 10) {
  Rule rule;
  rule.change = change;
  rule.kind = RuleKind::kSubject;
  rule.value = std::move(subject);
  rule.not_before_ns = not_before_ns;
  rule.created_wall_ns = 1'000;
  rule.created_boot_ns = 100;
  rule.life_ns = 500;
  return rule;
}

RuleChange put(Rule rule) { return {RuleChange::What::kPut, std::move(rule)}; }
RuleChange removal(Rule rule) { return {RuleChange::What::kRemove, std::move(rule)}; }

StateDb open_ok(const std::filesystem::path& file, const std::string& boot_id = kBoot) {
  Result<StateDb> opened = StateDb::open(file, boot_id);
  if (!opened) throw std::runtime_error(opened.error().message);
  return std::move(*opened);
}

std::vector<Rule> rules_of(StateDb& db, std::int64_t boot_now_ns = kBootNow) {
  Result<std::vector<Rule>> rules = db.load_rules(boot_now_ns);
  if (!rules) throw std::runtime_error(rules.error().message);
  return std::move(*rules);
}

void run_sql(const std::filesystem::path& file, const std::string& sql) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &db), SQLITE_OK);
  sqlite3_db_config(db, SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1, nullptr);
  char* message = nullptr;
  EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &message), SQLITE_OK) << (message ? message : "");
  sqlite3_free(message);
  sqlite3_close(db);
}

// Writes over part of a file without changing its length.
void overwrite(const std::filesystem::path& file, std::streamoff at, const std::string& bytes) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekp(at);
  stream << bytes;
  ASSERT_TRUE(stream.good());
}

TEST(StateDb, IsMadeOnceWithAPrivateModeAndKeepsItsUuid) {
  const TemporaryDirectory directory;
  const auto file = directory / "state.db";
  const mode_t mask = ::umask(0);
  authcached::Uuid uuid;
  {
    StateDb db = open_ok(file);
    EXPECT_TRUE(db.created());
    EXPECT_EQ(db.last_change().value(), 0U);
    uuid = db.uuid();
    ASSERT_TRUE(db.commit({put(subject_rule(1, "alice"))}));
    for (const char* suffix : {"", "-wal", "-shm"}) {
      struct stat found {};
      ASSERT_EQ(::stat((file.string() + suffix).c_str(), &found), 0) << suffix;
      EXPECT_EQ(found.st_mode & 07777, 0600U) << suffix;
    }
  }
  ::umask(mask);
  StateDb again = open_ok(file);
  EXPECT_FALSE(again.created());
  EXPECT_EQ(again.uuid(), uuid);
  StateDb other = open_ok(directory / "other.db");
  EXPECT_NE(other.uuid(), uuid);
}

TEST(StateDb, LoosenedModeIsTightenedAndASymbolicLinkRefused) {
  const TemporaryDirectory directory;
  const auto file = directory / "state.db";
  open_ok(file);
  ASSERT_EQ(::chmod(file.c_str(), 0644), 0);
  open_ok(file);
  struct stat found {};
  ASSERT_EQ(::stat(file.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777, 0600U);
  std::filesystem::create_symlink(file, directory / "link.db");
  const auto linked = StateDb::open(directory / "link.db", kBoot);
  ASSERT_FALSE(linked);
  EXPECT_EQ(linked.error().code, ErrorCode::kRefused);
}

TEST(StateDb, RulesComeBackAsTheyWereCommitted) {
  const TemporaryDirectory directory;
  Rule token;
  token.change = 1;
  token.kind = RuleKind::kToken;
  token.value = std::string(32, '\0');
  token.value[5] = '\'';
  token.life_ns = 77;
  token.created_wall_ns = 3;
  token.created_boot_ns = 2;
  Rule jti = subject_rule(2, std::string("j\0\"\r\n*", 6));
  jti.kind = RuleKind::kJti;
  jti.scope = "https://issuer.example";
  Rule everything = subject_rule(3, "", 99);
  everything.kind = RuleKind::kEverything;
  everything.life_ns = 0;
  {
    StateDb db = open_ok(directory / "state.db");
    ASSERT_TRUE(db.commit({put(token), put(jti)}));
    ASSERT_TRUE(db.commit({put(everything)}));
  }
  StateDb db = open_ok(directory / "state.db");
  const std::vector<Rule> rules = rules_of(db);
  ASSERT_EQ(rules.size(), 3U);
  const Rule* const expected[] = {&token, &jti, &everything};
  for (std::size_t i = 0; i < rules.size(); ++i) {
    EXPECT_EQ(rules[i].change, expected[i]->change);
    EXPECT_EQ(rules[i].kind, expected[i]->kind);
    EXPECT_EQ(rules[i].scope, expected[i]->scope);
    EXPECT_EQ(rules[i].value, expected[i]->value);
    EXPECT_EQ(rules[i].not_before_ns, expected[i]->not_before_ns);
    EXPECT_EQ(rules[i].created_wall_ns, expected[i]->created_wall_ns);
    EXPECT_EQ(rules[i].created_boot_ns, expected[i]->created_boot_ns);
    EXPECT_EQ(rules[i].life_ns, expected[i]->life_ns);
    EXPECT_TRUE(rules[i].durable);
  }
  EXPECT_EQ(db.last_change().value(), 3U);
}

TEST(StateDb, PutNeverLowersANotBeforeNorShortensARetention) {
  const TemporaryDirectory directory;
  StateDb db = open_ok(directory / "state.db");
  Rule strong = subject_rule(1, "alice", 100);
  strong.life_ns = 10'000;
  ASSERT_TRUE(db.commit({put(strong)}));
  ASSERT_TRUE(db.commit({put(subject_rule(2, "alice", 50))}));
  const std::vector<Rule> rules = rules_of(db);
  ASSERT_EQ(rules.size(), 1U);
  EXPECT_EQ(rules[0].change, 2U);
  EXPECT_EQ(rules[0].not_before_ns, 100);
  EXPECT_EQ(rules[0].life_ns, 10'000);
}

TEST(StateDb, RemovalSparesALaterRuleOfTheSameIdentity) {
  const TemporaryDirectory directory;
  StateDb db = open_ok(directory / "state.db");
  ASSERT_TRUE(db.commit({put(subject_rule(1, "alice")), put(subject_rule(5, "bob"))}));
  ASSERT_TRUE(db.commit({removal(subject_rule(4, "bob")), removal(subject_rule(6, "alice"))}));
  const std::vector<Rule> rules = rules_of(db);
  ASSERT_EQ(rules.size(), 1U);
  EXPECT_EQ(rules[0].value, "bob");
  EXPECT_EQ(db.last_change().value(), 6U);
  ASSERT_TRUE(db.forget(std::vector<std::uint64_t>{5, 900}));
  EXPECT_TRUE(rules_of(db).empty());
  EXPECT_EQ(db.last_change().value(), 6U);
}

TEST(StateDb, LastChangeIsTheGreatestInWhateverOrderCommitsCome) {
  const TemporaryDirectory directory;
  StateDb db = open_ok(directory / "state.db");
  ASSERT_TRUE(db.commit({put(subject_rule(9, "alice")), put(subject_rule(7, "bob"))}));
  ASSERT_TRUE(db.commit({put(subject_rule(8, "carol"))}));
  EXPECT_EQ(db.last_change().value(), 9U);
  EXPECT_TRUE(db.commit({}));
}

TEST(StateDb, MalformedRuleIsRefusedWithTheWholeCommit) {
  const TemporaryDirectory directory;
  StateDb db = open_ok(directory / "state.db");
  Rule bad = subject_rule(2, "x");
  bad.kind = RuleKind::kToken;
  const auto committed = db.commit({put(subject_rule(1, "alice")), put(bad)});
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code, ErrorCode::kUsage);
  EXPECT_TRUE(rules_of(db).empty());
  EXPECT_EQ(db.last_change().value(), 0U);
}

TEST(StateDb, RetentionByBoottimeBeginsAgainAfterAReboot) {
  const TemporaryDirectory directory;
  {
    StateDb db = open_ok(directory / "state.db");
    ASSERT_TRUE(db.commit({put(subject_rule(1, "alice"))}));
    EXPECT_EQ(rules_of(db, 5'000)[0].created_boot_ns, 100);
    EXPECT_EQ(rules_of(db, 50)[0].created_boot_ns, 50);  // another time namespace
  }
  StateDb db = open_ok(directory / "state.db", "boot-two");
  EXPECT_EQ(rules_of(db, 42)[0].created_boot_ns, 42);
  // A tightening in the new boot counts from its own creation, not from the old boot's clock.
  Rule tighter = subject_rule(2, "alice", 20);
  tighter.created_boot_ns = 30;
  tighter.life_ns = 1;
  ASSERT_TRUE(db.commit({put(tighter)}));
  const Rule merged = rules_of(db, 60)[0];
  EXPECT_EQ(merged.created_boot_ns, 30);
  EXPECT_EQ(merged.life_ns, 500);
}

TEST(StateDb, KernelsBootIdIsTakenWhereNoneIsGiven) {
  const TemporaryDirectory directory;
  {
    Result<StateDb> db = StateDb::open(directory / "state.db");
    ASSERT_TRUE(db);
    ASSERT_TRUE(db->commit({put(subject_rule(1, "alice"))}));
  }
  Result<StateDb> same = StateDb::open(directory / "state.db");
  EXPECT_EQ(rules_of(*same)[0].created_boot_ns, 100);
}

TEST(StateDb, GenerationsAreKept) {
  const TemporaryDirectory directory;
  {
    StateDb db = open_ok(directory / "state.db");
    ASSERT_TRUE(db.put_generation({7, 10, "boot-one"}));
    ASSERT_TRUE(db.put_generation({5, 20, "boot-zero"}));
    ASSERT_TRUE(db.put_generation({7, 30, "boot-one"}));
    ASSERT_TRUE(db.put_generation({9, 1, "boot-one"}));
    ASSERT_TRUE(db.remove_generation(9));
    EXPECT_FALSE(db.put_generation({0, 1, "boot-one"}));
  }
  StateDb db = open_ok(directory / "state.db");
  const std::vector<KnownGeneration> known = db.load_generations().value();
  ASSERT_EQ(known.size(), 2U);
  EXPECT_EQ(known[0].number, 5U);
  EXPECT_EQ(known[0].boot_id, "boot-zero");
  EXPECT_EQ(known[1].heartbeat_timeout_ns, 30);
}

// A list that cannot be believed is not a shorter list: the start must wait for the greatest timeout.
TEST(StateDb, OneBadGenerationMakesTheListCorrupt) {
  for (const char* bad : {"(-3, 10, 'boot-one')", "(3, 0, 'boot-one')", "(3, -1, 'boot-one')", "(3, 10, '')"}) {
    SCOPED_TRACE(bad);
    const TemporaryDirectory directory;
    StateDb db = open_ok(directory / "state.db");
    ASSERT_TRUE(db.put_generation({7, 10, "boot-one"}));
    run_sql(directory / "state.db", std::string("INSERT INTO generations VALUES ") + bad);
    const auto known = db.load_generations();
    ASSERT_FALSE(known);
    EXPECT_EQ(known.error().code, ErrorCode::kCorrupt);
    run_sql(directory / "state.db", "DELETE FROM generations WHERE number <> 7");
    EXPECT_EQ(db.load_generations()->size(), 1U) << "the statement can be asked again";
  }
}

// B25: acknowledged changes are there after kill -9 at any moment of a commit.
TEST(StateDb, B25_AcknowledgedCommitsOutliveKill9) {
  const TemporaryDirectory directory;
  const auto file = directory / "state.db";
  std::uint64_t acknowledged = 0;
  for (int round = 0; round < 8; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      StateDb db = open_ok(file);
      for (std::uint64_t change = db.last_change().value() + 1;; ++change) {
        if (!db.commit({put(subject_rule(change, std::to_string(change)))})) ::_exit(1);
        if (::write(ends[1], &change, sizeof change) != sizeof change) ::_exit(2);
      }
    }
    ::close(ends[1]);
    std::uint64_t change = 0;
    for (int i = 0; i < 20 + 7 * round; ++i) {
      ASSERT_EQ(::read(ends[0], &change, sizeof change), static_cast<ssize_t>(sizeof change));
    }
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    while (::read(ends[0], &change, sizeof change) == static_cast<ssize_t>(sizeof change)) {
    }
    ::close(ends[0]);
    acknowledged = change;
    StateDb db = open_ok(file);
    EXPECT_GE(db.last_change().value(), acknowledged);
    EXPECT_EQ(rules_of(db).size(), db.last_change().value());
  }
}

// B25: a log cut short loses changes, and last_change says that it did.
TEST(StateDb, B25_TruncatedLogShowsInTheLastChange) {
  const TemporaryDirectory directory;
  const auto file = directory / "state.db", wal = directory / "state.db-wal";
  const auto copy = directory / "copy.db", copy_wal = directory / "copy.db-wal";
  StateDb db = open_ok(file);
  for (std::uint64_t change = 1; change <= 5; ++change) {
    ASSERT_TRUE(db.commit({put(subject_rule(change, std::to_string(change)))}));
  }
  const auto size = std::filesystem::file_size(wal);
  constexpr std::uintmax_t kStep =
      509;  // odd and less than a frame: cuts in headers, in pages and at no boundary
  std::uint64_t before = 5;
  for (std::uintmax_t cut = 1; cut < size; cut += kStep) {
    std::filesystem::remove(copy.string() + "-shm");
    std::filesystem::copy_file(file, copy, std::filesystem::copy_options::overwrite_existing);
    std::filesystem::copy_file(wal, copy_wal, std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(copy_wal, size - cut);
    Result<StateDb> torn = StateDb::open(copy, kBoot);
    // The schema itself may have been in the log only: then this is a new database, and its UUID tells.
    ASSERT_TRUE(torn) << torn.error().message;
    const std::uint64_t last = torn->last_change().value();
    EXPECT_LT(last, 5U);
    EXPECT_LE(last, before);
    if (torn->created()) {
      EXPECT_NE(torn->uuid(), db.uuid());
    } else {
      EXPECT_EQ(rules_of(*torn).size(), last);
    }
    before = last;
  }
}

TEST(StateDb, DiskFullIsAnErrorAndTheConnectionWorksOn) {
  const TemporaryDirectory directory;
  if (::mount("none", directory.path().c_str(), "tmpfs", 0, "size=256k") != 0) {
    GTEST_SKIP() << "needs the right to mount a small tmpfs";
  }
  {
    StateDb db = open_ok(directory / "state.db");
    std::uint64_t change = 0;
    Result<void> committed;
    while (committed && change < 10'000) {
      ++change;
      committed = db.commit({put(subject_rule(change, std::string(2'000, 'x') + std::to_string(change)))});
    }
    EXPECT_FALSE(committed) << "the disk never filled";
    EXPECT_EQ(db.last_change().value(), change - 1);
    EXPECT_EQ(rules_of(db).size(), change - 1);
    // More room, and the same connection goes on without a reopening.
    ASSERT_EQ(::mount("none", directory.path().c_str(), "tmpfs", MS_REMOUNT, "size=4m"), 0);
    EXPECT_TRUE(db.commit({put(subject_rule(change, "after"))}));
    EXPECT_EQ(db.last_change().value(), change);
  }
  {
    StateDb again = open_ok(directory / "state.db");
    EXPECT_EQ(rules_of(again).size(), again.last_change().value());
  }
  EXPECT_EQ(::umount(directory.path().c_str()), 0);
}

TEST(StateDb, CommitIntoAFileWithoutItsNameIsNotAcknowledged) {
  const TemporaryDirectory directory;
  StateDb db = open_ok(directory / "state.db");
  ASSERT_TRUE(db.commit({put(subject_rule(1, "alice"))}));
  std::filesystem::rename(directory / "state.db", directory / "elsewhere.db");
  const auto committed = db.commit({put(subject_rule(2, "bob"))});
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code, ErrorCode::kUnavailable);
  std::filesystem::rename(directory / "elsewhere.db", directory / "state.db");
  EXPECT_TRUE(db.commit({put(subject_rule(2, "bob"))}));
}

TEST(StateDb, LockedDatabaseIsUnavailableAndNotCorrupt) {
  const TemporaryDirectory directory;
  const auto file = directory / "state.db";
  StateDb db = open_ok(file);
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  const auto committed = db.commit({put(subject_rule(1, "alice"))});
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code, ErrorCode::kUnavailable);
  sqlite3_close(other);
  EXPECT_TRUE(db.commit({put(subject_rule(1, "alice"))}));
}

TEST(StateDb, DamageIsCorruptWhereverItSits) {
  const TemporaryDirectory directory;
  const auto file = directory / "state.db";
  {
    StateDb db = open_ok(file);
    for (std::uint64_t change = 1; change <= 500; ++change) {
      ASSERT_TRUE(db.commit({put(subject_rule(change, std::to_string(change)))}));
    }
  }
  const auto sound = directory / "sound.db";
  std::filesystem::copy_file(file, sound);
  const std::string noise(64, '\xa5');
  const auto pages = static_cast<std::streamoff>(std::filesystem::file_size(file) / 4'096);
  std::vector<std::streamoff> places = {0, 4};
  for (std::streamoff page = 1; page < pages; ++page) places.push_back(page * 4'096);
  for (const std::streamoff place : places) {
    std::filesystem::copy_file(sound, file, std::filesystem::copy_options::overwrite_existing);
    overwrite(file, place, noise);
    const auto opened = StateDb::open(file, kBoot);
    ASSERT_FALSE(opened) << place;
    EXPECT_EQ(opened.error().code, ErrorCode::kCorrupt) << place << ' ' << opened.error().message;
  }
  std::filesystem::copy_file(sound, file, std::filesystem::copy_options::overwrite_existing);
  std::filesystem::resize_file(file, 6'000);
  EXPECT_EQ(StateDb::open(file, kBoot).error().code, ErrorCode::kCorrupt);
}

TEST(StateDb, TextFileAndForeignDatabaseAreCorruptAndUntouched) {
  const TemporaryDirectory directory;
  std::ofstream(directory / "text.db") << std::string(5'000, 'a');
  EXPECT_EQ(StateDb::open(directory / "text.db", kBoot).error().code, ErrorCode::kCorrupt);
  run_sql(directory / "foreign.db", "CREATE TABLE users(id)");
  EXPECT_EQ(StateDb::open(directory / "foreign.db", kBoot).error().code, ErrorCode::kCorrupt);
  run_sql(directory / "foreign.db", "INSERT INTO users VALUES (1)");
  EXPECT_FALSE(std::filesystem::exists(directory / "foreign.db-wal"));
}

TEST(StateDb, NewerVersionIsRefusedAndNotCorrupt) {
  const TemporaryDirectory directory;
  open_ok(directory / "state.db");
  run_sql(directory / "state.db", "PRAGMA user_version = 99");
  EXPECT_EQ(StateDb::open(directory / "state.db", kBoot).error().code, ErrorCode::kRefused);
}

TEST(StateDb, AVersionBeforeThisOneIsUpgradedWithAllThatItHolds) {
  for (const char* back : {"DROP TABLE fleet_cursor; DROP TABLE fleet_rules; PRAGMA user_version = 2",
                           "DROP TABLE fleet_cursor; DROP TABLE fleet_rules; DROP TABLE cursors; PRAGMA user_version = 1"}) {
    const TemporaryDirectory directory;
    const auto file = directory / "state.db";
    open_ok(file).commit({put(subject_rule(1, "alice"))}).value();
    run_sql(file, back);
    StateDb db = open_ok(file);
    EXPECT_EQ(rules_of(db).size(), 1u) << back;
    EXPECT_TRUE(db.load_cursors()->empty()) << back;
    EXPECT_TRUE(db.put_cursor({7, {"server", "5"}})) << back;
    EXPECT_TRUE(db.fleet().load()->empty()) << back;
  }
}

TEST(StateDb, ACursorIsFoundAgainAndOneThatWasTamperedWithIsNot) {
  const TemporaryDirectory directory;
  const auto file = directory / "state.db";
  const std::uint64_t profile = 0xf000'0000'0000'0001;
  {
    StateDb db = open_ok(file);
    ASSERT_TRUE(db.put_cursor({profile, {"server", "5"}}));
    ASSERT_TRUE(db.put_cursor({profile, {"server", "6:6:"}}));
    ASSERT_TRUE(db.put_cursor({2, {"other", "1"}}));
  }
  run_sql(file, "UPDATE cursors SET position = '2' WHERE profile_id = 2");
  StateDb db = open_ok(file);
  const auto cursors = db.load_cursors().value();
  ASSERT_EQ(cursors.size(), 1u);
  EXPECT_EQ(cursors[0].profile_id, profile);
  EXPECT_EQ(cursors[0].cursor, (authcached::FeedCursor{"server", "6:6:"}));
}

TEST(StateDb, EveryMalformedRowIsCorrupt) {
  const char* const damages[] = {
      "UPDATE rules SET kind = 0",     "UPDATE rules SET kind = 300",
      "UPDATE rules SET kind = 1",  // a token rule whose value is no digest
      "UPDATE rules SET change = -1",
      "UPDATE rules SET change = 2",
      "UPDATE rules SET life_ns = -1", "UPDATE rules SET not_before_ns = -1",
      "UPDATE rules SET boot_id = ''", "UPDATE rules SET scope = zeroblob(100000)",
  };
  for (const char* damage : damages) {
    const TemporaryDirectory directory;
    ASSERT_TRUE(open_ok(directory / "state.db").commit({put(subject_rule(1, "alice"))}));
    run_sql(directory / "state.db", damage);
    const auto opened = StateDb::open(directory / "state.db", kBoot);
    ASSERT_FALSE(opened) << damage;
    EXPECT_EQ(opened.error().code, ErrorCode::kCorrupt) << damage;
  }
}

// Each of these is a rule that could have been written: nothing but the row's checksum tells.
TEST(StateDb, B25_ARuleThatIsNotAsItWasWrittenIsCorrupt) {
  const char* const damages[] = {
      "UPDATE rules SET value = CAST('alicf' AS BLOB)", "UPDATE rules SET scope = CAST('x' AS BLOB)",
      "UPDATE rules SET kind = 6",                      "UPDATE rules SET not_before_ns = 9",
      "UPDATE rules SET life_ns = 499",                 "UPDATE rules SET created_wall_ns = 999",
      "UPDATE rules SET created_boot_ns = 99",          "UPDATE rules SET boot_id = 'boot-two'",
      "UPDATE rules SET checksum = checksum + 1",
  };
  for (const char* damage : damages) {
    const TemporaryDirectory directory;
    ASSERT_TRUE(open_ok(directory / "state.db").commit({put(subject_rule(1, "alice"))}));
    run_sql(directory / "state.db", damage);
    const auto opened = StateDb::open(directory / "state.db", kBoot);
    ASSERT_FALSE(opened) << damage;
    EXPECT_EQ(opened.error().code, ErrorCode::kCorrupt) << damage;
  }
}

TEST(StateDb, MissingTableOrRowOfMetaIsCorrupt) {
  for (const char* damage :
       {"DROP TABLE rules", "DROP TABLE meta", "DELETE FROM meta", "DROP TABLE generations"}) {
    const TemporaryDirectory directory;
    open_ok(directory / "state.db");
    run_sql(directory / "state.db", damage);
    const auto opened = StateDb::open(directory / "state.db", kBoot);
    ASSERT_FALSE(opened) << damage;
    EXPECT_EQ(opened.error().code, ErrorCode::kCorrupt) << damage;
  }
}

TEST(StateDb, EmptyFileBecomesANewDatabase) {
  const TemporaryDirectory directory;
  std::ofstream(directory / "state.db").close();
  EXPECT_TRUE(open_ok(directory / "state.db").created());
}

TEST(StateDb, SettingAsideKeepsEveryEarlierCopy) {
  const TemporaryDirectory directory;
  const auto file = directory / "state.db";
  EXPECT_FALSE(StateDb::set_aside(file));
  for (int n = 1; n <= 3; ++n) {
    std::ofstream(file) << "damaged " << n;
    if (n == 2) std::ofstream(file.string() + "-wal") << "log " << n;
    const auto aside = StateDb::set_aside(file);
    ASSERT_TRUE(aside) << aside.error().message;
    EXPECT_EQ(*aside, file.string() + ".corrupt-" + std::to_string(n));
    EXPECT_FALSE(std::filesystem::exists(file));
  }
  for (int n = 1; n <= 3; ++n) {
    std::ifstream kept(file.string() + ".corrupt-" + std::to_string(n));
    std::string text;
    std::getline(kept, text);
    EXPECT_EQ(text, "damaged " + std::to_string(n));
  }
  EXPECT_TRUE(std::filesystem::exists(file.string() + "-wal.corrupt-2"));
  EXPECT_TRUE(open_ok(file).created());
}

TEST(StateDb, WithNoNameLeftForACopyTheDamagedOneStaysWhereItIs) {
  const TemporaryDirectory directory;
  const auto file = directory / "state.db";
  for (int n = 1; n <= 1'000; ++n) std::ofstream(file.string() + ".corrupt-" + std::to_string(n)) << n;
  std::ofstream(file) << "damaged";
  const auto aside = StateDb::set_aside(file);
  ASSERT_FALSE(aside);
  EXPECT_EQ(aside.error().code, ErrorCode::kRefused);
  EXPECT_NE(aside.error().message.find("remove some"), std::string::npos);
  std::ifstream kept(file.string());
  std::string text;
  std::getline(kept, text);
  EXPECT_EQ(text, "damaged");
  std::ifstream last(file.string() + ".corrupt-1000");
  std::getline(last, text);
  EXPECT_EQ(text, "1000");
}

}  // namespace

#include "daemon/cache/take_over.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "shm/boot_id.hpp"
#include "tests/unit/daemon/cache/cache_fixture.hpp"

namespace {

using authcache::shm::TableState;
using authcached::KnownGeneration;
using authcached::meet_predecessors;
using authcached::Predecessors;
using authcached::TakeOverInput;
using A = authcache::shm::StdAtomics;

constexpr authcached::Uuid kDatabase{1, 2, 3};

class TakeOver : public ::testing::Test {
 protected:
  TakeOver() {
    input_.runtime_dir = directory_.path();
    input_.database_uuid = kDatabase;
    input_.last_change = 5;
    input_.known = {known(7)};
  }
  authcache::shm::TableFile leave_table(std::uint64_t number, std::uint64_t durable_change = 0, authcached::Uuid uuid = kDatabase) {
    auto spec = authcache_test::small_table_spec();
    spec.generation = number;
    spec.database_uuid = authcached::uuid_words(uuid);
    auto file = authcache::shm::create_table(directory_.path(), spec);
    A::store_relaxed(file->view.header().durable_change, durable_change);
    authcache::shm::publish_table(file->view);
    EXPECT_TRUE(authcache::shm::name_table(*file, directory_.path()).has_value());
    return std::move(*file);
  }
  static KnownGeneration known(std::uint64_t number, std::int64_t timeout_ns = 10) {
    return {number, timeout_ns, authcache::shm::boot_id_text(*authcache::shm::current_boot_id())};
  }
  static bool retired(const authcache::shm::TableFile& file) {
    return A::load_relaxed(file.view.header().state) == static_cast<std::uint64_t>(TableState::kRetired);
  }
  authcache_test::TempTableDirectory directory_;
  TakeOverInput input_;
};

TEST_F(TakeOver, AWholeTableOfOurDatabaseIsAdopted) {
  const auto left = leave_table(7, 5);
  const Predecessors found = meet_predecessors(input_);
  ASSERT_TRUE(found.adoptable.has_value());
  EXPECT_EQ(found.adoptable->view.generation, 7u);
  EXPECT_FALSE(found.rules_lost);
  EXPECT_EQ(found.unreachable_ns, 0);
}

TEST_F(TakeOver, B25_ADatabaseThatEndsBelowWhatTheTableObeyedHasLostRules) {
  const auto left = leave_table(7, 6);
  const Predecessors found = meet_predecessors(input_);
  EXPECT_FALSE(found.adoptable.has_value());
  EXPECT_TRUE(found.rules_lost);
  EXPECT_TRUE(retired(left));
}

TEST_F(TakeOver, B25_ATableOfAnotherDatabaseIsRetiredAndRulesAreLost) {
  const auto left = leave_table(7, 0, authcached::Uuid{9});
  const Predecessors found = meet_predecessors(input_);
  EXPECT_FALSE(found.adoptable.has_value());
  EXPECT_TRUE(found.rules_lost);
  EXPECT_TRUE(retired(left));
}

TEST_F(TakeOver, B25_ADatabaseMadeAnewBesideATableAdoptsNothing) {
  const auto left = leave_table(7);
  input_.database_created = true;
  const Predecessors found = meet_predecessors(input_);
  EXPECT_FALSE(found.adoptable.has_value());
  EXPECT_TRUE(found.rules_lost);
  EXPECT_TRUE(retired(left));
}

// A start killed before it stored what stands for the lost rules leaves the next one the same picture.
TEST_F(TakeOver, B25_TheTablesThatShowALossKeepTheirNamesUntilTheCallerRemovesThem) {
  const auto left = leave_table(7, 6);
  const auto older = leave_table(5, 0, authcached::Uuid{9});
  EXPECT_EQ(meet_predecessors(input_).evidence.size(), 2u);
  const Predecessors again = meet_predecessors(input_);
  EXPECT_TRUE(again.rules_lost);
  EXPECT_EQ(again.evidence.size(), 2u);
}

TEST_F(TakeOver, OfTwoTablesTheNewestIsAdoptedAndTheOtherRetired) {
  const auto older = leave_table(7);
  const auto newer = leave_table(8);
  input_.known = {known(7), known(8)};
  const Predecessors found = meet_predecessors(input_);
  ASSERT_TRUE(found.adoptable.has_value());
  EXPECT_EQ(found.adoptable->view.generation, 8u);
  EXPECT_TRUE(retired(older));
  EXPECT_FALSE(retired(newer));
}

TEST_F(TakeOver, OneWrongTableAmongSeveralTakesTheAdoptableOneAlong) {
  const auto wrong = leave_table(7, 99);
  const auto good = leave_table(8);
  input_.known = {known(7), known(8)};
  const Predecessors found = meet_predecessors(input_);
  EXPECT_TRUE(found.rules_lost);
  EXPECT_FALSE(found.adoptable.has_value());
  EXPECT_TRUE(retired(good));
}

TEST_F(TakeOver, ACorruptTableIsRetiredInPlaceAndSetAside) {
  const auto left = leave_table(7);
  A::store_relaxed(left.view.header().magic, 0);
  const Predecessors found = meet_predecessors(input_);
  EXPECT_FALSE(found.adoptable.has_value());
  EXPECT_TRUE(retired(left));
  EXPECT_TRUE(std::filesystem::exists(directory_.path() / "corrupt.table.7"));
}

TEST_F(TakeOver, ATableThatCannotBeRetiredStaysListedWhileItIsWaitedFor) {
  // A start during that wait must wait too, so the number may not leave the list with those that were met.
  std::filesystem::create_symlink("nowhere", directory_.path() / "table.7");
  const Predecessors found = meet_predecessors(input_);
  EXPECT_GT(found.unreachable_ns, 0);
  EXPECT_EQ(found.unreachable, std::vector<std::uint64_t>{7});
}

TEST_F(TakeOver, B8_ATableWithoutANameDelaysAcknowledgementsByItsTimeoutInThisBootOnly) {
  input_.known = {known(7, 123)};
  EXPECT_EQ(meet_predecessors(input_).unreachable_ns, 123);
  input_.known[0].boot_id = "another boot";
  EXPECT_EQ(meet_predecessors(input_).unreachable_ns, 0);
}

TEST_F(TakeOver, B8_AMissingListDelaysThemByTheGreatestTimeoutUnlessItIsTheFirstStart) {
  input_.known.clear();
  input_.database_created = true;
  EXPECT_EQ(meet_predecessors(input_).unreachable_ns, std::int64_t{60'000'000'000});
  input_.first_start = true;
  EXPECT_EQ(meet_predecessors(input_).unreachable_ns, 0);
}

class MadeTable : public TakeOver {
 protected:
  MadeTable() {
    config_.runtime_dir = directory_.path();
    config_.table = {.capacity = 2'000, .negative_percent = 25, .text_bytes_per_record = 128, .heartbeat_timeout = std::chrono::milliseconds(3'000)};
  }
  authcached::Config config_;
};

TEST_F(MadeTable, IsWhatTheConfigurationAsksForAndHasItsHints) {
  const auto made = authcached::make_generation(config_, kDatabase, 42, static_cast<gid_t>(-1));
  ASSERT_TRUE(made.has_value()) << made.error().message;
  const auto& view = (*made)->writer.view();
  EXPECT_EQ(view.generation, 42u);
  EXPECT_EQ(view.geometry.capacity, 2'000u);
  EXPECT_EQ(view.heartbeat_timeout_ns, 3'000'000'000u);
  EXPECT_EQ(A::load_relaxed(view.header().negative_max), 500u);
  EXPECT_EQ(A::load_relaxed(view.header().text_bytes_per_record), 128u);
  const auto uuid = authcached::uuid_words(kDatabase);
  EXPECT_EQ(A::load_relaxed(view.header().database_uuid[0]), uuid[0]);
  EXPECT_EQ(A::load_relaxed(view.header().database_uuid[1]), uuid[1]);
  EXPECT_EQ(view.geometry.file_bytes, authcached::table_bytes(config_.table));
  ASSERT_TRUE((*made)->recency.has_value());
  EXPECT_GE((*made)->recency->size(), view.geometry.slots);
  EXPECT_EQ(authcache::shm::list_generations(directory_.path()), std::vector<std::uint64_t>{}) << "named by nobody yet";
}

TEST_F(MadeTable, WithoutADirectoryIsAnErrorThatNamesIt) {
  config_.runtime_dir = directory_.path() / "nowhere";
  const auto made = authcached::make_generation(config_, kDatabase, 42, static_cast<gid_t>(-1));
  ASSERT_FALSE(made.has_value());
  EXPECT_NE(made.error().message.find("nowhere"), std::string::npos) << made.error().message;
}

TEST_F(MadeTable, NeedsReplacementOnceAnyPartOfItsConfigurationDiffers) {
  const auto made = authcached::make_generation(config_, kDatabase, 42, static_cast<gid_t>(-1));
  ASSERT_TRUE(made.has_value());
  const auto& view = (*made)->writer.view();
  EXPECT_FALSE(authcached::needs_replacement(view, config_.table));
  authcached::TableConfig other = config_.table;
  other.capacity += 1;
  EXPECT_TRUE(authcached::needs_replacement(view, other));
  other = config_.table;
  other.negative_percent = 26;
  EXPECT_TRUE(authcached::needs_replacement(view, other));
  other = config_.table;
  other.text_bytes_per_record = 129;
  EXPECT_TRUE(authcached::needs_replacement(view, other));
  other = config_.table;
  other.heartbeat_timeout += std::chrono::milliseconds(1);
  EXPECT_TRUE(authcached::needs_replacement(view, other));
}

}  // namespace

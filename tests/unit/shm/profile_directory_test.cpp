#include "shm/profile_directory.hpp"

#include <gtest/gtest.h>

#include "shm/dictionary.hpp"
#include "tests/support/temp_table.hpp"

namespace {

using namespace authcache::shm;
using authcache_test::TempTable;

std::uint64_t config_of(const TempTable& table) {
  return StdAtomics::load_acquire(table.view().header().config);
}

TEST(ProfileDirectory, ProfilesReadBackWithStateAndAudience) {
  TempTable table;
  write_profiles(table.view(), {{.name = "main", .id = 5, .audience = {"a", std::string(255, 'b')}},
                                {.name = std::string(kProfileNameMax, 'n'),
                                 .id = 6,
                                 .state = ProfileState::kUnavailable,
                                 .audience = {}}});
  const auto read = read_profiles(table.view());
  ASSERT_EQ(read.size(), 2U);
  EXPECT_EQ(read[0].name, "main");
  EXPECT_EQ(read[0].id, 5U);
  EXPECT_EQ(read[0].audience, (std::vector<std::string>{"a", std::string(255, 'b')}));
  EXPECT_EQ(read[1].name, std::string(kProfileNameMax, 'n'));
  EXPECT_EQ(read[1].state, ProfileState::kUnavailable);
}

TEST(ProfileDirectory, ANameIsFoundOnlyWhole) {
  TempTable table;
  write_profiles(table.view(), {{.name = "main", .id = 5, .audience = {"a"}},
                                {.name = "maintenance", .id = 6, .audience = {}}});
  const auto found = find_profile(table.view(), config_of(table), "maintenance");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->id, 6U);
  EXPECT_EQ(found->entry, 1U);
  EXPECT_EQ(find_profile(table.view(), config_of(table), "main")->audience_count, 1U);
  EXPECT_FALSE(find_profile(table.view(), config_of(table), "mai"));
  EXPECT_FALSE(find_profile(table.view(), config_of(table), ""));
  EXPECT_FALSE(find_profile(table.view(), config_of(table), std::string(100, 'm')));
}

TEST(ProfileDirectory, InAFullOneTheLastIsFoundAndAnUnknownNameIsNot) {
  TempTable table;
  std::vector<ProfileDescription> profiles;
  for (std::uint32_t i = 0; i < kProfilesMax; ++i) profiles.push_back({.name = "p" + std::to_string(i), .id = i + 1, .audience = {}});
  write_profiles(table.view(), profiles);
  const auto last = find_profile(table.view(), config_of(table), "p63");
  ASSERT_TRUE(last);
  EXPECT_EQ(last->entry, kProfilesMax - 1);
  EXPECT_FALSE(find_profile(table.view(), config_of(table), "unknown"));
}

TEST(ProfileDirectory, AChangeLeavesTheOldCopyWholeUntilTheNextOne) {
  TempTable table;
  write_profiles(table.view(), {{.name = "one", .id = 1, .audience = {}}});
  const std::uint64_t before = config_of(table);
  write_profiles(table.view(), {{.name = "two", .id = 2, .audience = {}}});
  EXPECT_EQ(config_of(table), before + 1);
  EXPECT_TRUE(find_profile(table.view(), before, "one"));
  EXPECT_FALSE(find_profile(table.view(), config_of(table), "one"));
  EXPECT_TRUE(find_profile(table.view(), config_of(table), "two"));
}

TEST(ProfileDirectory, FewerProfilesLeaveNoneOfTheOldBehind) {
  TempTable table;
  write_profiles(table.view(),
                 {{.name = "a", .id = 1, .audience = {}}, {.name = "b", .id = 2, .audience = {}}});
  write_profiles(table.view(),
                 {{.name = "c", .id = 3, .audience = {}}, {.name = "d", .id = 4, .audience = {}}});
  write_profiles(table.view(), {{.name = "e", .id = 5, .audience = {}}});
  EXPECT_EQ(read_profiles(table.view()).size(), 1U);
  EXPECT_FALSE(find_profile(table.view(), config_of(table), "b"));
}

TEST(ProfileDirectory, WhatDoesNotFitIsLeftOutAndWritesOverNothing) {
  TempTable table;
  std::vector<ProfileDescription> profiles = {
      {.name = std::string(kProfileNameMax + 1, 'n'), .id = 1, .audience = {}},
      {.name = "many", .id = 2, .audience = std::vector<std::string>(kProfileAudiencesMax + 1, "a")},
      {.name = "long", .id = 3, .audience = {std::string(256, 'a')}},
      {.name = "last", .id = 4, .audience = std::vector<std::string>(kProfileAudiencesMax, "a")},
  };
  write_profiles(table.view(), profiles);
  auto read = read_profiles(table.view());
  ASSERT_EQ(read.size(), 1U);
  EXPECT_EQ(read[0].name, "last");
  EXPECT_EQ(read[0].audience.size(), kProfileAudiencesMax);

  profiles.assign(kProfilesMax + 5, {.name = "p", .id = 9, .audience = {}});
  write_profiles(table.view(), profiles);
  EXPECT_EQ(read_profiles(table.view()).size(), kProfilesMax);
}

TEST(ProfileDirectory, AStateIsStoredInPlaceAndOutlivesNoDirectory) {
  TempTable table;
  table.writer().set_profiles(
      {{.name = "main", .id = 5, .state = ProfileState::kUnavailable, .audience = {"api"}}});
  const std::uint64_t config = config_of(table);
  table.writer().set_profile_state("main", ProfileState::kCurrent);
  table.writer().set_profile_state("nobody", ProfileState::kCurrent);
  EXPECT_EQ(config_of(table), config);
  EXPECT_EQ(read_profiles(table.view())[0].state, ProfileState::kCurrent);
  EXPECT_TRUE(find_bit(table.view(), StdAtomics::load_acquire(table.view().header().dictionary),
                       DictionaryKind::kAudience, "api"));
}

TEST(ProfileDirectory, B7_HostileSizesAreClamped) {
  TempTable table;
  write_profiles(table.view(), {{.name = "main", .id = 5, .audience = {"a"}}});
  StdAtomics::store_release(table.view().profile(config_of(table), 0).sizes, ~std::uint64_t{0});
  EXPECT_FALSE(find_profile(table.view(), config_of(table), "main"));
  const auto read = read_profiles(table.view());
  ASSERT_EQ(read.size(), 1U);
  EXPECT_EQ(read[0].name.size(), kProfileNameMax);
  EXPECT_EQ(read[0].audience.size(), kProfileAudiencesMax);
}

}  // namespace

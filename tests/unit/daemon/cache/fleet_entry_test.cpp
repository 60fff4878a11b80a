// Entries of a fleet: what is signed comes back, and nothing else does.
#include "daemon/cache/fleet_entry.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/temporary_directory.hpp"

namespace authcached {
namespace {

FleetSeal seal_with(const std::string& secret, const std::string& name = "fleet") {
  const testing::TemporaryDirectory directory;
  const auto file = directory / "key";
  std::ofstream(file) << secret;
  std::filesystem::permissions(file, std::filesystem::perms::owner_read);
  auto seal = FleetSeal::load(file, name);
  if (!seal) throw std::runtime_error(seal.error().message);
  return std::move(*seal);
}
const std::string kSecret(32, 's');

FleetEntry entry_of(std::string subject) {
  FleetEntry entry;
  entry.host.fill(7);
  entry.change = 42;
  entry.previous = 40;
  entry.rule.change = 42;
  entry.rule.kind = RuleKind::kSubject;
  entry.rule.scope = "https://issuer.example";
  entry.rule.value = std::move(subject);
  entry.rule.not_before_ns = 1'000;
  entry.rule.created_wall_ns = 2'000;
  entry.rule.life_ns = 3'000;
  return entry;
}

TEST(FleetEntry, WhatIsSealedComesBack) {
  const FleetSeal seal = seal_with(kSecret);
  const FleetEntry entry = entry_of("alice");
  const auto opened = seal.open(seal.seal(entry));
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_TRUE(*opened == entry);
  EXPECT_EQ(opened->previous, 40U);
  EXPECT_EQ(opened->rule.created_wall_ns, 2'000);
}

TEST(FleetEntry, NoByteOfItCanBeChangedRemovedOrAdded) {
  const FleetSeal seal = seal_with(kSecret);
  const std::string sealed = seal.seal(entry_of("alice"));
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    std::string changed = sealed;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(seal.open(changed)) << i;
    EXPECT_FALSE(seal.open(sealed.substr(0, i))) << i;
  }
  EXPECT_FALSE(seal.open(sealed + "x"));
  EXPECT_FALSE(seal.open(""));
}

TEST(FleetEntry, AnotherSecretOrAnotherFleetsNameOpensNothing) {
  const std::string sealed = seal_with(kSecret).seal(entry_of("alice"));
  EXPECT_FALSE(seal_with(std::string(32, 't')).open(sealed));
  EXPECT_FALSE(seal_with(kSecret, "fleet2").open(sealed));
  EXPECT_TRUE(seal_with(kSecret).open(sealed));
}

TEST(FleetEntry, ASignedEntryWithARuleThatIsNoneIsRefused) {
  const FleetSeal seal = seal_with(kSecret);
  FleetEntry entry = entry_of("alice");
  entry.rule.kind = RuleKind::kToken;  // whose value is a digest
  EXPECT_FALSE(seal.open(seal.seal(entry)));
  entry = entry_of("alice");
  entry.rule.kind = static_cast<RuleKind>(200);
  EXPECT_FALSE(seal.open(seal.seal(entry)));
  entry = entry_of("alice");
  entry.rule.life_ns = -1;
  EXPECT_FALSE(seal.open(seal.seal(entry)));
}

TEST(FleetEntry, AShortSecretIsRefused) { EXPECT_THROW(seal_with(std::string(31, 's')), std::runtime_error); }

TEST(FleetEntry, EveryHostAndEveryIdentityHasItsPlace) {
  const FleetEntry entry = entry_of("alice");
  HostId other{};
  const std::string place = copy_place(entry.host, entry.rule);
  EXPECT_EQ(place, copy_place(entry.host, entry_of("alice").rule));
  EXPECT_NE(place, copy_place(other, entry.rule));
  EXPECT_NE(place, copy_place(entry.host, entry_of("bob").rule));
  Rule rule = entry.rule;
  rule.scope += rule.value.substr(0, 1);  // the same bytes, parted elsewhere
  rule.value.erase(0, 1);
  EXPECT_NE(place, copy_place(entry.host, rule));
}

}  // namespace
}  // namespace authcached

// Many permissions of one identity in one call, and what an identity's text tells of what its roles grant.
#include <gtest/gtest.h>

#include "libclient/include/authcache/authcache.hpp"
#include "tests/unit/libclient/table_fixture.hpp"

namespace {

using namespace authcache::client_test;
using authcache::shm::SlotState;
namespace shm = authcache::shm;
using Strings = std::vector<std::string>;

class PermissionsOfAnIdentity : public ::testing::Test {
 protected:
  authcache_identity put(const std::string& token, const Strings& permissions, const Strings& role_grants) {
    Proven proven;
    proven.permissions = permissions;
    std::string text = text_of(proven);
    shm::TextBuilder more;
    for (const std::string& grant : role_grants) {
      if (!writer_.intern_role_grant(grant)) more.add(shm::TextField::kRoleGrant, grant);
    }
    text.append(more.bytes());
    const std::uint64_t now = shm::coarse_now_ns();
    shm::RecordSpec spec;
    spec.key = shm::key_of(shm::token_digest(kMainId, token));
    spec.deadline = now + proven.life_ns;
    spec.epoch = writer_.epoch();
    spec.permissions = permissions;
    spec.role_grants = role_grants;
    spec.text = text;
    spec.profile_id = kMainId;
    EXPECT_TRUE(writer_.insert(spec, now));
    authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
    EXPECT_EQ(looked_up(client_, token, client_.requirement(), &identity), "valid");
    return identity;
  }
  authcache_requirement* asking(const Strings& permissions) {
    auto* requirement = client_.requirement();
    for (const std::string& permission : permissions) {
      EXPECT_EQ(authcache_requirement_add_permission(requirement, permission.c_str()), AUTHCACHE_OK);
    }
    return requirement;
  }
  // "1010" in the order asked, or the verdict.
  std::string held(const authcache_identity& identity, const Strings& permissions) {
    std::uint64_t bits = ~std::uint64_t{0};
    const int verdict = authcache_identity_permissions(client_.get(), &identity, asking(permissions), &bits);
    if (verdict != AUTHCACHE_VALID) {
      EXPECT_EQ(bits, 0u);
      return authcache_verdict_name(verdict);
    }
    std::string shown;
    for (std::size_t i = 0; i < permissions.size(); ++i) shown.push_back((bits >> i & 1) != 0 ? '1' : '0');
    EXPECT_EQ(permissions.size() == 64 ? 0 : bits >> permissions.size(), 0u);
    return shown;
  }

  TempDir dir_;
  shm::TableWriter writer_ = make_table(dir_.path(), 100);
  OpenClient client_{dir_.path()};
};

TEST_F(PermissionsOfAnIdentity, EachIsAnsweredInTheOrderAsked) {
  const auto identity = put("t", {"own"}, {"reports.read", "documents/*:read"});
  EXPECT_EQ(held(identity, {"own", "no", "reports.read", "documents/7:read", "documents/7:write"}), "10110");
  EXPECT_EQ(held(identity, {"own", "reports.read"}), "11");
  EXPECT_EQ(held(identity, {"no", "neither"}), "00");
  EXPECT_EQ(held(identity, {}), "");
}

TEST_F(PermissionsOfAnIdentity, AsManyAsARequirementHoldsAreAnswered) {
  Strings asked, granted;
  std::string expected;
  for (int i = 0; i < 64; ++i) {
    asked.push_back("p" + std::to_string(i));
    if (i % 3 == 0) granted.push_back(asked.back());
    expected.push_back(i % 3 == 0 ? '1' : '0');
  }
  EXPECT_EQ(held(put("t", {}, granted), asked), expected);
}

TEST_F(PermissionsOfAnIdentity, WhatHasNoBitIsReadFromTheText) {
  for (std::uint32_t i = 0; i < shm::kGrantBits; ++i) (void)writer_.intern_role_grant("filler." + std::to_string(i));
  const auto identity = put("t", {"own"}, {"filler.3", "late.read", "documents/*:read"});
  EXPECT_EQ(held(identity, {"own", "filler.3", "filler.4", "late.read", "late.write", "documents/1:read"}), "110101");
}

TEST_F(PermissionsOfAnIdentity, OneRequirementAnswersForManyRecordsAndAGrowingDictionary) {
  const auto first = put("a", {}, {"documents/*:read"});
  auto* requirement = asking({"documents/7:read", "later"});
  std::uint64_t bits = 0;
  EXPECT_EQ(authcache_identity_permissions(client_.get(), &first, requirement, &bits), AUTHCACHE_VALID);
  EXPECT_EQ(bits, 1u);
  const auto second = put("b", {"later", "documents/7:read"}, {});
  EXPECT_EQ(authcache_identity_permissions(client_.get(), &second, requirement, &bits), AUTHCACHE_VALID);
  EXPECT_EQ(bits, 3u);
  EXPECT_EQ(authcache_identity_permissions(client_.get(), &first, requirement, &bits), AUTHCACHE_VALID);
  EXPECT_EQ(bits, 1u) << "the pattern still covers what has a bit of its own by now";
}

TEST_F(PermissionsOfAnIdentity, TheRestOfTheRequirementIsJudgedFirst) {
  const auto identity = put("t", {"own"}, {});
  auto* scope = asking({"own"});
  authcache_requirement_add_scope(scope, "write");
  std::uint64_t bits = 1;
  EXPECT_EQ(authcache_identity_permissions(client_.get(), &identity, scope, &bits), AUTHCACHE_FORBIDDEN);
  EXPECT_EQ(bits, 0u);
  auto* audience = asking({"own"});
  authcache_requirement_add_audience(audience, "elsewhere");
  EXPECT_EQ(authcache_identity_permissions(client_.get(), &identity, audience, &bits), AUTHCACHE_INVALID);
}

TEST_F(PermissionsOfAnIdentity, ARecordThatEndedHoldsNothing) {
  const auto identity = put("t", {"own"}, {});
  writer_.kill(shm::key_of(shm::token_digest(kMainId, "t")), SlotState::kRevoked);
  EXPECT_EQ(held(identity, {"own"}), "miss");
  const auto again = put("t", {"own"}, {});
  EXPECT_EQ(held(identity, {"own"}), "miss") << "another record, perhaps in the same slot";
  EXPECT_EQ(held(again, {"own"}), "1");
  writer_.raise_all();
  EXPECT_EQ(held(again, {"own"}), "miss");
}

TEST_F(PermissionsOfAnIdentity, WithoutASignOfLifeNothingIsHeld) {
  const auto identity = put("t", {"own"}, {});
  writer_.beat(shm::coarse_now_ns() - 2 * kHeartbeatTimeoutNs);
  EXPECT_EQ(held(identity, {"own"}), "unavailable");
}

TEST_F(PermissionsOfAnIdentity, WrongUseIsAnErrorAndHoldsNothing) {
  const auto identity = put("t", {"own"}, {});
  auto* requirement = asking({"own"});
  std::uint64_t bits = 7;
  EXPECT_EQ(authcache_identity_permissions(client_.get(), &identity, requirement, nullptr), AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_identity_permissions(client_.get(), &identity, nullptr, &bits), AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(bits, 0u);
  EXPECT_EQ(authcache_identity_permissions(client_.get(), nullptr, requirement, &bits), AUTHCACHE_ERROR_USAGE);
  authcache_identity none = AUTHCACHE_IDENTITY_INIT;
  EXPECT_EQ(authcache_identity_permissions(client_.get(), &none, requirement, &bits), AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_identity_permissions(nullptr, &identity, requirement, &bits), AUTHCACHE_ERROR_USAGE);
}

TEST_F(PermissionsOfAnIdentity, TheTextTellsWhatRolesGrant) {
  EXPECT_EQ(text(client_, put("t", {"own", "role:clerk"}, {"reports.read", "documents/*:read"}), AUTHCACHE_FIELD_PERMISSIONS),
            "own role:clerk reports.read documents/*:read");
  EXPECT_EQ(text(client_, put("u", {"own"}, {}), AUTHCACHE_FIELD_PERMISSIONS), "own");
  EXPECT_EQ(text(client_, put("v", {}, {"reports.read"}), AUTHCACHE_FIELD_PERMISSIONS), "reports.read");
}

TEST_F(PermissionsOfAnIdentity, TheWrapperAnswersByIndex) {
  (void)put("t", {"own"}, {"reports.read"});
  auto client = authcache::Client::open({.runtime_dir = dir_.path().string()});
  ASSERT_TRUE(client);
  auto nothing = client->requirement("main");
  auto asked = client->requirement("main");
  asked.permission("own").permission("no").permission("reports.read");
  authcache::Identity identity;
  ASSERT_EQ(client->lookup("t", nothing, &identity), authcache::Verdict::kValid);
  const authcache::PermissionsHeld answer = client->permissions(identity, asked);
  EXPECT_EQ(answer.verdict, authcache::Verdict::kValid);
  EXPECT_TRUE(answer.has(0));
  EXPECT_FALSE(answer.has(1));
  EXPECT_TRUE(answer.has(2));
  EXPECT_FALSE(answer.has(64));
}

}  // namespace

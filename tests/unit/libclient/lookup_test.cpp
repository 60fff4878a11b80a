// Hits and everything that is not one, through the C ABI over real tables.
#include <gtest/gtest.h>

#include "tests/unit/libclient/table_fixture.hpp"

namespace {

using namespace authcache::client_test;
using authcache::shm::ProfileState;
using authcache::shm::Reason;
using authcache::shm::SlotState;
using authcache::shm::TableState;
using authcache::shm::Verdict;
namespace shm = authcache::shm;

class Lookup : public ::testing::Test {
 protected:
  TempDir dir_;
  shm::TableWriter writer_ = make_table(dir_.path(), 100);
  OpenClient client_{dir_.path()};
};

TEST_F(Lookup, ARecordIsAHitWithItsHandle) {
  const auto place = admit(writer_, kMainId, "token");
  authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
  EXPECT_EQ(looked_up(client_, "token", client_.requirement(), &identity), "valid");
  EXPECT_EQ(identity.generation, 100u);
  EXPECT_EQ(identity.slot, place.slot);
  EXPECT_EQ(identity.sequence, place.sequence);
  EXPECT_EQ(identity.has_confirmation, 0u);
  EXPECT_GT(identity.deadline_ns, shm::coarse_now_ns());
  const auto key = shm::key_of(shm::token_digest(kMainId, "token"));
  EXPECT_EQ(identity.key[0], key[0]);
  EXPECT_EQ(identity.key[2], key[2]);
}

TEST_F(Lookup, AnUnknownTokenIsAMissWithoutAHandle) {
  admit(writer_, kMainId, "token");
  authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
  EXPECT_EQ(looked_up(client_, "tokem", client_.requirement(), &identity), "miss");
  EXPECT_EQ(identity.sequence, 0u);
}

TEST_F(Lookup, LengthAloneRefusesBeforeTheTableIsAsked) {
  auto* requirement = client_.requirement();
  EXPECT_EQ(looked_up(client_, "", requirement), "invalid/malformed");
  EXPECT_EQ(looked_up(client_, std::string(16 * 1024 + 1, 'a'), requirement), "invalid/too_long");
  EXPECT_EQ(looked_up(client_, std::string(16 * 1024, 'a'), requirement), "miss");
}

TEST_F(Lookup, ANegativeRecordIsInvalidWithItsReason) {
  admit(writer_, kMainId, "bad", {.verdict = Verdict::kInvalid, .reason = Reason::kBadSignature});
  EXPECT_EQ(looked_up(client_, "bad", client_.requirement()), "invalid/bad_signature");
}

TEST_F(Lookup, MissingScopesAndPermissionsAreForbidden) {
  admit(writer_, kMainId, "token", {.scopes = {"read"}, .permissions = {"orders:list"}});
  auto* scope = client_.requirement();
  authcache_requirement_add_scope(scope, "read");
  EXPECT_EQ(looked_up(client_, "token", scope), "valid");
  auto* scopes = client_.requirement();
  authcache_requirement_add_scope(scopes, "read");
  authcache_requirement_add_scope(scopes, "write");
  EXPECT_EQ(looked_up(client_, "token", scopes), "forbidden/scope");
  auto* permission = client_.requirement();
  authcache_requirement_add_permission(permission, "orders:list");
  EXPECT_EQ(looked_up(client_, "token", permission), "valid");
  auto* scope_as_permission = client_.requirement();
  authcache_requirement_add_permission(scope_as_permission, "read");
  EXPECT_EQ(looked_up(client_, "token", scope_as_permission), "forbidden/permission");
}

TEST_F(Lookup, AScopeThatIsInternedAfterTheRequirementWasCompiledIsSeen) {
  admit(writer_, kMainId, "before");
  auto* requirement = client_.requirement();
  authcache_requirement_add_scope(requirement, "late");
  EXPECT_EQ(looked_up(client_, "before", requirement), "forbidden/scope");
  admit(writer_, kMainId, "after", {.scopes = {"late"}});
  EXPECT_EQ(looked_up(client_, "after", requirement), "valid");
  EXPECT_EQ(looked_up(client_, "before", requirement), "forbidden/scope");
}

TEST_F(Lookup, TheProfilesAudienceAppliesUnlessTheRequirementHasItsOwn) {
  admit(writer_, kOtherId, "mine", {.audience = {"other-api", "third"}});
  admit(writer_, kOtherId, "foreign", {.audience = {"third"}});
  admit(writer_, kOtherId, "none");
  auto* by_profile = client_.requirement("other");
  EXPECT_EQ(looked_up(client_, "mine", by_profile), "valid");
  EXPECT_EQ(looked_up(client_, "foreign", by_profile), "invalid/audience");
  EXPECT_EQ(looked_up(client_, "none", by_profile), "invalid/audience");
  auto* own = client_.requirement("other");
  authcache_requirement_add_audience(own, "third");
  authcache_requirement_add_audience(own, "fourth");
  EXPECT_EQ(looked_up(client_, "foreign", own), "valid");
  EXPECT_EQ(looked_up(client_, "none", own), "invalid/audience");
}

TEST_F(Lookup, B22_OneTokenInTwoProfilesIsJudgedByEachInBothOrders) {
  const std::string token = "shared";
  admit(writer_, kMainId, token, {.audience = {"service-a"}});
  admit(writer_, kOtherId, token, {.audience = {"service-a"}});
  auto* a = client_.requirement("main");
  authcache_requirement_add_audience(a, "service-a");
  auto* b = client_.requirement("other");  // its profile asks for other-api
  EXPECT_EQ(looked_up(client_, token, a), "valid");
  EXPECT_EQ(looked_up(client_, token, b), "invalid/audience");
  EXPECT_EQ(looked_up(client_, token, a), "valid");
  // A record of one profile is no record of another.
  writer_.kill(shm::key_of(shm::token_digest(kOtherId, token)), SlotState::kEvicted);
  EXPECT_EQ(looked_up(client_, token, b), "miss");
}

TEST_F(Lookup, A8_1_AConfirmationAsksForItsThumbprint) {
  admit(writer_, kMainId, "bound", {.confirmation = confirmation(AUTHCACHE_THUMBPRINT_X5T_S256, 'k')});
  auto* base = client_.requirement();
  EXPECT_EQ(looked_up(client_, "bound", base), "forbidden/confirmation_required");
  authcache_bound_requirement bound;
  const auto right = thumbprint(AUTHCACHE_THUMBPRINT_X5T_S256, 'k');
  ASSERT_EQ(authcache_requirement_bind(base, &right, &bound), AUTHCACHE_OK);
  authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
  EXPECT_EQ(looked_up(client_, "bound", &bound.requirement, &identity), "valid");
  EXPECT_EQ(identity.has_confirmation, 1u);
  const auto wrong = thumbprint(AUTHCACHE_THUMBPRINT_X5T_S256, 'x');
  ASSERT_EQ(authcache_requirement_bind(base, &wrong, &bound), AUTHCACHE_OK);
  EXPECT_EQ(looked_up(client_, "bound", &bound.requirement), "forbidden/confirmation_required");
}

TEST_F(Lookup, BindingRefusesWhatItCannotMeanAndLeavesNothingUsable) {
  auto* base = client_.requirement();
  const auto good = thumbprint(AUTHCACHE_THUMBPRINT_JKT, 'k');
  authcache_bound_requirement bound;
  authcache_bound_requirement twice;
  ASSERT_EQ(authcache_requirement_bind(base, &good, &bound), AUTHCACHE_OK);
  EXPECT_EQ(authcache_requirement_bind(&bound.requirement, &good, &twice), AUTHCACHE_ERROR_USAGE);
  const auto odd = thumbprint(3, 'k');
  EXPECT_EQ(authcache_requirement_bind(base, &odd, &bound), AUTHCACHE_ERROR_USAGE);
  admit(writer_, kMainId, "token");
  EXPECT_EQ(looked_up(client_, "token", &bound.requirement), "usage_error");
}

TEST_F(Lookup, AnExpiredRecordIsAMiss) {
  admit(writer_, kMainId, "short", {.life_ns = 0});
  EXPECT_EQ(looked_up(client_, "short", client_.requirement()), "miss");
}

TEST_F(Lookup, AKilledRecordIsAMiss) {
  admit(writer_, kMainId, "token");
  auto* requirement = client_.requirement();
  ASSERT_EQ(looked_up(client_, "token", requirement), "valid");
  writer_.kill(shm::key_of(shm::token_digest(kMainId, "token")), SlotState::kRevoked);
  EXPECT_EQ(looked_up(client_, "token", requirement), "miss");
}

TEST_F(Lookup, RaisingAnEpochVoidsWhatItCovers) {
  const shm::PrincipalId issuer{1, 2, 3, 4};
  const shm::PrincipalId key{5, 6, 7, 8};
  auto* requirement = client_.requirement();
  admit(writer_, kMainId, "by issuer", {.issuer = issuer});
  admit(writer_, kMainId, "by key", {.signing_key = key});
  admit(writer_, kMainId, "by neither");
  writer_.raise_issuer(issuer);
  EXPECT_EQ(looked_up(client_, "by issuer", requirement), "miss");
  EXPECT_EQ(looked_up(client_, "by key", requirement), "valid");
  writer_.raise_key(key);
  EXPECT_EQ(looked_up(client_, "by key", requirement), "miss");
  EXPECT_EQ(looked_up(client_, "by neither", requirement), "valid");
  writer_.raise_all();
  EXPECT_EQ(looked_up(client_, "by neither", requirement), "miss");
}

TEST_F(Lookup, AStaleHeartbeatIsUnavailableUntilItBeatsAgain) {
  admit(writer_, kMainId, "token");
  auto* requirement = client_.requirement();
  writer_.beat(shm::coarse_now_ns() - kHeartbeatTimeoutNs - shm::kNsPerSecond);
  EXPECT_EQ(looked_up(client_, "token", requirement), "unavailable/heartbeat_stale");
  writer_.beat(shm::coarse_now_ns());
  EXPECT_EQ(looked_up(client_, "token", requirement), "valid");
}

TEST_F(Lookup, AHeartbeatOfTheFutureIsAnotherTimeNamespace) {
  admit(writer_, kMainId, "token");
  writer_.beat(shm::coarse_now_ns() + 5 * shm::kNsPerSecond);
  EXPECT_EQ(looked_up(client_, "token", client_.requirement()), "unavailable/time_namespace");
}

TEST_F(Lookup, ARetiredTableIsNeverValidAndAMovingOneIs) {
  admit(writer_, kMainId, "token");
  auto* requirement = client_.requirement();
  writer_.set_state(TableState::kMoving);
  EXPECT_EQ(looked_up(client_, "token", requirement), "valid");
  writer_.set_state(TableState::kRetired);
  EXPECT_EQ(looked_up(client_, "token", requirement), "unavailable/retired");
}

TEST_F(Lookup, AProfileThatIsCatchingUpMakesItsRecordsUnavailable) {
  admit(writer_, kMainId, "token");
  admit(writer_, kOtherId, "token", {.audience = {"other-api"}});
  auto* main = client_.requirement("main");
  writer_.set_profile_state("main", ProfileState::kUnavailable);
  EXPECT_EQ(looked_up(client_, "token", main), "unavailable/catching_up");
  EXPECT_EQ(looked_up(client_, "token", client_.requirement("other")), "valid");
  writer_.set_profile_state("main", ProfileState::kCurrent);
  EXPECT_EQ(looked_up(client_, "token", main), "valid");
}

TEST_F(Lookup, AProfileThatIsNotInTheTableIsUnavailable) {
  EXPECT_EQ(looked_up(client_, "token", client_.requirement("nobody")), "unavailable/unknown_profile");
}

TEST_F(Lookup, AReloadedProfileIsResolvedAgain) {
  admit(writer_, kMainId, "token");
  auto* requirement = client_.requirement();
  ASSERT_EQ(looked_up(client_, "token", requirement), "valid");
  writer_.set_profiles(
      {{.name = "first", .id = 1, .audience = {}}, {.name = "main", .id = 0x3333, .audience = {}}});
  EXPECT_EQ(looked_up(client_, "token", requirement), "miss");
  admit(writer_, 0x3333, "token");
  EXPECT_EQ(looked_up(client_, "token", requirement), "valid");
  writer_.set_profiles({{.name = "main", .id = 0x3333, .audience = {"now-asked"}}});
  EXPECT_EQ(looked_up(client_, "token", requirement), "invalid/audience");
  writer_.set_profiles({{.name = "first", .id = 1, .audience = {}}});
  EXPECT_EQ(looked_up(client_, "token", requirement), "unavailable/unknown_profile");
}

TEST_F(Lookup, ScopesBeyondTheDictionaryAreComparedAsText) {
  Proven many;
  for (int i = 0; i < 70; ++i) many.scopes.push_back("scope-" + std::to_string(i));
  admit(writer_, kMainId, "many", many);
  admit(writer_, kMainId, "few", {.scopes = {"scope-0", "scope-69"}});
  const auto with = [&](std::initializer_list<const char*> scopes) {
    auto* requirement = client_.requirement();
    for (const char* scope : scopes)
      EXPECT_EQ(authcache_requirement_add_scope(requirement, scope), AUTHCACHE_OK);
    return requirement;
  };
  EXPECT_EQ(looked_up(client_, "many", with({"scope-0", "scope-63"})), "valid");
  EXPECT_EQ(looked_up(client_, "many", with({"scope-3", "scope-69"})), "valid");
  EXPECT_EQ(looked_up(client_, "many", with({"scope-70"})), "forbidden/scope");
  EXPECT_EQ(looked_up(client_, "few", with({"scope-69"})), "valid");
  EXPECT_EQ(looked_up(client_, "few", with({"scope-68"})), "forbidden/scope");
  EXPECT_EQ(looked_up(client_, "few", with({"scope-0", "scope-1", "scope-69"})), "forbidden/scope");
}

TEST_F(Lookup, AudiencesBeyondTheDictionaryAreComparedAsText) {
  Proven many;
  for (int i = 0; i < 20; ++i) many.audience.push_back("audience-" + std::to_string(i));
  admit(writer_, kMainId, "many", many);
  const auto with = [&](const char* audience) {
    auto* requirement = client_.requirement();
    EXPECT_EQ(authcache_requirement_add_audience(requirement, audience), AUTHCACHE_OK);
    return requirement;
  };
  EXPECT_EQ(looked_up(client_, "many", with("audience-2")), "valid");
  EXPECT_EQ(looked_up(client_, "many", with("audience-19")), "valid");
  EXPECT_EQ(looked_up(client_, "many", with("audience-20")), "invalid/audience");
}

TEST_F(Lookup, AProfilesAudienceBeyondTheDictionaryIsComparedAsText) {
  Proven filler;
  for (int i = 0; i < 20; ++i) filler.audience.push_back("filler-" + std::to_string(i));
  admit(writer_, kMainId, "filler", filler);
  writer_.set_profiles({{.name = "main", .id = kMainId, .audience = {"late-one", "late-two"}}});
  admit(writer_, kMainId, "token", {.audience = {"late-two"}});
  auto* requirement = client_.requirement();
  EXPECT_EQ(looked_up(client_, "token", requirement), "valid");
  EXPECT_EQ(looked_up(client_, "filler", requirement), "invalid/audience");
}

TEST_F(Lookup, StringsTooLongForTheDictionaryAreComparedAsText) {
  const std::string scope(300, 's');
  const std::string other = scope.substr(0, 299) + "t";
  admit(writer_, kMainId, "token", {.scopes = {scope}});
  auto* same = client_.requirement();
  ASSERT_EQ(authcache_requirement_add_scope(same, scope.c_str()), AUTHCACHE_OK);
  auto* differs = client_.requirement();
  ASSERT_EQ(authcache_requirement_add_scope(differs, other.c_str()), AUTHCACHE_OK);
  EXPECT_EQ(looked_up(client_, "token", same), "valid");
  EXPECT_EQ(looked_up(client_, "token", differs), "forbidden/scope");
}

TEST_F(Lookup, ARequirementIsUsableByItsOwnClientOnly) {
  admit(writer_, kMainId, "token");
  OpenClient another(dir_.path());
  EXPECT_EQ(looked_up(client_, "token", another.requirement()), "usage_error");
  EXPECT_NE(client_.last_error().find("another client"), std::string::npos);
  EXPECT_EQ(looked_up(client_, "token", nullptr), "usage_error");
  authcache_identity sizeless{};
  EXPECT_EQ(authcache_lookup(client_.get(), "token", 5, client_.requirement(), &sizeless),
            AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_lookup(client_.get(), "token", 5, client_.requirement(), nullptr), AUTHCACHE_VALID);
}

TEST_F(Lookup, AFailedAddLeavesARequirementThatNeverAnswers) {
  admit(writer_, kMainId, "token");
  auto* too_long = client_.requirement();
  EXPECT_EQ(authcache_requirement_add_scope(too_long, std::string(5000, 's').c_str()), AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(looked_up(client_, "token", too_long), "usage_error");
  auto* too_many = client_.requirement();
  for (int i = 0; i < 16; ++i) EXPECT_EQ(authcache_requirement_add_audience(too_many, "a"), AUTHCACHE_OK);
  EXPECT_EQ(authcache_requirement_add_audience(too_many, "a"), AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(looked_up(client_, "token", too_many), "usage_error");
  auto* in_use = client_.requirement();
  ASSERT_EQ(looked_up(client_, "token", in_use), "valid");
  EXPECT_EQ(authcache_requirement_add_scope(in_use, "late"), AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(looked_up(client_, "token", in_use), "usage_error");
}

TEST_F(Lookup, TextThatDidNotFitLeavesWhatNeedsItUndecided) {
  TempDir small_dir;
  auto small =
      make_table(small_dir.path(), 7, 64);  // 64 bytes a record: 64 KiB in all, one page, one size class
  OpenClient client(small_dir.path());
  admit(small, kMainId, "first");
  Proven large{.scopes = {"read", std::string(300, 's')}};
  admit(small, kMainId, "large", large);
  auto* by_bit = client.requirement();
  authcache_requirement_add_scope(by_bit, "read");
  EXPECT_EQ(looked_up(client, "large", by_bit), "valid");
  auto* by_text = client.requirement();
  authcache_requirement_add_scope(by_text, std::string(300, 's').c_str());
  EXPECT_EQ(looked_up(client, "large", by_text), "unavailable/overloaded");
}

}  // namespace

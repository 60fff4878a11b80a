// Pins through the C ABI: what a check says of everything that can happen to a record, and that nothing but
// that record passes one.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "shm/record_pin.hpp"
#include "tests/unit/libclient/table_fixture.hpp"

namespace {

using namespace authcache::client_test;
using authcache::shm::ProfileState;
using authcache::shm::Reason;
using authcache::shm::SlotState;
using authcache::shm::TableState;
using authcache::shm::Verdict;
namespace shm = authcache::shm;

shm::Key key_of(const std::string& token) { return shm::key_of(shm::token_digest(kMainId, token)); }

class Pins : public ::testing::Test {
 protected:
  authcache_pinned pinned(const std::string& token, const authcache_requirement* requirement) {
    authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
    EXPECT_EQ(looked_up(client_, token, requirement, &identity), "valid");
    authcache_pinned pin = AUTHCACHE_PINNED_INIT;
    EXPECT_EQ(authcache_pin(client_.get(), &identity, requirement, &pin), AUTHCACHE_VALID)
        << client_.last_error();
    return pin;
  }
  static std::string checked(const authcache_pinned& pin) {
    authcache_identity said = AUTHCACHE_IDENTITY_INIT;
    const int verdict = authcache_pin_check(&pin, &said.reason);
    return outcome(verdict, said);
  }

  TempDir dir_;
  shm::TableWriter writer_ = make_table(dir_.path(), 100);
  OpenClient client_{dir_.path()};
};

TEST_F(Pins, APinHoldsWhileItsRecordDoes) {
  admit(writer_, kMainId, "token");
  const auto pin = pinned("token", client_.requirement());
  EXPECT_EQ(checked(pin), "valid");
  const authcache_pinned copy = pin;
  EXPECT_EQ(checked(copy), "valid");
}

TEST_F(Pins, ARevokedRecordIsInvalidAtOnce) {
  admit(writer_, kMainId, "token");
  const auto pin = pinned("token", client_.requirement());
  writer_.kill(key_of("token"), SlotState::kRevoked);
  EXPECT_EQ(checked(pin), "invalid/revoked");
}

TEST_F(Pins, ARecordThatLeftItsPlaceIsToBeValidatedAgain) {
  for (const SlotState left : {SlotState::kEvicted, SlotState::kMoved, SlotState::kExpired}) {
    admit(writer_, kMainId, "token");
    const auto pin = pinned("token", client_.requirement());
    writer_.kill(key_of("token"), left);
    EXPECT_EQ(checked(pin), "miss");
  }
}

TEST_F(Pins, ARevokedAndRecreatedRecordNeverPasses) {
  auto* requirement = client_.requirement();
  const shm::Place first = admit(writer_, kMainId, "token");
  const auto pin = pinned("token", requirement);
  writer_.kill(key_of("token"), SlotState::kRevoked);
  const shm::Place second = admit(writer_, kMainId, "token");
  ASSERT_EQ(second.slot, first.slot) << "the test needs the same slot again";
  EXPECT_EQ(looked_up(client_, "token", requirement), "valid");
  EXPECT_EQ(checked(pin), "miss");
}

TEST_F(Pins, TheDeadlineEndsAPinAndAnExtensionKeepsIt) {
  const shm::Place place = admit(writer_, kMainId, "token", {.life_ns = 60 * shm::kNsPerSecond});
  const auto pin = pinned("token", client_.requirement());
  auto& slot = writer_.view().slot(place.slot);
  const std::uint64_t now_ns = shm::coarse_now_ns();
  shm::StdAtomics::store_release(slot.deadline, now_ns);
  EXPECT_EQ(checked(pin), "miss");
  ASSERT_TRUE(shm::extend_deadline(slot, place.sequence, now_ns + shm::kNsPerSecond * 60));
  EXPECT_EQ(checked(pin), "valid");
}

TEST_F(Pins, EachEpochThatCoversTheRecordEndsThePin) {
  const shm::PrincipalId issuer{1, 2, 3, 4};
  const shm::PrincipalId key{5, 6, 7, 8};
  auto* requirement = client_.requirement();
  admit(writer_, kMainId, "by issuer", {.issuer = issuer});
  admit(writer_, kMainId, "by key", {.signing_key = key});
  admit(writer_, kMainId, "by neither");
  const auto by_issuer = pinned("by issuer", requirement);
  const auto by_key = pinned("by key", requirement);
  const auto by_neither = pinned("by neither", requirement);
  writer_.raise_issuer(issuer);
  EXPECT_EQ(checked(by_issuer), "miss");
  EXPECT_EQ(checked(by_key), "valid");
  writer_.raise_key(key);
  EXPECT_EQ(checked(by_key), "miss");
  EXPECT_EQ(checked(by_neither), "valid");
  writer_.raise_all();
  EXPECT_EQ(checked(by_neither), "miss");
}

TEST_F(Pins, WhatMakesTheTableUnbelievableMakesAPinUnavailableUntilItEnds) {
  admit(writer_, kMainId, "token");
  const auto pin = pinned("token", client_.requirement());
  writer_.beat(shm::coarse_now_ns() - kHeartbeatTimeoutNs - shm::kNsPerSecond);
  EXPECT_EQ(checked(pin), "unavailable/heartbeat_stale");
  writer_.beat(shm::coarse_now_ns() + 5 * shm::kNsPerSecond);
  EXPECT_EQ(checked(pin), "unavailable/time_namespace");
  writer_.beat(shm::coarse_now_ns());
  EXPECT_EQ(checked(pin), "valid");
  writer_.set_profile_state("main", ProfileState::kUnavailable);
  EXPECT_EQ(checked(pin), "unavailable/catching_up");
  writer_.set_profile_state("main", ProfileState::kCurrent);
  EXPECT_EQ(checked(pin), "valid");
}

TEST_F(Pins, AStaleTableStillTellsOfARevocation) {
  admit(writer_, kMainId, "token");
  const auto pin = pinned("token", client_.requirement());
  writer_.kill(key_of("token"), SlotState::kRevoked);
  writer_.beat(shm::coarse_now_ns() - kHeartbeatTimeoutNs - shm::kNsPerSecond);
  EXPECT_EQ(checked(pin), "invalid/revoked");
}

// The heartbeat goes on while a loss is explained: one that is newer than the clock just read is no other
// time namespace.
TEST_F(Pins, ABeatWhileALossIsExplainedDoesNotMakeTheTableUnbelievable) {
  const shm::Place place = admit(writer_, kMainId, "token");
  shm::Found found;
  ASSERT_TRUE(writer_.find(key_of("token"), found));
  const auto pin =
      shm::make_pin(writer_.view(), found, shm::StdAtomics::load_acquire(writer_.view().header().config), 0);
  writer_.kill_at(place.slot, SlotState::kEvicted);
  const shm::PinLoss loss = shm::why_lost(pin, [&] {
    const std::uint64_t now_ns = shm::coarse_now_ns();
    writer_.beat(now_ns + 1);
    return now_ns;
  });
  EXPECT_EQ(loss.verdict, Verdict::kMiss);
}

TEST_F(Pins, AReloadEndsThem) {
  admit(writer_, kMainId, "token");
  const auto pin = pinned("token", client_.requirement());
  // The same profile by its id, asking more of a token by default than when it was pinned.
  writer_.set_profiles({{.name = "main", .id = kMainId, .audience = {"now-asked"}}});
  EXPECT_EQ(checked(pin), "miss");
}

TEST_F(Pins, AMovingTableHoldsThemAndARetiredOneDoesNot) {
  admit(writer_, kMainId, "token");
  const auto pin = pinned("token", client_.requirement());
  writer_.set_state(TableState::kMoving);
  EXPECT_EQ(checked(pin), "valid");
  writer_.set_state(TableState::kRetired);
  EXPECT_EQ(checked(pin), "miss");
}

TEST_F(Pins, ATableThatWasGivenUpForANewerOneDoesNotHoldThem) {
  admit(writer_, kMainId, "token");
  const auto pin = pinned("token", client_.requirement());
  auto next = make_table(dir_.path(), 101);
  ASSERT_EQ(authcache_refresh(client_.get()), AUTHCACHE_OK);
  EXPECT_EQ(checked(pin), "miss");
}

TEST_F(Pins, PinningJudgesTheRequirementAnew) {
  admit(writer_, kMainId, "token", {.scopes = {"read"}});
  auto* reads = client_.requirement();
  authcache_requirement_add_scope(reads, "read");
  auto* writes = client_.requirement();
  authcache_requirement_add_scope(writes, "write");
  authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
  ASSERT_EQ(looked_up(client_, "token", reads, &identity), "valid");
  authcache_pinned pin = pinned("token", reads);
  EXPECT_EQ(authcache_pin(client_.get(), &identity, writes, &pin), AUTHCACHE_FORBIDDEN);
  EXPECT_EQ(checked(pin), "usage_error") << "an older pin must not be left in the storage";
}

TEST_F(Pins, ABoundRequirementIsJudgedOnceForThePin) {
  admit(writer_, kMainId, "token", {.confirmation = confirmation(AUTHCACHE_THUMBPRINT_X5T_S256, 'c')});
  auto* base = client_.requirement();
  authcache_bound_requirement bound;
  const auto proved = thumbprint(AUTHCACHE_THUMBPRINT_X5T_S256, 'c');
  ASSERT_EQ(authcache_requirement_bind(base, &proved, &bound), AUTHCACHE_OK);
  const auto pin = pinned("token", &bound.requirement);
  EXPECT_EQ(checked(pin), "valid");
  authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
  ASSERT_EQ(looked_up(client_, "token", &bound.requirement, &identity), "valid");
  authcache_pinned without = AUTHCACHE_PINNED_INIT;
  EXPECT_EQ(authcache_pin(client_.get(), &identity, base, &without), AUTHCACHE_FORBIDDEN);
}

TEST_F(Pins, ARecordThatIsGoneIsNotPinned) {
  auto* requirement = client_.requirement();
  admit(writer_, kMainId, "token");
  authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
  ASSERT_EQ(looked_up(client_, "token", requirement, &identity), "valid");
  writer_.kill(key_of("token"), SlotState::kRevoked);
  authcache_pinned pin = AUTHCACHE_PINNED_INIT;
  EXPECT_EQ(authcache_pin(client_.get(), &identity, requirement, &pin), AUTHCACHE_MISS);
  admit(writer_, kMainId, "token");
  EXPECT_EQ(authcache_pin(client_.get(), &identity, requirement, &pin), AUTHCACHE_MISS);
  EXPECT_EQ(checked(pin), "usage_error");
}

TEST_F(Pins, WhatCannotBeMeantIsRefused) {
  auto* requirement = client_.requirement();
  admit(writer_, kMainId, "token");
  admit(writer_, kMainId, "bad", {.verdict = Verdict::kInvalid, .reason = Reason::kRevoked});
  authcache_identity valid = AUTHCACHE_IDENTITY_INIT;
  authcache_identity invalid = AUTHCACHE_IDENTITY_INIT;
  looked_up(client_, "token", requirement, &valid);
  looked_up(client_, "bad", requirement, &invalid);
  authcache_pinned pin = AUTHCACHE_PINNED_INIT;
  authcache_pinned unsized{};
  EXPECT_EQ(authcache_pin(client_.get(), &invalid, requirement, &pin), AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_pin(client_.get(), &valid, nullptr, &pin), AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_pin(client_.get(), nullptr, requirement, &pin), AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_pin(nullptr, &valid, requirement, &pin), AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_pin(client_.get(), &valid, requirement, &unsized), AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_pin_check(nullptr, nullptr), AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(authcache_pin_check(&unsized, nullptr), AUTHCACHE_ERROR_USAGE);
  EXPECT_EQ(checked(pin), "usage_error");
  pin = pinned("token", requirement);
  authcache_unpin(&pin);
  EXPECT_EQ(checked(pin), "usage_error");
  authcache_unpin(nullptr);
}

// The check's order is proven by the explorer; this runs it on real memory. A record's deadline says which
// round made it.
TEST_F(Pins, UnderAWriterThatKillsAndRecreatesNoPinOutlivesItsRecord) {
  auto* requirement = client_.requirement();
  const std::uint64_t base_ns = shm::coarse_now_ns() + 3600 * shm::kNsPerSecond;
  std::atomic<std::uint64_t> killed{0};  // the last round whose kill has returned
  std::atomic<bool> stop{false};
  std::thread writing([&] {
    for (std::uint64_t round = 1; round <= 20'000; ++round) {
      const std::uint64_t now_ns = shm::coarse_now_ns();
      shm::RecordSpec spec;
      spec.key = key_of("token");
      spec.deadline = base_ns + round;
      spec.epoch = writer_.epoch();
      spec.profile_id = kMainId;
      ASSERT_TRUE(writer_.insert(spec, now_ns));
      writer_.beat(now_ns);
      std::this_thread::yield();
      writer_.kill(key_of("token"), SlotState::kRevoked);
      killed.store(round, std::memory_order_release);
    }
    stop = true;
  });
  std::uint64_t wrong = 0;
  while (!stop) {
    authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
    if (looked_up(client_, "token", requirement, &identity) != "valid") continue;
    authcache_pinned pin = AUTHCACHE_PINNED_INIT;
    if (authcache_pin(client_.get(), &identity, requirement, &pin) != AUTHCACHE_VALID) continue;
    for (bool holds = true; holds;) {
      const bool dead = killed.load(std::memory_order_acquire) >= identity.deadline_ns - base_ns;
      holds = authcache_pin_check(&pin, nullptr) == AUTHCACHE_VALID;
      wrong += holds && dead ? 1 : 0;
    }
  }
  writing.join();
  EXPECT_EQ(wrong, 0u);
}

}  // namespace

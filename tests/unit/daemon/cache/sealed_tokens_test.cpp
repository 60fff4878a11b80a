// A2, B16: tokens kept for asking again are noise to whoever reads the memory, bounded, and gone with their
// records.
#include "daemon/cache/sealed_tokens.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "tests/unit/daemon/cache/refresh_fixture.hpp"

namespace {

using authcache::shm::Verdict;
using authcached::SealedTokens;
using authcached::UpstreamKind;
using authcached::testing::kSecond;
using authcached::testing::kTtlNs;
using authcached::testing::kTurnNs;
using authcached::testing::RefreshCache;

std::string open(const RefreshCache& cache, std::string_view token) {
  authcache::shm::Digest digest;
  const auto opened = cache.refresher.sealed().open(authcache::shm::key_of(cache.digest_of(token)), digest);
  EXPECT_TRUE(!opened || digest == cache.digest_of(token));
  return opened.value_or("");
}

TEST(SealedTokens, WhatIsKeptOpensToTheTokenAgain) {
  RefreshCache cache;
  for (const std::string& token :
       {std::string("t"), std::string("an opaque one"), std::string(16'000, 'j')}) {
    cache.learn(token);
    EXPECT_EQ(open(cache, token), token);
  }
}

TEST(SealedTokens, ASealIsNoiseNeverTwiceTheSameAndBoundToItsDigest) {
  RefreshCache cache;
  SealedTokens sealed(cache.tables, cache.clock);
  const std::string token = "a-token-that-can-be-told-from-noise";
  const auto digest = cache.digest_of(token);
  const auto one = sealed.seal(digest, token), other = sealed.seal(digest, token);
  EXPECT_NE(one, other);
  EXPECT_EQ(one.find(token.substr(0, 6)), std::string::npos);
  authcache::shm::Digest named;
  sealed.keep(cache.digest_of("another"), one);
  EXPECT_FALSE(sealed.open(authcache::shm::key_of(cache.digest_of("another")), named));
  std::string forged = one;
  forged.back() = static_cast<char>(forged.back() ^ 1);
  sealed.keep(digest, forged);
  EXPECT_FALSE(sealed.open(authcache::shm::key_of(digest), named));
}

TEST(SealedTokens, ATokenEndsWithItsRecordHoweverThatEnds) {
  const std::initializer_list<std::pair<const char*, void (*)(RefreshCache&)>> ends = {
      {"killed",
       [](RefreshCache& cache) {
         cache.tables.kill(authcache::shm::key_of(cache.digest_of("tok")),
                           authcache::shm::SlotState::kEvicted);
       }},
      {"revoked", [](RefreshCache& cache) { cache.revoker.revoke_token("tok", [](auto) {}); }},
      {"flushed", [](RefreshCache& cache) { cache.tables.raise_all(); }},
      {"expired", [](RefreshCache& cache) { cache.pass(kTtlNs); }},
      {"refused", [](RefreshCache& cache) { cache.admit("tok", authcached::testing::Cache::invalid()); }},
  };
  for (const auto& [how, end] : ends) {
    RefreshCache cache;
    cache.learn("tok");
    cache.learn("other");
    ASSERT_EQ(cache.refresher.sealed().size(), 2u);
    end(cache);
    cache.pass(kTurnNs);
    EXPECT_EQ(open(cache, "tok"), "") << how;
    EXPECT_EQ(open(cache, "other"), cache.seen("other") == Verdict::kValid ? "other" : "") << how;
  }
}

TEST(SealedTokens, ARecordThatStepsAsideKeepsItsToken) {
  RefreshCache cache;
  cache.learn("tok");
  for (int i = 0; i < 300; ++i) cache.admit("n" + std::to_string(i), cache.valid());
  cache.pass(kTurnNs);
  ASSERT_EQ(cache.seen("tok"), Verdict::kValid);
  EXPECT_EQ(open(cache, "tok"), "tok");
}

TEST(SealedTokens, ThereAreNeverMoreThanTheBound) {
  constexpr std::size_t kMax = 10;
  RefreshCache cache(UpstreamKind::kIntrospection, {}, kMax);
  for (int i = 0; i < 30; ++i) cache.learn("t" + std::to_string(i));
  EXPECT_EQ(cache.refresher.sealed().size(), kMax);
  EXPECT_EQ(cache.refresher.sealed().refused(), 20u);
  EXPECT_EQ(cache.seen("t29"), Verdict::kValid) << "a record does without";
  cache.pass(kTtlNs + kTurnNs);
  EXPECT_EQ(cache.refresher.sealed().size(), 0u);
  EXPECT_EQ(cache.refresher.sealed().bytes(), 0u);
}

TEST(SealedTokens, ATokenThatWasRefusedOrCouldNotBeAskedAboutIsNotKept) {
  RefreshCache cache;
  cache.learn("bad", cache.invalid());
  cache.learn("unknown", cache.unavailable());
  EXPECT_EQ(cache.refresher.sealed().size(), 0u);
}

TEST(SealedTokens, AnotherProcessHasAnotherKey) {
  RefreshCache cache;
  SealedTokens one(cache.tables, cache.clock), other(cache.tables, cache.clock);
  const auto digest = cache.digest_of("tok");
  other.keep(digest, one.seal(digest, "tok"));
  authcache::shm::Digest named;
  EXPECT_FALSE(other.open(authcache::shm::key_of(digest), named));
}

// The page of the key: locked where that is allowed, in no core dump, in no child.
TEST(SealedTokens, TheKeysPageIsKeptOutOfDumpsAndChildren) {
  const authcached::LockedPage page;
  std::ifstream maps("/proc/self/smaps");
  std::ostringstream from;
  from << std::hex << reinterpret_cast<std::uintptr_t>(page.data()) << '-';
  bool here = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.starts_with(from.str())) here = true;
    if (!here || !line.starts_with("VmFlags:")) continue;
    EXPECT_NE(line.find(" dd"), std::string::npos) << line;
    EXPECT_NE(line.find(" dc"), std::string::npos) << line;
    return;
  }
  FAIL() << "the page has a mapping of its own, or is merged with another that has other flags";
}

}  // namespace

// The memo of long tokens: it gives back the key that SHA-256 gave, to the same token under the same profile
// and to nobody else; and no answer depends on it.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "libclient/token_memo.hpp"
#include "tests/unit/libclient/table_fixture.hpp"

namespace {

using namespace authcache::client_test;
using authcache::client::hash_key_words;
using authcache::client::kMemoTokenMax;
using authcache::client::kMemoTokenMin;
using authcache::client::Tag;
using authcache::client::TokenMemo;
using authcache::client::universal_hash;
using authcache::shm::SlotState;
namespace shm = authcache::shm;

std::string random_token(std::mt19937_64& random, std::size_t bytes) {
  std::string token(bytes, '\0');
  for (char& byte : token) byte = static_cast<char>(random());
  return token;
}

// The definition, word by word, in arithmetic of its own.
Tag by_definition(const std::uint64_t* key, std::uint64_t profile_id, std::string token) {
  __extension__ using Wide = unsigned __int128;
  const Wide start = (static_cast<Wide>(token.size()) << 64) + profile_id;
  while (token.size() % 16 != 0) token.push_back('\0');
  Wide sums[2] = {start, start};
  for (std::size_t pass = 0; pass < 2; ++pass) {
    for (std::size_t i = 0; i < token.size() / 8; i += 2) {
      std::uint64_t word[2];
      for (std::size_t w = 0; w < 2; ++w) {
        word[w] = 0;
        for (std::size_t b = 8; b-- > 0;)
          word[w] = word[w] << 8 | static_cast<std::uint8_t>(token[(i + w) * 8 + b]);
        word[w] += key[i + w + 2 * pass];
      }
      sums[pass] += static_cast<Wide>(word[0]) * word[1];
    }
  }
  return {static_cast<std::uint64_t>(sums[0]), static_cast<std::uint64_t>(sums[0] >> 64),
          static_cast<std::uint64_t>(sums[1]), static_cast<std::uint64_t>(sums[1] >> 64)};
}

TEST(UniversalHash, IsItsDefinitionAtEveryLength) {
  std::mt19937_64 random(1);
  std::vector<std::uint64_t> key(hash_key_words(300));
  for (auto& word : key) word = random();
  for (std::size_t bytes = 0; bytes <= 300; ++bytes) {
    const std::string token = random_token(random, bytes);
    EXPECT_EQ(universal_hash(key.data(), 77, token), by_definition(key.data(), 77, token))
        << bytes << " bytes";
  }
}

TEST(UniversalHash, EveryBitOfTokenProfileAndLengthCountsInBothPasses) {
  std::mt19937_64 random(2);
  std::vector<std::uint64_t> key(hash_key_words(160));
  for (auto& word : key) word = random();
  const std::string token = random_token(random, 150);
  std::set<std::pair<std::uint64_t, std::uint64_t>> first, second;
  std::size_t asked = 0;
  const auto note = [&](const Tag& tag) {
    ++asked;
    first.emplace(tag[0], tag[1]);
    second.emplace(tag[2], tag[3]);
  };
  note(universal_hash(key.data(), 5, token));
  for (std::size_t bit = 0; bit < token.size() * 8; ++bit) {
    std::string other = token;
    other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << (bit % 8)));
    note(universal_hash(key.data(), 5, other));
  }
  for (int bit = 0; bit < 64; ++bit) note(universal_hash(key.data(), 5 ^ (std::uint64_t{1} << bit), token));
  for (std::size_t zeros = 1; zeros <= 9; ++zeros)
    note(universal_hash(key.data(), 5, token + std::string(zeros, '\0')));
  EXPECT_EQ(first.size(), asked);
  EXPECT_EQ(second.size(), asked);
}

TEST(TokenMemo, GivesBackWhatItWasTold) {
  auto memo = std::move(*TokenMemo::create());
  const std::string token(800, 't');
  const Tag tag = memo->tag_of(1, token);
  shm::Key key;
  EXPECT_FALSE(memo->find(tag, key));
  memo->keep(tag, {11, 22, 33});
  ASSERT_TRUE(memo->find(tag, key));
  EXPECT_EQ(key, (shm::Key{11, 22, 33}));
  EXPECT_FALSE(memo->find(memo->tag_of(2, token), key)) << "another profile";
  EXPECT_FALSE(memo->find(memo->tag_of(1, std::string(801, 't')), key));
}

TEST(TokenMemo, EachProcessHasAKeyOfItsOwn) {
  const auto one = std::move(*TokenMemo::create());
  const auto other = std::move(*TokenMemo::create());
  const std::string token(800, 't');
  EXPECT_NE(one->tag_of(1, token), other->tag_of(1, token));
}

TEST(TokenMemo, AWorkingSetOfAThousandFindsRoom) {
  auto memo = std::move(*TokenMemo::create());
  std::mt19937_64 random(3);
  std::vector<Tag> tags;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    tags.push_back(memo->tag_of(1, random_token(random, 800)));
    memo->keep(tags.back(), {i, i, i});
  }
  std::size_t found = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    shm::Key key;
    if (!memo->find(tags[i], key)) continue;
    ++found;
    EXPECT_EQ(key[0], i);
  }
  EXPECT_GE(found, 950u);
}

class Memo : public ::testing::Test {
 protected:
  TempDir dir_;
  shm::TableWriter writer_ = make_table(dir_.path(), 100);
};

TEST_F(Memo, ARepeatedTokenIsJudgedAnewEveryTime) {
  OpenClient client(dir_.path());
  auto* main = client.requirement();
  auto* other = client.requirement("other");
  auto* strict = client.requirement();
  authcache_requirement_add_scope(strict, "write");
  const std::string token(800, 't');
  admit(writer_, kMainId, token, {.scopes = {"read"}});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(looked_up(client, token, main), "valid");
    EXPECT_EQ(looked_up(client, token, strict), "forbidden/scope");
    EXPECT_EQ(looked_up(client, token, other), "miss");
  }
  const shm::Key key = shm::key_of(shm::token_digest(kMainId, token));
  writer_.kill(key, SlotState::kRevoked);
  EXPECT_EQ(looked_up(client, token, main), "miss");
  admit(writer_, kMainId, token);
  EXPECT_EQ(looked_up(client, token, main), "valid");
  writer_.raise_all();
  EXPECT_EQ(looked_up(client, token, main), "miss");
}

TEST_F(Memo, ATokenThatDiffersInOneByteIsAnother) {
  OpenClient client(dir_.path());
  auto* requirement = client.requirement();
  const std::string token(800, 't');
  admit(writer_, kMainId, token);
  for (std::size_t i = 0; i < token.size(); ++i) {
    ASSERT_EQ(looked_up(client, token, requirement), "valid");
    std::string other = token;
    other[i] = 'u';
    ASSERT_EQ(looked_up(client, other, requirement), "miss") << "byte " << i;
  }
  EXPECT_EQ(looked_up(client, token + "t", requirement), "miss");
  EXPECT_EQ(looked_up(client, token.substr(1), requirement), "miss");
}

TEST_F(Memo, TheBoundsOfItsLengthsAnswerAlike) {
  OpenClient client(dir_.path());
  OpenClient without(dir_.path(), AUTHCACHE_NO_MEMO);
  for (const std::size_t bytes : {kMemoTokenMin - 1, kMemoTokenMin, kMemoTokenMax, kMemoTokenMax + 1}) {
    const std::string token(bytes, 'b');
    admit(writer_, kMainId, token);
    auto* requirement = client.requirement();
    auto* same = without.requirement();
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(looked_up(client, token, requirement), "valid") << bytes;
      EXPECT_EQ(looked_up(without, token, same), "valid") << bytes;
      EXPECT_EQ(looked_up(client, token + "x", requirement), "miss") << bytes;
    }
  }
}

}  // namespace

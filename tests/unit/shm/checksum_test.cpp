#include "shm/checksum.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "tests/unit/shm/records.hpp"

namespace {

using namespace authcache::shm;

// As a file has it: the hash is only as good as its secret.
std::array<std::uint64_t, kSecretWords> random_secret() {
  std::array<std::uint64_t, kSecretWords> secret{};
  authcache::shm_test::Numbers numbers(8);
  for (auto& word : secret) word = numbers.next();
  return secret;
}

struct Whole {
  HotRecord hot{.control = 1, .deadline = 2, .key = {3, 4, 5}, .facts = 6, .principals = 7, .grants = 8};
  ColdRecord cold{.text_unit = 9,
                  .text_bytes = 5,
                  .expires_wall_ns = 10,
                  .issued_wall_ns = 11,
                  .profile_id = 12,
                  .token = {13, 14, 15}};
  std::string text = "hello";
  std::array<std::uint64_t, kSecretWords> secret = random_secret();

  [[nodiscard]] std::uint64_t sum() const { return record_checksum(hot, cold, text, secret); }
};

TEST(Checksum, EveryWordThatIsBelievedChangesIt) {
  const std::function<void(Whole&)> changes[] = {
      [](Whole& w) { w.hot.key[0] ^= 1; },
      [](Whole& w) { w.hot.key[1] ^= 1; },
      [](Whole& w) { w.hot.key[2] ^= 1; },
      [](Whole& w) { w.hot.facts ^= 1; },
      [](Whole& w) { w.hot.principals ^= 1; },
      [](Whole& w) { w.hot.grants ^= 1; },
      [](Whole& w) { w.cold.text_unit ^= 1; },
      [](Whole& w) { w.cold.text_bytes ^= 1; },
      [](Whole& w) { w.cold.expires_wall_ns ^= 1; },
      [](Whole& w) { w.cold.issued_wall_ns ^= 1; },
      [](Whole& w) { w.cold.profile_id ^= 1; },
      [](Whole& w) { w.cold.token[0] ^= 1; },
      [](Whole& w) { w.cold.token[1] ^= 1; },
      [](Whole& w) { w.cold.token[2] ^= 1; },
      [](Whole& w) { w.text[0] = 'j'; },
      [](Whole& w) { w.text.push_back('\0'); },
      [](Whole& w) { w.secret[0] ^= 0x100; },
  };
  std::set<std::uint64_t> sums{Whole{}.sum()};
  for (std::size_t i = 0; i < std::size(changes); ++i) {
    Whole whole;
    changes[i](whole);
    EXPECT_TRUE(sums.insert(whole.sum()).second) << "change " << i;
  }
}

TEST(Checksum, TheWordsThatChangeInPlaceDoNot) {
  Whole whole;
  whole.hot.control = 99;
  whole.hot.deadline = 99;
  EXPECT_EQ(whole.sum(), Whole{}.sum());
}

}  // namespace

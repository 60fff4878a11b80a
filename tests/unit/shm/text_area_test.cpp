#include "shm/text_area.hpp"

#include <gtest/gtest.h>

#include <iterator>
#include <map>
#include <vector>

#include "tests/unit/shm/records.hpp"

namespace {

using namespace authcache::shm;
using authcache::shm_test::Numbers;

constexpr std::uint64_t kPage = 64 * 1024;

std::uint64_t units_of(std::uint64_t bytes) { return (bytes + kTextUnitBytes - 1) / kTextUnitBytes; }

// What is given out, by first unit; refuses overlaps.
class Model {
 public:
  explicit Model(std::uint64_t bytes) : units_(bytes / kTextUnitBytes) {}
  void take(std::uint64_t unit, std::uint64_t bytes) {
    ASSERT_LE(unit + units_of(bytes), units_);
    const auto next = taken_.lower_bound(unit);
    if (next != taken_.end()) {
      ASSERT_LE(unit + units_of(bytes), next->first);
    }
    if (next != taken_.begin()) {
      const auto before = std::prev(next);
      ASSERT_LE(before->first + units_of(before->second), unit);
    }
    taken_[unit] = bytes;
  }
  std::map<std::uint64_t, std::uint64_t>& taken() { return taken_; }

 private:
  std::uint64_t units_;
  std::map<std::uint64_t, std::uint64_t> taken_;
};

class TextAreaModel : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(TextAreaModel, NothingOverlapsAndEverythingComesBack) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  Numbers numbers(GetParam());
  TextArea area(16 * kPage);
  Model model(16 * kPage);
  for (int i = 0; i < 20'000; ++i) {
    if (numbers.below(100) < 55) {
      const std::uint64_t bytes = 1 + numbers.below(numbers.below(4) == 0 ? kTextMax : 600);
      if (const auto unit = area.allocate(bytes)) {
        ASSERT_NO_FATAL_FAILURE(model.take(*unit, bytes));
      }
    } else if (!model.taken().empty()) {
      auto victim = model.taken().lower_bound(numbers.below(16 * kPage / kTextUnitBytes));
      if (victim == model.taken().end()) victim = model.taken().begin();
      area.free(victim->first, victim->second);
      model.taken().erase(victim);
    }
    std::uint64_t least = 0;
    if (i % 500 == 0) {
      for (const auto& [unit, bytes] : model.taken()) least += units_of(bytes) * kTextUnitBytes;
      ASSERT_GE(area.used_bytes(), least);
    }
  }
  for (const auto& [unit, bytes] : model.taken()) area.free(unit, bytes);
  EXPECT_EQ(area.used_bytes(), 0U);
  for (int i = 0; i < 16 * 4; ++i) ASSERT_TRUE(area.allocate(kTextMax)) << "page lost after " << i;
  EXPECT_FALSE(area.allocate(1));
}

TEST_P(TextAreaModel, ARebuiltAccountGivesOutNothingThatIsTaken) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  Numbers numbers(GetParam());
  TextArea before(24 * kPage);
  Model model(24 * kPage);
  for (int i = 0; i < 400; ++i) {
    const std::uint64_t bytes = 1 + numbers.below(1500);
    const auto unit = before.allocate(bytes);
    ASSERT_TRUE(unit);
    model.take(*unit, bytes);
  }
  for (int i = 0; i < 150; ++i) {
    const auto victim =
        std::next(model.taken().begin(), static_cast<long>(numbers.below(model.taken().size())));
    before.free(victim->first, victim->second);
    model.taken().erase(victim);
  }
  TextArea after(24 * kPage);
  for (const auto& [unit, bytes] : model.taken()) ASSERT_TRUE(after.claim(unit, bytes));
  EXPECT_EQ(after.used_bytes(), before.used_bytes());
  for (const auto& [unit, bytes] : model.taken()) EXPECT_FALSE(after.claim(unit, bytes)) << "claimed twice";
  for (int i = 0; i < 2000; ++i) {
    const std::uint64_t bytes = 1 + numbers.below(1500);
    const auto unit = after.allocate(bytes);
    if (!unit) continue;
    ASSERT_NO_FATAL_FAILURE(model.take(*unit, bytes));
  }
  for (const auto& [unit, bytes] : model.taken()) after.free(unit, bytes);
  EXPECT_EQ(after.used_bytes(), 0U);
  for (int i = 0; i < 24 * 4; ++i) ASSERT_TRUE(after.allocate(kTextMax));
  EXPECT_FALSE(after.allocate(1));
}

INSTANTIATE_TEST_SUITE_P(Seeds, TextAreaModel, ::testing::Values(1, 2, 3, 4));

TEST(TextArea, NoRoomForNothingAndForTooMuch) {
  TextArea area(kPage);
  EXPECT_FALSE(area.allocate(0));
  EXPECT_FALSE(area.allocate(kTextMax + 1));
  EXPECT_TRUE(area.allocate(kTextMax));
}

TEST(TextArea, APageOfOneSizeServesAnotherOnceItIsEmpty) {
  TextArea area(kPage);
  std::vector<std::uint64_t> units;
  while (const auto unit = area.allocate(64)) units.push_back(*unit);
  EXPECT_EQ(units.size(), 1024U);
  EXPECT_FALSE(area.allocate(65));
  for (const std::uint64_t unit : units) area.free(unit, 64);
  EXPECT_TRUE(area.allocate(kTextMax));
}

TEST(TextArea, B7_ClaimsThatCannotBeOursAreRefused) {
  TextArea area(2 * kPage);
  EXPECT_TRUE(area.claim(12345678, 0)) << "no text takes no room";
  EXPECT_FALSE(area.claim(2 * 1024, 64)) << "beyond the end";
  EXPECT_FALSE(area.claim(~std::uint64_t{0}, 64));
  EXPECT_FALSE(area.claim(0, kTextMax + 1));
  EXPECT_FALSE(area.claim(1, 128)) << "between two objects of its class";
  EXPECT_FALSE(area.claim(1023, 192)) << "an object that would cross the page";
  EXPECT_TRUE(area.claim(2, 128));
  EXPECT_FALSE(area.claim(0, 64)) << "a page has one class";
  EXPECT_EQ(area.used_bytes(), 128U);
}

TEST(TextArea, B7_FreeingWhatIsNotTakenChangesNothing) {
  TextArea area(2 * kPage);
  const auto unit = area.allocate(200);
  ASSERT_TRUE(unit);
  const std::uint64_t used = area.used_bytes();
  area.free(~std::uint64_t{0}, 64);
  area.free(2 * 1024, 64);
  area.free(1024, 64);
  area.free(*unit + 4, 200);
  area.free(*unit + 1, 200);
  EXPECT_EQ(area.used_bytes(), used);
  area.free(*unit, 200);
  area.free(*unit, 200);
  EXPECT_EQ(area.used_bytes(), 0U);
}

}  // namespace

#include "daemon/cache/refresh_queue.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace {

using authcached::RefreshQueue;

TEST(RefreshQueue, ItGivesOutWhatIsDueTheEarliestFirst) {
  RefreshQueue queue(8);
  queue.put(3, 30);
  queue.put(1, 10);
  queue.put(2, 20);
  EXPECT_FALSE(queue.pop(9));
  const auto first = queue.pop(25);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->slot, 1u);
  EXPECT_EQ(first->look_ns, 10u);
  EXPECT_EQ(queue.pop(25)->slot, 2u);
  EXPECT_FALSE(queue.pop(29));
  EXPECT_EQ(queue.pop(30)->slot, 3u);
  EXPECT_EQ(queue.size(), 0u);
}

TEST(RefreshQueue, AMoveTakesEverythingAlong) {
  RefreshQueue queue(8);
  queue.put(3, 30);
  queue.set_proven_until(3, 99);
  queue.moved(3, 5);
  EXPECT_EQ(queue.proven_until(5), 99u);
  EXPECT_EQ(queue.size(), 1u);
  EXPECT_EQ(queue.pop(30)->slot, 5u);
  queue.put(1, 10);
  queue.moved(2, 1);  // a record that nobody looks at steps into its slot
  EXPECT_EQ(queue.size(), 0u);
}

TEST(RefreshQueue, LikeASortedMapWhateverIsDoneToIt) {
  constexpr std::uint64_t kSlots = 200, kSteps = 200'000, kSeed = 20'261'123;
  std::mt19937_64 random(kSeed);
  RefreshQueue queue(kSlots);
  std::map<std::uint64_t, std::uint64_t> model;  // moment by slot
  std::uint64_t now = 0;
  for (std::uint64_t i = 0; i < kSteps; ++i) {
    const std::uint64_t slot = random() % kSlots, other = random() % kSlots;
    switch (random() % 5) {
      case 0:
      case 1:
        model[slot] = now + random() % 1'000;
        queue.put(slot, model[slot]);
        break;
      case 2:
        model.erase(slot);
        queue.remove(slot);
        break;
      case 3: {
        if (slot == other) break;
        const auto moving = model.extract(slot);
        model.erase(other);
        if (moving) model[other] = moving.mapped();
        queue.moved(slot, other);
        break;
      }
      case 4: {
        now += random() % 20;
        std::uint64_t earliest = UINT64_MAX;
        for (const auto& [of, moment] : model) earliest = std::min(earliest, moment);
        const auto due = queue.pop(now);
        ASSERT_EQ(due.has_value(), earliest <= now) << "step " << i << ", seed " << kSeed;
        if (!due) break;
        ASSERT_EQ(due->look_ns, earliest);
        ASSERT_EQ(model.at(due->slot), earliest);
        model.erase(due->slot);
        break;
      }
    }
    ASSERT_EQ(queue.size(), model.size());
  }
}

}  // namespace

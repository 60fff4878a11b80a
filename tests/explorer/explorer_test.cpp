// The shipped slot protocol in every execution that the C++ memory model allows it, and its mutants.
// AUTHCACHE_EXPLORER_DEEP=1 adds scenes with more words, more looks and more readers, and tries every mutant
// in all.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <string_view>

#include "tests/explorer/explore.hpp"

namespace {

using namespace authcache::explorer;

bool deep() {
  const char* const asked = std::getenv("AUTHCACHE_EXPLORER_DEEP");
  return asked != nullptr && std::string_view(asked) == "1";
}

void print(const char* what, const Tally& tally) {
  std::cout << what << ": " << tally.executions << " executions of readers over " << tally.writer_runs
            << " of writers, " << tally.loads << " loads, " << tally.stores << " stores, " << tally.accepted
            << " records accepted" << std::endl;
}

std::optional<Scene> scene_named(std::string_view name) {
  for (const Scene& scene : scenes(false)) {
    if (name == scene.name) return scene;
  }
  return std::nullopt;
}

TEST(Explorer, TheShippedProtocolHoldsInEveryExecution) {
  Tally all;
  for (const Scene& scene : scenes(deep())) {
    const Tally tally = explore(scene, Mutant{});
    print(scene.name, tally);
    EXPECT_FALSE(tally.violation) << *tally.violation;
    EXPECT_GT(tally.accepted, 0U) << scene.name
                                  << ": a scene in which nothing is ever accepted shows nothing";
    all.add(tally);
  }
  print("in all", all);
  EXPECT_LE(all.lookup_loads_max, kLookupLoadsMax);
}

// The model runs the writers first and lets readers choose among all messages. Here time passes between the
// loads, and no load sees a store that is still to come: the same lookups, with the same results, and no
// others.
TEST(Explorer, InterleavingThemFindsTheSameResults) {
  for (const char* name : {"one slot rewritten", "moved text passed on"}) {
    const auto scene = scene_named(name);
    ASSERT_TRUE(scene) << name;
    const Tally timeless = explore(*scene, Mutant{}, {.keep_outcomes = true});
    const Tally interleaved = explore(*scene, Mutant{}, {.interleaved = true, .keep_outcomes = true});
    print(name, interleaved);
    EXPECT_FALSE(interleaved.violation) << *interleaved.violation;
    EXPECT_EQ(timeless.outcomes, interleaved.outcomes) << name;
    EXPECT_GE(timeless.outcomes.size(), 2U) << name;
  }
}

TEST(Explorer, WhatIsNeededIsCaughtWhenMissing) {
  for (const JudgedMutant& each : needed()) {
    const auto scene = scene_named(each.why);
    ASSERT_TRUE(scene) << each.why;
    const Tally tally = explore(*scene, each.mutant);
    EXPECT_TRUE(tally.violation) << each.mutant.name << " passes as right";
    if (tally.violation) std::cout << each.mutant.name << " - " << *tally.violation << std::endl;
  }
}

// Before C++20 a store of the same thread continued a release sequence. One order is needed for the newer
// rule alone.
TEST(Explorer, ReleaseSequencesWouldHideOneFault) {
  std::vector<std::string_view> hidden;
  for (const JudgedMutant& each : needed()) {
    if (!explore(*scene_named(each.why), each.mutant, {.release_sequences = true}).violation)
      hidden.push_back(each.mutant.name);
  }
  EXPECT_EQ(hidden, std::vector<std::string_view>{"extension relaxed"});
}

TEST(Explorer, WhatIsRedundantIsCaughtInNoScene) {
  Tally all;
  for (const JudgedMutant& each : redundant()) {
    for (const Scene& scene : scenes(deep())) {
      const Tally tally = explore(scene, each.mutant);
      EXPECT_FALSE(tally.violation) << each.mutant.name << " is needed after all: " << *tally.violation;
      all.add(tally);
    }
    std::cout << each.mutant.name << " - redundant: " << each.why << std::endl;
  }
  print("in all", all);
}

}  // namespace

// Out of memory at each allocation of each call of the table's writer: afterwards the counters, the index and
// the names agree with the slots, nothing is half there, and the call works when memory is back; so does the
// next daemon.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <set>

#include "daemon/cache/tables.hpp"
#include "tests/crash/failing_memory.hpp"
#include "tests/crash/record_model.hpp"
#include "tests/support/temp_table.hpp"

namespace crash {
namespace {

using A = shm::StdAtomics;

class Setting {
 public:
  Setting() : generation(make(directory.path()), std::nullopt) {}

  void insert(std::uint64_t token, std::uint64_t version) {
    const ModelRecord record(token, version, generation.writer.epoch(), generation.writer.view().tick_ns);
    generation.writer.insert(record.spec, time_of(version));
  }
  void fill(std::uint64_t tokens) {
    for (std::uint64_t token = 0; token < tokens; ++token) insert(token, token + 1);
  }

  // Of this writer, and of one that takes its file over.
  void expect_sound() {
    expect_accounts(generation);
    expect_names_once(generation.writer.view());
    auto opened = shm::open_table(directory.path() / shm::table_file_name(kGeneration), {.writable = true});
    ASSERT_TRUE(opened) << opened.error().message;
    authcached::Generation successor(std::move(*opened), std::nullopt);
    const auto report = successor.writer.adopt(time_of(1), [](auto&&...) { return true; });
    EXPECT_EQ(report.dropped_checksum, 0u);
    EXPECT_EQ(report.dropped_duplicate, 0u);
    EXPECT_EQ(report.dropped_busy, 0u);
    expect_accounts(successor);
    // Every name a record stands under is reached by a raise of that name.
    for (std::uint64_t i = 0; i < kOftenUsed; ++i) {
      successor.writer.raise_key(signing_key_id(i));
      successor.writer.raise_issuer(issuer_id(i));
    }
    for (std::uint64_t token = 0; token < kKeys; ++token) {
      shm::Found found;
      if (!successor.writer.find(key_of_token(token), found)) continue;
      if (!shm::is_current(successor.writer.view(), found.record, time_of(1))) continue;
      const std::uint64_t version = version_of(found.record.deadline);
      EXPECT_TRUE(issuer_number(token, version) >= kOftenUsed && key_number(token, version) >= kOftenUsed)
          << "a record outlived the raise of its issuer or key";
    }
  }

  static constexpr std::uint64_t kGeneration = 1;
  authcache_test::TempTableDirectory directory;
  authcached::Generation generation;

 private:
  static shm::TableFile make(const std::filesystem::path& dir) {
    auto spec = authcache_test::small_table_spec();
    spec.text_bytes_per_record = 2'048;
    auto file = shm::create_table(dir, spec);
    if (!file) throw std::runtime_error(file.error().message);
    shm::publish_table(file->view);
    if (auto named = shm::name_table(*file, dir); !named) throw std::runtime_error(named.error().message);
    return std::move(*file);
  }

  static void expect_accounts(authcached::Generation& generation) {
    const shm::TableWriter& writer = generation.writer;
    std::uint64_t live = 0, negative = 0;
    std::set<shm::Key> keys;
    for (std::uint64_t slot = 0; slot < writer.view().geometry.slots; ++slot) {
      const shm::HotRecord hot = writer.peek(slot);
      EXPECT_NE(shm::control_state(hot.control), shm::SlotState::kBusy);
      if (shm::control_state(hot.control) != shm::SlotState::kLive) continue;
      ++live;
      negative += shm::unpack_facts(hot.facts).verdict == shm::Verdict::kValid ? 0 : 1;
      EXPECT_TRUE(keys.insert(hot.key).second) << "two copies";
      const auto slots = generation.index.slots_of(shm::load_cold(writer.view().cold(slot)).token);
      EXPECT_EQ(std::ranges::count(slots, slot), 1) << "a revocation by token hash would miss a live record";
    }
    EXPECT_EQ(writer.live(), live);
    EXPECT_EQ(A::load_relaxed(writer.view().header().live), live);
    EXPECT_EQ(writer.negative(), negative);
    EXPECT_LE(negative, A::load_relaxed(writer.view().header().negative_max));
  }

  static void expect_names_once(const shm::TableView& view) {
    std::set<shm::PrincipalId> ids;
    for (std::uint32_t i = 1; i < shm::kIssuersMax; ++i) {
      const auto id = shm::load_principal(view.issuer(i));
      EXPECT_TRUE(id == shm::PrincipalId{} || ids.insert(id).second) << "an issuer has two indices";
    }
    for (std::uint32_t i = 1; i < shm::kKeysMax; ++i) {
      const auto id = shm::load_principal(view.key(i));
      EXPECT_TRUE(id == shm::PrincipalId{} || ids.insert(id).second) << "a key has two indices";
    }
  }
};

// Fails each allocation of `call` in turn on a fresh setting, and has it called again when memory is back.
void fail_each(const char* name, const std::function<void(Setting&)>& prepare,
               const std::function<void(Setting&)>& call) {
  const std::uint64_t count = for_each_failure([&](std::uint64_t n) {
    Setting setting;
    prepare(setting);
    fail_allocation(n);
    try {
      call(setting);
    } catch (const std::bad_alloc&) {
    }
    const bool failed = disarm_allocations();
    SCOPED_TRACE(std::string(name) + ", allocation " + std::to_string(n));
    if (failed) call(setting);
    setting.expect_sound();
    return failed && !::testing::Test::HasFailure();
  });
  std::cout << name << ": " << count << " allocations failed in turn\n";
}

void nothing(Setting&) {}

TEST(TableMemory, AnInsertionThatRunsOutLeavesTheTableSound) {
  fail_each("insertion", nothing, [](Setting& setting) { setting.insert(1, 1); });
  fail_each(
      "insertion over an older record", [](Setting& setting) { setting.insert(1, 1); },
      [](Setting& setting) { setting.insert(1, 2); });
  fail_each(
      "insertion into a full table", [](Setting& setting) { setting.fill(1'150); },
      [](Setting& setting) {
        for (std::uint64_t token = 1'150; token < 1'160; ++token) setting.insert(token, token + 1);
      });
}

TEST(TableMemory, NegativeRecordsThatRunOutAreStillCountedAndBounded) {
  const auto insert_negatives = [](Setting& setting) {
    for (std::uint64_t token = 0, inserted = 0; inserted < 12; ++token) {
      if (!is_negative(token, 7)) continue;
      setting.insert(token, 7);
      ++inserted;
    }
  };
  fail_each("negative insertions", nothing, insert_negatives);
  fail_each("killing negatives", insert_negatives, [](Setting& setting) {
    setting.generation.writer.kill_negatives();
    EXPECT_EQ(setting.generation.writer.negative(), 0u) << "a negative record escaped";
  });
  // What was missed by a queue would never be killed again.
  fail_each("negatives, then killing them", nothing, [&](Setting& setting) {
    insert_negatives(setting);
    setting.generation.writer.kill_negatives();
    EXPECT_EQ(setting.generation.writer.negative(), 0u) << "a negative record escaped";
  });
}

TEST(TableMemory, KillsRunToTheirEnd) {
  fail_each(
      "kill", [](Setting& setting) { setting.fill(50); },
      [](Setting& setting) {
        for (std::uint64_t token = 0; token < 50; ++token)
          setting.generation.writer.kill(key_of_token(token), shm::SlotState::kRevoked);
        EXPECT_EQ(setting.generation.writer.live(), 0u);
      });
  fail_each(
      "sweep", [](Setting& setting) { setting.fill(50); },
      [](Setting& setting) {
        setting.generation.writer.sweep(time_of(kLifeVersions * 2),
                                        setting.generation.writer.view().geometry.slots);
        EXPECT_EQ(setting.generation.writer.live(), 0u);
      });
}

TEST(TableMemory, NamesAreGivenOneIndexEach) {
  fail_each("raise of a new key", nothing,
            [](Setting& setting) { setting.generation.writer.raise_key(signing_key_id(1)); });
  fail_each("raise of a new issuer", nothing,
            [](Setting& setting) { setting.generation.writer.raise_issuer(issuer_id(1)); });
  fail_each(
      "reuse of an index",
      [](Setting& setting) {
        for (std::uint64_t i = 0; i < shm::kIssuersMax - 1; ++i)
          setting.generation.writer.raise_issuer(issuer_id(i));
      },
      [](Setting& setting) {
        setting.generation.writer.raise_issuer(issuer_id(5'000));
        setting.generation.writer.raise_issuer(issuer_id(0));
      });
}

TEST(TableMemory, ProfilesAreTheOldOnesOrTheNewOnes) {
  fail_each("profiles", nothing, [](Setting& setting) {
    const auto before = A::load_relaxed(setting.generation.writer.view().header().config);
    try {
      setting.generation.writer.set_profiles(profiles_of(before + 1));
    } catch (const std::bad_alloc&) {
      EXPECT_EQ(A::load_relaxed(setting.generation.writer.view().header().config), before);
      throw;
    }
    EXPECT_EQ(directory_fault(setting.generation.writer.view()), "");
  });
}

// A scan that kills must come upon every record that stood when it began, and remembers those that step behind it.
TEST(TableMemory, AScanComesUponARecordWhoseStepCouldNotBeRemembered) {
  std::uint64_t most_steps = 0;
  const std::uint64_t count = for_each_failure([&](std::uint64_t n) {
    Setting setting;
    setting.fill(900);
    authcached::Generation& generation = setting.generation;
    const auto tokens_alive = [&] {
      std::map<shm::Key, std::uint64_t> slots;
      for (std::uint64_t token = 0; token < 900; ++token) {
        shm::Found found;
        if (generation.writer.find(key_of_token(token), found)) slots[key_of_token(token)] = found.slot;
      }
      return slots;
    };
    std::set<shm::Key> met;
    const auto scan = generation.begin_scan();
    const std::uint64_t hand = generation.writer.view().geometry.slots / 2;
    for (std::uint64_t i = 0; i < hand; ++i) met.insert(generation.writer.peek(*generation.scan_next(scan)).key);
    fail_allocation(n);
    for (std::uint64_t token = 1'000; token < 1'030; ++token) {
      try {
        setting.insert(token, token);
      } catch (const std::bad_alloc&) {
      }
    }
    const bool failed = disarm_allocations();
    std::uint64_t steps = 0;
    for (const auto& [key, slot] : tokens_alive()) steps += slot < hand && !met.contains(key) ? 1 : 0;
    most_steps = std::max(most_steps, steps);
    while (const auto slot = generation.scan_next(scan)) met.insert(generation.writer.peek(*slot).key);
    for (const auto& [key, slot] : tokens_alive()) EXPECT_TRUE(met.contains(key)) << "allocation " << n << ", slot " << slot;
    return failed && !::testing::Test::HasFailure();
  });
  EXPECT_GT(count, 0u);
  EXPECT_GT(most_steps, 0u) << "no record stepped behind the scan: this shows nothing";
}

TEST(TableMemory, AnAdoptionThatRunsOutCanBeMadeAgain) {
  for_each_failure([&](std::uint64_t n) {
    Setting setting;
    setting.fill(300);
    const std::uint64_t live = setting.generation.writer.live();
    const auto adopt = [&] {
      auto opened = shm::open_table(setting.directory.path() / shm::table_file_name(Setting::kGeneration),
                                    {.writable = true});
      if (!opened) throw std::bad_alloc();
      authcached::Generation successor(std::move(*opened), std::nullopt);
      return successor.writer.adopt(time_of(1), [](auto&&...) { return true; }).kept;
    };
    fail_allocation(n);
    try {
      (void)adopt();
    } catch (const std::bad_alloc&) {
    }
    const bool failed = disarm_allocations();
    // A negative record ends where there was no memory to keep account of it.
    EXPECT_GE(adopt() + 1, live) << "allocation " << n;
    return failed && !::testing::Test::HasFailure();
  });
}

}  // namespace
}  // namespace crash

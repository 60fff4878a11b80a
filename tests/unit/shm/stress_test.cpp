// One writer and two readers over one mapping (a sanitizer sees races by address), as many operations as the
// counts say. Every word of an accepted record is a function of its key and version; so is its text.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <string>
#include <thread>

#include "shm/buckets.hpp"
#include "tests/support/temp_table.hpp"
#include "tests/unit/shm/records.hpp"

namespace {

using namespace authcache::shm;
using namespace authcache::shm_test;
using authcache_test::TempTable;
using A = StdAtomics;

constexpr std::uint64_t kKeys = 1'100;  // above the capacity: moves and evictions belong to the run
constexpr std::uint64_t kInserts = 60'000;
constexpr std::uint64_t kLookups = 150'000;  // by each reader at least; it goes on while the writer works
constexpr std::uint32_t kScopes = 16;

std::uint64_t mix(std::uint64_t number, std::uint64_t version) {
  return Numbers(number * 1'000'003 + version).next();
}

std::string text_for(std::uint64_t number, std::uint64_t version) {
  return std::string(1 + mix(number, version) % 500, static_cast<char>('a' + version % 26)) +
         std::to_string(version);
}

struct Scopes {
  std::vector<std::string> all;
  Scopes() {
    for (std::uint32_t i = 0; i < kScopes; ++i) all.push_back("scope-" + std::to_string(i));
  }
  // The bits are those of the dictionary because a first record has brought all scopes in order.
  [[nodiscard]] std::vector<std::string> chosen(std::uint64_t bits) const {
    std::vector<std::string> some;
    for (std::uint32_t i = 0; i < kScopes; ++i) {
      if ((bits >> i & 1) != 0) some.push_back(all[i]);
    }
    return some;
  }
};

void write(TableWriter& writer, const std::vector<Key>& keys, std::atomic<std::uint64_t>& revoked_version) {
  const Scopes scopes;
  Numbers numbers(10);
  for (std::uint64_t version = 1; version <= kInserts; ++version) {
    const std::uint64_t number = 1 + numbers.below(kKeys - 1);
    const auto some = scopes.chosen(mix(number, version));
    const std::string text = text_for(number, version);
    RecordSpec spec;
    spec.key = keys[number];
    spec.deadline = kNowNs + version + writer.view().tick_ns;
    spec.epoch = version;
    spec.reason = static_cast<Reason>(mix(number, version) >> 56);
    spec.scopes = some;
    spec.text = text;
    spec.expires_wall_ns = static_cast<std::int64_t>(version);
    spec.profile_id = number;
    spec.token = {mix(number, version), number, version};
    writer.insert(spec, 0);
    if (version % 50 == 0) {
      writer.kill(keys[0], SlotState::kRevoked);
      revoked_version.store(version, std::memory_order_release);
      spec.key = keys[0];
      spec.expires_wall_ns = static_cast<std::int64_t>(version + 1);
      spec.epoch = version + 1;
      spec.text = {};
      writer.insert(spec, 0);
    }
  }
}

struct Seen {
  std::uint64_t hits = 0;
  std::uint64_t texts = 0;
  std::uint64_t wrong = 0;
};

void check_record(const TableView& view, std::uint64_t number, const Found& found, Seen& seen) {
  const std::uint64_t version = found.record.deadline - kNowNs;
  const Facts facts = unpack_facts(found.record.facts);
  const bool whole = facts.epoch == version &&
                     facts.reason == static_cast<Reason>(mix(number, version) >> 56) &&
                     found.record.grants == (mix(number, version) & ((1u << kScopes) - 1));
  seen.wrong += whole ? 0 : 1;
  ++seen.hits;
  alignas(8) std::uint64_t buffer[kTextMax / 8];
  ColdRecord cold;
  const auto text = read_text(view, found.slot, found.record.control, buffer, cold);
  if (!text) return;
  ++seen.texts;
  const bool same = static_cast<std::uint64_t>(cold.expires_wall_ns) == version &&
                    cold.profile_id == number && cold.token == Key{mix(number, version), number, version};
  const bool on_socket = (facts.flags & kTextOnSocket) != 0;
  seen.wrong += same && (on_socket ? text->empty() : *text == text_for(number, version)) ? 0 : 1;
}

Seen read(const TableView& view, const std::vector<Key>& keys, const std::atomic<bool>& done,
          const std::atomic<std::uint64_t>& revoked_version, std::uint64_t seed) {
  Seen seen;
  Numbers numbers(seed);
  for (std::uint64_t i = 0; i < kLookups || !done.load(std::memory_order_acquire); ++i) {
    const std::uint64_t number = numbers.below(8) == 0 ? 0 : numbers.below(kKeys);
    const BucketPair pair = buckets_of(keys[number], view.secret.data(), view.geometry.buckets);
    const std::uint64_t revoked = revoked_version.load(std::memory_order_acquire);
    Found found;
    if (!find(view, keys[number], pair, likely_slot(view, keys[number], pair), found)) continue;
    if (number != 0) {
      check_record(view, number, found, seen);
    } else if (unpack_facts(found.record.facts).epoch <= revoked) {
      ++seen.wrong;  // a lookup that began after a kill found what was killed
    }
  }
  return seen;
}

TEST(Stress, B6_EveryAcceptedRecordIsWholeAndNoneIsFoundAfterItsKill) {
  TempTable table;
  std::vector<Key> keys;
  for (std::uint64_t number = 0; number < kKeys; ++number) keys.push_back(numbered_key(number));
  const Scopes scopes;
  RecordSpec first;
  first.key = numbered_key(999'999);
  first.deadline = ~std::uint64_t{0};
  first.epoch = kEpochMax;
  first.scopes = scopes.all;
  table.writer().insert(first, 0);

  std::atomic<bool> done = false;
  std::atomic<std::uint64_t> revoked_version = 0;
  std::array<Seen, 2> seen;
  {
    std::vector<std::jthread> readers;
    for (std::size_t i = 0; i < seen.size(); ++i) {
      readers.emplace_back([&, i] { seen[i] = read(table.view(), keys, done, revoked_version, 100 + i); });
    }
    write(table.writer(), keys, revoked_version);
    done.store(true, std::memory_order_release);
  }
  for (const Seen& each : seen) {
    EXPECT_EQ(each.wrong, 0U);
    EXPECT_GT(each.hits, kLookups / 4);
    EXPECT_GT(each.texts, kLookups / 8);
  }
  EXPECT_GT(A::load_relaxed(table.view().header().moved), 0U);
}

}  // namespace

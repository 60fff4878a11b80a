// B25, D7: the state database cut, damaged, or put back as it was. What then is opened either yields every
// rule that was acknowledged, or the loss is noticed: the file is refused, or the table shows that it obeyed
// more.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/cache/state_db.hpp"
#include "daemon/cache/take_over.hpp"
#include "shm/boot_id.hpp"
#include "tests/crash/counts.hpp"
#include "tests/crash/record_model.hpp"
#include "tests/support/temp_table.hpp"

namespace crash {
namespace {

namespace fs = std::filesystem;
using authcached::Rule;
using authcached::RuleChange;
using authcached::RuleKind;
using authcached::StateDb;

constexpr std::uint64_t kCutsByDefault = 400;     // of each image
constexpr std::uint64_t kDamagesByDefault = 400;  // of each image
constexpr std::int64_t kBootNow = 5'000;
constexpr const char* kBoot = "boot-one";
constexpr std::size_t kPage = 4'096;

std::string bytes_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void put_bytes(const fs::path& file, std::string_view bytes) {
  std::ofstream(file, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

struct Image {
  std::string main, log;
};

// What was acknowledged when the image was taken.
struct Acknowledged {
  std::uint64_t last_change = 0;
  std::map<std::string, Rule> rules;  // by kind, scope and value
};

std::string identity(const Rule& rule) {
  return std::to_string(static_cast<int>(rule.kind)) + "/" + rule.scope + "/" + rule.value;
}

Rule make_rule(std::uint64_t change, RuleKind kind, std::string value, std::int64_t not_before_ns) {
  Rule rule;
  rule.change = change;
  rule.kind = kind;
  rule.value = std::move(value);
  rule.not_before_ns = not_before_ns;
  rule.created_wall_ns = 1'000 + static_cast<std::int64_t>(change);
  rule.created_boot_ns = 100;
  rule.life_ns = 500;
  return rule;
}

// A database with a history of every kind of commit, and a table that obeyed it.
class History {
 public:
  History() : db_(open(directory_.path() / "state.db")), uuid_(db_->uuid()) {
    auto spec = authcache_test::small_table_spec();
    spec.generation = kGeneration;
    spec.database_uuid = authcached::uuid_words(uuid_);
    auto file = shm::create_table(tables_.path(), spec);
    if (!file) throw std::runtime_error(file.error().message);
    shm::publish_table(file->view);
    if (auto named = shm::name_table(*file, tables_.path()); !named)
      throw std::runtime_error(named.error().message);
    table_.emplace(std::move(*file));
  }

  void put(std::vector<Rule> rules) {
    std::vector<RuleChange> changes;
    for (const Rule& rule : rules) changes.push_back({RuleChange::What::kPut, rule});
    commit(changes);
  }
  void lift(std::uint64_t change, const Rule& rule) {
    Rule lifted = rule;
    lifted.change = change;
    commit({{RuleChange::What::kRemove, lifted}});
  }
  void forget(std::uint64_t change) {
    ASSERT_TRUE(db_->forget(std::vector{change}));
    std::erase_if(acknowledged_.rules, [&](const auto& each) { return each.second.change == change; });
  }
  void list_generation(std::uint64_t number) { ASSERT_TRUE(db_->put_generation({number, 10, kBoot})); }

  // What a busy machine does at some time of its own.
  void checkpoint() const {
    sqlite3* other = nullptr;
    ASSERT_EQ(sqlite3_open((directory_.path() / "state.db").c_str(), &other), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(other, "PRAGMA wal_checkpoint(RESTART)", nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(other);
  }
  void close() { db_.reset(); }

  [[nodiscard]] Image image() const {
    return {bytes_of(directory_.path() / "state.db"), bytes_of(directory_.path() / "state.db-wal")};
  }
  [[nodiscard]] const Acknowledged& acknowledged() const { return acknowledged_; }

  // "" if this image yields all that was acknowledged or its loss is noticed; else what went wrong.
  [[nodiscard]] std::string judge(const Image& image) {
    const fs::path file = tables_.path() / "copy.db";
    fs::remove(file.string() + "-shm");
    put_bytes(file, image.main);
    put_bytes(file.string() + "-wal", image.log);
    if (image.log.empty()) fs::remove(file.string() + "-wal");
    auto opened = StateDb::open(file, kBoot);
    if (!opened) {
      refused_ += opened.error().code == shm::ErrorCode::kCorrupt ? 1 : 0;
      return opened.error().code == shm::ErrorCode::kCorrupt
                 ? ""
                 : "not told as damage: " + opened.error().message;
    }
    const auto rules = opened->load_rules(kBootNow);
    const auto last_change = opened->last_change();
    if (!rules || !last_change)
      return "opened, and then refused: " + (rules ? last_change.error() : rules.error()).message;
    if (notices(*opened, *last_change)) {
      ++noticed_;
      return "";
    }
    ++whole_;
    return lost(*rules);
  }

  [[nodiscard]] std::string tally() const {
    return std::to_string(whole_) + " whole, " + std::to_string(noticed_) + " noticed by the table, " +
           std::to_string(refused_) + " refused as damaged";
  }
  [[nodiscard]] std::uint64_t whole() const { return whole_; }
  [[nodiscard]] std::uint64_t noticed() const { return noticed_; }
  [[nodiscard]] std::uint64_t refused() const { return refused_; }

 private:
  static constexpr std::uint64_t kGeneration = 7;

  static std::optional<StateDb> open(const fs::path& file) {
    auto opened = StateDb::open(file, kBoot);
    if (!opened) throw std::runtime_error(opened.error().message);
    return std::move(*opened);
  }

  void commit(const std::vector<RuleChange>& changes) {
    const auto committed = db_->commit(changes);
    ASSERT_TRUE(committed) << committed.error().message;
    for (const RuleChange& change : changes) {
      acknowledged_.last_change = std::max(acknowledged_.last_change, change.rule.change);
      const std::string key = identity(change.rule);
      const auto before = acknowledged_.rules.find(key);
      if (change.what == RuleChange::What::kRemove) {
        acknowledged_.rules.erase(key);
      } else if (before == acknowledged_.rules.end()) {
        acknowledged_.rules.emplace(key, change.rule);
      } else {
        before->second = merged_rule(change.rule, before->second);
      }
    }
    shm::StdAtomics::store_release(table_->view.header().durable_change, acknowledged_.last_change);
  }

  // By the daemon's own look at the table beside this database.
  [[nodiscard]] bool notices(const StateDb& db, std::uint64_t last_change) {
    const auto boot = shm::current_boot_id();
    const auto found =
        authcached::meet_predecessors({.runtime_dir = tables_.path(),
                                       .database_uuid = db.uuid(),
                                       .database_created = db.created(),
                                       .last_change = last_change,
                                       .known = {{kGeneration, 10, shm::boot_id_text(*boot)}}});
    return found.rules_lost;
  }

  [[nodiscard]] std::string lost(const std::vector<Rule>& rules) const {
    std::map<std::string, Rule> there;
    for (const Rule& rule : rules) there.emplace(identity(rule), rule);
    for (const auto& [key, rule] : acknowledged_.rules) {
      const auto found = there.find(key);
      if (found == there.end()) return "an acknowledged rule is gone, and nothing tells";
      if (found->second.not_before_ns < rule.not_before_ns)
        return "an acknowledged not-before went back, and nothing tells";
      if (found->second.life_ns != 0 &&
          (rule.life_ns == 0 ||
           found->second.created_wall_ns + found->second.life_ns < rule.created_wall_ns + rule.life_ns)) {
        return "a retention became shorter, and nothing tells";
      }
    }
    return "";
  }

  authcache_test::TempTableDirectory directory_, tables_;
  std::optional<StateDb> db_;
  authcached::Uuid uuid_;
  std::optional<shm::TableFile> table_;
  Acknowledged acknowledged_;
  std::uint64_t whole_ = 0, noticed_ = 0, refused_ = 0;
};

// Tokens, subjects, a burst in one commit, a rule made tighter, one lifted, one forgotten, and generations
// between.
void first_half(History& history) {
  history.list_generation(3);
  for (std::uint64_t change = 1; change <= 3; ++change) {
    history.put({make_rule(change, RuleKind::kToken, std::string(32, static_cast<char>('a' + change)), 0)});
  }
  history.put({make_rule(4, RuleKind::kSubject, "alice", 10), make_rule(5, RuleKind::kSubject, "bob", 11),
               make_rule(6, RuleKind::kSid, std::string(600, 's'), 12)});
}
void second_half(History& history) {
  history.put({make_rule(7, RuleKind::kSubject, "alice", 20)});
  history.lift(8, make_rule(8, RuleKind::kSubject, "bob", 11));
  history.list_generation(4);
  history.forget(1);
  history.put({make_rule(9, RuleKind::kEverything, "", 30)});
}

enum class Shape { kLogOnly, kLogOverMain, kMainOnly };

void make(History& history, Shape shape) {
  first_half(history);
  if (shape == Shape::kLogOverMain) history.checkpoint();
  second_half(history);
  if (shape == Shape::kMainOnly) history.close();
}

class DatabaseCut : public ::testing::TestWithParam<Shape> {};

std::vector<std::size_t> chosen_cuts(std::size_t size, std::uint64_t seed) {
  const char* const wanted = std::getenv("AUTHCACHE_DATABASE_CUTS");
  std::vector<std::size_t> cuts;
  if (size == 0) return cuts;
  if (wanted != nullptr && std::string_view(wanted) == "all") {
    for (std::size_t cut = 0; cut < size; ++cut) cuts.push_back(cut);
    return cuts;
  }
  const std::uint64_t count = number_from_environment("AUTHCACHE_DATABASE_CUTS", kCutsByDefault);
  for (std::uint64_t i = 0; i < count; ++i) cuts.push_back(mix(seed, i) % size);
  // Where a part ends and the next begins, always.
  for (std::size_t edge = 0; edge < size; edge += kPage) {
    cuts.push_back(edge);
    if (edge + 32 < size) cuts.push_back(edge + 32);
  }
  return cuts;
}

TEST_P(DatabaseCut, B25_OfTheLogOrTheFileAtAnyByteIsNoticedOrHarmless) {
  History history;
  make(history, GetParam());
  const Image whole = history.image();
  ASSERT_EQ(history.judge(whole), "");
  ASSERT_EQ(history.whole(), 1u) << "the image itself is whole";
  const std::uint64_t seed = announced_seed("bytes of log and file", whole.log.size() + whole.main.size());
  for (const std::size_t cut : chosen_cuts(whole.log.size(), seed)) {
    ASSERT_EQ(history.judge({whole.main, whole.log.substr(0, cut)}), "") << "log cut at " << cut;
  }
  for (const std::size_t cut : chosen_cuts(whole.main.size(), seed + 1)) {
    ASSERT_EQ(history.judge({whole.main.substr(0, cut), whole.log}), "") << "file cut at " << cut;
  }
  std::cout << history.tally() << "\n";
  EXPECT_GT(history.noticed() + history.refused(), 10u);
}

// Beyond what a crash can do: a bit of the medium, a page of zeros, a byte of anything.
TEST_P(DatabaseCut, B25_AByteThatIsAnotherOrAPageOfZerosIsNoticedOrHarmless) {
  History history;
  make(history, GetParam());
  const Image whole = history.image();
  const std::uint64_t damages = number_from_environment("AUTHCACHE_DATABASE_DAMAGES", kDamagesByDefault);
  const std::uint64_t seed = announced_seed("damages", damages);
  for (std::uint64_t i = 0; i < damages; ++i) {
    Image damaged = whole;
    const std::uint64_t random = mix(seed, i);
    std::string& part = !whole.log.empty() && random % 2 == 0 ? damaged.log : damaged.main;
    const std::size_t at = (random >> 8) % part.size();
    if (random % 16 < 2) {
      const std::size_t page = at / kPage * kPage;
      std::fill_n(part.begin() + static_cast<std::ptrdiff_t>(page), std::min(kPage, part.size() - page),
                  '\0');
    } else {
      part[at] = static_cast<char>(part[at] ^ static_cast<char>(1u << (random >> 4 & 7)));
    }
    ASSERT_EQ(history.judge(damaged), "")
        << (&part == &damaged.log ? "log" : "file") << " at " << at << ", damage " << i;
  }
  std::cout << history.tally() << "\n";
}

TEST_P(DatabaseCut, B25_AnOlderConsistentStateBesideALivingTableIsNoticed) {
  History history;
  first_half(history);
  if (GetParam() == Shape::kLogOverMain) history.checkpoint();
  const Image older = history.image();
  ASSERT_EQ(history.judge(older), "");
  ASSERT_EQ(history.whole(), 1u);
  second_half(history);
  if (GetParam() == Shape::kMainOnly) history.close();
  ASSERT_EQ(history.judge(older), "");
  EXPECT_EQ(history.noticed(), 1u);
  // Half of the old one and half of the new one.
  ASSERT_EQ(history.judge({history.image().main, older.log}), "");
  ASSERT_EQ(history.judge({older.main, history.image().log}), "");
}

INSTANTIATE_TEST_SUITE_P(EveryShape, DatabaseCut,
                         ::testing::Values(Shape::kLogOnly, Shape::kLogOverMain, Shape::kMainOnly),
                         [](const auto& shape) {
                           return shape.param == Shape::kLogOnly       ? "LogOnly"
                                  : shape.param == Shape::kLogOverMain ? "LogOverMain"
                                                                       : "MainOnly";
                         });

}  // namespace
}  // namespace crash

// B6, B8: a writer killed at any instruction, before, within or after any store, under readers that never
// stop. What it leaves is taken over by a successor through the daemon's own path, which proves it sound and
// goes on.
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmath>
#include <iostream>
#include <vector>

#include "daemon/cache/take_over.hpp"
#include "tests/crash/arena.hpp"
#include "tests/crash/counts.hpp"
#include "tests/support/temp_table.hpp"

namespace crash {
namespace {

constexpr std::uint64_t kKillsByDefault = 500;
// Each stage begins with an empty table, so that dictionary, names and slots grow under kills again and
// again.
constexpr std::uint64_t kKillsOfAStage = 100;
constexpr double kDelayMinNs = 20'000;
constexpr double kDelayMaxNs = 12'000'000;
constexpr std::uint64_t kStepsMax = 2'500;  // from the first store of an insertion to its last, mostly
constexpr authcached::Uuid kDatabase{1};

std::uint64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

bool may_trace() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0 ? 0 : 1);
  int status = 0;
  return ::waitpid(child, &status, 0) == child && status == 0;
}

// From low to high, each order of magnitude as likely as any other.
std::uint64_t spread(std::uint64_t random, double low, double high) {
  const double part = static_cast<double>(random % 1'000'003) / 1'000'003;
  return static_cast<std::uint64_t>(low * std::pow(high / low, part));
}

// A table with its name; full, and with all indices of issuers and keys in use, where `crowded`.
void make_table(const std::filesystem::path& dir, std::uint64_t generation, bool crowded, Arena& arena) {
  auto spec = authcache_test::small_table_spec();
  spec.generation = generation;
  spec.text_bytes_per_record = 2'048;
  spec.database_uuid = authcached::uuid_words(kDatabase);
  auto file = shm::create_table(dir, spec);
  if (!file) throw std::runtime_error(file.error().message);
  shm::TableWriter writer(std::move(*file));
  writer.set_profiles(profiles_of(shm::StdAtomics::load_relaxed(writer.view().header().config) + 1));
  if (crowded) {
    // Those that most records name come last: reuse begins with the first.
    for (std::uint64_t i = shm::kIssuersMax - 1; i-- > 0;) writer.raise_issuer(issuer_id(i));
    for (std::uint64_t i = shm::kKeysMax - 1; i-- > 0;) writer.raise_key(signing_key_id(i));
    for (std::uint64_t token = 0; token < kKeys; ++token) {
      const ModelRecord record(token, arena.next_version++, writer.epoch(), writer.view().tick_ns);
      writer.insert(record.spec, time_of(arena.next_version));
    }
  }
  shm::publish_table(writer.view());
  if (auto named = shm::name_table(writer.file(), dir); !named)
    throw std::runtime_error(named.error().message);
}

class Stand {
 public:
  Stand(std::uint64_t seed, std::uint64_t number) : seed_(mix(seed, number)) {
    stage_ = {directory_.path(), 1 + number, {}};
    for (std::uint64_t token = 0; token < kKeys; ++token) stage_.numbers.emplace(key_of_token(token), token);
    make_table(stage_.dir, stage_.generation, number % 2 == 1, *arena_);
    for (std::size_t i = 0; i < kReaders; ++i) readers_.push_back(fork_reader(i));
  }
  Stand(const Stand&) = delete;
  Stand& operator=(const Stand&) = delete;
  ~Stand() {
    for (const pid_t pid : readers_) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
  }

  // False at a fault.
  bool live_and_die(std::uint64_t life) {
    const KillBy how = may_trace_ && life % 5 < 2 ? KillBy::kSteps : KillBy::kDelay;
    const std::uint64_t random = mix(seed_, life);
    const std::uint64_t adoptions = arena_->adoptions;
    const pid_t writer = ::fork();
    if (writer == 0) live_as_writer(stage_, *arena_, random, how);
    // Some die while they take over, most at work.
    while (how == KillBy::kDelay && life % 5 != 2 && arena_->adoptions == adoptions && !arena_->faulty)
      ::sched_yield();
    const bool stopped = how == KillBy::kSteps ? step(writer, random) : wait_a_while(random);
    ::kill(writer, SIGKILL);
    int status = 0;
    while (::waitpid(writer, &status, 0) == writer && !WIFEXITED(status) && !WIFSIGNALED(status)) {
    }
    EXPECT_TRUE(stopped) << "a writer ended by itself";
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        << "wait status " << status << " in life " << life;
    EXPECT_FALSE(arena_->faulty) << arena_->fault << " (life " << life << ")";
    return !::testing::Test::HasFailure();
  }

  // Ends the readers, each of which must still be there.
  void end() {
    arena_->stop = true;
    for (const pid_t pid : std::exchange(readers_, {})) {
      int status = 0;
      EXPECT_EQ(::waitpid(pid, &status, 0), pid);
      EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << arena_->fault;
    }
    EXPECT_FALSE(arena_->faulty) << arena_->fault;
  }

  [[nodiscard]] const Arena& arena() const { return *arena_; }
  [[nodiscard]] std::uint64_t moved() const {
    const auto table = shm::open_table(stage_.dir / shm::table_file_name(stage_.generation), {});
    return table ? shm::StdAtomics::load_relaxed(table->view.header().moved) : 0;
  }

 private:
  pid_t fork_reader(std::size_t index) {
    const pid_t pid = ::fork();
    if (pid == 0) live_as_reader(stage_, *arena_, index, mix(seed_, 1'000'000 + index));
    return pid;
  }

  static bool wait_a_while(std::uint64_t random) {
    const std::uint64_t end = monotonic_ns() + spread(random, kDelayMinNs, kDelayMaxNs);
    while (monotonic_ns() < end) {
      const timespec moment{0, 10'000};
      if (end - monotonic_ns() > 200'000) ::nanosleep(&moment, nullptr);
    }
    return true;
  }

  // To a store into the table, and some instructions on.
  static bool step(pid_t writer, std::uint64_t random) {
    int status = 0;
    const auto stops = [&](int signal) {
      return ::waitpid(writer, &status, 0) == writer && WIFSTOPPED(status) && WSTOPSIG(status) == signal;
    };
    if (!stops(SIGSEGV) || ::ptrace(PTRACE_CONT, writer, nullptr, SIGSEGV) != 0 || !stops(SIGSTOP))
      return false;
    const std::uint64_t steps =
        random % 2 == 0 ? spread(random >> 1, 1, kStepsMax) : (random >> 1) % kStepsMax;
    for (std::uint64_t i = 0; i < steps; ++i) {
      if (::ptrace(PTRACE_SINGLESTEP, writer, nullptr, nullptr) != 0) return false;
      if (!stops(SIGTRAP)) return false;
    }
    return true;
  }

  std::uint64_t seed_;
  authcache_test::TempTableDirectory directory_;
  Stage stage_;
  SharedArena arena_;
  std::vector<pid_t> readers_;
  bool may_trace_ = may_trace();
};

TEST(WriterKill, B6_WhateverInstructionAWriterDiesAtReadersSeeWholeAndLivingRecordsOnly) {
  const std::uint64_t kills = number_from_environment("AUTHCACHE_CRASH_KILLS", kKillsByDefault);
  const std::uint64_t seed = announced_seed("kills of a writer", kills);
  if (!may_trace()) std::cout << "no process may be traced here: every kill comes after a delay\n";
  std::uint64_t accepted = 0, texts = 0, operations = 0, kept = 0, adoptions = 0, busy = 0, doubles = 0,
                moved = 0;
  for (std::uint64_t life = 0; life < kills && !HasFailure();) {
    Stand stand(seed, life / kKillsOfAStage);
    for (std::uint64_t end = std::min(kills, life + kKillsOfAStage); life < end; ++life) {
      if (!stand.live_and_die(life)) break;
    }
    stand.end();
    const Arena& arena = stand.arena();
    for (const ReaderTally& reader : arena.readers) {
      EXPECT_GT(reader.accepted, 0u) << "a reader saw nothing";
      accepted += reader.accepted, texts += reader.texts;
    }
    operations += arena.operations, kept += arena.kept, adoptions += arena.adoptions;
    busy += arena.busy, doubles += arena.doubles, moved += stand.moved();
  }
  std::cout << accepted << " records and " << texts << " texts accepted under " << operations << " calls and "
            << moved << " moves; " << adoptions << " adoptions kept " << kept << " records, and found "
            << busy << " busy slots and " << doubles << " unfinished moves\n";
  if (HasFailure()) return;
  // What happens seldom must have happened at all, or the run shows nothing.
  EXPECT_GT(adoptions, kills / 2);
  EXPECT_GT(kept, adoptions * 50);
  EXPECT_GT(accepted, kills * 100);
  EXPECT_GT(busy, kills / 100);
  EXPECT_GT(moved, kills);
}

}  // namespace
}  // namespace crash

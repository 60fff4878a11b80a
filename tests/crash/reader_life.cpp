#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <vector>

#include "tests/crash/arena.hpp"

namespace crash {

using A = shm::StdAtomics;

namespace {

class Reader {
 public:
  Reader(const Stage& stage, Arena& arena, std::size_t index, std::uint64_t seed)
      : arena_(arena), tally_(arena.readers[index]), seed_(seed), newest_(kKeys, 0), keys_(kKeys) {
    auto opened = shm::open_table(stage.dir / shm::table_file_name(stage.generation), {});
    if (!opened) fail(0, opened.error().message);
    table_ = std::move(*opened);
    for (std::uint64_t number = 0; number < kKeys; ++number) keys_[number] = key_of_token(number);
  }

  void look(std::uint64_t round) {
    const std::uint64_t number = mix(seed_, round) % kKeys;
    const Acknowledged dead = acknowledged(number);
    const shm::TableView& view = table_.view;
    const std::uint64_t now = time_of(arena_.next_version.load(std::memory_order_acquire));
    shm::Found found;
    const shm::BucketPair pair = shm::buckets_of(keys_[number], view.secret.data(), view.geometry.buckets);
    if (!shm::find(view, keys_[number], pair, shm::likely_slot(view, keys_[number], pair), found) ||
        !shm::is_current(view, found.record, now)) {
      tally_.not_live.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    const std::string fault = hot_fault(view, number, found.record);
    // An index that was given to another name meanwhile had its epoch raised before.
    if (!shm::is_current(view, found.record, now) || !shm::still_serving(view)) return;
    if (!fault.empty()) return fail(number, "a record whose " + fault + " is not the model's");
    check_age(number, version_of(found.record.deadline), dead);
    tally_.accepted.fetch_add(1, std::memory_order_relaxed);
    shm::ColdRecord cold;
    const auto text = shm::read_text(view, found.slot, found.record.control, buffer_, cold);
    if (!text) return;
    const std::string cold_wrong = cold_fault(number, found.record, cold, *text);
    if (!cold_wrong.empty()) return fail(number, "a cold part whose " + cold_wrong + " is not the model's");
    tally_.texts.fetch_add(1, std::memory_order_relaxed);
  }

  void look_at_profiles() {
    const std::string fault = directory_fault(table_.view);
    if (!fault.empty()) fail(0, "the profile directory: " + fault);
  }

  void count_round() { tally_.rounds.fetch_add(1, std::memory_order_relaxed); }

 private:
  struct Acknowledged {
    std::uint64_t killed, all;
    std::array<std::uint64_t, kOftenUsed> issuers, keys;
  };

  Acknowledged acknowledged(std::uint64_t number) const {
    Acknowledged dead{arena_.killed[number].load(std::memory_order_acquire),
                      arena_.all_void.load(std::memory_order_acquire),
                      {},
                      {}};
    for (std::size_t i = 0; i < kOftenUsed; ++i) {
      dead.issuers[i] = arena_.issuer_void[i].load(std::memory_order_acquire);
      dead.keys[i] = arena_.key_void[i].load(std::memory_order_acquire);
    }
    return dead;
  }

  void check_age(std::uint64_t number, std::uint64_t version, const Acknowledged& dead) {
    const std::uint64_t issuer = issuer_number(number, version);
    const std::uint64_t key = key_number(number, version);
    if (version < dead.killed) fail(number, "a record that was acknowledged as killed");
    if (version < dead.all) fail(number, "a record that was acknowledged as void");
    if (issuer < kOftenUsed && version < dead.issuers[issuer])
      fail(number, "a record of an issuer that was raised");
    if (key < kOftenUsed && version < dead.keys[key]) fail(number, "a record of a key that was raised");
    if (version >= arena_.next_version.load(std::memory_order_acquire))
      fail(number, "a version that nobody gave out");
    // Flights that land late bring an older version after a newer one, for the tokens that have such.
    if (!lands_late(number) && version < newest_[number]) fail(number, "an older record after a newer one");
    newest_[number] = version;
  }

  void fail(std::uint64_t number, const std::string& what) {
    arena_.report("reader", what + " (token " + std::to_string(number) + ")");
    ::_exit(3);
  }

  Arena& arena_;
  ReaderTally& tally_;
  std::uint64_t seed_;
  shm::TableFile table_;
  std::vector<std::uint64_t> newest_;
  std::vector<shm::Key> keys_;
  alignas(8) std::uint64_t buffer_[shm::kTextMax / 8];
};

}  // namespace

void live_as_reader(const Stage& stage, Arena& arena, std::size_t index, std::uint64_t seed) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::nice(10) == -1) ::_exit(4);  // the writer goes first where there are fewer cores than processes
  Reader reader(stage, arena, index, seed);
  for (std::uint64_t round = 0; !arena.stop.load(std::memory_order_acquire); ++round) {
    reader.look(round);
    if (round % 16 == 0) reader.look_at_profiles();
    reader.count_round();
  }
  ::_exit(0);
}

}  // namespace crash

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <deque>
#include <functional>
#include <set>

#include "daemon/cache/take_over.hpp"
#include "daemon/cache/token_index.hpp"
#include "shm/boot_id.hpp"
#include "tests/crash/arena.hpp"

namespace crash {

using A = shm::StdAtomics;

namespace {

constexpr std::uint64_t kLateMax = 20;               // flights under way at once
constexpr std::uint64_t kOperationsBeforeStop = 60;  // at most, by kSteps
constexpr std::uint64_t kSweepSlots = 100;
constexpr authcached::Uuid kDatabase{1};

// Room that a text takes: powers of two of units, and the halves between two of them.
std::uint64_t size_class_bytes(std::uint64_t bytes) {
  const std::uint64_t units = (bytes + shm::kTextUnitBytes - 1) / shm::kTextUnitBytes;
  if (units == 0) return 0;
  const std::uint64_t power = std::bit_ceil(units);
  const std::uint64_t between = power / 4 * 3;
  return (between >= units && power >= 4 && power <= 128 ? between : power) * shm::kTextUnitBytes;
}

// The table while no store into it is let through; the handler of the fault opens it again.
std::byte* closed_table = nullptr;
std::size_t closed_bytes = 0;

void open_and_stop(int, siginfo_t* fault, void*) {
  const auto* const at = static_cast<std::byte*>(fault->si_addr);
  if (at < closed_table || at >= closed_table + closed_bytes) ::_exit(6);
  ::mprotect(closed_table, closed_bytes, PROT_READ | PROT_WRITE);
  ::raise(SIGSTOP);
}

class Writer {
 public:
  Writer(const Stage& stage, Arena& arena, std::uint64_t seed)
      : stage_(stage),
        arena_(arena),
        seed_(seed),
        generation_(take_over(stage)),
        writer_(generation_.writer) {}

  void adopt() {
    std::vector<std::uint64_t> sequences(slots());
    for (std::uint64_t slot = 0; slot < slots(); ++slot) sequences[slot] = writer_.peek(slot).sequence();
    const auto report =
        writer_.adopt(now(), [this](std::uint64_t, const auto& hot, const auto& cold, auto text) {
          check_record(hot, cold, text);
          return true;
        });
    for (std::uint64_t slot = 0; slot < slots(); ++slot) {
      if (writer_.peek(slot).sequence() < sequences[slot]) fail("a sequence went back");
    }
    // One writer dies in one place: more than this would have been left by no order of stores.
    if (report.dropped_checksum != 0)
      fail("a live record with a wrong checksum, or with a text that overlaps another's");
    if (report.dropped_busy > 1) fail("more than one busy slot");
    if (report.dropped_duplicate > 1) fail("more than one record in two places");
    if (report.kept != writer_.live()) fail("the report does not count what is live");
    check_accounts();
    ++arena_.adoptions;
    arena_.kept += report.kept;
    arena_.busy += report.dropped_busy;
    arena_.doubles += report.dropped_duplicate;
    writer_.beat(now());
  }

  // The next call, with all that it needs made.
  std::function<void()> next_operation() {
    const std::uint64_t roll = random() % 2'000;
    if (roll < 1'300) return insert(random() % kKeys);
    if (roll < 1'420) return kill(random() % kKeys);
    if (roll < 1'600) return extend(random() % kKeys);
    if (roll < 1'700) return depart_late();
    if (roll < 1'800) return land_late();
    if (roll < 1'920) return [this] { writer_.sweep(now(), kSweepSlots); };
    if (roll < 1'980) return change_profiles();
    if (roll < 1'985) return [this] { writer_.kill_negatives(); };
    if (roll < 1'987) return raise_issuer(random() % kOftenUsed);
    if (roll < 1'989) return raise_key(random() % kOftenUsed);
    return roll == 1'989 && random() % 8 == 0 ? raise_all()
                                              : std::function<void()>([this] { writer_.beat(now()); });
  }

  void run(const std::function<void()>& operation) {
    operation();
    arena_.operations.fetch_add(1, std::memory_order_relaxed);
  }
  std::uint64_t random() { return mix(seed_, ++rolls_); }

  // The process stops at the next store into the table, before it is made.
  void stop_at_next_store() {
    struct sigaction action {};
    action.sa_sigaction = open_and_stop;
    action.sa_flags = SA_SIGINFO;
    closed_table = writer_.file().mapping.data();
    closed_bytes = writer_.file().mapping.size();
    if (::sigaction(SIGSEGV, &action, nullptr) != 0 || ::mprotect(closed_table, closed_bytes, PROT_READ) != 0)
      ::_exit(7);
  }

 private:
  struct Flight {
    std::uint64_t number, version, epoch;
  };

  // As the daemon does it before anything else is believed.
  static authcached::Generation take_over(const Stage& stage) {
    const auto boot = shm::current_boot_id();
    auto found = authcached::meet_predecessors({.runtime_dir = stage.dir,
                                                .database_uuid = kDatabase,
                                                .last_change = 1'000'000,
                                                .known = {{stage.generation, 1, shm::boot_id_text(*boot)}}});
    if (!found.adoptable || found.rules_lost) ::_exit(4);
    return {std::move(*found.adoptable), std::nullopt};
  }

  [[nodiscard]] std::uint64_t slots() const { return writer_.view().geometry.slots; }
  [[nodiscard]] std::uint64_t now() const {
    return time_of(arena_.next_version.load(std::memory_order_relaxed));
  }
  std::uint64_t next_version() { return arena_.next_version.fetch_add(1, std::memory_order_acq_rel); }
  [[nodiscard]] std::uint64_t all_given_out() const {
    return arena_.next_version.load(std::memory_order_relaxed);
  }

  std::function<void()> insert(std::uint64_t number) {
    auto record =
        std::make_shared<ModelRecord>(number, next_version(), writer_.epoch(), writer_.view().tick_ns);
    return [this, record] { writer_.insert(record->spec, now()); };
  }

  std::function<void()> kill(std::uint64_t number) {
    return [this, number, key = key_of_token(number)] {
      writer_.kill(key, shm::SlotState::kRevoked);
      arena_.killed[number].store(all_given_out(), std::memory_order_release);
    };
  }

  std::function<void()> extend(std::uint64_t number) {
    return [this, key = key_of_token(number)] {
      shm::Found found;
      if (!writer_.find(key, found)) return;
      const std::uint64_t extension =
          found.record.deadline - deadline_of(version_of(found.record.deadline), 0);
      const std::uint64_t more = std::min(kExtensionsMax, extension + 1);
      shm::extend_deadline(writer_.view().slot(found.slot), found.record.sequence(),
                           found.record.deadline - extension + more);
    };
  }

  // A flight whose epoch is read now and whose record comes later, if nothing that it must obey came between.
  std::function<void()> depart_late() {
    return [this] {
      const std::uint64_t number = random() % (kKeys / kLateEvery) * kLateEvery;
      if (late_.size() < kLateMax) late_.push_back({number, next_version(), writer_.epoch()});
    };
  }
  std::function<void()> land_late() {
    if (late_.empty()) return insert(random() % kKeys);
    const Flight flight = late_.front();
    late_.pop_front();
    if (flight.version < arena_.killed[flight.number].load(std::memory_order_relaxed))
      return kill(flight.number);
    auto record =
        std::make_shared<ModelRecord>(flight.number, flight.version, flight.epoch, writer_.view().tick_ns);
    return [this, record] { writer_.insert(record->spec, now()); };
  }

  std::function<void()> change_profiles() {
    const std::uint64_t next = A::load_relaxed(writer_.view().header().config) + 1;
    return [this, profiles = profiles_of(next)] { writer_.set_profiles(profiles); };
  }

  std::function<void()> raise_issuer(std::uint64_t issuer) {
    return [this, issuer] {
      writer_.raise_issuer(issuer_id(issuer));
      arena_.issuer_void[issuer].store(all_given_out(), std::memory_order_release);
    };
  }
  std::function<void()> raise_key(std::uint64_t key) {
    return [this, key] {
      writer_.raise_key(signing_key_id(key));
      arena_.key_void[key].store(all_given_out(), std::memory_order_release);
    };
  }
  std::function<void()> raise_all() {
    return [this] {
      writer_.raise_all();
      arena_.all_void.store(all_given_out(), std::memory_order_release);
    };
  }

  void check_record(const shm::HotRecord& hot, const shm::ColdRecord& cold, std::string_view text) {
    const auto number = stage_.numbers.find(hot.key);
    if (number == stage_.numbers.end()) fail("a record of a key that nobody inserted");
    const std::string hot_wrong = hot_fault(writer_.view(), number->second, hot);
    if (!hot_wrong.empty()) fail("left with a wrong " + hot_wrong);
    const std::string cold_wrong = cold_fault(number->second, hot, cold, text);
    if (!cold_wrong.empty()) fail("left with a wrong " + cold_wrong);
    if (version_of(hot.deadline) < arena_.killed[number->second].load())
      fail("left alive though acknowledged as killed");
  }

  // Counters, room and index against the slots themselves.
  void check_accounts() {
    std::set<shm::Key> keys;
    std::uint64_t live = 0, negative = 0, text_bytes = 0;
    for (std::uint64_t slot = 0; slot < slots(); ++slot) {
      const shm::HotRecord hot = writer_.peek(slot);
      const shm::SlotState state = shm::control_state(hot.control);
      if (state == shm::SlotState::kBusy) fail("a busy slot after adoption");
      if (state != shm::SlotState::kLive) continue;
      ++live;
      negative += shm::unpack_facts(hot.facts).verdict == shm::Verdict::kValid ? 0 : 1;
      const shm::ColdRecord cold = shm::load_cold(writer_.view().cold(slot));
      text_bytes += size_class_bytes(cold.text_bytes);
      if (!keys.insert(hot.key).second) fail("two live records of one key after adoption");
      if (std::ranges::count(generation_.index.slots_of(cold.token), slot) != 1)
        fail("the index does not name a live slot");
    }
    const shm::Header& header = writer_.view().header();
    if (live != writer_.live() || live != A::load_relaxed(header.live))
      fail("the count of live records is wrong");
    if (negative != writer_.negative() || negative != A::load_relaxed(header.negative))
      fail("the count of negative records is wrong");
    if (text_bytes != A::load_relaxed(header.text_used_bytes)) fail("the room in use for texts is wrong");
  }

  [[noreturn]] void fail(const std::string& what) {
    arena_.report("writer", what);
    ::_exit(3);
  }

  const Stage& stage_;
  Arena& arena_;
  std::uint64_t seed_;
  std::uint64_t rolls_ = 0;
  authcached::Generation generation_;
  shm::TableWriter& writer_;
  std::deque<Flight> late_;
};

}  // namespace

void live_as_writer(const Stage& stage, Arena& arena, std::uint64_t seed, KillBy kill_by) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  Writer writer(stage, arena, seed);
  const bool steps = kill_by == KillBy::kSteps;
  if (steps && ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(8);
  writer.adopt();
  for (std::uint64_t left = writer.random() % kOperationsBeforeStop;; --left) {
    const auto operation = writer.next_operation();
    if (steps && left == 0) writer.stop_at_next_store();
    writer.run(operation);
  }
}

}  // namespace crash

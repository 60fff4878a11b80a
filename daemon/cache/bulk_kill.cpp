#include "daemon/cache/bulk_kill.hpp"

#include <algorithm>
#include <exception>
#include <new>
#include <utility>

#include "daemon/cache/principal_id.hpp"

namespace authcached {

namespace shm = authcache::shm;
using A = shm::StdAtomics;

namespace {

constexpr std::uint64_t kReadCost = 2;
constexpr std::uint64_t kKillCost = 8;
constexpr std::uint64_t kTextBytesPerUnit = 1'024;
// A slot of a scan is read in the order of memory, which costs a twentieth of a link.
constexpr std::uint64_t kScannedPerUnit = 8;

std::uint64_t profile_of(const shm::TableView& view, std::uint64_t slot) { return A::load_relaxed(view.cold(slot).profile_id); }

}  // namespace

class BulkKill::Job {
 public:
  explicit Job(Done done) : done_(std::move(done)) {}
  virtual ~Job() = default;
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  // Works for about kSlice; true once nothing is left to do.
  virtual bool slice(Tables& tables) = 0;
  // After a slice that threw: what it had not done yet is not known, so everything is looked at again.
  virtual void begin_anew(Tables&) { seen_.clear(); }
  void finish() { done_(killed_); }

 protected:
  // The oldest generation that this job has not seen yet, or none.
  Generation* next_generation(Tables& tables) {
    for (const std::uint64_t number : tables.generations()) {
      if (std::ranges::find(seen_, number) != seen_.end()) continue;
      seen_.push_back(number);
      return tables.generation(number);
    }
    return nullptr;
  }
  // By key, so that its copies die with it, the newest generation's first.
  void kill(Tables& tables, const shm::Key& key, shm::SlotState dead) { killed_ += tables.kill(key, dead); }
  std::uint64_t killed_ = 0;

 private:
  std::vector<std::uint64_t> seen_;
  Done done_;
};

namespace {

class NameJob final : public BulkKill::Job {
 public:
  NameJob(NameKind kind, std::string name, BulkKill::Doomed doomed, BulkKill::Done done)
      : Job(std::move(done)), kind_(kind), name_(std::move(name)), doomed_(std::move(doomed)) {}

  bool slice(Tables& tables) override {
    for (std::uint64_t cost = 0; cost < BulkKill::kSlice;) {
      Generation* generation = tables.generation(walked_);
      if (generation == nullptr) {  // not begun, at its end, or retired meanwhile
        generation = next_generation(tables);
        if (generation == nullptr) return true;
        walk_ = generation->names.begin_walk(kind_, name_);
        walked_ = generation->writer.view().generation;  // only now is there a walk to end
      }
      const NameIndex::Step step = generation->names.step(walk_, BulkKill::kSlice - cost, cost);
      if (step.what == NameIndex::Step::What::kAgain) return false;
      if (step.what == NameIndex::Step::What::kSlot) {
        judge(tables, generation->writer, step.slot, cost);
        continue;
      }
      generation->names.end_walk(walk_);
      walked_ = 0;
    }
    return false;
  }
  void begin_anew(Tables& tables) override {
    if (Generation* const generation = tables.generation(walked_)) generation->names.end_walk(walk_);
    walked_ = 0;
    Job::begin_anew(tables);
  }

 private:
  void judge(Tables& tables, const shm::TableWriter& writer, std::uint64_t slot, std::uint64_t& cost) {
    const shm::HotRecord hot = writer.peek(slot);
    alignas(8) std::uint64_t buffer[shm::kTextMax / 8];
    shm::ColdRecord cold;
    const auto text = shm::read_text(writer.view(), slot, hot.control, buffer, cold);
    cost += kReadCost + cold.text_bytes / kTextBytesPerUnit;
    const bool elsewhere = (shm::unpack_facts(hot.facts).flags & shm::kTextOnSocket) != 0;
    // Two names may share a hash. Where the text is not at hand the hash must do: such a record asks its upstream again.
    const bool sure = !elsewhere && text;
    if (sure && !shm::text_holds(*text, name_field(kind_), name_)) return;
    const auto dead = doomed_(writer.view(), hot, cold);
    if (!dead) return;
    cost += kKillCost;
    kill(tables, hot.key, sure ? *dead : shm::SlotState::kEvicted);
  }

  NameKind kind_;
  std::string name_;
  BulkKill::Doomed doomed_;
  std::uint64_t walked_ = 0;  // generation; 0: none
  NameIndex::WalkId walk_ = 0;
};

// Looks at every live slot of every generation.
class ScanJob : public BulkKill::Job {
 public:
  using Job::Job;

  bool slice(Tables& tables) override {
    for (std::uint64_t looked = 0; looked < BulkKill::kSlice * kScannedPerUnit; ++looked) {
      Generation* generation = tables.generation(scanned_);
      if (generation == nullptr) {
        generation = next_generation(tables);
        if (generation == nullptr) return true;
        scan_ = generation->begin_scan();
        scanned_ = generation->writer.view().generation;
      }
      const auto slot = generation->scan_next(scan_);
      if (!slot) {
        generation->end_scan(scan_);
        scanned_ = 0;
        continue;
      }
      const shm::TableView& view = generation->writer.view();
      if (shm::control_state(A::load_relaxed(view.slot(*slot).control)) != shm::SlotState::kLive) continue;
      if (visit(tables, *generation, *slot)) looked += kKillCost * kScannedPerUnit;
    }
    return false;
  }
  void begin_anew(Tables& tables) override {
    if (Generation* const generation = tables.generation(scanned_)) generation->end_scan(scan_);
    scanned_ = 0;
    Job::begin_anew(tables);
  }

 protected:
  // True if it did more than to look.
  virtual bool visit(Tables& tables, Generation& generation, std::uint64_t slot) = 0;

 private:
  std::uint64_t scanned_ = 0;  // generation; 0: none
  Generation::ScanId scan_ = 0;
};

class ProfilesJob final : public ScanJob {
 public:
  using DoomedSlot = std::function<bool(const shm::TableView&, std::uint64_t slot)>;
  ProfilesJob(DoomedSlot doomed, BulkKill::Done done) : ScanJob(std::move(done)), doomed_(std::move(doomed)) {}

 private:
  bool visit(Tables& tables, Generation& generation, std::uint64_t slot) override {
    if (!doomed_(generation.writer.view(), slot)) return false;
    kill(tables, generation.writer.peek(slot).key, shm::SlotState::kEvicted);
    return true;
  }
  DoomedSlot doomed_;
};

class VisitJob final : public ScanJob {
 public:
  VisitJob(BulkKill::Visit visit, BulkKill::Done done) : ScanJob(std::move(done)), visit_(std::move(visit)) {}

 private:
  bool visit(Tables&, Generation& generation, std::uint64_t slot) override {
    const bool worked = visit_(generation, slot);
    killed_ += worked ? 1 : 0;
    return worked;
  }
  BulkKill::Visit visit_;
};

class NegativesJob final : public BulkKill::Job {
 public:
  using Job::Job;
  bool slice(Tables& tables) override { return !tables.kill_oldest_negatives(BulkKill::kSlice / kKillCost); }
};

}  // namespace

BulkKill::BulkKill(Tables& tables, Executor& loop) : tables_(tables), loop_(loop) {}
BulkKill::~BulkKill() = default;

void BulkKill::by_name(NameKind kind, std::string name, Doomed doomed, Done done) {
  begin(std::make_unique<NameJob>(kind, std::move(name), std::move(doomed), std::move(done)));
}

void BulkKill::by_profile(std::uint64_t profile_id, Done done) {
  const auto doomed = [profile_id](const shm::TableView& view, std::uint64_t slot) { return profile_of(view, slot) == profile_id; };
  begin(std::make_unique<ProfilesJob>(doomed, std::move(done)));
}

void BulkKill::unproven(std::uint64_t profile_id, Proves proves, Done done) {
  const auto doomed = [profile_id, proves = std::move(proves)](const shm::TableView& view, std::uint64_t slot) {
    if (profile_of(view, slot) != profile_id) return false;
    const std::uint32_t key = shm::unpack_principals(A::load_relaxed(view.slot(slot).principals)).key;
    return key != 0 && !proves(principal_hash(shm::load_principal(view.key(key))));
  };
  begin(std::make_unique<ProfilesJob>(doomed, std::move(done)));
}

void BulkKill::other_profiles(std::vector<std::uint64_t> kept, Done done) {
  const auto doomed = [kept = std::move(kept)](const shm::TableView& view, std::uint64_t slot) {
    return std::ranges::find(kept, profile_of(view, slot)) == kept.end();
  };
  begin(std::make_unique<ProfilesJob>(doomed, std::move(done)));
}

void BulkKill::each_record(Visit visit, Done done) { begin(std::make_unique<VisitJob>(std::move(visit), std::move(done))); }

void BulkKill::negatives(Done done) { begin(std::make_unique<NegativesJob>(std::move(done))); }

void BulkKill::begin(std::unique_ptr<Job> job) {
  jobs_.push_back(std::move(job));
  resume();
}

void BulkKill::resume() {
  if (!turn_to_come_) turn();
}

// Leaves one task behind for as long as jobs are left. What a slice throws (no memory is left, in the main) must not end
// the job, whose caller waits, nor the others.
void BulkKill::turn() {
  turn_to_come_ = false;
  if (jobs_.empty()) return;
  bool finished = false;
  try {
    finished = jobs_.front()->slice(tables_);
  } catch (const std::exception&) {
    jobs_.front()->begin_anew(tables_);
  }
  std::list<std::unique_ptr<Job>> ended;
  if (finished) {
    ended.splice(ended.end(), jobs_, jobs_.begin());
  } else {
    jobs_.splice(jobs_.end(), jobs_, jobs_.begin());
  }
  if (!jobs_.empty()) ask_for_turn();
  if (finished) ended.front()->finish();
}

void BulkKill::ask_for_turn() {
  try {
    loop_.post([this] { turn(); });
    turn_to_come_ = true;
  } catch (const std::bad_alloc&) {
    turn_to_come_ = false;  // resume(), or the next job, takes it
  }
}

}  // namespace authcached

#include "daemon/cache/bulk_kill.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace authcached {

namespace shm = authcache::shm;
using A = shm::StdAtomics;

namespace {

constexpr std::uint64_t kReadCost = 2;
constexpr std::uint64_t kKillCost = 8;
constexpr std::uint64_t kTextBytesPerUnit = 1'024;
// A slot of a scan is read in the order of memory, which costs a twentieth of a link.
constexpr std::uint64_t kScannedPerUnit = 8;

}  // namespace

class BulkKill::Job {
 public:
  explicit Job(Done done) : done_(std::move(done)) {}
  virtual ~Job() = default;
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  // Works for about kSlice; true once nothing is left to do.
  virtual bool slice(Tables& tables) = 0;
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
  NameJob(NameKind kind, std::string name, shm::SlotState dead, BulkKill::Doomed doomed, BulkKill::Done done)
      : Job(std::move(done)), kind_(kind), name_(std::move(name)), dead_(dead), doomed_(std::move(doomed)) {}

  bool slice(Tables& tables) override {
    for (std::uint64_t cost = 0; cost < BulkKill::kSlice;) {
      Generation* generation = tables.generation(walked_);
      if (generation == nullptr) {  // not begun, at its end, or retired meanwhile
        generation = next_generation(tables);
        if (generation == nullptr) return true;
        walked_ = generation->writer.view().generation;
        walk_ = generation->names.begin_walk(kind_, name_);
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

 private:
  void judge(Tables& tables, const shm::TableWriter& writer, std::uint64_t slot, std::uint64_t& cost) {
    const shm::HotRecord hot = writer.peek(slot);
    alignas(8) std::uint64_t buffer[shm::kTextMax / 8];
    shm::ColdRecord cold;
    const auto text = shm::read_text(writer.view(), slot, hot.control, buffer, cold);
    cost += kReadCost + cold.text_bytes / kTextBytesPerUnit;
    const bool elsewhere = (shm::unpack_facts(hot.facts).flags & shm::kTextOnSocket) != 0;
    // Two names may share a hash. Where the text is not at hand the hash must do: such a record asks its upstream again.
    if (!elsewhere && text && !shm::text_holds(*text, name_field(kind_), name_)) return;
    if (!doomed_(writer.view(), hot, cold)) return;
    cost += kKillCost;
    kill(tables, hot.key, dead_);
  }

  NameKind kind_;
  std::string name_;
  shm::SlotState dead_;
  BulkKill::Doomed doomed_;
  std::uint64_t walked_ = 0;  // generation; 0: none
  NameIndex::WalkId walk_ = 0;
};

class ProfileJob final : public BulkKill::Job {
 public:
  ProfileJob(std::uint64_t profile_id, BulkKill::Done done) : Job(std::move(done)), profile_id_(profile_id) {}

  bool slice(Tables& tables) override {
    for (std::uint64_t looked = 0; looked < BulkKill::kSlice * kScannedPerUnit; ++looked) {
      Generation* generation = tables.generation(scanned_);
      if (generation == nullptr) {
        generation = next_generation(tables);
        if (generation == nullptr) return true;
        scanned_ = generation->writer.view().generation;
        scan_ = generation->begin_scan();
      }
      const auto slot = generation->scan_next(scan_);
      if (!slot) {
        generation->end_scan(scan_);
        scanned_ = 0;
        continue;
      }
      const shm::TableView& view = generation->writer.view();
      if (shm::control_state(A::load_relaxed(view.slot(*slot).control)) != shm::SlotState::kLive) continue;
      if (A::load_relaxed(view.cold(*slot).profile_id) != profile_id_) continue;
      looked += kKillCost * kScannedPerUnit;
      kill(tables, generation->writer.peek(*slot).key, shm::SlotState::kEvicted);
    }
    return false;
  }

 private:
  std::uint64_t profile_id_;
  std::uint64_t scanned_ = 0;  // generation; 0: none
  Generation::ScanId scan_ = 0;
};

class NegativesJob final : public BulkKill::Job {
 public:
  using Job::Job;
  bool slice(Tables& tables) override { return !tables.kill_oldest_negatives(BulkKill::kSlice / kKillCost); }
};

}  // namespace

BulkKill::BulkKill(Tables& tables, Executor& loop) : tables_(tables), loop_(loop) {}
BulkKill::~BulkKill() = default;

void BulkKill::by_name(NameKind kind, std::string name, shm::SlotState dead, Doomed doomed, Done done) {
  begin(std::make_unique<NameJob>(kind, std::move(name), dead, std::move(doomed), std::move(done)));
}

void BulkKill::by_profile(std::uint64_t profile_id, Done done) {
  begin(std::make_unique<ProfileJob>(profile_id, std::move(done)));
}

void BulkKill::negatives(Done done) { begin(std::make_unique<NegativesJob>(std::move(done))); }

void BulkKill::begin(std::unique_ptr<Job> job) {
  jobs_.push_back(std::move(job));
  if (jobs_.size() == 1) turn();
}

// Leaves one task behind for as long as jobs are left. What a slice throws (no memory is left) must not end the job,
// whose caller waits, nor the others: it is tried again in its next turn.
void BulkKill::turn() {
  if (jobs_.empty()) return;
  bool finished = false;
  try {
    finished = jobs_.front()->slice(tables_);
  } catch (const std::exception&) {
    finished = false;
  }
  std::unique_ptr<Job> job = std::move(jobs_.front());
  jobs_.pop_front();
  if (!finished) jobs_.push_back(std::move(job));
  if (!jobs_.empty()) loop_.post([this] { turn(); });
  if (finished) job->finish();
}

}  // namespace authcached

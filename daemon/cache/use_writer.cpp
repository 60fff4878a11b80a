#include "daemon/cache/use_writer.hpp"

#include <algorithm>
#include <cstring>
#include <exception>
#include <utility>

#include "daemon/cache/token_hash.hpp"

namespace authcached {

namespace shm = authcache::shm;

namespace {

constexpr std::int64_t kIntervalsPerTimeout = 10;
constexpr std::int64_t kIntervalsPerRecord = 3;
constexpr std::int64_t kIntervalMinNs = 100'000'000;     // a few turns of the refresher
constexpr std::int64_t kIntervalMaxNs = 60'000'000'000;  // what a crash may cost at most

// A digest of which nothing but the record's key is known, which is all that names a record.
shm::Digest digest_of(const shm::Key& key) {
  shm::Digest digest{};
  std::memcpy(digest.data(), key.data(), sizeof key);
  return digest;
}

}  // namespace

std::int64_t UseWriter::interval_ns(const ProfileConfig& profile) {
  const std::int64_t idle = std::chrono::nanoseconds(profile.idle_timeout).count() / kIntervalsPerTimeout;
  const std::int64_t record = std::chrono::nanoseconds(profile.ttl_max).count() / kIntervalsPerRecord;
  return std::clamp(std::min(idle, record), kIntervalMinNs, kIntervalMaxNs);
}

void UseWriter::tick() {
  const std::int64_t now = clock_.boot_ns();
  std::int64_t interval = INT64_MAX;
  for (const auto& profile : profiles_) {
    if (profile->config.slides()) interval = std::min(interval, interval_ns(profile->config));
  }
  if (interval == INT64_MAX) {
    scans_.clear();
    failed_.clear();
    began_boot_ns_ = now;  // records of one that comes are placed, and used, later than this
    return;
  }
  if (under_way_ > 0) return;
  if (!failed_.empty()) {
    if (now < retry_boot_ns_) return;
    for (Batch& batch : std::exchange(failed_, {})) send(std::move(batch));
    return;
  }
  if (scans_.empty()) {
    if (now - began_boot_ns_ < interval) return;
    begin_pass(now);
  }
  go_on(now);
}

void UseWriter::begin_pass(std::int64_t boot_now_ns) {
  before_boot_ns_ = std::exchange(began_boot_ns_, boot_now_ns);
  for (const std::uint64_t number : tables_.generations())
    scans_.push_back({number, tables_.generation(number)->begin_scan()});
}

void UseWriter::go_on(std::int64_t boot_now_ns) {
  const std::int64_t seen_wall_ns = clock_.wall_ns() - (boot_now_ns - before_boot_ns_);
  std::size_t slots = 0, looks = 0, uses = 0;
  while (!scans_.empty() && slots < kSlotsPerTurn && looks < kLooksPerTurn && uses < kUsesPerTurn) {
    const Scan scan = scans_.back();
    Generation* generation = tables_.generation(scan.generation);
    const auto slot = generation == nullptr ? std::nullopt : generation->scan_next(scan.id);
    if (slot) {
      ++slots;
      if (!generation->writer.used_since_proof(*slot)) continue;
      ++looks;
      if (take_use(*generation, *slot, seen_wall_ns)) ++uses;
      continue;
    }
    if (generation != nullptr) generation->end_scan(scan.id);
    scans_.pop_back();
  }
  for (Batch& batch : std::exchange(taken_, {})) send(std::move(batch));
  if (scans_.empty()) end_pass();
}

bool UseWriter::take_use(Generation& generation, std::uint64_t slot, std::int64_t seen_wall_ns) {
  const shm::HotRecord hot = generation.writer.peek(slot);
  if (shm::control_state(hot.control) != shm::SlotState::kLive) return false;
  const shm::ColdRecord cold = shm::load_cold(generation.writer.view().cold(slot));
  const auto profile =
      std::ranges::find_if(profiles_, [&](const auto& each) { return each->id == cold.profile_id; });
  if (profile == profiles_.end() || !(*profile)->config.slides()) return false;
  if (shm::unpack_facts(hot.facts).verdict != shm::Verdict::kValid) return false;
  auto batch = std::ranges::find(taken_, *profile, &Batch::profile);
  if (batch == taken_.end()) {
    taken_.push_back({*profile, {}, {}, {}});
    batch = taken_.end() - 1;
    batch->uses.reserve(kUsesPerTurn);
    batch->keys.reserve(kUsesPerTurn);
    batch->standing.reserve(kUsesPerTurn);
  }
  batch->uses.push_back({cold.token, seen_wall_ns});
  batch->keys.push_back(hot.key);
  batch->standing.push_back(tables_.places_of(hot.key));
  generation.writer.forget_uses(slot);
  return true;
}

// What the stores noted by themselves, because they were asked, is written once in an interval too.
void UseWriter::end_pass() {
  ++counters_.passes;
  for (const auto& profile : profiles_) {
    if (profile->config.slides()) send({profile, {}, {}, {}});
  }
}

void UseWriter::send(Batch batch) {
  SlidingSessions* store = batch.profile->upstream->sliding_sessions();
  if (store == nullptr) return;
  std::vector<SessionUse> uses = batch.uses;
  auto written = [this, batch = std::move(batch),
                  epoch = tables_.epoch()](shm::Result<std::vector<Proof>> proofs) mutable {
    --under_way_;
    land(std::move(batch), std::move(proofs), epoch);
  };
  ++under_way_;
  try {
    store->write_uses(std::move(uses), std::move(written));
  } catch (const std::exception&) {
    --under_way_;  // no memory: these uses are lost, and their sessions end early
    ++counters_.failed;
  }
}

void UseWriter::land(Batch batch, shm::Result<std::vector<Proof>> proofs, std::uint64_t epoch) {
  const auto current = profile_named(profiles_, batch.profile->config.name);
  if (current == nullptr || current->config != batch.profile->config) return;  // a reload changed the profile
  batch.profile = current;
  if (!proofs) {
    ++counters_.failed;
    retry_boot_ns_ = clock_.boot_ns() + kRetryNs;
    failed_.push_back(std::move(batch));
    return;
  }
  counters_.written += batch.uses.size();
  for (std::size_t i = 0; i < batch.uses.size(); ++i) {
    try {
      admit(batch, i, (*proofs)[i], epoch);
    } catch (const std::exception&) {
      continue;  // no memory: the record stays until its deadline
    }
  }
}

void UseWriter::admit(const Batch& batch, std::size_t at, const Proof& proof, std::uint64_t epoch) {
  const Places& standing = batch.standing[at];
  // Killed meanwhile, or made anew by a question that knows better.
  if (standing.count == 0 || tables_.places_of(batch.keys[at]) != standing) return;
  const shm::Digest digest = digest_of(batch.keys[at]);
  const Sha256 token = token_hash(batch.uses[at].token);
  const Admitted admitted = admission_.admit({.profile = batch.profile.get(),
                                              .digest = &digest,
                                              .token = &token,
                                              .epoch = epoch,
                                              .standing = standing,
                                              .keep_uses = true},
                                             proof);
  if (admitted.verdict == shm::Verdict::kValid) ++counters_.extended;
  if (admitted.verdict == shm::Verdict::kInvalid) ++counters_.ended;
}

}  // namespace authcached

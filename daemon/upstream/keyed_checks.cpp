#include "daemon/upstream/keyed_checks.hpp"

#include <exception>
#include <limits>
#include <utility>

namespace authcached {

namespace shm = authcache::shm;
using shm::Reason;
using shm::Verdict;

namespace {

// At 15 to 90 us a check, this much waiting is a second's work: more would only be answered too late.
constexpr std::size_t kInPoolMax = 16 * 1024;

}  // namespace

Proof unavailable_proof(Reason reason) {
  Proof proof;
  proof.reason = reason;
  return proof;
}

struct KeyedChecks::Job {
  Check check;
  uid_t uid;
  std::uint64_t deadline_ns;
  Done done;
  std::shared_ptr<const KeySet> keys{};
  Proof refusal{};  // for want of a key
};

KeyedChecks::KeyedChecks(std::shared_ptr<KeySetSource> source, std::vector<Executor*> pool, Executor& loop, const Clock& clock)
    : source_(std::move(source)), pool_(std::move(pool)), loop_(loop), clock_(clock) {}

void KeyedChecks::run(Check check, uid_t uid, std::uint64_t deadline_ns, Done done) {
  auto job = std::make_shared<Job>(Job{std::move(check), uid, deadline_ns, std::move(done)});
  job->keys = source_->keys();
  if (job->keys) return look(std::move(job));
  seek(std::move(job));
}

void KeyedChecks::look(std::shared_ptr<Job> job) {
  if (in_pool_ >= kInPoolMax) {
    return loop_.post([job = std::move(job)] { job->done(unavailable_proof(Reason::kOverloaded)); });
  }
  Executor& worker = *pool_[next_++ % pool_.size()];
  worker.post([weak = weak_from_this(), &loop = loop_, &clock = clock_, job = std::move(job)]() mutable {
    Proof proof = unavailable_proof(Reason::kTimeout);
    try {
      if (static_cast<std::uint64_t>(clock.monotonic_ns()) <= job->deadline_ns) proof = job->check(*job->keys);
    } catch (const std::exception&) {  // no memory is left: nothing is known about the token
      proof = unavailable_proof(Reason::kOverloaded);
    }
    loop.post([weak = std::move(weak), job = std::move(job), proof = std::move(proof)]() mutable {
      const auto self = weak.lock();
      if (!self) return;  // its upstream went, so nobody waits
      --self->in_pool_;
      self->looked(job, std::move(proof));
    });
  });
  ++in_pool_;
}

void KeyedChecks::looked(const std::shared_ptr<Job>& job, Proof proof) {
  if (proof.verdict == Verdict::kValid && proof.key_thumbprint && !source_->has_key(*proof.key_thumbprint)) {
    Proof refused;  // the key went while the check ran
    refused.verdict = Verdict::kInvalid;
    refused.reason = Reason::kUnknownKey;
    refused.signing_input = proof.signing_input;
    proof = std::move(refused);
  }
  if (proof.verdict == Verdict::kInvalid && proof.reason == Reason::kUnknownKey) {
    job->refusal = std::move(proof);
    return seek(job);
  }
  if (proof.verdict == Verdict::kValid) proof.keep_until_wall_ns = source_->keep_until_wall_ns();
  job->done(std::move(proof));
}

void KeyedChecks::seek(std::shared_ptr<Job> job) {
  const KeySet* seen = job->keys.get();
  const uid_t uid = job->uid;
  const std::uint64_t deadline_ns = job->deadline_ns;
  source_->seek(seen, uid, deadline_ns, [weak = weak_from_this(), job = std::move(job)](Sought found, std::int64_t for_ns) {
    if (const auto self = weak.lock()) self->sought(job, found, for_ns);
  });
}

void KeyedChecks::sought(const std::shared_ptr<Job>& job, Sought found, std::int64_t for_ns) {
  switch (found) {
    case Sought::kChanged:
      job->keys = source_->keys();
      if (!job->keys) return job->done(unavailable_proof(Reason::kUpstream));
      return look(job);
    case Sought::kNotThere: {
      const std::int64_t now = clock_.wall_ns();
      if (for_ns < std::numeric_limits<std::int64_t>::max() - now) job->refusal.retry_wall_ns = now + for_ns;
      return job->done(std::move(job->refusal));
    }
    case Sought::kFailed: return job->done(unavailable_proof(Reason::kUpstream));
    case Sought::kTimeout: return job->done(unavailable_proof(Reason::kTimeout));
    case Sought::kOverBudget: return job->done(unavailable_proof(Reason::kOverBudget));
    case Sought::kOverloaded: return job->done(unavailable_proof(Reason::kOverloaded));
  }
}

}  // namespace authcached

#include "daemon/cache/proof_desk.hpp"

#include <expected>
#include <memory>
#include <string>
#include <utility>

namespace authcached {

namespace shm = authcache::shm;
namespace wire = authcache::shm::wire;
using shm::Reason;
using shm::Verdict;

namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;

Verdict verdict_of(Reason reason) {
  switch (reason) {
    case Reason::kNone: return Verdict::kValid;
    case Reason::kCatchingUp:
    case Reason::kTimeout:
    case Reason::kOverBudget:
    case Reason::kOverloaded: return Verdict::kUnavailable;
    default: return Verdict::kInvalid;
  }
}

}  // namespace

struct ProofDesk::Question {
  std::string payload;
  shm::Digest digest;
  uid_t uid;
  std::int64_t asked_wall_ns;  // by the daemon's own clock, which only the loop may ask
  std::int64_t deadline_ns;    // when the asker stops waiting
};

struct ProofDesk::Judged {
  std::expected<DpopProof, Reason> proof = std::unexpected(Reason::kOverloaded);
};

ProofDesk::ProofDesk(std::vector<Executor*> pool, Executor& loop, Resolver& resolver, const Clock& clock,
                     WallClock& wall)
    : pool_(std::move(pool)),
      loop_(loop),
      resolver_(resolver),
      clock_(clock),
      wall_(wall),
      replays_(wall.now_ns()) {}

void ProofDesk::prove(std::string_view payload, uid_t uid, Reply reply) {
  ++counters_.asked;
  const shm::Digest digest = shm::plain_digest(payload);
  const auto asked = wire::decode_prove(payload);
  const Reason shape = asked ? judge_dpop_shape(asked->proof) : Reason::kMalformed;
  if (shape != Reason::kNone) return answer(digest, shape, nullptr, reply);
  if (!resolver_.charge(uid)) return answer(digest, Reason::kOverBudget, nullptr, reply);
  if (in_pool_ >= kInPoolMax) return answer(digest, Reason::kOverloaded, nullptr, reply);
  depart(payload, uid, clock_.monotonic_ns() + asked->timeout_ms * kNsPerMs, digest, std::move(reply));
}

void ProofDesk::depart(std::string_view payload, uid_t uid, std::int64_t deadline_ns,
                       const shm::Digest& digest, Reply reply) {
  Question question{std::string(payload), digest, uid, wall_.now_ns(), deadline_ns};
  pool_[next_++ % pool_.size()]->post([this, &loop = loop_, &clock = clock_, question = std::move(question),
                                       reply = std::move(reply)]() mutable {
    Judged judged = judge(question, clock);
    loop.post([this, question = std::move(question), judged = std::move(judged),
               reply = std::move(reply)]() mutable {
      --in_pool_;
      land(question, judged, reply);
    });
  });
  ++in_pool_;
}

// On a thread of the pool.
ProofDesk::Judged ProofDesk::judge(const Question& question, const Clock& clock) {
  if (clock.monotonic_ns() > question.deadline_ns) return {std::unexpected(Reason::kTimeout)};
  const auto asked = wire::decode_prove(question.payload);
  if (!asked) return {std::unexpected(Reason::kMalformed)};
  DpopRequest request{asked->method, asked->url, asked->token, {}};
  if (asked->nonce_asked) request.nonce = asked->nonce;
  return {verify_dpop(asked->proof, request, question.asked_wall_ns)};
}

void ProofDesk::land(const Question& question, const Judged& judged, Reply& reply) {
  if (!judged.proof) return answer(question.digest, judged.proof.error(), nullptr, reply);
  const std::int64_t now_ns = clock_.monotonic_ns();
  // Nobody waits for the answer any more: the proof is left for the next attempt.
  if (now_ns > question.deadline_ns) return answer(question.digest, Reason::kTimeout, nullptr, reply);
  answer(question.digest, replays_.take(*judged.proof, question.uid, now_ns), &judged.proof->thumbprint,
         reply);
}

void ProofDesk::answer(const shm::Digest& question, Reason reason, const Sha256* thumbprint, Reply& reply) {
  wire::ProveReply told{
      .question = question, .verdict = verdict_of(reason), .reason = reason, .thumbprint = {}};
  if (told.verdict == Verdict::kValid) told.thumbprint = *thumbprint;
  ++(reason == Reason::kNone                   ? counters_.taken
     : reason == Reason::kProofReplayed        ? counters_.replayed
     : verdict_of(reason) == Verdict::kInvalid ? counters_.refused
                                               : counters_.not_judged);
  reply(told);
}

}  // namespace authcached

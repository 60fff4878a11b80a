// A batch: n tokens hashed before the first record is looked at, so that their memory accesses overlap each
// other and the hashing. Heartbeat and clock are read once for a step of them: all its records are judged by
// one moment.
#include "libclient/lookup_steps.hpp"

namespace authcache::client {
namespace {

using A = shm::StdAtomics;
using shm::Reason;
using shm::Verdict;

struct Candidate {
  shm::Key key;
  shm::BucketPair buckets;
  KeySource source;
  bool judged = false;  // by its length
};

void hash_and_prefetch(const shm::TableView& view, const Question& question, std::uint64_t profile_id,
                       std::string_view token, Candidate& candidate) noexcept {
  candidate.key = candidate.source.key_of(question, profile_id, token);
  candidate.buckets = shm::buckets_of(candidate.key, view.secret.data(), view.geometry.buckets);
  shm::prefetch_buckets(view, candidate.buckets);
}

// Where the key seems to stand, by one word of each slot and without a branch: which of the four it is cannot
// be predicted well enough, from the way cell neither, and every wrong guess would throw away the work on the
// tokens behind it.
std::uint64_t seemingly_at(const shm::TableView& view, const Candidate& candidate) noexcept {
  const std::uint64_t wanted = candidate.key[0];
  const shm::Slot* const slots = &view.slot(0);
  std::uint64_t slot = candidate.buckets.slot(shm::kChoices - 1);
  for (unsigned i = shm::kChoices - 1; i-- > 0;) {
    const std::uint64_t at = candidate.buckets.slot(i);
    const bool here = A::load_relaxed(slots[at].key[0]) == wanted;
    const std::uint64_t mask = 0 - static_cast<std::uint64_t>(here);
    slot = (at & mask) | (slot & ~mask);
  }
  return slot;
}

// False if the directory changed or the table was retired meanwhile: nothing of the answers counts then.
bool look_step(const Attachment& table, const Question& question, std::span<const std::string_view> tokens,
               Answer* answers) noexcept {
  const shm::TableView& view = table.view;
  const std::uint64_t config = A::load_acquire(view.header().config);
  const PackedTerms terms = question.requirement->packed_terms(table, config);
  if (!terms.has(kProfileKnown)) return false;
  std::array<Candidate, kBatchStep> candidates;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const Reason by_length = judge_length(tokens[i]);
    candidates[i].judged = by_length != Reason::kNone;
    refuse(answers[i], candidates[i].judged ? Verdict::kInvalid : Verdict::kMiss, by_length);
    if (!candidates[i].judged)
      hash_and_prefetch(view, question, terms.profile_id(), tokens[i], candidates[i]);
  }
  std::uint64_t now_ns = 0;
  if (Answer dead; !alive(view, now_ns, dead)) return false;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const Candidate& candidate = candidates[i];
    if (candidate.judged) continue;
    if (!shm::find(view, candidate.key, candidate.buckets, seemingly_at(view, candidate), answers[i].found))
      continue;
    judge(table, question, config, terms, now_ns, answers[i]);
  }
  // In this order, and last of all loads: as in look().
  if (A::load_acquire(view.header().config) != config || !shm::still_serving(view)) return false;
  for (std::size_t i = 0; i < tokens.size(); ++i) candidates[i].source.proved(question, answers[i]);
  return true;
}

}  // namespace

void look_batch(const Attachment& table, const Question& question, std::span<const std::string_view> tokens,
                Answer* answers) noexcept {
  if (look_step(table, question, tokens, answers)) return;
  // One by one: what stands in the way is rare, and look() knows how to say it.
  Question each = question;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const Reason by_length = judge_length(tokens[i]);
    refuse(answers[i], Verdict::kInvalid, by_length);
    if (by_length != Reason::kNone) continue;
    each.token = tokens[i];
    look(table, each, nullptr, answers[i]);
  }
}

}  // namespace authcache::client

#include "libclient/lookup.hpp"

#include "libclient/evaluate.hpp"
#include "shm/buckets.hpp"
#include "shm/coarse_clock.hpp"
#include "shm/text.hpp"
#include "shm/wire.hpp"

namespace authcache::client {
namespace {

using A = shm::StdAtomics;
using shm::Reason;
using shm::Verdict;

// Reloads are seconds apart: a lookup that meets two of them was stopped in the middle, and the daemon will
// tell.
constexpr int kDirectoryTries = 3;

// An answer that rests on no record. `found` keeps what it holds: clearing and copying records costs more than all
// the decisions of a hit.
void refuse(Answer& answer, Verdict verdict, Reason reason) {
  answer.verdict = verdict;
  answer.reason = reason;
  answer.has_record = false;
}

Asked asked_of(const Question& question, const Attachment& table, const Terms& terms) {
  return {.scopes = question.requirement->scopes(),
          .permissions = question.requirement->permissions(),
          .audiences = question.requirement->audiences(),
          .defaults = {&table.view, terms.config, terms.profile_entry, terms.default_audiences},
          .thumbprint = question.thumbprint};
}

// Apart, so that a lookup that the bits decide never touches this many pages of stack.
[[gnu::noinline]] Evaluation evaluate_with_text(const Attachment& table, const shm::Found& found,
                                                const Terms& terms, const Asked& asked) noexcept {
  if ((shm::unpack_facts(found.record.facts).flags & shm::kTextOnSocket) != 0) {
    return {Verdict::kUnavailable, Reason::kOverloaded};
  }
  alignas(8) std::uint64_t buffer[shm::kTextMax / 8];
  shm::ColdRecord cold;
  const auto text = shm::read_text(table.view, found.slot, found.record.control, buffer, cold);
  if (!text) return {Verdict::kMiss, Reason::kNone};
  return evaluate(found.record, terms, asked, text);
}

[[gnu::noinline]] Evaluation evaluate_in_full(const Attachment& table, const Question& question,
                                              const shm::Found& found, const Terms& terms) noexcept {
  const Asked asked = asked_of(question, table, terms);
  const Evaluation by_bits = evaluate(found.record, terms, asked, std::nullopt);
  return by_bits.needs_text ? evaluate_with_text(table, found, terms, asked) : by_bits;
}

// Bits against bits of one dictionary word. The argument that this word must be loaded after the record's:
// the dictionary only grows, and the writer stores its word (release) before it publishes a record that uses
// a new bit. So a word loaded after the record's own (acquire) loads counts every bit that the record may
// hold, and under that word "the string has no bit" means that no record seen so far holds it as a bit: it is
// in the record's text, and the flags say so, or the record does not have it. Terms compiled under an older
// word could take a string for bitless that this record holds as a bit (a false refusal), and terms compiled
// under a newer word than the record's loads saw would be right too, but can't be told from the former by the
// tag; so exactly the word loaded here is asked for.
[[gnu::always_inline]] inline Evaluation evaluate_found(const Attachment& table, const Question& question, const shm::Found& found,
                          const PackedTerms& terms) noexcept {
  const std::uint64_t dictionary = A::load_acquire(table.view.header().dictionary);
  if (terms.dictionary() != dictionary) [[unlikely]] {
    const Terms fresh = question.requirement->compile(table, terms.words[1], dictionary);
    return evaluate_in_full(table, question, found, fresh);
  }
  if (met_by_bits(found.record, terms, question.thumbprint)) [[likely]]
    return {Verdict::kValid, Reason::kNone};
  return evaluate_in_full(table, question, found, unpack_terms(terms.words));
}

bool find_at(const shm::TableView& view, const shm::Key& key, const shm::Place& place,
             shm::Found& out) noexcept {
  if (place.generation != view.generation || place.slot >= view.geometry.slots) return false;
  if (shm::read_slot(view.slot(place.slot), key, out.record) != shm::SlotRead::kRead) return false;
  out.slot = place.slot;
  return out.record.sequence() == place.sequence;
}

// One look under one directory; the caller checks that the directory and the table stood.
[[gnu::always_inline]] inline void look_once(const Attachment& table, const Question& question, const shm::Place* place,
               std::uint64_t config, Answer& answer) noexcept {
  const shm::TableView& view = table.view;
  const PackedTerms terms = question.requirement->packed_terms(table, config);
  const bool profile_known = terms.has(kProfileKnown);
  shm::BucketPair buckets{};
  shm::Key key{};
  if (profile_known) [[likely]] {
    key = shm::key_of(shm::token_digest(terms.profile_id(), question.token));
    buckets = shm::buckets_of(key, view.secret.data(), view.geometry.buckets);
    shm::prefetch_buckets(view, buckets);
  }
  // Before the clock: a heartbeat stored after the clock was read would look like another time namespace's.
  const std::uint64_t heartbeat_ns = A::load_acquire(view.header().heartbeat_ns);
  const std::uint64_t now_ns = shm::coarse_now_ns();
  if (const Reason dead = shm::liveness(view, heartbeat_ns, now_ns); dead != Reason::kNone) {
    refuse(answer, Verdict::kUnavailable, dead);
    return;
  }
  if (!profile_known) {
    refuse(answer, Verdict::kUnavailable, Reason::kUnknownProfile);
    return;
  }
  const bool found = place == nullptr ? shm::find(view, key, buckets, answer.found)
                                      : find_at(view, key, *place, answer.found);
  if (!found || !shm::is_current(view, answer.found.record, now_ns)) return;
  const auto state =
      static_cast<shm::ProfileState>(A::load_acquire(view.profile(config, terms.profile_entry()).state));
  if (state != shm::ProfileState::kCurrent) {
    refuse(answer, Verdict::kUnavailable, Reason::kCatchingUp);
    return;
  }
  const Evaluation evaluation = evaluate_found(table, question, answer.found, terms);
  answer.verdict = evaluation.verdict;
  answer.reason = evaluation.reason;
  answer.has_record = evaluation.verdict != Verdict::kMiss;
  answer.generation = view.generation;
}

}  // namespace

void look(const Attachment& table, const Question& question, const shm::Place* place, Answer& answer) noexcept {
  const shm::Header& header = table.view.header();
  for (int attempt = 0; attempt < kDirectoryTries; ++attempt) {
    const std::uint64_t config = A::load_acquire(header.config);
    refuse(answer, Verdict::kMiss, Reason::kNone);
    look_once(table, question, place, config, answer);
    const bool one_directory = A::load_acquire(header.config) == config;
    // Last of all loads: a range given up under any of them reads as zeros from then on, and so as RETIRED
    // here.
    if (!shm::still_serving(table.view)) return refuse(answer, Verdict::kUnavailable, Reason::kRetired);
    if (one_directory) return;
  }
  refuse(answer, Verdict::kMiss, Reason::kNone);
}

std::optional<shm::Digest> digest_now(const Attachment& table, const Question& question) noexcept {
  const shm::Header& header = table.view.header();
  for (int attempt = 0; attempt < kDirectoryTries; ++attempt) {
    const std::uint64_t config = A::load_acquire(header.config);
    const Terms terms = question.requirement->terms(table, config);
    if (A::load_acquire(header.config) != config) continue;
    if (!terms.profile_known) return std::nullopt;
    return shm::token_digest(terms.profile_id, question.token);
  }
  return std::nullopt;
}

}  // namespace authcache::client

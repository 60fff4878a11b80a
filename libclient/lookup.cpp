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

// What the bits leave open. Takes the terms anew, so that a lookup that they decide never has to lay its own out.
[[gnu::noinline]] Evaluation evaluate_in_full(const Attachment& table, const Question& question, const shm::Found& found,
                                              std::uint64_t config, std::uint64_t dictionary) noexcept {
  Terms terms = question.requirement->terms(table, config);
  if (terms.dictionary != dictionary) terms = question.requirement->compile(table, config, dictionary);
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
                                                        std::uint64_t config, const PackedTerms& terms) noexcept {
  const std::uint64_t dictionary = A::load_acquire(table.view.header().dictionary);
  const bool met = terms.dictionary() == dictionary && met_by_bits(found.record, terms, question.thumbprint);
  if (met) [[likely]]
    return {Verdict::kValid, Reason::kNone};
  return evaluate_in_full(table, question, found, config, dictionary);
}

bool find_at(const shm::TableView& view, const shm::Key& key, const shm::Place& place,
             shm::Found& out) noexcept {
  if (place.generation != view.generation || place.slot >= view.geometry.slots) return false;
  if (shm::read_slot(view.slot(place.slot), key, out.record) != shm::SlotRead::kRead) return false;
  out.slot = place.slot;
  return out.record.sequence() == place.sequence;
}

// A table that nobody writes any more is the graver reason: its directory may be old.
[[gnu::noinline]] void refuse_unknown_profile(const shm::TableView& view, Answer& answer) noexcept {
  const std::uint64_t heartbeat_ns = A::load_acquire(view.header().heartbeat_ns);
  const Reason dead = shm::liveness(view, heartbeat_ns, shm::coarse_now_ns());
  refuse(answer, Verdict::kUnavailable, dead != Reason::kNone ? dead : Reason::kUnknownProfile);
}

// One look under one directory; the caller checks that the directory and the table stood.
[[gnu::always_inline]] inline void look_once(const Attachment& table, const Question& question, const shm::Place* place,
               std::uint64_t config, Answer& answer) noexcept {
  const shm::TableView& view = table.view;
  const PackedTerms terms = question.requirement->packed_terms(table, config);
  if (!terms.has(kProfileKnown)) [[unlikely]]
    return refuse_unknown_profile(view, answer);
  const shm::Key key = shm::key_of(shm::token_digest(terms.profile_id(), question.token));
  const shm::BucketPair buckets = shm::buckets_of(key, view.secret.data(), view.geometry.buckets);
  shm::prefetch_buckets(view, buckets);
  // Before the clock: a heartbeat stored after the clock was read would look like another time namespace's.
  const std::uint64_t heartbeat_ns = A::load_acquire(view.header().heartbeat_ns);
  const std::uint64_t now_ns = shm::coarse_now_ns();
  if (const Reason dead = shm::liveness(view, heartbeat_ns, now_ns); dead != Reason::kNone) [[unlikely]]
    return refuse(answer, Verdict::kUnavailable, dead);
  const bool found = place == nullptr ? shm::find(view, key, buckets, answer.found)
                                      : find_at(view, key, *place, answer.found);
  if (!found || !shm::is_current(view, answer.found.record, now_ns)) return;
  const auto state =
      static_cast<shm::ProfileState>(A::load_acquire(view.profile(config, terms.profile_entry()).state));
  if (state != shm::ProfileState::kCurrent) {
    refuse(answer, Verdict::kUnavailable, Reason::kCatchingUp);
    return;
  }
  const Evaluation evaluation = evaluate_found(table, question, answer.found, config, terms);
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

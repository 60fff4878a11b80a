// The steps between a key and a verdict, shared by one lookup, by a batch, and by what re-checks a place.
// Inline, because they are the hit path; see lookup.hpp for what they promise together.
//
// Order within one table: config - terms - key - heartbeat - clock - record - epochs - profile state -
// dictionary - config again - table state. Whoever uses them keeps it.
#pragma once

#include "libclient/lookup.hpp"
#include "shm/buckets.hpp"
#include "shm/coarse_clock.hpp"
#include "shm/evaluate.hpp"

namespace authcache::client {

// An answer that rests on no record. `found` keeps what it holds: clearing and copying records costs more
// than all the decisions of a hit.
inline void refuse(Answer& answer, shm::Verdict verdict, shm::Reason reason) noexcept {
  answer.verdict = verdict;
  answer.reason = reason;
  answer.has_record = false;
}

// What the bits leave open. Takes the terms anew, so that a lookup that they decide never has to lay its own
// out, and copies, so that such a lookup keeps its words in registers.
[[nodiscard]] shm::Evaluation evaluate_in_full(const Attachment& table, Question question, shm::Found found,
                                          std::uint64_t config, std::uint64_t dictionary) noexcept;

void refuse_unknown_profile(const shm::TableView& view, Answer& answer) noexcept;

// Bits against bits of one dictionary word. The argument that this word must be loaded after the record's:
// the dictionary only grows, and the writer stores its word (release) before it publishes a record that uses
// a new bit. So a word loaded after the record's own (acquire) loads counts every bit that the record may
// hold, and under that word "the string has no bit" means that no record seen so far holds it as a bit: it is
// in the record's text, and the flags say so, or the record does not have it. Terms compiled under an older
// word could take a string for bitless that this record holds as a bit (a false refusal), and terms compiled
// under a newer word than the record's loads saw would be right too, but can't be told from the former by the
// tag; so exactly the word loaded here is asked for.
[[gnu::always_inline]] inline shm::Evaluation evaluate_found(const Attachment& table, const Question& question,
                                                        const shm::Found& found, std::uint64_t config,
                                                        const PackedTerms& terms) noexcept {
  const std::uint64_t dictionary = shm::StdAtomics::load_acquire(table.view.header().dictionary);
  const bool met = terms.dictionary() == dictionary && shm::met_by_bits(found.record, terms, question.thumbprint != nullptr);
  if (met) [[likely]]
    return {shm::Verdict::kValid, shm::Reason::kNone};
  return evaluate_in_full(table, question, found, config, dictionary);
}

// Reads the writer's heartbeat and then the clock: one stored after the clock was read would look like
// another time namespace's. False, with the answer, if the table must not be believed.
[[gnu::always_inline]] inline bool alive(const shm::TableView& view, std::uint64_t& now_ns,
                                         Answer& answer) noexcept {
  const std::uint64_t heartbeat_ns = shm::StdAtomics::load_acquire(view.header().heartbeat_ns);
  now_ns = shm::coarse_now_ns();
  const shm::Reason dead = shm::liveness(view, heartbeat_ns, now_ns);
  if (dead == shm::Reason::kNone) [[likely]]
    return true;
  refuse(answer, shm::Verdict::kUnavailable, dead);
  return false;
}

// Judges the record in answer.found. A record that is no longer current leaves the answer as it was: a miss.
[[gnu::always_inline]] inline void judge(const Attachment& table, const Question& question,
                                         std::uint64_t config, const PackedTerms& terms, std::uint64_t now_ns,
                                         Answer& answer) noexcept {
  const shm::TableView& view = table.view;
  if (!shm::is_current(view, answer.found.record, now_ns)) return;
  const auto state = static_cast<shm::ProfileState>(
      shm::StdAtomics::load_acquire(view.profile(config, terms.profile_entry()).state));
  if (state != shm::ProfileState::kCurrent)
    return refuse(answer, shm::Verdict::kUnavailable, shm::Reason::kCatchingUp);
  const shm::Evaluation evaluation = evaluate_found(table, question, answer.found, config, terms);
  answer.verdict = evaluation.verdict;
  answer.reason = evaluation.reason;
  answer.has_record = evaluation.verdict != shm::Verdict::kMiss;
  answer.generation = view.generation;
}

// The key of a token under a profile, and what the memo wants to be told once the token has proved good.
class KeySource {
 public:
  [[gnu::always_inline]] shm::Key key_of(const Question& question, std::uint64_t profile_id,
                                         std::string_view token) noexcept {
    if (token.size() >= kMemoTokenMin) [[unlikely]]
      return key_of_long(question, profile_id, token);
    return shm::key_of(shm::token_digest(profile_id, token));
  }
  [[gnu::always_inline]] void proved(const Question& question, const Answer& answer) const noexcept {
    if (wanted_ && answer.verdict == shm::Verdict::kValid) [[unlikely]]
      question.memo->keep(tag_, answer.found.record.key);
  }

 private:
  [[gnu::noinline]] shm::Key key_of_long(const Question& question, std::uint64_t profile_id,
                                         std::string_view token) noexcept;

  bool wanted_ = false;
  Tag tag_;
};

}  // namespace authcache::client

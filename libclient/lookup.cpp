#include "libclient/lookup.hpp"

#include <algorithm>

#include "libclient/lookup_steps.hpp"
#include "shm/text.hpp"
#include "shm/wire.hpp"

namespace authcache::client {
namespace {

using A = shm::StdAtomics;
using shm::Asked;
using shm::Evaluation;
using shm::Reason;
using shm::Verdict;

// Reloads are seconds apart: a lookup that meets two of them was stopped in the middle, and the daemon will
// tell.
constexpr int kDirectoryTries = 3;

Asked asked_of(const Question& question, const Attachment& table, const Terms& terms,
               const shm::Thumbprint* thumbprint) {
  return {.scopes = question.requirement->scopes(),
          .permissions = question.requirement->permissions(),
          .audiences = question.requirement->audiences(),
          .defaults = {&table.view, terms.config, terms.profile_entry, terms.default_audiences},
          .thumbprint = thumbprint,
          .view = &table.view};
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
  return shm::evaluate(found.record, terms, asked, text);
}

bool find_at(const shm::TableView& view, const shm::Key& key, const shm::Place& place,
             shm::Found& out) noexcept {
  if (place.generation != view.generation || place.slot >= view.geometry.slots) return false;
  if (shm::read_slot(view.slot(place.slot), key, out.record) != shm::SlotRead::kRead) return false;
  out.slot = place.slot;
  return out.record.sequence() == place.sequence;
}

// One look under one directory; the caller checks that the directory and the table stood.
template <class KeyOf>
[[gnu::always_inline]] inline void look_once(const Attachment& table, const Question& question,
                                             const shm::Place* place, std::uint64_t config, Answer& answer,
                                             KeyOf key_of) noexcept {
  const shm::TableView& view = table.view;
  const PackedTerms terms = question.requirement->packed_terms(table, config);
  if (!terms.has(kProfileKnown)) [[unlikely]]
    return refuse_unknown_profile(view, answer);
  const shm::Key key = key_of(terms.profile_id());
  const shm::BucketPair buckets = shm::buckets_of(key, view.secret.data(), view.geometry.buckets);
  shm::prefetch_buckets(view, buckets);
  std::uint64_t now_ns = 0;
  if (!alive(view, now_ns, answer)) return;
  const bool found = place == nullptr
                         ? shm::find(view, key, buckets, shm::likely_slot(view, key, buckets), answer.found)
                         : find_at(view, key, *place, answer.found);
  if (found) judge(table, question, config, terms, now_ns, answer);
}

template <class KeyOf>
[[gnu::always_inline]] inline void look_by(const Attachment& table, const Question& question,
                                           const shm::Place* place, Answer& answer, KeyOf key_of) noexcept {
  const shm::Header& header = table.view.header();
  for (int attempt = 0; attempt < kDirectoryTries; ++attempt) {
    const std::uint64_t config = A::load_acquire(header.config);
    refuse(answer, Verdict::kMiss, Reason::kNone);
    look_once(table, question, place, config, answer, key_of);
    const bool one_directory = A::load_acquire(header.config) == config;
    // Last of all loads: a range given up under any of them reads as zeros from then on, and so as RETIRED
    // here.
    if (!shm::still_serving(table.view)) return refuse(answer, Verdict::kUnavailable, Reason::kRetired);
    if (one_directory) return;
  }
  refuse(answer, Verdict::kMiss, Reason::kNone);
}

}  // namespace

shm::Evaluation evaluate_in_full(const Attachment& table, Question question, shm::Found found,
                            std::uint64_t config, std::uint64_t dictionary) noexcept {
  Terms terms = question.requirement->terms(table, config);
  if (terms.dictionary != dictionary) terms = question.requirement->compile(table, config, dictionary);
  shm::Thumbprint proved;
  if (question.thumbprint != nullptr) {
    proved.kind = question.thumbprint->kind;
    std::ranges::copy(question.thumbprint->bytes, proved.bytes.begin());
  }
  const Asked asked = asked_of(question, table, terms, question.thumbprint == nullptr ? nullptr : &proved);
  const Evaluation by_bits = shm::evaluate(found.record, terms, asked, std::nullopt);
  return by_bits.needs_text ? evaluate_with_text(table, found, terms, asked) : by_bits;
}

// A table that nobody writes any more is the graver reason: its directory may be old.
void refuse_unknown_profile(const shm::TableView& view, Answer& answer) noexcept {
  const std::uint64_t heartbeat_ns = A::load_acquire(view.header().heartbeat_ns);
  const Reason dead = shm::liveness(view, heartbeat_ns, shm::coarse_now_ns());
  refuse(answer, Verdict::kUnavailable, dead != Reason::kNone ? dead : Reason::kUnknownProfile);
}

shm::Key KeySource::key_of_long(const Question& question, std::uint64_t profile_id,
                                std::string_view token) noexcept {
  shm::Key key;
  if (question.memo == nullptr || !TokenMemo::takes(token))
    return shm::key_of(shm::token_digest(profile_id, token));
  tag_ = question.memo->tag_of(profile_id, token);
  wanted_ = !question.memo->find(tag_, key);
  return wanted_ ? shm::key_of(shm::token_digest(profile_id, token)) : key;
}

void look(const Attachment& table, const Question& question, const shm::Place* place,
          Answer& answer) noexcept {
  KeySource source;
  look_by(table, question, place, answer,
          [&](std::uint64_t profile_id) { return source.key_of(question, profile_id, question.token); });
  source.proved(question, answer);
}

void look_at_key(const Attachment& table, const Question& question, const shm::Key& key,
                 const shm::Place& place, Answer& answer) noexcept {
  look_by(table, question, &place, answer, [&](std::uint64_t) { return key; });
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

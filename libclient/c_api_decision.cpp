// The C ABI's decisions: lookup, validate, submit, and a batch of lookups.
#include <algorithm>
#include <span>

#include "libclient/c_boundary.hpp"
#include "libclient/lookup_steps.hpp"

namespace {

using authcache::client::Answer;
using authcache::client::ask_by;
using authcache::client::Attachment;
using authcache::client::Deadline;
using authcache::client::fail_with;
using authcache::client::mark_used;
using authcache::client::Question;
using authcache::client::report;
using authcache::client::usage;
using authcache::client::without_exceptions;
namespace client = authcache::client;
namespace shm = authcache::shm;
using shm::Reason;
using shm::Verdict;

// AUTHCACHE_OK and a question, or AUTHCACHE_ERROR_USAGE.
int make_question(const authcache_client* of, const char* token, std::size_t token_len,
                  const authcache_requirement* requirement, const authcache_identity* identity,
                  Question& question) noexcept {
  if (const int error = ask_by(of, requirement, question)) return error;
  if (token == nullptr && token_len > 0) return usage(of, "the token is NULL");
  if (identity != nullptr && identity->size < sizeof(authcache_identity)) {
    return usage(of, "the identity's size is not set; begin with AUTHCACHE_IDENTITY_INIT");
  }
  question.token = token == nullptr ? std::string_view() : std::string_view(token, token_len);
  return AUTHCACHE_OK;
}

bool wants_another_table(Reason reason) noexcept {
  return reason == Reason::kNoTable || reason == Reason::kRetired || reason == Reason::kHeartbeatStale;
}

Answer look_in(const Attachment* table, const Question& question) noexcept {
  if (table == nullptr) return client::answer_without_record(Verdict::kUnavailable, Reason::kNoTable);
  Answer answer;
  client::look(*table, question, nullptr, answer);
  return answer;
}

// Everything that a lookup may come to.
[[gnu::noinline]] Answer lookup(authcache_client& of, Question question) noexcept {
  if (const Reason reason = client::judge_length(question.token); reason != Reason::kNone)
    return client::answer_without_record(Verdict::kInvalid, reason);
  const Attachment* table = of.attacher.current();
  Answer answer = look_in(table, question);
  if (answer.verdict == Verdict::kUnavailable && wants_another_table(answer.reason)) {
    // Another thread may have attached since: its table counts as well as one attached here.
    const bool changed = of.attacher.current() != table || (of.may_reattach && of.attacher.attach_if_due());
    if (changed) {
      table = of.attacher.current();
      answer = look_in(table, question);
    }
  }
  mark_used(table, answer);
  return answer;
}

// The lookup of a short token in a table that serves, which is nearly every lookup. False decides nothing.
//
// These are the steps of look(), in the caller's frame, and nothing here takes the answer's address: its
// words go from the record to the identity in registers. Stored and loaded again on the way they cost a hit
// 20 ns.
[[gnu::always_inline]] inline bool look_up_short(authcache_client& of, const Question& question,
                                                 Answer& answer) noexcept {
  const Attachment* const table = of.attacher.current();
  const std::size_t length = question.token.size();
  if (table == nullptr || length == 0 || length >= client::kMemoTokenMin) return false;
  const shm::TableView& view = table->view;
  const std::uint64_t config = shm::StdAtomics::load_acquire(view.header().config);
  const client::PackedTerms terms = question.requirement->packed_terms(*table, config);
  if (!terms.has(client::kProfileKnown)) [[unlikely]]
    return false;
  const shm::Key key = shm::key_of(shm::token_digest(terms.profile_id(), question.token));
  const shm::BucketPair buckets = shm::buckets_of(key, view.secret.data(), view.geometry.buckets);
  shm::prefetch_buckets(view, buckets);
  std::uint64_t now_ns = 0;
  if (!client::alive(view, now_ns, answer)) [[unlikely]]
    return false;
  client::refuse(answer, Verdict::kMiss, Reason::kNone);
  if (shm::find(view, key, buckets, shm::likely_slot(view, key, buckets), answer.found))
    client::judge(*table, question, config, terms, now_ns, answer);
  const bool one_directory = shm::StdAtomics::load_acquire(view.header().config) == config;
  // Last of all loads, as in look().
  if (!shm::still_serving(view) || !one_directory) [[unlikely]]
    return false;
  mark_used(table, answer);
  return true;
}

// Callers keep identities of any later version in an array: the first one's size is the distance of two.
authcache_identity* identity_at(authcache_identity* first, std::size_t i) noexcept {
  return reinterpret_cast<authcache_identity*>(reinterpret_cast<char*>(first) + i * first->size);
}

int check_batch(const authcache_client* of, const authcache_token* tokens, std::size_t n, const int* verdicts,
                authcache_identity* identities) noexcept {
  if (n > 0 && (tokens == nullptr || verdicts == nullptr))
    return usage(of, "the tokens or the verdicts are NULL");
  for (std::size_t i = 0; i < n; ++i) {
    if (tokens[i].bytes == nullptr && tokens[i].len > 0) return usage(of, "a token is NULL");
    if (identities == nullptr) continue;
    if (identities->size < sizeof(authcache_identity) || identity_at(identities, i)->size != identities->size)
      return usage(of,
                   "the identities' sizes are not set, or differ; begin each with AUTHCACHE_IDENTITY_INIT");
  }
  return AUTHCACHE_OK;
}

void look_up_step(authcache_client& of, const Question& question, std::span<const std::string_view> tokens,
                  Answer* answers) noexcept {
  const Attachment* const table = of.attacher.current();
  if (table != nullptr) client::look_batch(*table, question, tokens, answers);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const bool again = table == nullptr || (answers[i].verdict == Verdict::kUnavailable &&
                                            wants_another_table(answers[i].reason));
    if (again) [[unlikely]] {
      Question one = question;
      one.token = tokens[i];
      answers[i] = lookup(of, one);
    } else {
      mark_used(table, answers[i]);
    }
  }
}

// The daemon is asked where shared memory has no answer, or no table yet.
bool worth_asking(const Answer& answer) noexcept {
  return answer.verdict == Verdict::kMiss ||
         (answer.verdict == Verdict::kUnavailable &&
          (answer.reason == Reason::kNoTable || answer.reason == Reason::kRetired));
}

}  // namespace

extern "C" {

AUTHCACHE_API int authcache_lookup(authcache_client* of, const char* token, size_t token_len,
                                   const authcache_requirement* requirement, authcache_identity* identity) {
  Question question;
  if (const int error = make_question(of, token, token_len, requirement, identity, question)) return error;
  Answer answer;
  if (!look_up_short(*of, question, answer)) [[unlikely]]
    return report(lookup(*of, question), identity);
  return report(answer, identity);
}

AUTHCACHE_API int authcache_validate(authcache_client* of, const char* token, size_t token_len,
                                     const authcache_requirement* requirement, int timeout_ms,
                                     authcache_identity* identity) {
  Question question;
  if (const int error = make_question(of, token, token_len, requirement, identity, question)) return error;
  if (timeout_ms < 0) return usage(of, "timeout_ms is negative");
  const Answer answer = lookup(*of, question);
  if (!worth_asking(answer)) return report(answer, identity);
  return without_exceptions(of, [&] {
    const Answer asked = of->miss_path.ask(question, Deadline::in_ms(timeout_ms));
    mark_used(of->attacher.current(), asked);
    return report(asked, identity);
  });
}

AUTHCACHE_API int authcache_submit(authcache_client* of, const char* token, size_t token_len,
                                   const authcache_requirement* requirement, int timeout_ms, uint64_t data,
                                   uint64_t* number, authcache_identity* identity) {
  if (number != nullptr) *number = 0;
  Question question;
  if (const int error = make_question(of, token, token_len, requirement, identity, question)) return error;
  if (timeout_ms < 0) return usage(of, "timeout_ms is negative");
  const Answer answer = lookup(*of, question);
  if (!worth_asking(answer)) return report(answer, identity);
  if (timeout_ms == 0)
    return report(client::answer_without_record(Verdict::kUnavailable, Reason::kTimeout), identity);
  return without_exceptions(of, [&] {
    const auto added = of->submissions.make()->add(question, data, Deadline::in_ms(timeout_ms));
    if (!added) return fail_with(of, added.error());
    if (*added == 0)
      return report(client::answer_without_record(Verdict::kUnavailable, Reason::kDaemonUnreachable), identity);
    if (number != nullptr) *number = *added;
    return report(client::answer_without_record(Verdict::kMiss, Reason::kNone), identity);
  });
}

AUTHCACHE_API int authcache_lookup_batch(authcache_client* of, const authcache_token* tokens, size_t n,
                                         const authcache_requirement* requirement, int* verdicts,
                                         authcache_identity* identities) {
  Question question;
  if (const int error = ask_by(of, requirement, question)) return error;
  if (const int error = check_batch(of, tokens, n, verdicts, identities)) return error;
  std::string_view step[client::kBatchStep];
  Answer answers[client::kBatchStep];
  for (std::size_t begin = 0; begin < n; begin += client::kBatchStep) {
    const std::size_t size = std::min(n - begin, client::kBatchStep);
    for (std::size_t i = 0; i < size; ++i) step[i] = {tokens[begin + i].bytes, tokens[begin + i].len};
    look_up_step(*of, question, {step, size}, answers);
    for (std::size_t i = 0; i < size; ++i)
      verdicts[begin + i] =
          report(answers[i], identities == nullptr ? nullptr : identity_at(identities, begin + i));
  }
  return AUTHCACHE_OK;
}

}  // extern "C"

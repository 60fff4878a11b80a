// The C ABI: checks arguments, keeps exceptions in, and turns answers into the structs of authcache.h. What
// is decided is decided elsewhere.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "libclient/bearer.hpp"
#include "libclient/client.hpp"
#include "libclient/identity_text.hpp"
#include "libclient/include/authcache/authcache.h"
#include "libclient/lookup.hpp"
#include "libclient/requirement.hpp"
#include "shm/coarse_clock.hpp"

namespace {

using authcache::client::Answer;
using authcache::client::Attacher;
using authcache::client::Attachment;
using authcache::client::Deadline;
using authcache::client::Exchanged;
using authcache::client::Question;
using authcache::client::Requirement;
namespace client = authcache::client;
namespace shm = authcache::shm;
using shm::Reason;
using shm::Verdict;

constexpr const char* kRuntimeDir = "/run/authcache";
constexpr const char* kRuntimeDirVariable = "AUTHCACHE_RUNTIME_DIR";
constexpr int kTextTimeoutMs = 1000;  // a text the daemon has in memory; longer, and it is not serving

// Of this thread's last failed authcache_open, and the buffer that authcache_last_error returns.
thread_local char open_error[client::kSentenceBytes];
thread_local char shown_error[client::kSentenceBytes];

int usage(authcache_client* of, const char* sentence) noexcept {
  if (of != nullptr) of->last_error.set(sentence);
  return AUTHCACHE_ERROR_USAGE;
}

int error_for(shm::ErrorCode code) noexcept {
  switch (code) {
    case shm::ErrorCode::kUsage: return AUTHCACHE_ERROR_USAGE;
    case shm::ErrorCode::kNotFound: return AUTHCACHE_ERROR_NOT_FOUND;
    case shm::ErrorCode::kRefused:
    case shm::ErrorCode::kCorrupt: return AUTHCACHE_ERROR_REFUSED;
    case shm::ErrorCode::kUnavailable: return AUTHCACHE_ERROR_UNAVAILABLE;
    case shm::ErrorCode::kSystem: break;
  }
  return AUTHCACHE_ERROR_SYSTEM;
}

int fail_open(int error, std::string_view sentence) noexcept {
  std::memset(open_error, 0, sizeof open_error);
  std::memcpy(open_error, sentence.data(), std::min(sentence.size(), sizeof open_error - 1));
  return error;
}

template <class F>
int without_exceptions(authcache_client* of, F&& body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    if (of != nullptr) of->last_error.set("out of memory");
    return AUTHCACHE_ERROR_MEMORY;
  } catch (...) {
    if (of != nullptr) of->last_error.set("an operation of the standard library failed");
    return AUTHCACHE_ERROR_SYSTEM;
  }
}

// A question's requirement, bound or not; empty for what is none.
bool unwrap(const authcache_client* of, const authcache_requirement* given, Question& question) noexcept {
  if (given->kind == client::kBoundKind) {
    const auto* bound = reinterpret_cast<const authcache_bound_requirement*>(given);
    question.thumbprint = &bound->thumbprint;
    given = bound->base;
  }
  if (given->kind != client::kPreparedKind) return false;
  question.requirement = static_cast<const Requirement*>(given);
  return question.requirement->client() == of;
}

// AUTHCACHE_OK and a question, or AUTHCACHE_ERROR_USAGE.
int make_question(authcache_client* of, const char* token, std::size_t token_len,
                  const authcache_requirement* requirement, const authcache_identity* identity,
                  Question& question) noexcept {
  if (of == nullptr) return AUTHCACHE_ERROR_USAGE;
  if (token == nullptr && token_len > 0) return usage(of, "the token is NULL");
  if (requirement == nullptr)
    return usage(of, "the requirement is NULL: what is asked of the token must be said");
  if (identity != nullptr && identity->size < sizeof(authcache_identity)) {
    return usage(of, "the identity's size is not set; begin with AUTHCACHE_IDENTITY_INIT");
  }
  if (!unwrap(of, requirement, question)) {
    return usage(of, "the requirement is another client's, was freed, or an add to it failed");
  }
  question.token = token == nullptr ? std::string_view() : std::string_view(token, token_len);
  return AUTHCACHE_OK;
}

// Member by member: a whole identity cleared and then written again would cost a hit ten times as much.
int report(const Answer& answer, authcache_identity* identity) noexcept {
  const int verdict = static_cast<int>(answer.verdict);
  if (identity == nullptr) return verdict;
  identity->verdict = verdict;
  identity->reason = static_cast<int>(answer.reason);
  if (!answer.has_record) [[unlikely]] {
    identity->has_confirmation = 0;
    identity->deadline_ns = identity->generation = identity->slot = identity->sequence = 0;
    std::ranges::fill(identity->key, 0);
    return verdict;
  }
  const shm::HotRecord& record = answer.found.record;
  identity->has_confirmation = (shm::unpack_facts(record.facts).flags & shm::kHasConfirmation) != 0 ? 1 : 0;
  identity->deadline_ns = record.deadline;
  identity->generation = answer.generation;
  identity->slot = answer.found.slot;
  identity->sequence = record.sequence();
  for (std::size_t i = 0; i < record.key.size(); ++i) identity->key[i] = record.key[i];
  return verdict;
}

void look_in(const Attachment* table, const Question& question, Answer& answer) noexcept {
  if (table != nullptr) [[likely]]
    return client::look(*table, question, nullptr, answer);
  answer.verdict = Verdict::kUnavailable;
  answer.reason = Reason::kNoTable;
}

void mark_used(const Attachment* table, const Answer& answer) noexcept {
  if (answer.verdict == Verdict::kValid && table != nullptr && table->view.generation == answer.generation) {
    table->recency.mark(answer.found.slot);
  }
}

bool wants_another_table(Reason reason) noexcept {
  return reason == Reason::kNoTable || reason == Reason::kRetired || reason == Reason::kHeartbeatStale;
}

[[gnu::always_inline]] inline void lookup(authcache_client& of, const Question& question, Answer& answer) noexcept {
  if (const Reason reason = client::judge_length(question.token); reason != Reason::kNone) {
    answer.verdict = Verdict::kInvalid;
    answer.reason = reason;
    return;
  }
  const Attachment* table = of.attacher.current();
  look_in(table, question, answer);
  if (answer.verdict == Verdict::kUnavailable && wants_another_table(answer.reason)) [[unlikely]] {
    // Another thread may have attached since: its table counts as well as one attached here.
    const bool changed = of.attacher.current() != table || (of.may_reattach && of.attacher.attach_if_due());
    if (changed) {
      table = of.attacher.current();
      look_in(table, question, answer);
    }
  }
  mark_used(table, answer);
}

// The daemon is asked where shared memory has no answer, or no table yet.
bool worth_asking(const Answer& answer) noexcept {
  return answer.verdict == Verdict::kMiss ||
         (answer.verdict == Verdict::kUnavailable &&
          (answer.reason == Reason::kNoTable || answer.reason == Reason::kRetired));
}

Requirement* prepared(authcache_requirement* requirement) noexcept {
  const bool one = requirement != nullptr && requirement->kind == client::kPreparedKind;
  return one ? static_cast<Requirement*>(requirement) : nullptr;
}

int add(authcache_requirement* requirement, shm::DictionaryKind kind, const char* text) noexcept {
  Requirement* const target = prepared(requirement);
  if (target == nullptr) return AUTHCACHE_ERROR_USAGE;
  try {
    if (text != nullptr && target->add(kind, text)) return AUTHCACHE_OK;
  } catch (...) {
    target->poison();
    return AUTHCACHE_ERROR_MEMORY;
  }
  target->poison();
  return AUTHCACHE_ERROR_USAGE;
}

int open_client(const authcache_options& options, authcache_client** out) {
  const char* dir = options.runtime_dir;
  if (dir == nullptr) dir = ::secure_getenv(kRuntimeDirVariable);
  if (dir == nullptr || *dir == '\0') dir = kRuntimeDir;
  const auto daemon_uid =
      options.daemon_uid < 0 ? static_cast<uid_t>(-1) : static_cast<uid_t>(options.daemon_uid);
  auto guard = client::ForkGuard::create();
  if (!guard) return fail_open(error_for(guard.error().code), guard.error().message);
  auto made = std::make_unique<authcache_client>(
      dir, daemon_uid, (options.flags & AUTHCACHE_NO_REATTACH) == 0, std::move(*guard));
  const auto attached = made->attacher.attach();
  if (!attached && attached.error().code != shm::ErrorCode::kNotFound) {
    return fail_open(error_for(attached.error().code), attached.error().message);
  }
  *out = made.release();
  return AUTHCACHE_OK;
}

int fetched_text(authcache_client& of, const Attachment& table, const shm::Place& place, shm::TextField field,
                 char* buffer, std::size_t size) {
  std::string text;
  const Exchanged how = of.miss_path.fetch_text(place, Deadline::in_ms(kTextTimeoutMs), text);
  if (how != Exchanged::kReplied) return AUTHCACHE_ERROR_UNAVAILABLE;
  if (text.empty() || !client::still_there(table, place)) return AUTHCACHE_ERROR_GONE;
  return static_cast<int>(client::shape_field(text, field, buffer, size));
}

}  // namespace

extern "C" {

AUTHCACHE_API int authcache_open(const authcache_options* options, authcache_client** out) {
  if (out == nullptr) return fail_open(AUTHCACHE_ERROR_USAGE, "authcache_open needs a place for the client");
  *out = nullptr;
  open_error[0] = '\0';
  authcache_options chosen = AUTHCACHE_OPTIONS_INIT;
  if (options != nullptr) {
    if (options->size < sizeof chosen) {
      return fail_open(AUTHCACHE_ERROR_USAGE,
                       "the options' size is not set; begin with AUTHCACHE_OPTIONS_INIT");
    }
    chosen = *options;
  }
  if ((chosen.flags & ~AUTHCACHE_NO_REATTACH) != 0) {
    return fail_open(AUTHCACHE_ERROR_USAGE, "the options hold a flag that this version does not know");
  }
  if (chosen.daemon_uid < -1 || chosen.daemon_uid >= static_cast<std::int64_t>(static_cast<uid_t>(-1))) {
    return fail_open(AUTHCACHE_ERROR_USAGE, "daemon_uid is not a uid");
  }
  const int result = without_exceptions(nullptr, [&] { return open_client(chosen, out); });
  if (result != AUTHCACHE_OK && open_error[0] == '\0') {
    return fail_open(result, "out of memory, or an operation of the standard library failed");
  }
  return result;
}

AUTHCACHE_API void authcache_close(authcache_client* of) { delete of; }

AUTHCACHE_API int authcache_requirement_create(authcache_client* of, const char* profile,
                                               authcache_requirement** requirement) {
  if (of == nullptr || requirement == nullptr) return usage(of, "a requirement needs a client and a place");
  *requirement = nullptr;
  const std::size_t length = profile == nullptr ? 0 : ::strnlen(profile, shm::kProfileNameMax + 1);
  if (length == 0 || length > shm::kProfileNameMax) return usage(of, "a profile's name has 1 to 63 bytes");
  return without_exceptions(of, [&] {
    *requirement = std::make_unique<Requirement>(of, std::string_view(profile, length)).release();
    return AUTHCACHE_OK;
  });
}

AUTHCACHE_API int authcache_requirement_add_audience(authcache_requirement* requirement,
                                                     const char* audience) {
  return add(requirement, shm::DictionaryKind::kAudience, audience);
}

AUTHCACHE_API int authcache_requirement_add_scope(authcache_requirement* requirement, const char* scope) {
  return add(requirement, shm::DictionaryKind::kScope, scope);
}

AUTHCACHE_API int authcache_requirement_add_permission(authcache_requirement* requirement,
                                                       const char* permission) {
  return add(requirement, shm::DictionaryKind::kPermission, permission);
}

AUTHCACHE_API void authcache_requirement_free(authcache_requirement* requirement) {
  if (requirement == nullptr) return;
  if (requirement->kind != client::kPreparedKind && requirement->kind != client::kBrokenKind) return;
  auto* const owned = static_cast<Requirement*>(requirement);
  owned->poison();
  delete owned;
}

AUTHCACHE_API int authcache_requirement_bind(const authcache_requirement* base,
                                             const authcache_thumbprint* thumbprint,
                                             authcache_bound_requirement* bound) {
  if (bound == nullptr) return AUTHCACHE_ERROR_USAGE;
  // A caller that ignores a refusal below must not find an older binding in this storage.
  std::memset(bound, 0, sizeof *bound);
  if (base == nullptr || base->kind != client::kPreparedKind) return AUTHCACHE_ERROR_USAGE;
  if (thumbprint == nullptr || thumbprint->size < sizeof *thumbprint) return AUTHCACHE_ERROR_USAGE;
  if (thumbprint->kind != AUTHCACHE_THUMBPRINT_JKT && thumbprint->kind != AUTHCACHE_THUMBPRINT_X5T_S256) {
    return AUTHCACHE_ERROR_USAGE;
  }
  bound->requirement.kind = client::kBoundKind;
  bound->base = base;
  bound->thumbprint = *thumbprint;
  return AUTHCACHE_OK;
}

AUTHCACHE_API int authcache_lookup(authcache_client* of, const char* token, size_t token_len,
                                   const authcache_requirement* requirement, authcache_identity* identity) {
  Question question;
  if (const int error = make_question(of, token, token_len, requirement, identity, question)) return error;
  Answer answer;
  lookup(*of, question, answer);
  return report(answer, identity);
}

AUTHCACHE_API int authcache_validate(authcache_client* of, const char* token, size_t token_len,
                                     const authcache_requirement* requirement, int timeout_ms,
                                     authcache_identity* identity) {
  Question question;
  if (const int error = make_question(of, token, token_len, requirement, identity, question)) return error;
  if (timeout_ms < 0) return usage(of, "timeout_ms is negative");
  Answer answer;
  lookup(*of, question, answer);
  if (!worth_asking(answer)) return report(answer, identity);
  return without_exceptions(of, [&] {
    const Answer asked = of->miss_path.ask(question, Deadline::in_ms(timeout_ms));
    mark_used(of->attacher.current(), asked);
    return report(asked, identity);
  });
}

AUTHCACHE_API int authcache_identity_text(authcache_client* of, const authcache_identity* identity,
                                          authcache_field field, char* buffer, size_t size) {
  if (buffer != nullptr && size > 0) buffer[0] = '\0';
  if (of == nullptr) return AUTHCACHE_ERROR_USAGE;
  if (identity == nullptr || identity->size < sizeof *identity)
    return usage(of, "the identity is NULL or has no size");
  if (identity->sequence == 0)
    return usage(of, "the identity has no record: its verdict was miss or unavailable");
  if (buffer == nullptr && size > 0) return usage(of, "the buffer is NULL and its size is not 0");
  const int number = static_cast<int>(field);
  if (number < AUTHCACHE_FIELD_SUBJECT || number > AUTHCACHE_FIELD_CLAIMS)
    return usage(of, "there is no such field");
  const shm::Place place{identity->generation, identity->slot, identity->sequence};
  const Attachment* const table = of->attacher.of_generation(place.generation);
  if (table == nullptr) return AUTHCACHE_ERROR_GONE;
  std::uint64_t words[shm::kTextMax / 8];
  std::string_view text;
  const auto wanted = static_cast<shm::TextField>(number);
  switch (client::read_record_text(*table, place, words, text)) {
    case client::TextRead::kRead: return static_cast<int>(client::shape_field(text, wanted, buffer, size));
    case client::TextRead::kOnSocket:
      return without_exceptions(of, [&] { return fetched_text(*of, *table, place, wanted, buffer, size); });
    case client::TextRead::kGone: break;
  }
  return AUTHCACHE_ERROR_GONE;
}

AUTHCACHE_API int authcache_bearer(const char* header, size_t header_len, const char** token,
                                   size_t* token_len) {
  if (token == nullptr || token_len == nullptr || (header == nullptr && header_len > 0))
    return AUTHCACHE_ERROR_USAGE;
  std::string_view found;
  const auto parsed =
      client::parse_bearer(header == nullptr ? "" : std::string_view(header, header_len), found);
  *token = parsed == client::BearerParse::kToken ? found.data() : nullptr;
  *token_len = found.size();
  switch (parsed) {
    case client::BearerParse::kToken: return AUTHCACHE_OK;
    case client::BearerParse::kNotBearer: return AUTHCACHE_ERROR_NOT_BEARER;
    case client::BearerParse::kMalformed: break;
  }
  return AUTHCACHE_ERROR_MALFORMED;
}

AUTHCACHE_API int authcache_status(authcache_client* of, authcache_status_info* status) {
  if (of == nullptr) return AUTHCACHE_ERROR_USAGE;
  if (status == nullptr || status->size < sizeof *status)
    return usage(of, "the status is NULL or its size is not set");
  return without_exceptions(of, [&] {
    using A = shm::StdAtomics;
    const std::uint32_t size = status->size;
    *status = AUTHCACHE_STATUS_INIT;
    status->size = size;
    status->heartbeat_age_ns = UINT64_MAX;
    status->library_format = shm::kFormatVersion;
    status->table_format = client::peek_format(of->attacher.dir() / shm::kTableName);
    const Attachment* const table = of->attacher.current();
    if (table == nullptr) return AUTHCACHE_OK;
    const shm::TableView& view = table->view;
    status->attached = 1;
    status->generation = view.generation;
    status->heartbeat_timeout_ns = view.heartbeat_timeout_ns;
    status->capacity = view.geometry.capacity;
    status->live = A::load_acquire(view.header().live);
    const std::uint64_t heartbeat_ns = A::load_acquire(view.header().heartbeat_ns);
    const std::uint64_t now_ns = shm::coarse_now_ns();
    if (heartbeat_ns != 0 && heartbeat_ns <= now_ns) status->heartbeat_age_ns = now_ns - heartbeat_ns;
    status->table_state = static_cast<std::uint32_t>(A::load_acquire(view.header().state));
    const bool alive = shm::liveness(view, heartbeat_ns, now_ns) == Reason::kNone;
    status->serving = alive && shm::still_serving(view) ? 1 : 0;
    return AUTHCACHE_OK;
  });
}

AUTHCACHE_API int authcache_refresh(authcache_client* of) {
  if (of == nullptr) return AUTHCACHE_ERROR_USAGE;
  return without_exceptions(of, [&] {
    const auto outcome = of->attacher.attach();
    if (!outcome) return error_for(outcome.error().code);
    return *outcome == Attacher::Outcome::kBusy ? static_cast<int>(AUTHCACHE_ERROR_UNAVAILABLE)
                                                : static_cast<int>(AUTHCACHE_OK);
  });
}

AUTHCACHE_API const char* authcache_last_error(const authcache_client* of) {
  if (of == nullptr) return open_error;
  of->last_error.copy(shown_error);
  return shown_error;
}

AUTHCACHE_API const char* authcache_verdict_name(int verdict) {
  if (verdict < 0) return "usage_error";
  // The names are literals: each ends in NUL.
  return shm::verdict_name(static_cast<Verdict>(std::min(verdict, 255))).data();
}

AUTHCACHE_API const char* authcache_reason_name(int reason) {
  if (reason < 0 || reason > 255) return "?";
  return shm::reason_name(static_cast<Reason>(reason)).data();
}

AUTHCACHE_API const char* authcache_version(void) { return AUTHCACHE_VERSION_TEXT; }

}  // extern "C"

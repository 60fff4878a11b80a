// What every function of the C ABI stands on: arguments checked, exceptions kept in, answers turned into the
// structs of authcache.h. Any thread; nothing here allocates but what a caller's own body does.
#pragma once

#include <algorithm>
#include <cstddef>
#include <new>

#include "libclient/client.hpp"
#include "libclient/include/authcache/authcache.h"
#include "libclient/lookup.hpp"
#include "libclient/requirement.hpp"
#include "shm/facts.hpp"

namespace authcache::client {

// The sentence becomes the client's last error.
inline int usage(const authcache_client* of, const char* sentence) noexcept {
  if (of != nullptr) of->last_error.set(sentence);
  return AUTHCACHE_ERROR_USAGE;
}

[[nodiscard]] int error_for(shm::ErrorCode code) noexcept;

// The error becomes the client's last one.
inline int fail_with(const authcache_client* of, const shm::Error& error) noexcept {
  of->last_error.set(error.message);
  return error_for(error.code);
}

template <class F>
int without_exceptions(const authcache_client* of, F&& body) noexcept {
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

// A question's requirement, bound or not; false for what is none of this client's.
inline bool unwrap(const authcache_client* of, const authcache_requirement* given,
                   Question& question) noexcept {
  if (given->kind == kBoundKind) {
    const auto* bound = reinterpret_cast<const authcache_bound_requirement*>(given);
    question.thumbprint = &bound->thumbprint;
    given = bound->base;
  }
  if (given->kind != kPreparedKind) return false;
  question.requirement = static_cast<const Requirement*>(given);
  return question.requirement->client() == of;
}

// Everything of a question but its token: AUTHCACHE_OK, or AUTHCACHE_ERROR_USAGE.
inline int ask_by(const authcache_client* of, const authcache_requirement* requirement,
                  Question& question) noexcept {
  if (of == nullptr) return AUTHCACHE_ERROR_USAGE;
  if (requirement == nullptr)
    return usage(of, "the requirement is NULL: what is asked of the token must be said");
  if (!unwrap(of, requirement, question)) {
    return usage(of, "the requirement is another client's, was freed, or an add to it failed");
  }
  question.memo = of->memo.get();
  return AUTHCACHE_OK;
}

// Member by member: a whole identity cleared and then written again would cost a hit ten times as much.
inline int report(const Answer& answer, authcache_identity* identity) noexcept {
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

// For the daemon's eviction: this record was of use.
[[gnu::always_inline]] inline void mark_used(const Attachment* table, const Answer& answer) noexcept {
  if (answer.verdict == shm::Verdict::kValid && table != nullptr &&
      table->view.generation == answer.generation) {
    table->recency.mark(answer.found.slot);
  }
}

}  // namespace authcache::client

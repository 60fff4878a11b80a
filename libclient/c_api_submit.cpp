// The C ABI's questions for event loops, from the descriptor on; authcache_submit is with the decisions.
#include <algorithm>
#include <climits>
#include <cstddef>

#include "libclient/c_boundary.hpp"

namespace {

using authcache::client::fail_with;
using authcache::client::mark_used;
using authcache::client::report;
using authcache::client::SubmissionSet;
using authcache::client::usage;
using authcache::client::without_exceptions;

// Callers keep answers of any later version in an array: the first one's size is the distance of two.
authcache_answer& answer_at(authcache_answer* first, std::size_t i) noexcept {
  return *reinterpret_cast<authcache_answer*>(reinterpret_cast<char*>(first) + i * first->size);
}

void fill(const SubmissionSet::Collected& from, std::uint32_t size, authcache_answer& answer) noexcept {
  answer.size = size;
  answer.question = from.number;
  answer.data = from.data;
  // The identity ends the answer, so what a later version appends to it is what the answer is longer.
  answer.identity.size = size - static_cast<std::uint32_t>(offsetof(authcache_answer, identity));
  answer.verdict = report(from.answer, &answer.identity);
}

}  // namespace

extern "C" {

AUTHCACHE_API int authcache_fd(authcache_client* of) {
  if (of == nullptr) return AUTHCACHE_ERROR_USAGE;
  return without_exceptions(of, [&] {
    const auto fd = of->submissions.make()->fd();
    return fd ? *fd : fail_with(of, fd.error());
  });
}

AUTHCACHE_API int authcache_collect(authcache_client* of, authcache_answer* answers, size_t n) {
  if (of == nullptr) return AUTHCACHE_ERROR_USAGE;
  if (n > 0 && (answers == nullptr || answers->size < sizeof *answers))
    return usage(
        of, "the answers are NULL or the first one's size is not set; begin it with AUTHCACHE_ANSWER_INIT");
  return without_exceptions(of, [&] {
    SubmissionSet* const set = of->submissions.find();
    if (set == nullptr) return 0;
    std::size_t filled = 0;
    const auto collected =
        set->collect(std::min<std::size_t>(n, INT_MAX), [&](const SubmissionSet::Collected& one) {
          mark_used(of->attacher.current(), one.answer);
          fill(one, answers->size, answer_at(answers, filled++));
        });
    return collected ? static_cast<int>(*collected) : fail_with(of, collected.error());
  });
}

AUTHCACHE_API int authcache_cancel(authcache_client* of, uint64_t question) {
  if (of == nullptr) return AUTHCACHE_ERROR_USAGE;
  return without_exceptions(of, [&] {
    SubmissionSet* const set = of->submissions.find();
    return static_cast<int>(set != nullptr && set->remove(question) ? AUTHCACHE_OK
                                                                    : AUTHCACHE_ERROR_NOT_FOUND);
  });
}

}  // extern "C"

// The hit path: from token to verdict within shared memory. Any thread, signal handlers too: no system call,
// no allocation, no lock, a bounded number of steps.
//
// Nothing is valid but by look(): a reply of the daemon that names a place comes through here as well.
#pragma once

#include <optional>
#include <string_view>

#include "libclient/attachment.hpp"
#include "libclient/requirement.hpp"
#include "shm/digest.hpp"
#include "shm/place.hpp"
#include "shm/table_reader.hpp"
#include "shm/wire.hpp"

namespace authcache::client {

struct Question {
  std::string_view token;
  const Requirement* requirement = nullptr;
  const authcache_thumbprint* thumbprint = nullptr;  // of a bound requirement
};

struct Answer {
  shm::Verdict verdict = shm::Verdict::kMiss;
  shm::Reason reason = shm::Reason::kNone;
  bool has_record = false;  // the verdict rests on `found`, in the table of `generation`
  std::uint64_t generation = 0;
  shm::Found found;  // means nothing unless has_record
};

// An answer that rests on no record.
[[nodiscard]] inline Answer answer_without_record(shm::Verdict verdict, shm::Reason reason) noexcept {
  Answer answer;
  answer.verdict = verdict;
  answer.reason = reason;
  return answer;
}

// Finds the token's record, at `place` if one is given (then only there), and evaluates it. The answer is written in
// place: what it held before counts for nothing.
void look(const Attachment& table, const Question& question, const shm::Place* place, Answer& answer) noexcept;

// The digest that this table's current directory gives the token; empty if the profile is not in it.
[[nodiscard]] std::optional<shm::Digest> digest_now(const Attachment& table,
                                                    const Question& question) noexcept;

// Why a token is refused by its length alone; kNone if it is not.
[[nodiscard]] inline shm::Reason judge_length(std::string_view token) noexcept {
  if (token.empty()) return shm::Reason::kMalformed;
  return token.size() > shm::wire::kTokenMax ? shm::Reason::kTooLong : shm::Reason::kNone;
}

}  // namespace authcache::client

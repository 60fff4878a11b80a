// The hit path: from token to verdict within shared memory. Any thread, signal handlers too: no system call,
// no allocation, no lock, a bounded number of steps.
//
// Nothing is valid but by look(): a reply of the daemon that names a place comes through here as well.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "libclient/attachment.hpp"
#include "libclient/requirement.hpp"
#include "libclient/token_memo.hpp"
#include "shm/digest.hpp"
#include "shm/place.hpp"
#include "shm/table_reader.hpp"
#include "shm/wire.hpp"

namespace authcache::client {

struct Question {
  std::string_view token{};
  const Requirement* requirement = nullptr;
  const authcache_thumbprint* thumbprint = nullptr;  // of a bound requirement
  TokenMemo* memo = nullptr;                         // none: every token is hashed
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

// The same for a token that is known by its record's key alone, at a place.
void look_at_key(const Attachment& table, const Question& question, const shm::Key& key, const shm::Place& place,
                 Answer& answer) noexcept;

// As many tokens as are hashed before the first record is looked at: enough that their memory accesses overlap, few
// enough that the first has not left the cache again.
inline constexpr std::size_t kBatchStep = 16;

// tokens.size() answers, kBatchStep at most. `question` says everything but the token. Each answer is what look() would
// have said at some moment of the call.
void look_batch(const Attachment& table, const Question& question, std::span<const std::string_view> tokens,
                Answer* answers) noexcept;

// The digest that this table's current directory gives the token; empty if the profile is not in it.
[[nodiscard]] std::optional<shm::Digest> digest_now(const Attachment& table,
                                                    const Question& question) noexcept;

// Why a token is refused by its length alone; kNone if it is not.
[[nodiscard]] inline shm::Reason judge_length(std::string_view token) noexcept {
  if (token.empty()) return shm::Reason::kMalformed;
  return token.size() > shm::wire::kTokenMax ? shm::Reason::kTooLong : shm::Reason::kNone;
}

}  // namespace authcache::client

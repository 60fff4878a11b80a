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
  shm::Found found{};
};

// Finds the token's record, at `place` if one is given (then only there), and evaluates it.
[[nodiscard]] Answer look(const Attachment& table, const Question& question,
                          const shm::Place* place) noexcept;

// The digest that this table's current directory gives the token; empty if the profile is not in it.
[[nodiscard]] std::optional<shm::Digest> digest_now(const Attachment& table,
                                                    const Question& question) noexcept;

// What is refused by length alone: INVALID with a reason, or kMiss.
[[nodiscard]] Answer judge_length(std::string_view token) noexcept;

}  // namespace authcache::client

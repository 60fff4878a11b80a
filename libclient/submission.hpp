// One submitted question, for as long as its answer was not collected: what was asked, how far it is, and what was
// replied. Plain data of the SubmissionSet, whose mutex covers it.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>

#include "libclient/deadline.hpp"
#include "libclient/lookup.hpp"
#include "shm/wire.hpp"

namespace authcache::client {

struct Submission;
using SubmissionDeadlines = std::multimap<std::uint64_t, std::list<Submission>::iterator>;

// Keeps its own copy of all that the caller gave, and holds the requirement, which the caller may free meanwhile.
struct Submission {
  enum class Stage : std::uint8_t { kWaiting, kAsked, kEnded };

  Submission(std::uint64_t name, const Question& asked, std::uint64_t of_caller, const Deadline& end)
      : number(name),
        data(of_caller),
        token(asked.token),
        requirement(asked.requirement),
        thumbprint(asked.thumbprint == nullptr ? std::nullopt : std::optional(*asked.thumbprint)),
        memo(asked.memo),
        deadline(end) {
    requirement->hold();
  }
  Submission(const Submission&) = delete;
  Submission& operator=(const Submission&) = delete;
  ~Submission() { requirement->let_go(); }

  [[nodiscard]] Question question() const {
    return {.token = token,
            .requirement = requirement,
            .thumbprint = thumbprint ? &*thumbprint : nullptr,
            .memo = memo};
  }

  const std::uint64_t number;  // the request id of its frames
  const std::uint64_t data;
  const std::string token;
  const Requirement* const requirement;
  const std::optional<authcache_thumbprint> thumbprint;
  TokenMemo* const memo;
  const Deadline deadline;
  std::optional<SubmissionDeadlines::iterator> timed;  // its place among the deadlines, until that is past
  Stage stage = Stage::kWaiting;
  int asks = 0;
  std::optional<shm::Digest> digest_when_asked;
  std::optional<shm::wire::ValidateReply> reply;
  shm::Reason why = shm::Reason::kNone;  // it ended without a reply
};

}  // namespace authcache::client

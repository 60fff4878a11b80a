#include "libclient/reply_judge.hpp"

namespace authcache::client {
namespace {

using shm::Reason;
using shm::Verdict;
using shm::wire::ValidateReply;

Answer unavailable(Reason reason) noexcept { return answer_without_record(Verdict::kUnavailable, reason); }

// A miss: the record is not where the reply says.
Answer judge_place(const Attachment& table, const Question& question, const ValidateReply& reply) noexcept {
  if (reply.verdict == Verdict::kInvalid) return answer_without_record(Verdict::kInvalid, reply.reason);
  if (reply.verdict != Verdict::kValid) return unavailable(Reason::kProtocol);
  for (std::size_t i = 0; i < reply.place_count; ++i) {
    if (reply.places[i].generation != table.view.generation) continue;
    Answer answer;
    look(table, question, &reply.places[i], answer);
    // Retired since the reply: its successor has the record.
    return answer.reason == Reason::kRetired ? Answer{} : answer;
  }
  return {};
}

}  // namespace

std::optional<shm::Digest> current_digest(const Attacher& attacher, const Question& question) noexcept {
  const Attachment* const table = attacher.current();
  return table == nullptr ? std::nullopt : digest_now(*table, question);
}

Judged judge_reply(const Attacher& attacher, const Question& question,
                   const std::optional<shm::Digest>& before, const ValidateReply& reply,
                   Answer& answer) noexcept {
  if (reply.verdict == Verdict::kUnavailable) {
    // Says nothing about the token, so the digest, which a refused question may lack, is not asked for.
    answer = unavailable(reply.reason);
    return Judged::kDecided;
  }
  const Attachment* const table = attacher.current();
  if (table == nullptr) {
    answer = unavailable(Reason::kNoTable);
    return Judged::kDecided;
  }
  const auto digest = digest_now(*table, question);
  if (!digest) {
    answer = unavailable(Reason::kUnknownProfile);
    return Judged::kDecided;
  }
  if (*digest != reply.digest) {
    // A profile that was reloaded meanwhile has another id; the answer was to the old one.
    if (digest != before) return Judged::kAskAgain;
    answer = unavailable(Reason::kProtocol);
    return Judged::kNotBelieved;
  }
  answer = judge_place(*table, question, reply);
  return answer.verdict == Verdict::kMiss ? Judged::kAskAgain : Judged::kDecided;
}

}  // namespace authcache::client

#include "libclient/miss_path.hpp"

#include <poll.h>

#include "libclient/random_bytes.hpp"
#include "libclient/reply_judge.hpp"

namespace authcache::client {
namespace {

using shm::Reason;
using shm::Verdict;
using shm::wire::ValidateReply;

constexpr int kAttachPollMs = 1;  // another thread is attaching: some ten system calls

Answer unavailable(Reason reason) { return answer_without_record(Verdict::kUnavailable, reason); }

Reason reason_for(Exchanged how) {
  switch (how) {
    case Exchanged::kTimeout: return Reason::kTimeout;
    case Exchanged::kProtocol: return Reason::kProtocol;
    case Exchanged::kReplied:
    case Exchanged::kClosed:
    case Exchanged::kUnreachable: break;
  }
  return Reason::kDaemonUnreachable;
}

}  // namespace

Exchanged MissPath::exchange(std::string_view frame, std::uint64_t request_id, shm::wire::Type reply,
                             const Deadline& deadline, std::string& payload, Connection& used) {
  const std::uint64_t owner = guard_.owner();
  if (owner == 0 || request_id == 0) return Exchanged::kUnreachable;
  Exchanged how = Exchanged::kClosed;
  used = pool_.take(owner);
  if (used) how = used->exchange(frame, request_id, reply, deadline, payload);
  // An idle connection may be that of a daemon that ended since. It answered nothing, so a fresh one is
  // asked, once.
  if (how == Exchanged::kClosed) {
    auto opened = MissConnection::open(attacher_, owner, deadline);
    if (!opened.connection) {
      last_error_.set(opened.sentence);
      return opened.why;
    }
    used = std::move(opened.connection);
    how = used->exchange(frame, request_id, reply, deadline, payload);
  }
  if (how != Exchanged::kReplied) last_error_.set(used->sentence());
  return how;
}

Exchanged MissPath::ask_once(const Question& question, const Deadline& deadline, ValidateReply& reply,
                             Connection& used) {
  const int remaining_ms = deadline.remaining_ms();
  if (remaining_ms == 0) return Exchanged::kTimeout;
  const std::uint64_t request_id = random_word();
  std::string frame;
  shm::wire::append_validate(frame, request_id,
                             {.timeout_ms = static_cast<std::uint32_t>(remaining_ms),
                              .profile = question.requirement->profile(),
                              .token = question.token});
  std::string payload;
  const Exchanged how = exchange(frame, request_id, shm::wire::Type::kValidateReply, deadline, payload, used);
  if (how != Exchanged::kReplied) return how;
  const auto decoded = shm::wire::decode_validate_reply(payload);
  if (!decoded) {
    last_error_.set("authcached sent a reply that cannot be read");
    return Exchanged::kProtocol;
  }
  reply = *decoded;
  return Exchanged::kReplied;
}

// A newer generation is followed even where the reply names a place in the attached one, which will be
// retired soon.
void MissPath::follow_generation(std::uint64_t newest, const Deadline& deadline) {
  const Attachment* table = attacher_.current();
  if (!may_reattach_ || (table != nullptr && newest <= table->view.generation)) return;
  for (;;) {
    const auto outcome = attacher_.attach();
    if (!outcome || *outcome != Attacher::Outcome::kBusy || deadline.past()) return;
    ::poll(nullptr, 0, kAttachPollMs);
  }
}

Answer MissPath::ask(const Question& question, const Deadline& deadline) {
  for (int asks = 0; asks < kAsksMax; ++asks) {
    const auto digest_before = current_digest(attacher_, question);
    ValidateReply reply;
    Connection used;
    const Exchanged how = ask_once(question, deadline, reply, used);
    if (how != Exchanged::kReplied) return unavailable(reason_for(how));
    follow_generation(reply.newest_generation, deadline);
    Answer answer;
    const Judged judged = judge_reply(attacher_, question, digest_before, reply, answer);
    if (judged == Judged::kNotBelieved) {
      last_error_.set(kNotBelievedSentence);
      return answer;
    }
    pool_.give(std::move(used));
    if (judged == Judged::kDecided) return answer;
  }
  last_error_.set(kAlwaysGoneSentence);
  return unavailable(Reason::kOverloaded);
}

Exchanged MissPath::fetch_text(const shm::Place& place, const Deadline& deadline, std::string& text) {
  const std::uint64_t request_id = random_word();
  std::string frame;
  shm::wire::append_text_request(frame, request_id, place);
  Connection used;
  const Exchanged how = exchange(frame, request_id, shm::wire::Type::kTextReply, deadline, text, used);
  if (how == Exchanged::kReplied) pool_.give(std::move(used));
  return how;
}

}  // namespace authcache::client

// What happens when shared memory has no answer: the daemon is asked, and what it proved is looked up. Blocks
// until a deadline; any thread; not for signal handlers.
//
// Invariants
// 1. A reply never makes a token valid. It says where the record is; look() decides, at that place.
// 2. A reply counts only if it echoes the request's random id and the token's digest.
// 3. At most kAsksMax (reply_judge.hpp) questions for one call, whatever the daemon answers.
#pragma once

#include <string>

#include "libclient/connection_pool.hpp"
#include "libclient/lookup.hpp"

namespace authcache::client {

class MissPath {
 public:
  MissPath(Attacher& attacher, ForkGuard& guard, LastError& last_error, bool may_reattach)
      : attacher_(attacher), guard_(guard), last_error_(last_error), may_reattach_(may_reattach) {}

  // May throw bad_alloc.
  Answer ask(const Question& question, const Deadline& deadline);

  // The text of a record that has none in the table. An empty text means that it is gone.
  Exchanged fetch_text(const shm::Place& place, const Deadline& deadline, std::string& text);
  // What the daemon says of a DPoP proof. A reply counts only if it names the question.
  Exchanged ask_proof(const shm::wire::Prove& proof, const Deadline& deadline, shm::wire::ProveReply& reply);

 private:
  using Connection = std::unique_ptr<MissConnection>;

  // `used` is the connection that replied: given back to the pool only by who believes the reply.
  Exchanged exchange(std::string_view frame, std::uint64_t request_id, shm::wire::Type reply,
                     const Deadline& deadline, std::string& payload, Connection& used);
  Exchanged ask_once(const Question& question, const Deadline& deadline, shm::wire::ValidateReply& reply,
                     Connection& used);
  void follow_generation(std::uint64_t newest, const Deadline& deadline);

  Attacher& attacher_;
  ForkGuard& guard_;
  LastError& last_error_;
  const bool may_reattach_;
  ConnectionPool pool_;
};

}  // namespace authcache::client

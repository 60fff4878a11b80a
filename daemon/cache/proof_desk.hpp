// DPoP proofs judged for the processes of this host: a proof passes, in this order, its shape, the budget of
// who asks, the bound on what waits, every check of RFC 9449 section 4.3 on a thread that checks signatures,
// and last, back on the loop, the memory of what was taken. So only a proof that is good in everything else
// costs an entry, and of two questions with one proof exactly one is answered with yes, whichever process
// asks. Loop thread only.
//
// Nothing of a proof is cached as an allow, and nothing that goes wrong here is one.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "daemon/base/wall_clock.hpp"
#include "daemon/cache/proof_replays.hpp"
#include "daemon/cache/resolver.hpp"
#include "daemon/io/executor.hpp"
#include "shm/wire.hpp"

namespace authcached {

struct ProofCounters {
  std::uint64_t asked = 0;
  std::uint64_t taken = 0;
  std::uint64_t replayed = 0;
  std::uint64_t refused = 0;     // bad, and not for being used before
  std::uint64_t not_judged = 0;  // unavailable: over budget, overloaded, too late, just started
};

class ProofDesk {
 public:
  using Reply = std::move_only_function<void(const authcache::shm::wire::ProveReply&)>;

  // The pool's threads must end before this goes, or the loop run no task any more; as in Daemon.
  ProofDesk(std::vector<Executor*> pool, Executor& loop, Resolver& resolver, const Clock& clock,
            WallClock& wall);

  // payload: of a prove frame that decodes; copied. Answers exactly once, now or later.
  void prove(std::string_view payload, uid_t uid, Reply reply);

  [[nodiscard]] const ProofCounters& counters() const { return counters_; }
  [[nodiscard]] std::size_t remembered() const { return replays_.size(); }

 private:
  struct Question;
  struct Judged;
  static Judged judge(const Question& question, const Clock& clock);
  void depart(std::string_view payload, uid_t uid, std::int64_t deadline_ns,
              const authcache::shm::Digest& digest, Reply reply);
  void land(const Question& question, const Judged& judged, Reply& reply);
  void answer(const authcache::shm::Digest& question, authcache::shm::Reason reason, const Sha256* thumbprint,
              Reply& reply);

  // Checks of tokens wait on the same two threads. A proof takes 0.13 ms (EdDSA) to 1.3 ms (ES384), so that
  // even the slowest ones hold a token up for a third of a second at most.
  static constexpr std::size_t kInPoolMax = 512;

  std::vector<Executor*> pool_;
  Executor& loop_;
  Resolver& resolver_;  // whose budget is every question's
  const Clock& clock_;
  WallClock& wall_;
  ProofReplays replays_;
  ProofCounters counters_;
  std::size_t next_ = 0;  // pool, in turn
  std::size_t in_pool_ = 0;
};

}  // namespace authcached

// Signature checks against a profile's key set, off the loop: a small pool of threads, and one more look for the key if the
// set does not have the one that is named. Loop thread only, except for the checks themselves; no other thread ever holds it,
// as key sets end on the loop. With it end the questions that are under way: nobody is left to be answered.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/proof.hpp"
#include "daemon/io/executor.hpp"
#include "daemon/upstream/key_set_source.hpp"

namespace authcached {

class KeyedChecks : public std::enable_shared_from_this<KeyedChecks> {
 public:
  // On a thread of the pool, once for each key set that comes into use meanwhile, one after the other. kInvalid with kUnknownKey asks for the key to be sought.
  using Check = std::move_only_function<Proof(const KeySet&)>;
  using Done = std::move_only_function<void(Proof)>;

  KeyedChecks(std::shared_ptr<KeySetSource> source, std::vector<Executor*> pool, Executor& loop, const Clock& clock);

  // done is called exactly once, on the loop, never from within. A proof that is kValid was proven by a key that the set in
  // use still has, and bears how long that set may be relied on.
  void run(Check check, uid_t uid, std::uint64_t deadline_ns, Done done);

  [[nodiscard]] KeySetSource& source() const { return *source_; }
  [[nodiscard]] std::size_t in_pool() const { return in_pool_; }

 private:
  struct Job;
  void look(std::shared_ptr<Job> job);
  void looked(const std::shared_ptr<Job>& job, Proof proof);
  void seek(std::shared_ptr<Job> job);
  void sought(const std::shared_ptr<Job>& job, Sought sought, std::int64_t for_ns);

  std::shared_ptr<KeySetSource> source_;
  std::vector<Executor*> pool_;
  Executor& loop_;
  const Clock& clock_;
  std::size_t next_ = 0;  // pool, in turn
  std::size_t in_pool_ = 0;
};

// A proof that says why nothing is known.
[[nodiscard]] Proof unavailable_proof(authcache::shm::Reason reason);

}  // namespace authcached

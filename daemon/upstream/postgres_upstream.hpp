// Sessions in PostgreSQL as an upstream: questions that come within one turn of the loop, or while the
// connections are busy, go to the server together as one statement; so do the refreshes that fall due
// together. Loop thread only; a worker makes the connections and knows nothing of the questions.
//
// Invariants: every question is answered exactly once, by its deadline and a tick at the latest; never from
// within resolve; an answer is good only if exactly one row names its key byte by byte. A key that is a token
// (key_encoding "raw") is wiped when it is answered.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "daemon/base/clock.hpp"
#include "daemon/base/config.hpp"
#include "daemon/io/loop.hpp"
#include "daemon/upstream/upstream.hpp"
#include "shm/result.hpp"

namespace authcached {

class PostgresUpstream final : public Upstream {
 public:
  // Questions that may wait or be under way; the daemon's own bound on flights is the same by default.
  static constexpr std::size_t kQuestionsMax = 100'000;
  // How often deadlines, connections at rest and pauses are looked at.
  static constexpr std::chrono::milliseconds kTick{50};

  // Begins to connect; does not wait for it, so that a daemon starts while its database does not. The worker
  // is this upstream's own and outlives what is posted to it; so does listener, where changes are heard.
  static authcache::shm::Result<std::unique_ptr<PostgresUpstream>> open(const ProfileConfig& profile,
                                                                        Loop& loop, Executor& worker,
                                                                        Executor& listener,
                                                                        const Clock& clock);
  ~PostgresUpstream() override;

  void resolve(Query query, Answer answer) override;
  [[nodiscard]] bool well_formed(std::string_view token) const override;
  [[nodiscard]] ChangeFeed* changes() const override;
  [[nodiscard]] std::string complaint() const override;
  [[nodiscard]] std::string state_json() const override;

 private:
  class Core;
  explicit PostgresUpstream(std::shared_ptr<Core> core);
  std::shared_ptr<Core> core_;
};

}  // namespace authcached

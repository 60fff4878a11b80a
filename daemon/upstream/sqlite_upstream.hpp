// Sessions in SQLite as an upstream: questions go to the worker in tasks of a few, and each task's answers come
// back as one. Everything here is for the loop thread; the worker alone touches the store.
//
// Invariants: every question is answered exactly once, also if this object is gone by then (both executors
// must outlive what was posted to them); an answer is never given from within resolve; a token's bytes are
// wiped when it is answered or, at the latest, when the worker has let go of them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/config.hpp"
#include "daemon/io/executor.hpp"
#include "daemon/upstream/session_lister.hpp"
#include "daemon/upstream/session_store.hpp"
#include "daemon/upstream/upstream.hpp"
#include "shm/result.hpp"

namespace authcached {

// One turn of the worker, and how many turns it is given ahead: the loop admits and answers one while the worker
// looks up the next, so neither waits for the other. Larger turns leave one of the two idle; a third fewer misses/s
// were measured with turns of 64, a tenth fewer with two ahead.
inline constexpr std::size_t kBatchMax = 16;
inline constexpr std::size_t kBatchesInFlight = 4;
// Questions that may wait; the daemon's own bound on flights is the same by default.
inline constexpr std::size_t kQueuedMax = 100'000;
// Creations, lists and revocations under way: people and scripts ask for these.
inline constexpr std::size_t kControlMax = 64;

class SqliteUpstream final : public Upstream, public SessionLister, public SlidingSessions {
 public:
  template <class T>
  using Done = std::move_only_function<void(authcache::shm::Result<T>)>;

  // Opens the store on the calling thread, before the worker has it, so that a daemon does not start blind.
  static authcache::shm::Result<std::unique_ptr<SqliteUpstream>> open(
      const ProfileConfig& profile, const std::filesystem::path& default_file, Executor& worker,
      Executor& loop, const Clock& clock, std::size_t queued_max = kQueuedMax);
  ~SqliteUpstream() override;

  void resolve(Query query, Answer answer) override;
  // RFC 6750's b64token; with keys in raw form, whatever an existing schema may use: printable ASCII without
  // blanks.
  [[nodiscard]] bool well_formed(std::string_view token) const override;
  [[nodiscard]] std::string state_json() const override;

  // Null for another program's schema.
  [[nodiscard]] SessionLister* session_lister() override;
  void list_recent(const RecentQuery& query, Listed listed) override;
  [[nodiscard]] SlidingSessions* sliding_sessions() override;
  void write_uses(std::vector<SessionUse> uses, Written written) override;

  // Answers what is past its deadline although the worker is stuck; called by the loop's timer.
  void expire_overdue();

  // Done is called once, on the loop, never from within. See SessionStore for what they do.
  void create_sessions(SessionSpec spec, std::uint32_t count, Done<std::vector<NewSession>> done);
  void list_sessions(std::string subject, std::uint32_t limit, Done<std::vector<SessionRow>> done);
  void revoke_session(std::string sid, Done<SessionRow> done);

 private:
  class Core;
  explicit SqliteUpstream(std::shared_ptr<Core> core);
  std::shared_ptr<Core> core_;
};

}  // namespace authcached

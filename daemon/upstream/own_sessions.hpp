// The daemon's own session database. Only SHA-256 of a token is stored, and only its maker ever sees the
// token: a token has 256 random bits, so the hash needs no salt and gives nobody the token back. One thread
// at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "daemon/base/sqlite.hpp"
#include "daemon/upstream/session_store.hpp"
#include "shm/result.hpp"

namespace authcached {

class OwnSessions {
 public:
  // profile: the id of the profile that new sessions are made for, part of their digests.
  [[nodiscard]] static authcache::shm::Result<OwnSessions> open(const std::filesystem::path& file,
                                                             std::uint64_t profile);

  [[nodiscard]] Database& database() { return database_; }
  [[nodiscard]] Proof find(std::string_view token, std::int64_t wall_now_ns);
  // SQLite's primary code of the last find: 0 unless the database failed.
  [[nodiscard]] int failure_code() const { return failure_code_; }

  // As in session_store.hpp.
  [[nodiscard]] std::vector<authcache::shm::Result<std::vector<NewSession>>> create(
      std::span<const SessionOrder> orders);
  [[nodiscard]] authcache::shm::Result<std::vector<SessionRow>> list(std::string_view subject,
                                                                     std::uint32_t limit);
  [[nodiscard]] authcache::shm::Result<RecentSessions> recent(const RecentQuery& query, std::int64_t wall_now_ns);
  [[nodiscard]] authcache::shm::Result<SessionRow> revoke(std::string_view sid, std::int64_t wall_now_ns);

 private:
  // Within the caller's transaction.
  [[nodiscard]] authcache::shm::Result<std::vector<NewSession>> insert(const SessionOrder& order);

  struct Statements {
    Statement find, insert, list_all, list_subject, by_sid, mark_revoked, recent;
  };
  OwnSessions(Database database, Statements statements, std::uint64_t profile)
      : database_(std::move(database)), statements_(std::move(statements)), profile_(profile) {}

  Database database_;  // before the statements: they must go first
  Statements statements_;
  std::uint64_t profile_;
  int failure_code_ = 0;
};

}  // namespace authcached

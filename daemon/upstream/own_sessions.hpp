// The daemon's own session database. Only SHA-256 of a token is stored, and only its maker ever sees the
// token: a token has 256 random bits, so the hash needs no salt and gives nobody the token back. One thread
// at a time.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daemon/base/sqlite.hpp"
#include "daemon/upstream/session_store.hpp"
#include "shm/result.hpp"

namespace authcached {

class OwnSessions {
 public:
  // profile: for which new sessions are made, and whose idle_timeout ends them.
  [[nodiscard]] static authcache::shm::Result<OwnSessions> open(const std::filesystem::path& file,
                                                             const ProfileConfig& profile);

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
  [[nodiscard]] authcache::shm::Result<std::vector<Proof>> write_uses(std::span<const SessionUse> uses,
                                                                      std::int64_t wall_now_ns);
  // Uses that only this object knows of. They are worth a transaction of their own from kUnwrittenMany on.
  [[nodiscard]] std::size_t unwritten() const { return unwritten_.size(); }
  static constexpr std::size_t kUnwrittenMany = 4'096;
  static constexpr std::size_t kUnwrittenMax = 65'536;  // while the database takes none: 4 MB
  [[nodiscard]] authcache::shm::Result<SessionRow> revoke(std::string_view sid, std::int64_t wall_now_ns);

 private:
  // Within the caller's transaction.
  [[nodiscard]] authcache::shm::Result<std::vector<NewSession>> insert(const SessionOrder& order);

  struct Statements {
    Statement find, insert, list_all, list_subject, by_sid, mark_revoked, recent, by_hash_range, mark_seen;
  };
  OwnSessions(Database database, Statements statements, std::uint64_t profile, std::int64_t idle_ns)
      : database_(std::move(database)),
        statements_(std::move(statements)),
        profile_(profile),
        idle_ns_(idle_ns) {}

  void note_use(SessionRow& session, std::int64_t wall_now_ns);
  [[nodiscard]] authcache::shm::Result<void> write_use(const Sha256& from, const Sha256& to,
                                                       std::int64_t seen_wall_ns);

  struct HashOfHash {
    std::size_t operator()(const Sha256& hash) const {
      std::size_t value;
      std::memcpy(&value, hash.data(), sizeof value);
      return value;
    }
  };

  Database database_;  // before the statements: they must go first
  Statements statements_;
  std::uint64_t profile_;
  std::int64_t idle_ns_;  // 0: no session ends for not being used
  std::unordered_map<Sha256, std::int64_t, HashOfHash> unwritten_;  // last uses, wall ns
  int failure_code_ = 0;
};

}  // namespace authcached

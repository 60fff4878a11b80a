// Sessions in SQLite: our own schema, or an existing one by a configured query. SQLite blocks, so a worker
// thread owns this; sqlite_upstream.hpp is its face on the loop.
//
// Own schema: table sessions(id, token_hash BLOB UNIQUE -- SHA-256 of the token, subject, client_id, sid,
// scopes, roles, permissions -- space-separated text, created_ns, expires_ns, last_seen_ns, revoked_ns,
// profile, digest -- of the token within that profile: the name of its record).
// Raw tokens never enter it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/config.hpp"
#include "daemon/base/proof.hpp"
#include "daemon/upstream/session_lister.hpp"
#include "daemon/upstream/session_uses.hpp"
#include "shm/result.hpp"

namespace authcached {

struct SessionSpec {
  std::string subject;
  std::string client_id;
  std::vector<std::string> scopes;
  std::vector<std::string> roles;
  std::vector<std::string> permissions;
  std::int64_t created_wall_ns;
  std::int64_t expires_wall_ns;
};

// So many sessions alike.
struct SessionOrder {
  SessionSpec spec;
  std::uint32_t count;
};

struct NewSession {
  std::string token;  // 43 characters: 256 random bits, base64url; exists nowhere else
  std::string sid;    // 22 characters: public name of the session, 96 random bits
  Proof proof;        // what a lookup of the token would find now
};

struct SessionRow {
  std::string sid, subject, client_id;
  std::vector<std::string> scopes, roles, permissions;
  std::int64_t created_wall_ns, expires_wall_ns, last_seen_wall_ns;
  std::optional<std::int64_t> revoked_wall_ns;
  Sha256 token_hash;
};

// A lookup by key takes microseconds; a batch that takes this long meets a lock, a failing disk or a query
// that scans, and must end before the callers' deadline (2 s by default) so that they learn it.
inline constexpr std::chrono::milliseconds kBatchBudget{1'000};
// Uses that could not be written wait for another time: who asks meanwhile must not, for another program's lock.
inline constexpr std::chrono::milliseconds kUsesBudget{100};
inline constexpr std::uint32_t kSessionsPerCreateMax =
    100'000;  // one transaction: bounds memory and the log's growth
inline constexpr std::uint32_t kSessionsPerListMax = 10'000;  // one answer

// Not thread-safe: one thread at a time.
class SessionStore {
 public:
  // profile.database (relative paths are refused by the config), profile.query and profile.key_encoding
  // decide. With a query, the file must exist and is opened read-only.
  static authcache::shm::Result<SessionStore> open(const ProfileConfig& profile,
                                                   const std::filesystem::path& default_file);
  SessionStore(SessionStore&&) noexcept;
  SessionStore& operator=(SessionStore&&) noexcept;
  ~SessionStore();

  // One proof for each token, in order, within one read transaction. With idle_timeout, asking is a use. Unknown, expired and revoked sessions
  // are kInvalid; a database error is kUnavailable for those that it struck. A row that cannot be understood
  // is kUnavailable for its token alone. One batch takes no longer than kBatchBudget: the rest of it is
  // kUnavailable, kTimeout.
  [[nodiscard]] std::vector<Proof> resolve(std::span<const std::string_view> tokens,
                                           std::int64_t wall_now_ns);

  // True once the file was moved or removed, or the database failed in a way that opening it anew may mend.
  [[nodiscard]] bool broken() const;

  // Own schema only (kUsage otherwise), all of these. One transaction; durable when it returns ok.
  authcache::shm::Result<std::vector<NewSession>> create(const SessionSpec& spec, std::uint32_t count);
  // An answer for each order, in order. One transaction for all that are sound: logins that come together wait
  // for one sync of the disk.
  std::vector<authcache::shm::Result<std::vector<NewSession>>> create(std::span<const SessionOrder> orders);
  // Those that are good at this moment and were made under this profile's present id: no other digest is known.
  authcache::shm::Result<RecentSessions> recent(const RecentQuery& query, std::int64_t wall_now_ns);
  // Writes down that these were used, and all uses that were only noted when they were asked for: one transaction,
  // durable when it returns ok. A use moves last_seen_ns only onward, and brings nothing back that was over by then. A
  // proof for each use, in order, as resolve() would give it, but that asking is no use.
  authcache::shm::Result<std::vector<Proof>> write_uses(std::span<const SessionUse> uses, std::int64_t wall_now_ns);
  // Newest first. Empty subject: all. At most limit rows.
  authcache::shm::Result<std::vector<SessionRow>> list(std::string_view subject, std::uint32_t limit);
  // Marks the session revoked; returns its row. kNotFound if there is none; revoking twice is ok.
  authcache::shm::Result<SessionRow> revoke(std::string_view sid, std::int64_t wall_now_ns);

 private:
  struct Impl;
  explicit SessionStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace authcached

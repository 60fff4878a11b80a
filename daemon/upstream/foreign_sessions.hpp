// Sessions that another program keeps, found by one configured SELECT. The file is opened read-only, the
// connection may read tables and nothing else, and the token reaches SQL as a bound parameter only. One
// thread at a time.
//
// A row counts only if it is the only one, every column that it names is of a known kind, and (where the
// query returns token_key) the stored key equals the one asked for byte by byte: a column that ignores case
// or compares numbers would otherwise give one session many tokens, and a revocation names one of them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/base/config.hpp"
#include "daemon/base/proof.hpp"
#include "daemon/base/sqlite.hpp"
#include "shm/result.hpp"

namespace authcached {

class ForeignSessions {
 public:
  enum class Column : std::uint8_t {
    kSubject,
    kClientId,
    kSid,
    kJti,
    kIssuer,
    kScopes,
    kRoles,
    kPermissions,
    kAudience,
    kCreated,
    kCreatedNs,
    kExpires,
    kExpiresNs,
    kRevoked,
    kTokenKey,
    kCount
  };
  // Where each column stands in a row; -1 if the query does not return it.
  using Columns = std::array<int, static_cast<std::size_t>(Column::kCount)>;

  // Refuses a query that is not one reading SELECT with one parameter and columns that are known; says which.
  [[nodiscard]] static authcache::shm::Result<ForeignSessions> open(const ProfileConfig& profile);

  [[nodiscard]] Database& database() { return database_; }
  // kUnavailable if the database fails (failure_code() is then not 0) or the row cannot be trusted.
  [[nodiscard]] Proof find(std::string_view token, std::int64_t wall_now_ns);
  // SQLite's primary code of the last find: 0 unless the database failed.
  [[nodiscard]] int failure_code() const { return failure_code_; }

 private:
  ForeignSessions(Database database, Statement select, KeyEncoding encoding, const Columns& columns)
      : database_(std::move(database)), select_(std::move(select)), encoding_(encoding), columns_(columns) {}
  [[nodiscard]] Proof read_row(std::string_view key, std::int64_t wall_now_ns) const;
  [[nodiscard]] int place(Column column) const { return columns_[static_cast<std::size_t>(column)]; }
  [[nodiscard]] bool columns_still_fit();
  [[nodiscard]] bool read_texts(Identity& identity) const;

  Database database_;  // before the statement: it must go first
  Statement select_;
  KeyEncoding encoding_;
  Columns columns_;
  int recompilations_ = 0;
  int failure_code_ = 0;
};

}  // namespace authcached

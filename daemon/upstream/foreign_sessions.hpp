// Sessions that another program keeps, found by one configured SELECT. The file is opened read-only, the
// connection may read tables and nothing else, and the token reaches SQL as a bound parameter only. One
// thread at a time.
// A row counts only if it is the only one, and as session_columns.hpp judges it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/base/config.hpp"
#include "daemon/base/proof.hpp"
#include "daemon/base/sqlite.hpp"
#include "daemon/upstream/session_columns.hpp"
#include "shm/result.hpp"

namespace authcached {

class ForeignSessions {
 public:
  // Refuses a query that is not one reading SELECT with one parameter and columns that are known; says which.
  [[nodiscard]] static authcache::shm::Result<ForeignSessions> open(const ProfileConfig& profile);

  [[nodiscard]] Database& database() { return database_; }
  // kUnavailable if the database fails (failure_code() is then not 0) or the row cannot be trusted.
  [[nodiscard]] Proof find(std::string_view token, std::int64_t wall_now_ns);
  // SQLite's primary code of the last find: 0 unless the database failed.
  [[nodiscard]] int failure_code() const { return failure_code_; }

 private:
  ForeignSessions(Database database, Statement select, KeyEncoding encoding, const SessionColumns& columns)
      : database_(std::move(database)), select_(std::move(select)), encoding_(encoding), columns_(columns) {}
  [[nodiscard]] bool columns_still_fit();

  Database database_;  // before the statement: it must go first
  Statement select_;
  KeyEncoding encoding_;
  SessionColumns columns_;
  int recompilations_ = 0;
  int failure_code_ = 0;
};

}  // namespace authcached

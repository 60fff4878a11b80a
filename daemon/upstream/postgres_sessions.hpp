// The configured query as the daemon runs it on PostgreSQL: one statement that takes all keys of a batch as
// one array and gives their rows, each naming its key. The daemon wraps the query, so that it can only be a
// SELECT, returns no more rows than make sense, and gives every value in a form that is read strictly.
//
// prepare_sessions runs on a worker, the rest on the loop; a PostgresSessions is never changed.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/config.hpp"
#include "daemon/io/postgres/postgres_connector.hpp"
#include "daemon/upstream/session_columns.hpp"
#include "shm/result.hpp"

namespace authcached {

// Keys of one statement. Beyond some dozens a statement's own cost no longer shows; and few enough that
// several can be under way while one is answered.
inline constexpr std::size_t kPostgresBatchMax = 64;
// Rows that one statement may give: more than it has keys means that some key has several.
inline constexpr std::size_t kPostgresRowsMax = kPostgresBatchMax + 1;

inline constexpr const char* kPingStatement = "authcache_ping";

// How a column's values come.
enum class PostgresForm : std::uint8_t { kText, kJson, kSeconds, kTimestamp, kBytes };

struct PostgresSessions {
  SessionColumns columns;
  std::vector<PostgresForm> forms;  // by place
  std::uint32_t key_type = 0;       // the type of the array's elements
  std::string statement;            // its name
};

// Prepares the statements on a new connection. Refuses a query that is no SELECT with $1 as an array of keys
// and columns that are known, among them token_key; one that the role may not run; and says which it was.
[[nodiscard]] authcache::shm::Result<std::shared_ptr<const PostgresSessions>> prepare_sessions(
    PostgresSetup& setup, const std::string& query, KeyEncoding encoding);

// A one-dimensional array in PostgreSQL's binary form.
[[nodiscard]] std::string postgres_array(std::span<const std::string_view> elements, std::uint32_t type);

class PostgresRow final : public SessionValues {
 public:
  PostgresRow(const pg_result& rows, int row, const PostgresSessions& sessions)
      : rows_(rows), row_(row), sessions_(sessions) {}

  // The stored key, as it stands there; a null has none.
  [[nodiscard]] std::string_view key() const {
    return value(sessions_.columns.place(SessionColumn::kTokenKey));
  }

  [[nodiscard]] TextColumn text(int place) const override;
  [[nodiscard]] TimeColumn time(int place, TimeUnit unit) const override;
  [[nodiscard]] bool revoked(int place) const override;
  [[nodiscard]] bool is_key(int place, std::string_view key) const override;
  [[nodiscard]] std::optional<std::vector<std::string>> list(int place) const override;

 private:
  [[nodiscard]] bool is_null(int place) const;
  [[nodiscard]] std::string_view value(int place) const;
  const pg_result& rows_;
  int row_;
  const PostgresSessions& sessions_;
};

// Seconds since 1970 as decimal text, "1700000000.25", in nanoseconds; digits beyond the ninth are dropped,
// so that an end comes no later. Nothing for a sign, an exponent, or what 64 bits cannot hold.
[[nodiscard]] std::optional<std::int64_t> decimal_seconds_ns(std::string_view text);

}  // namespace authcached

// What a PostgreSQL database needs so that it tells of changes: the table, the triggers that write into it,
// what deletes old rows, what is to be granted. Text to be looked at and run by the owner of the tables.
// Pure; any thread.
//
// Names are quoted whatever they hold; one that no quoting makes safe in a comment is refused.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "daemon/base/config.hpp"
#include "shm/result.hpp"

namespace authcached {

// Whose rows are told of; TABLE or SCHEMA.TABLE, each part as it stands in the catalog.
struct ChangesDdl {
  std::string sessions;  // the table of sessions
  std::string key;       // its column that holds the key in the profile's key_encoding
  std::string sid;  // its column that the query returns as sid; needed where a key does not tell its token
  struct Subjects {
    std::string table;   // of users, of their roles: any table whose rows decide what a session may do
    std::string column;  // what the query returns as subject
  };
  std::vector<Subjects> subjects;
  std::vector<std::string> ignored;  // columns of sessions whose changes mean nothing, such as last_used_at
  std::string reader;                // the role of the daemon; empty: the connection's user
};

[[nodiscard]] authcache::shm::Result<std::string> changes_ddl(const ProfileConfig& profile,
                                                              const ChangesDdl& asked);

// The channel of its NOTIFY. Without the schema: a channel's name is no longer than a table's.
[[nodiscard]] std::string changes_channel(std::string_view table);

// "a.b" or "b" (then of schema public), quoted.
[[nodiscard]] std::string quoted_relation(std::string_view name);

}  // namespace authcached

// The schema of the daemon's own session database (sessions.db) in each of its versions, and how SQLite is
// tuned for it. For upstream/own_sessions.cpp alone.
#pragma once

#include "daemon/base/owned_database.hpp"

namespace authcached {

// Rows stand in the order of their creation, so that new ones share pages; of the two indexes that are asked
// by random names, the sid's is made to grow at one place (draw_names). What a batch of new sessions costs is
// the number of pages it touches.
#define SESSION_TABLE                                           \
  "CREATE TABLE sessions("                                      \
  "  id INTEGER PRIMARY KEY,"                                   \
  "  token_hash BLOB NOT NULL CHECK (length(token_hash) = 32)," \
  "  subject TEXT NOT NULL,"                                    \
  "  client_id TEXT NOT NULL,"                                  \
  "  sid TEXT NOT NULL,"                                        \
  "  scopes TEXT NOT NULL,"                                     \
  "  roles TEXT NOT NULL,"                                      \
  "  permissions TEXT NOT NULL,"                                \
  "  created_ns INTEGER NOT NULL,"                              \
  "  expires_ns INTEGER NOT NULL,"                              \
  "  last_seen_ns INTEGER NOT NULL,"                            \
  "  revoked_ns INTEGER"                                        \
  ") STRICT;"
// The digest by which the table knows the token, and the id of the profile that is part of it: with them a
// record can be made without the token. Like the hash, it gives nobody the token back.
#define SESSION_DIGEST                               \
  "ALTER TABLE sessions ADD COLUMN profile INTEGER;" \
  "ALTER TABLE sessions ADD COLUMN digest BLOB CHECK (digest IS NULL OR length(digest) = 32);"
#define SESSION_INDEXES                                            \
  "CREATE UNIQUE INDEX sessions_by_token ON sessions(token_hash);" \
  "CREATE UNIQUE INDEX sessions_by_sid ON sessions(sid);"          \
  "CREATE INDEX sessions_by_subject ON sessions(subject);"

// Version 1 kept its rows by the token's hash.
inline constexpr const char* kSessionUpgrades[] = {
    "ALTER TABLE sessions RENAME TO sessions_1; DROP INDEX sessions_by_sid; DROP INDEX sessions_by_subject;"
    "DROP INDEX sessions_by_creation;" SESSION_TABLE
    "INSERT INTO sessions(token_hash, subject, client_id, sid, scopes, roles, permissions, created_ns, "
    "expires_ns,"
    " last_seen_ns, revoked_ns) SELECT token_hash, subject, client_id, sid, scopes, roles, permissions, "
    "created_ns,"
    " expires_ns, last_seen_ns, revoked_ns FROM sessions_1 ORDER BY created_ns;"
    "DROP TABLE sessions_1;" SESSION_INDEXES,
    // Version 2 knew no digests; its sessions are asked for one by one, as ever.
    SESSION_DIGEST};
inline constexpr OwnedSchema kSessionSchema{.application_id = 0x61637373 /* "acss" */,
                                            .version = 3,
                                            .sql = SESSION_TABLE SESSION_INDEXES SESSION_DIGEST,
                                            .name = "the session database",
                                            .upgrades = kSessionUpgrades};

// The cache: enough for the keys and rows of a hundred thousand sessions; the kernel caches the rest. The
// log: a thousand new sessions write some 900 pages, most of them again with the next thousand, and are
// copied into the file once for all of these. 64 MiB of log are read at the next start at most.
inline constexpr const char* kSessionTuning =
    "PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 16384; PRAGMA journal_size_limit = 67108864";

#undef SESSION_TABLE
#undef SESSION_DIGEST
#undef SESSION_INDEXES

}  // namespace authcached

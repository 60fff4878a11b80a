// Makes a PostgreSQL connection ready for use. It blocks, so a worker does it: libpq looks names up, reads
// certificates and keys from disk and stretches passwords within its connection calls, none of which may
// stand still the loop. What comes back is set up, has its statements prepared, and is handed to the loop
// (postgres_pipeline.hpp).
//
// Hosts are tried in their order, each address of a name in its own: libpq by itself gives a silent address
// all of the time. Whoever waits is let go within kSlice of `cancelled`.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "daemon/base/postgres_conninfo.hpp"
#include "daemon/io/postgres/postgres_handles.hpp"
#include "shm/result.hpp"

namespace authcached {

// A connection on its way, for whoever prepares statements on it. One call at a time; each ends by its
// deadline.
class PostgresSetup {
 public:
  // For one handshake or statement. A host beyond it is as good as down; a table that is locked for longer,
  // too.
  static constexpr std::chrono::milliseconds kStepTimeout{2'000};
  static constexpr std::chrono::milliseconds kSlice{100};  // how late a cancellation may be noticed

  PostgresSetup(pg_conn& connection, const std::atomic<bool>& cancelled)
      : connection_(connection), cancelled_(cancelled) {}

  // Of a command that returns rows, and of one that returns none. Errors hold the server's words.
  [[nodiscard]] authcache::shm::Result<PostgresResult> rows(const char* sql);
  [[nodiscard]] authcache::shm::Result<void> prepare(const char* name, const std::string& sql);
  // Under a name made from the statement, which is returned: behind a pooler sessions of the server are shared, and a
  // name must not stand for another profile's statement there.
  [[nodiscard]] authcache::shm::Result<std::string> prepare_named(const std::string& sql);
  // Its parameters and columns.
  [[nodiscard]] authcache::shm::Result<PostgresResult> describe(const char* name);
  // Waits until the socket is readable (or writable); false when the time is over or the wait is cancelled.
  [[nodiscard]] bool wait(bool readable, std::chrono::steady_clock::time_point deadline) const;

 private:
  [[nodiscard]] authcache::shm::Result<PostgresResult> result(bool sent);
  pg_conn& connection_;
  const std::atomic<bool>& cancelled_;
};

struct PostgresOrder {
  PostgresTarget target;
  std::filesystem::path password_file;  // empty: none is sent
  std::chrono::milliseconds statement_timeout{1'000};
  // Prepares what the connection is for; an error is this host's failure.
  std::function<authcache::shm::Result<void>(PostgresSetup&)> prepare;
};

struct PostgresLink {
  PostgresHandle connection;
  std::string host;  // where it leads, for people
};

// Blocks. The first host that serves; else an error that names what each of the hosts said.
[[nodiscard]] authcache::shm::Result<PostgresLink> connect_postgres(const PostgresOrder& order,
                                                                    const std::atomic<bool>& cancelled);

}  // namespace authcached

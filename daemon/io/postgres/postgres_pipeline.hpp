// One PostgreSQL connection on the loop, in libpq's pipeline mode: statements go out without waiting for the
// answers before them, which come in their order. The socket is awaited on the loop's ring; no call here
// blocks.
//
// Loop thread only. Each statement has its own sync, so that one that fails takes no other with it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "daemon/io/loop.hpp"
#include "daemon/io/postgres/postgres_handles.hpp"

namespace authcached {

class PostgresPipeline {
 public:
  // Rows, or an error of the server; null: the connection was lost before the answer. Never called from
  // within ask.
  using Answered = std::move_only_function<void(const pg_result*)>;
  // Called once, after everything asked was answered by null. It may destroy the pipeline.
  using Lost = std::move_only_function<void(std::string why)>;

  // A connection that is set up and idle.
  PostgresPipeline(Loop& loop, PostgresHandle connection, Lost lost);
  PostgresPipeline(const PostgresPipeline&) = delete;
  PostgresPipeline& operator=(const PostgresPipeline&) = delete;
  ~PostgresPipeline();  // closes; what is asked is not answered any more

  // Runs a prepared statement with one binary parameter; the columns of its rows come in binary form.
  void ask(const char* statement, std::string_view parameter, Answered answered);
  void ask(const char* statement, Answered answered);

  // Called for NOTIFYs that came to this connection, once for those that came together. Not to destroy the pipeline.
  void on_notification(std::function<void()> notified);

  [[nodiscard]] bool usable() const;  // false once it is lost or given up
  [[nodiscard]] std::size_t in_flight() const;
  // When the statement that is answered next went out; CLOCK_MONOTONIC. Meaningless with none in flight.
  [[nodiscard]] std::uint64_t oldest_ns() const;
  // When the last answer came.
  [[nodiscard]] std::uint64_t used_ns() const;
  // As if the server had closed it, in a later turn.
  void abandon(std::string why);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace authcached

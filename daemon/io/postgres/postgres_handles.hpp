// libpq's connections and results behind owners, and its errors as one bounded sentence. Any one thread at a
// time.
#pragma once

#include <memory>
#include <string>
#include <string_view>

struct pg_conn;
struct pg_result;

namespace authcached {

struct PostgresClose {
  void operator()(pg_conn* connection) const;
};
struct PostgresClear {
  void operator()(pg_result* result) const;
};
using PostgresHandle = std::unique_ptr<pg_conn, PostgresClose>;
using PostgresResult = std::unique_ptr<pg_result, PostgresClear>;

// The first line of what libpq or the server said, without control characters. Not for answers to questions
// with values in them: the server repeats those.
[[nodiscard]] std::string postgres_sentence(const char* words);

// "28P01", five characters; empty if the server did not say.
[[nodiscard]] std::string_view sqlstate_of(const pg_result* result);

}  // namespace authcached

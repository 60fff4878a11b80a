#include "daemon/io/postgres/postgres_handles.hpp"

#include <libpq-fe.h>

namespace authcached {

namespace {

constexpr std::size_t kSentenceBytesMax = 300;  // fits a line of the log beside what it is about

}  // namespace

void PostgresClose::operator()(pg_conn* connection) const { PQfinish(connection); }
void PostgresClear::operator()(pg_result* result) const { PQclear(result); }

std::string postgres_sentence(const char* words) {
  const std::string_view text = words == nullptr ? std::string_view() : std::string_view(words);
  std::string sentence;
  for (const char c : text.substr(0, text.find('\n'))) {
    const bool printable = static_cast<unsigned char>(c) >= ' ' && c != 0x7f;
    if (printable && sentence.size() < kSentenceBytesMax) sentence += c;
  }
  return sentence.empty() ? "libpq gives no reason" : sentence;
}

std::string_view sqlstate_of(const pg_result* result) {
  const char* state = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
  return state == nullptr ? std::string_view() : std::string_view(state);
}

}  // namespace authcached

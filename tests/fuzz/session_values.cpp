// Rows of a session database that is not ours: any types and values in any column. A session is in force only
// if this file, which reads the same values a second time, cannot say why not.
//
// First byte: 0 a list, 1 a moment as text, else a row: for each column a type byte and a value.
#include "daemon/upstream/session_values.hpp"

#include <sqlite3.h>

#include <cmath>
#include <limits>
#include <memory>
#include <stdexcept>

#include "daemon/upstream/session_store.hpp"
#include "tests/fuzz/fuzz_target.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using namespace authcached;
using authcache::shm::Reason;
using authcache::shm::Verdict;
using authcache_fuzz::Bytes;

constexpr std::int64_t kNow = std::int64_t{1'700'000'000} * 1'000'000'000;
constexpr const char* kColumns[] = {"subject",  "client_id", "scopes",  "roles",
                                    "audience", "created",   "expires", "revoked"};
constexpr int kSubject = 0, kExpires = 6, kRevoked = 7;

struct Value {
  int type = SQLITE_NULL;
  std::int64_t integer = 0;
  double real = 0;
  std::string text{};
};

Value take_value(Bytes& bytes) {
  Value value;
  switch (bytes.byte() % 5) {
    case 0: return value;
    case 1:
      value.type = SQLITE_INTEGER;
      value.integer = bytes.take<std::int64_t>();
      break;
    case 2:
      value.type = SQLITE_FLOAT;
      value.real = bytes.take<double>();
      break;
    case 3:
      value.type = SQLITE_TEXT;
      value.text = bytes.take_counted();
      break;
    default:
      value.type = SQLITE_BLOB;
      value.text = bytes.take_counted();
      break;
  }
  if (value.type == SQLITE_FLOAT && std::isnan(value.real)) value.type = SQLITE_NULL;  // as SQLite stores it
  return value;
}

// One database with one row, which every input fills anew.
class Row {
 public:
  Row() {
    check(sqlite3_open(file().c_str(), &db_));
    check(sqlite3_exec(
        db_,
        "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;"
        "CREATE TABLE s(k TEXT, subject, client_id, scopes, roles, audience, created, expires, revoked);"
        "INSERT INTO s(k) VALUES('token')",
        nullptr, nullptr, nullptr));
    check(sqlite3_prepare_v2(db_,
                             "UPDATE s SET subject=?1, client_id=?2, scopes=?3, roles=?4, audience=?5, "
                             "created=?6, expires=?7, revoked=?8",
                             -1, &update_, nullptr));
    ProfileConfig profile;
    profile.name = "sessions";
    profile.database = file();
    profile.key_encoding = KeyEncoding::kRaw;
    profile.query =
        "SELECT subject, client_id, scopes, roles, audience, created, expires, revoked FROM s WHERE k = ?1";
    auto opened = SessionStore::open(profile, file());
    if (!opened) throw std::runtime_error(opened.error().message);
    store_ = std::make_unique<SessionStore>(std::move(*opened));
  }
  ~Row() {
    sqlite3_finalize(update_);
    sqlite3_close(db_);
  }
  Row(const Row&) = delete;
  Row& operator=(const Row&) = delete;

  Proof resolve(const Value (&values)[std::size(kColumns)]) {
    for (int i = 0; i < static_cast<int>(std::size(kColumns)); ++i) bind(i + 1, values[i]);
    check(sqlite3_step(update_) == SQLITE_DONE ? SQLITE_OK : SQLITE_ERROR);
    check(sqlite3_reset(update_));
    const std::string_view token = "token";
    return store_->resolve(std::span(&token, 1), kNow).at(0);
  }

 private:
  [[nodiscard]] std::string file() const { return directory_ / "s.db"; }
  static void check(int code) {
    if (code != SQLITE_OK) throw std::runtime_error("sqlite");
  }
  void bind(int at, const Value& value) {
    const int size = static_cast<int>(value.text.size());
    switch (value.type) {
      case SQLITE_INTEGER: return check(sqlite3_bind_int64(update_, at, value.integer));
      case SQLITE_FLOAT: return check(sqlite3_bind_double(update_, at, value.real));
      case SQLITE_TEXT:
        return check(sqlite3_bind_text(update_, at, value.text.data(), size, SQLITE_TRANSIENT));
      case SQLITE_BLOB:
        return check(sqlite3_bind_blob(update_, at, value.text.data(), size, SQLITE_TRANSIENT));
      default: return check(sqlite3_bind_null(update_, at));
    }
  }

  authcached::testing::TemporaryDirectory directory_;
  sqlite3* db_ = nullptr;
  sqlite3_stmt* update_ = nullptr;
  std::unique_ptr<SessionStore> store_;
};

bool says_in_force(const Value& revoked) {
  switch (revoked.type) {
    case SQLITE_NULL: return true;
    case SQLITE_INTEGER: return revoked.integer == 0;
    case SQLITE_FLOAT: return revoked.real == 0;
    case SQLITE_TEXT: return revoked.text.empty() || revoked.text == "0" || revoked.text == "false";
    default: return false;
  }
}

bool may_still_run(const Value& expires) {
  constexpr double kNowSeconds = 1.7e9;
  switch (expires.type) {
    case SQLITE_NULL: return true;
    case SQLITE_INTEGER: return expires.integer > 1'700'000'000 && expires.integer < 10'000'000'000;
    case SQLITE_FLOAT: return expires.real > kNowSeconds && expires.real < 1e10;
    case SQLITE_TEXT: return utc_text_ns(expires.text).value_or(0) > kNow;
    default: return false;
  }
}

void require_row(Bytes& bytes) {
  static Row row;
  Value values[std::size(kColumns)];
  for (Value& value : values) value = take_value(bytes);
  const Proof proof = row.resolve(values);
  if (!says_in_force(values[kRevoked])) {
    FUZZ_REQUIRE(proof.verdict == Verdict::kInvalid && proof.reason == Reason::kRevoked);
  }
  if (proof.verdict != Verdict::kValid) return;
  FUZZ_REQUIRE(proof.reason == Reason::kNone && says_in_force(values[kRevoked]));
  FUZZ_REQUIRE(may_still_run(values[kExpires]));
  FUZZ_REQUIRE(!proof.expires_wall_ns || *proof.expires_wall_ns > kNow);
  FUZZ_REQUIRE(proof.expires_wall_ns.has_value() == (values[kExpires].type != SQLITE_NULL));
  FUZZ_REQUIRE(!proof.identity.subject.empty() && proof.identity.subject.size() <= kSessionTextBytesMax);
  FUZZ_REQUIRE(values[kSubject].type == SQLITE_TEXT || values[kSubject].type == SQLITE_INTEGER);
  FUZZ_REQUIRE(proof.identity.scopes.size() <= kSessionListMax);
}

void require_list(std::string_view text) {
  const auto list = session_list(text);
  if (!list) {
    FUZZ_REQUIRE(text.size() > kSessionTextBytesMax || text.starts_with('[') ||
                 text.size() > kSessionListMax);
    return;
  }
  FUZZ_REQUIRE(list->size() <= kSessionListMax);
  if (text.starts_with('[')) return;
  for (const auto& entry : *list) FUZZ_REQUIRE(!entry.empty() && entry.find(' ') == std::string::npos);
  const std::string written = joined(*list);
  if (!written.starts_with('[')) FUZZ_REQUIRE(session_list(written) == list);
}

void require_moment(std::string_view text) {
  const auto moment = utc_text_ns(text);
  if (!moment) return;
  FUZZ_REQUIRE(*moment >= 0);
  std::string other(text);
  other[10] = other[10] == ' ' ? 'T' : ' ';
  FUZZ_REQUIRE(utc_text_ns(other) == moment);
  // The whole second, written by the C library.
  const std::time_t seconds = *moment / 1'000'000'000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char written[64];
  std::strftime(written, sizeof written, "%Y-%m-%d %H:%M:%S", &parts);
  other[10] = ' ';
  FUZZ_REQUIRE(std::string_view(other).substr(0, 19) == written);
}

}  // namespace

FUZZ_TARGET(session_values) {
  Bytes bytes(input);
  switch (bytes.byte() % 4) {
    case 0: return require_list(bytes.rest());
    case 1: return require_moment(bytes.rest());
    default: return require_row(bytes);
  }
}

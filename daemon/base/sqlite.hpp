// SQLite behind owning types and Result. A Database and its Statements belong to one thread at a time; every
// Statement and Transaction must be gone before its Database.
//
// Invariants: text reaches SQL as a bound parameter only; an error sentence holds SQLite's fixed words for
// its code and never a bound value; what is bound by view must outlive the steps that follow, up to reset().
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "shm/result.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace authcached {

enum class ColumnType : std::uint8_t { kInteger, kReal, kText, kBlob, kNull };

// Compiled once, run many times: bind, step until false, reset.
class Statement {
 public:
  void bind(int parameter, std::int64_t value);
  void bind_text(int parameter, std::string_view text);
  void bind_blob(int parameter, std::span<const std::uint8_t> bytes);
  void bind_null(int parameter);

  // True while there is a row. Also reports a bind that failed.
  [[nodiscard]] authcache::shm::Result<bool> step();
  // For statements that return nothing: bind, run, and it is ready for the next use, also after an error.
  [[nodiscard]] authcache::shm::Result<void> run();
  void reset();

  // Of the current row; views live until the next step or reset.
  [[nodiscard]] ColumnType type(int column) const;
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] double real(int column) const;
  [[nodiscard]] std::string_view text(int column) const;
  [[nodiscard]] std::span<const std::uint8_t> blob(int column) const;

  [[nodiscard]] int columns() const;
  [[nodiscard]] std::string_view column_name(int column) const;
  [[nodiscard]] int parameters() const;
  [[nodiscard]] std::string_view parameter_name(int parameter) const;  // "" for a bare ?
  [[nodiscard]] bool read_only() const;
  [[nodiscard]] bool explains() const;  // EXPLAIN ...: has rows, but not those of the statement

  // How often a changed schema made SQLite compile it anew: the columns of a SELECT * may then be others.
  [[nodiscard]] int recompilations() const;

  // SQLite's primary result code of the last step: 0 while all is well.
  [[nodiscard]] int last_code() const { return last_code_; }

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int bind_code_ = 0;
  int last_code_ = 0;
};

class Database {
 public:
  enum class Access : std::uint8_t {
    kCreate,    // read and write; made with mode 0600 if it is not there
    kReadOnly,  // must be there
  };

  // Does not read the file yet, except that kCreate makes it and syncs its directory.
  [[nodiscard]] static authcache::shm::Result<Database> open(const std::filesystem::path& file,
                                                             Access access);

  Database(Database&&) noexcept;
  Database& operator=(Database&&) noexcept;
  ~Database();

  // SQL of our own, no values in it; rows are thrown away.
  [[nodiscard]] authcache::shm::Result<void> execute(const char* sql);
  // Exactly one statement; what follows it may be blanks, comments and a semicolon.
  [[nodiscard]] authcache::shm::Result<Statement> prepare(std::string_view sql);
  // The one integer that sql gives.
  [[nodiscard]] authcache::shm::Result<std::int64_t> integer(std::string_view sql);

  // True if open made the file.
  [[nodiscard]] bool created() const;
  // True once the file was renamed, replaced or removed: what this connection reads is no longer what others
  // see.
  [[nodiscard]] bool moved() const;
  [[nodiscard]] bool in_transaction() const;
  [[nodiscard]] std::int64_t changes() const;  // rows that the last statement changed

  // From now on statements may only read tables of the main database: no ATTACH, no PRAGMA, no writes, no
  // loading.
  void permit_reads_only();

  // Steps past this moment of the steady clock, waiting for locks included, end with SQLITE_INTERRUPT or
  // SQLITE_BUSY.
  void set_deadline(std::optional<std::chrono::steady_clock::time_point> deadline);

 private:
  struct State;
  explicit Database(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// BEGIN ... COMMIT; rolled back on every other way out, so that the connection is fit for use afterwards.
class Transaction {
 public:
  enum class Kind : std::uint8_t {
    kRead,
    kWrite /* BEGIN IMMEDIATE: waits for the lock now, not half way */
  };

  [[nodiscard]] static authcache::shm::Result<Transaction> begin(Database& database, Kind kind);
  Transaction(Transaction&& other) noexcept : database_(other.database_) { other.database_ = nullptr; }
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  [[nodiscard]] authcache::shm::Result<void> commit();

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  Database* database_;
};

}  // namespace authcached

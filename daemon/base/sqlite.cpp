#include "daemon/base/sqlite.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "shm/unique_fd.hpp"

namespace authcached {

using authcache::shm::ErrorCode;
using authcache::shm::fail;
using authcache::shm::Result;
using authcache::shm::system_error;
using authcache::shm::UniqueFd;
using std::chrono::steady_clock;

namespace {

// How long a statement waits for a lock that another process holds, where no deadline is set: an operator's
// sqlite3 shell in the middle of a statement, a backup.
constexpr std::chrono::milliseconds kBusyTimeout{2'000};
// Between two looks at a lock: short against a batch, long against a system call.
constexpr int kBusySleepMs = 2;
// Virtual machine instructions between two looks at the clock; a lookup by key takes about 30.
constexpr int kProgressInstructions = 1'000;

ErrorCode code_of(int sqlite_code) {
  switch (sqlite_code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return ErrorCode::kCorrupt;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_INTERRUPT:
    case SQLITE_FULL: return ErrorCode::kUnavailable;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH: return ErrorCode::kRefused;
    case SQLITE_ERROR: return ErrorCode::kUsage;  // the SQL does not fit the schema
    default: return ErrorCode::kSystem;
  }
}

// The words belong to the code: a message of the connection could quote a value out of a trigger or a
// constraint.
std::unexpected<authcache::shm::Error> sqlite_error(const std::string& what, int sqlite_code) {
  return fail(code_of(sqlite_code), what + ": " + sqlite3_errstr(sqlite_code) + " (SQLite code " +
                                        std::to_string(sqlite_code) + ")");
}

// SQLite would create it with the umask's mode. Never opens an existing file: closing that descriptor would
// drop the locks that another connection of this process holds on it. Returns whether it made the file.
Result<bool> create_private_file(const std::filesystem::path& file) {
  const UniqueFd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) {
    if (errno != EEXIST) return system_error("cannot create the database " + file.string(), errno);
    struct stat found {};
    if (::lstat(file.c_str(), &found) != 0) {
      return system_error("cannot look at the database " + file.string(), errno);
    }
    if (!S_ISREG(found.st_mode)) {
      return fail(ErrorCode::kRefused, "the database " + file.string() + " is not a regular file; remove it");
    }
    if ((found.st_mode & 07777) != 0600 && ::chmod(file.c_str(), 0600) != 0) {
      return system_error("cannot set the mode of the database " + file.string() + " to 0600", errno);
    }
    return false;
  }
  if (::fchmod(fd.get(), 0600) != 0) return system_error("cannot set the mode of " + file.string(), errno);
  const std::filesystem::path parent = file.has_parent_path() ? file.parent_path() : ".";
  const UniqueFd directory(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || ::fsync(directory.get()) != 0) {
    return system_error("cannot make the new database " + file.string() + " durable", errno);
  }
  return true;
}

}  // namespace

struct Database::State {
  sqlite3* handle = nullptr;
  bool created = false;
  bool reads_only = false;
  std::optional<steady_clock::time_point> deadline;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { sqlite3_close_v2(handle); }

  static int on_busy(void* self, int attempts) {
    const auto& deadline = static_cast<const State*>(self)->deadline;
    const bool give_up = deadline ? steady_clock::now() >= *deadline
                                  : std::chrono::milliseconds(kBusySleepMs) * attempts >= kBusyTimeout;
    if (give_up) return 0;
    sqlite3_sleep(kBusySleepMs);
    return 1;
  }

  static int on_progress(void* self) {
    const auto& deadline = static_cast<const State*>(self)->deadline;
    return deadline && steady_clock::now() >= *deadline ? 1 : 0;
  }

  static int on_authorize(void*, int action, const char*, const char*, const char*, const char*) {
    switch (action) {
      case SQLITE_SELECT:
      case SQLITE_READ:
      case SQLITE_FUNCTION:
      case SQLITE_RECURSIVE:
      case SQLITE_TRANSACTION: return SQLITE_OK;
      default: return SQLITE_DENY;
    }
  }
};

Database::Database(std::unique_ptr<State> state) : state_(std::move(state)) {}
Database::Database(Database&&) noexcept = default;
Database& Database::operator=(Database&&) noexcept = default;
Database::~Database() = default;

Result<Database> Database::open(const std::filesystem::path& file, Access access) {
  auto state = std::make_unique<State>();
  if (access == Access::kCreate) {
    Result<bool> created = create_private_file(file);
    if (!created) return std::unexpected(std::move(created.error()));
    state->created = *created;
  }
  const int mode = access == Access::kCreate ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
  const int code = sqlite3_open_v2(file.c_str(), &state->handle,
                                   mode | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  if (code != SQLITE_OK) return sqlite_error("cannot open the database " + file.string(), code);
  sqlite3_busy_handler(state->handle, &State::on_busy, state.get());
  sqlite3_progress_handler(state->handle, kProgressInstructions, &State::on_progress, state.get());
  // A schema is data from a file: it must not call functions that do more than compute, nor be edited as a
  // table.
  sqlite3_db_config(state->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(state->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  return Database(std::move(state));
}

Result<void> Database::execute(const char* sql) {
  const int code = sqlite3_exec(state_->handle, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return sqlite_error("the database refuses a statement", code);
  return {};
}

Result<Statement> Database::prepare(std::string_view sql) {
  if (sql.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    return fail(ErrorCode::kUsage, "the SQL text is too long");
  }
  sqlite3_stmt* raw = nullptr;
  const char* tail = nullptr;
  const int length = static_cast<int>(sql.size());
  int code = sqlite3_prepare_v3(state_->handle, sql.data(), length, SQLITE_PREPARE_PERSISTENT, &raw, &tail);
  Statement statement(raw);
  if (code != SQLITE_OK) {
    // Nothing is bound yet, so the connection's own words can only quote the SQL.
    return fail(code_of(code),
                "the SQL text does not compile: " + std::string(sqlite3_errmsg(state_->handle)));
  }
  if (raw == nullptr) return fail(ErrorCode::kUsage, "the SQL text holds no statement");
  sqlite3_stmt* second = nullptr;
  code = sqlite3_prepare_v3(state_->handle, tail, length - static_cast<int>(tail - sql.data()), 0, &second,
                            nullptr);
  const Statement discarded(second);
  // Not a word on the text: whoever reads one there would take a sound database for a foreign one.
  if ((code & 0xff) == SQLITE_NOMEM) return sqlite_error("the database cannot look at a statement", code);
  if (code != SQLITE_OK || second != nullptr) {
    return fail(ErrorCode::kUsage, "the SQL text holds more than one statement; write exactly one");
  }
  return statement;
}

Result<std::int64_t> Database::integer(std::string_view sql) {
  Result<Statement> statement = prepare(sql);
  if (!statement) return std::unexpected(std::move(statement.error()));
  const Result<bool> row = statement->step();
  if (!row) return std::unexpected(row.error());
  if (!*row || statement->type(0) != ColumnType::kInteger) {
    return fail(ErrorCode::kCorrupt, "the database does not hold a number that it must hold");
  }
  return statement->integer(0);
}

bool Database::created() const { return state_->created; }

bool Database::moved() const {
  int moved = 0;
  const int code = sqlite3_file_control(state_->handle, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  return code != SQLITE_OK || moved != 0;
}

bool Database::in_transaction() const { return sqlite3_get_autocommit(state_->handle) == 0; }

std::int64_t Database::changes() const { return sqlite3_changes64(state_->handle); }

void Database::permit_reads_only() { sqlite3_set_authorizer(state_->handle, &State::on_authorize, nullptr); }

void Database::set_deadline(std::optional<steady_clock::time_point> deadline) { state_->deadline = deadline; }

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

void Statement::bind(int parameter, std::int64_t value) {
  bind_code_ = std::max(bind_code_, sqlite3_bind_int64(statement_.get(), parameter, value));
}

void Statement::bind_text(int parameter, std::string_view text) {
  // A null pointer would bind NULL, not the empty string.
  const char* data = text.data() == nullptr ? "" : text.data();
  bind_code_ = std::max(bind_code_, sqlite3_bind_text64(statement_.get(), parameter, data, text.size(),
                                                        SQLITE_STATIC, SQLITE_UTF8));
}

void Statement::bind_blob(int parameter, std::span<const std::uint8_t> bytes) {
  const void* data = bytes.data() == nullptr ? static_cast<const void*>("") : bytes.data();
  bind_code_ = std::max(bind_code_,
                        sqlite3_bind_blob64(statement_.get(), parameter, data, bytes.size(), SQLITE_STATIC));
}

void Statement::bind_null(int parameter) {
  bind_code_ = std::max(bind_code_, sqlite3_bind_null(statement_.get(), parameter));
}

Result<bool> Statement::step() {
  const int code = bind_code_ != SQLITE_OK ? bind_code_ : sqlite3_step(statement_.get());
  last_code_ = code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code & 0xff;
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return sqlite_error("the database cannot run a statement", code);
}

Result<void> Statement::run() {
  const Result<bool> row = step();
  reset();
  if (!row) return std::unexpected(row.error());
  return {};
}

void Statement::reset() {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
  bind_code_ = SQLITE_OK;
}

ColumnType Statement::type(int column) const {
  switch (sqlite3_column_type(statement_.get(), column)) {
    case SQLITE_INTEGER: return ColumnType::kInteger;
    case SQLITE_FLOAT: return ColumnType::kReal;
    case SQLITE_TEXT: return ColumnType::kText;
    case SQLITE_BLOB: return ColumnType::kBlob;
    default: return ColumnType::kNull;
  }
}

std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }

double Statement::real(int column) const { return sqlite3_column_double(statement_.get(), column); }

std::string_view Statement::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  if (data == nullptr) return {};
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

std::span<const std::uint8_t> Statement::blob(int column) const {
  const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_.get(), column));
  return {data,
          data == nullptr ? 0 : static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

int Statement::columns() const { return sqlite3_column_count(statement_.get()); }

std::string_view Statement::column_name(int column) const {
  const char* name = sqlite3_column_name(statement_.get(), column);
  return name == nullptr ? std::string_view() : name;
}

int Statement::parameters() const { return sqlite3_bind_parameter_count(statement_.get()); }

std::string_view Statement::parameter_name(int parameter) const {
  const char* name = sqlite3_bind_parameter_name(statement_.get(), parameter);
  return name == nullptr ? std::string_view() : name;
}

bool Statement::read_only() const { return sqlite3_stmt_readonly(statement_.get()) != 0; }

bool Statement::explains() const { return sqlite3_stmt_isexplain(statement_.get()) != 0; }

int Statement::recompilations() const {
  return sqlite3_stmt_status(statement_.get(), SQLITE_STMTSTATUS_REPREPARE, 0);
}

Result<Transaction> Transaction::begin(Database& database, Kind kind) {
  Result<void> begun = database.execute(kind == Kind::kWrite ? "BEGIN IMMEDIATE" : "BEGIN");
  if (!begun) return std::unexpected(std::move(begun.error()));
  return Transaction(database);
}

Result<void> Transaction::commit() {
  Result<void> committed = database_->execute("COMMIT");
  if (committed) database_ = nullptr;
  return committed;
}

Transaction::~Transaction() {
  // SQLite may have rolled back by itself (disk full); ROLLBACK outside a transaction is an error that says
  // nothing.
  if (database_ != nullptr && database_->in_transaction()) (void)database_->execute("ROLLBACK");
}

}  // namespace authcached

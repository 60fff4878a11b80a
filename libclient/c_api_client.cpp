// The C ABI's clients: opened, closed, asked how they are, and the words for what they answered.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "libclient/c_boundary.hpp"
#include "shm/coarse_clock.hpp"

namespace {

using authcache::client::Attacher;
using authcache::client::Attachment;
using authcache::client::error_for;
using authcache::client::usage;
using authcache::client::without_exceptions;
namespace client = authcache::client;
namespace shm = authcache::shm;
using shm::Reason;
using shm::Verdict;

constexpr const char* kRuntimeDir = "/run/authcache";
constexpr const char* kRuntimeDirVariable = "AUTHCACHE_RUNTIME_DIR";
constexpr std::uint32_t kKnownFlags = AUTHCACHE_NO_REATTACH | AUTHCACHE_NO_MEMO;

// Of this thread's last failed authcache_open, and the buffer that authcache_last_error returns.
thread_local char open_error[client::kSentenceBytes];
thread_local char shown_error[client::kSentenceBytes];

int fail_open(int error, std::string_view sentence) noexcept {
  std::memset(open_error, 0, sizeof open_error);
  std::memcpy(open_error, sentence.data(), std::min(sentence.size(), sizeof open_error - 1));
  return error;
}

int open_client(const authcache_options& options, authcache_client** out) {
  const char* dir = options.runtime_dir;
  if (dir == nullptr) dir = ::secure_getenv(kRuntimeDirVariable);
  if (dir == nullptr || *dir == '\0') dir = kRuntimeDir;
  const auto daemon_uid =
      options.daemon_uid < 0 ? static_cast<uid_t>(-1) : static_cast<uid_t>(options.daemon_uid);
  auto guard = client::ForkGuard::create();
  if (!guard) return fail_open(error_for(guard.error().code), guard.error().message);
  std::unique_ptr<client::TokenMemo> memo;
  if ((options.flags & AUTHCACHE_NO_MEMO) == 0) {
    auto created = client::TokenMemo::create();
    if (!created) return fail_open(error_for(created.error().code), created.error().message);
    memo = std::move(*created);
  }
  auto made = std::make_unique<authcache_client>(
      dir, daemon_uid, (options.flags & AUTHCACHE_NO_REATTACH) == 0, std::move(*guard), std::move(memo));
  const auto attached = made->attacher.attach();
  if (!attached && attached.error().code != shm::ErrorCode::kNotFound) {
    return fail_open(error_for(attached.error().code), attached.error().message);
  }
  *out = made.release();
  return AUTHCACHE_OK;
}

}  // namespace

namespace authcache::client {

int error_for(shm::ErrorCode code) noexcept {
  switch (code) {
    case shm::ErrorCode::kUsage: return AUTHCACHE_ERROR_USAGE;
    case shm::ErrorCode::kNotFound: return AUTHCACHE_ERROR_NOT_FOUND;
    case shm::ErrorCode::kRefused:
    case shm::ErrorCode::kCorrupt: return AUTHCACHE_ERROR_REFUSED;
    case shm::ErrorCode::kUnavailable: return AUTHCACHE_ERROR_UNAVAILABLE;
    case shm::ErrorCode::kSystem: break;
  }
  return AUTHCACHE_ERROR_SYSTEM;
}

}  // namespace authcache::client

extern "C" {

AUTHCACHE_API int authcache_open(const authcache_options* options, authcache_client** out) {
  if (out == nullptr) return fail_open(AUTHCACHE_ERROR_USAGE, "authcache_open needs a place for the client");
  *out = nullptr;
  open_error[0] = '\0';
  authcache_options chosen = AUTHCACHE_OPTIONS_INIT;
  if (options != nullptr) {
    if (options->size < sizeof chosen) {
      return fail_open(AUTHCACHE_ERROR_USAGE,
                       "the options' size is not set; begin with AUTHCACHE_OPTIONS_INIT");
    }
    chosen = *options;
  }
  if ((chosen.flags & ~kKnownFlags) != 0) {
    return fail_open(AUTHCACHE_ERROR_USAGE, "the options hold a flag that this version does not know");
  }
  if (chosen.daemon_uid < -1 || chosen.daemon_uid >= static_cast<std::int64_t>(static_cast<uid_t>(-1))) {
    return fail_open(AUTHCACHE_ERROR_USAGE, "daemon_uid is not a uid");
  }
  const int result = without_exceptions(nullptr, [&] { return open_client(chosen, out); });
  if (result != AUTHCACHE_OK && open_error[0] == '\0') {
    return fail_open(result, "out of memory, or an operation of the standard library failed");
  }
  return result;
}

AUTHCACHE_API void authcache_close(authcache_client* of) { delete of; }

AUTHCACHE_API int authcache_status(authcache_client* of, authcache_status_info* status) {
  if (of == nullptr) return AUTHCACHE_ERROR_USAGE;
  if (status == nullptr || status->size < sizeof *status)
    return usage(of, "the status is NULL or its size is not set");
  return without_exceptions(of, [&] {
    using A = shm::StdAtomics;
    const std::uint32_t size = status->size;
    *status = AUTHCACHE_STATUS_INIT;
    status->size = size;
    status->heartbeat_age_ns = UINT64_MAX;
    status->library_format = shm::kFormatVersion;
    status->table_format = client::peek_format(of->attacher.dir() / shm::kTableName);
    const Attachment* const table = of->attacher.current();
    if (table == nullptr) return AUTHCACHE_OK;
    const shm::TableView& view = table->view;
    status->attached = 1;
    status->generation = view.generation;
    status->heartbeat_timeout_ns = view.heartbeat_timeout_ns;
    status->capacity = view.geometry.capacity;
    status->live = A::load_acquire(view.header().live);
    const std::uint64_t heartbeat_ns = A::load_acquire(view.header().heartbeat_ns);
    const std::uint64_t now_ns = shm::coarse_now_ns();
    if (heartbeat_ns != 0 && heartbeat_ns <= now_ns) status->heartbeat_age_ns = now_ns - heartbeat_ns;
    status->table_state = static_cast<std::uint32_t>(A::load_acquire(view.header().state));
    const bool alive = shm::liveness(view, heartbeat_ns, now_ns) == Reason::kNone;
    status->serving = alive && shm::still_serving(view) ? 1 : 0;
    return AUTHCACHE_OK;
  });
}

AUTHCACHE_API int authcache_refresh(authcache_client* of) {
  if (of == nullptr) return AUTHCACHE_ERROR_USAGE;
  return without_exceptions(of, [&] {
    const auto outcome = of->attacher.attach();
    if (!outcome) return error_for(outcome.error().code);
    return *outcome == Attacher::Outcome::kBusy ? static_cast<int>(AUTHCACHE_ERROR_UNAVAILABLE)
                                                : static_cast<int>(AUTHCACHE_OK);
  });
}

AUTHCACHE_API const char* authcache_last_error(const authcache_client* of) {
  if (of == nullptr) return open_error;
  of->last_error.copy(shown_error);
  return shown_error;
}

AUTHCACHE_API const char* authcache_verdict_name(int verdict) {
  if (verdict < 0) return "usage_error";
  // The names are literals: each ends in NUL.
  return shm::verdict_name(static_cast<Verdict>(std::min(verdict, 255))).data();
}

AUTHCACHE_API const char* authcache_reason_name(int reason) {
  if (reason < 0 || reason > 255) return "?";
  return shm::reason_name(static_cast<Reason>(reason)).data();
}

AUTHCACHE_API const char* authcache_version(void) { return AUTHCACHE_VERSION_TEXT; }

}  // extern "C"

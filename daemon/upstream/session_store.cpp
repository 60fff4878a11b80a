#include "daemon/upstream/session_store.hpp"

#include <sqlite3.h>

#include <utility>
#include <variant>

#include "daemon/upstream/foreign_sessions.hpp"
#include "daemon/upstream/own_sessions.hpp"

namespace authcached {

using authcache::shm::ErrorCode;
using authcache::shm::fail;
using authcache::shm::Reason;
using authcache::shm::Result;

namespace {

// A lock or the budget's end: the next token would only wait for the same, and nothing is wrong with the
// connection.
bool is_waiting(int sqlite_code) {
  return sqlite_code == SQLITE_BUSY || sqlite_code == SQLITE_LOCKED || sqlite_code == SQLITE_INTERRUPT;
}

std::unexpected<authcache::shm::Error> not_ours() {
  return fail(ErrorCode::kUsage,
              "this profile's sessions are another program's (it has a query); change them there");
}

}  // namespace

struct SessionStore::Impl {
  std::variant<OwnSessions, ForeignSessions> sessions;
  bool broken = false;

  [[nodiscard]] OwnSessions* own() { return std::get_if<OwnSessions>(&sessions); }

  [[nodiscard]] Database& database() {
    return std::visit([](auto& kind) -> Database& { return kind.database(); }, sessions);
  }
  // Noted uses that are worth a transaction; more after one that failed, so that questions go on meanwhile.
  std::size_t write_from = OwnSessions::kUnwrittenMany;

  template <class Sessions>
  void find_all(Sessions& kind, std::span<const std::string_view> tokens, std::int64_t wall_now_ns,
                std::vector<Proof>& proofs) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      proofs[i] = kind.find(tokens[i], wall_now_ns);
      const int code = kind.failure_code();
      if (code == 0) continue;
      if (is_waiting(code)) {
        for (; i < tokens.size(); ++i) proofs[i].reason = Reason::kTimeout;
        return;
      }
      broken = true;
    }
  }
};

SessionStore::SessionStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SessionStore::SessionStore(SessionStore&&) noexcept = default;
SessionStore& SessionStore::operator=(SessionStore&&) noexcept = default;
SessionStore::~SessionStore() = default;

Result<SessionStore> SessionStore::open(const ProfileConfig& profile,
                                        const std::filesystem::path& default_file) {
  if (profile.query.empty()) {
    Result<OwnSessions> own =
        OwnSessions::open(profile.database.empty() ? default_file : profile.database, profile);
    if (!own) return std::unexpected(std::move(own.error()));
    return SessionStore(std::unique_ptr<Impl>(new Impl{std::move(*own)}));
  }
  Result<ForeignSessions> foreign = ForeignSessions::open(profile);
  if (!foreign) return std::unexpected(std::move(foreign.error()));
  return SessionStore(std::unique_ptr<Impl>(new Impl{std::move(*foreign)}));
}

std::vector<Proof> SessionStore::resolve(std::span<const std::string_view> tokens, std::int64_t wall_now_ns) {
  std::vector<Proof> proofs(tokens.size());  // kUnavailable, kUpstream
  Database& database = impl_->database();
  // What a removed file still says is nobody's truth any more.
  if (database.moved()) {
    impl_->broken = true;
    return proofs;
  }
  database.set_deadline(std::chrono::steady_clock::now() + kBatchBudget);
  Result<Transaction> transaction = Transaction::begin(database, Transaction::Kind::kRead);
  if (transaction) {
    std::visit([&](auto& kind) { impl_->find_all(kind, tokens, wall_now_ns, proofs); }, impl_->sessions);
  } else {
    impl_->broken = true;
  }
  database.set_deadline(std::nullopt);
  // Nothing was written, so this only lets go of the snapshot; the destructor does it if COMMIT cannot.
  if (transaction) (void)transaction->commit();
  OwnSessions* own = impl_->own();
  if (own != nullptr && own->unwritten() >= impl_->write_from) (void)write_uses({}, wall_now_ns);
  return proofs;
}

bool SessionStore::broken() const { return impl_->broken; }

Result<std::vector<NewSession>> SessionStore::create(const SessionSpec& spec, std::uint32_t count) {
  const SessionOrder order{spec, count};
  return std::move(create(std::span(&order, 1)).front());
}

std::vector<Result<std::vector<NewSession>>> SessionStore::create(std::span<const SessionOrder> orders) {
  OwnSessions* own = impl_->own();
  if (own != nullptr) return own->create(orders);
  return std::vector<Result<std::vector<NewSession>>>(orders.size(), not_ours());
}

Result<RecentSessions> SessionStore::recent(const RecentQuery& query, std::int64_t wall_now_ns) {
  OwnSessions* own = impl_->own();
  return own == nullptr ? not_ours() : own->recent(query, wall_now_ns);
}

Result<std::vector<Proof>> SessionStore::write_uses(std::span<const SessionUse> uses, std::int64_t wall_now_ns) {
  OwnSessions* own = impl_->own();
  if (own == nullptr) return not_ours();
  own->database().set_deadline(std::chrono::steady_clock::now() + kUsesBudget);
  auto proofs = own->write_uses(uses, wall_now_ns);
  own->database().set_deadline(std::nullopt);
  impl_->write_from = own->unwritten() + OwnSessions::kUnwrittenMany;
  return proofs;
}

Result<std::vector<SessionRow>> SessionStore::list(std::string_view subject, std::uint32_t limit) {
  OwnSessions* own = impl_->own();
  return own == nullptr ? not_ours() : own->list(subject, limit);
}

Result<SessionRow> SessionStore::revoke(std::string_view sid, std::int64_t wall_now_ns) {
  OwnSessions* own = impl_->own();
  return own == nullptr ? not_ours() : own->revoke(sid, wall_now_ns);
}

}  // namespace authcached
